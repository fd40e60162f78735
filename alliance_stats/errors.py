"""The error tree: everything this package raises on purpose.

An error message names the count, the place and the way out, in that order.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import pandas as pd


class AllianceStatsError(Exception):
    """Parent of every error that alliance_stats raises on purpose."""


class DataError(AllianceStatsError, ValueError):
    """The data are at fault: something has to change in the file or the frame."""


class ColumnError(DataError):
    """A column was asked for that the data do not have."""


class FaultsError(DataError):
    """A file was read and has faults; all of them are listed, none only first.

    Attributes
    ----------
    faults : DataFrame
        One row per kind of fault: ``fault, column, n, places, way_out``.
    """

    def __init__(self, message: str, faults: pd.DataFrame) -> None:
        super().__init__(message)
        self.faults = faults


class FormulaError(DataError):
    """A formula cannot be read; the message points at the character."""


class DesignError(DataError):
    """The data cannot tell what the model asks (constant, collinear, one group, too few rows)."""


class RowsNotKeptError(DataError):
    """Something was asked for that needs the rows of a fit whose data came in parts."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "This needs the rows of the fit, which were not kept: the data came in parts, and only their sums are "
            "held. Use predict(new) for rows at hand, one part at a time, or fit a single data frame."
        )


def rows_not_kept(owner: object) -> NoReturn:
    """Refuse: the getter of attributes whose rows were summed and let go."""
    raise RowsNotKeptError


class StudyFileError(DataError):
    """A study file (``study.toml``) has a key or a value that is not understood."""


class MeasureKeyError(DataError):
    """A measure's key file has a key or a value that is not understood, or does not hold together."""


class OutputExistsError(DataError):
    """The folder to write to is there already and may not be replaced."""


class MissingExtraError(AllianceStatsError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class ConvergenceWarning(UserWarning):
    """A model was returned although its optimiser did not reach the optimum."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known word as a half-sentence, or list what there is.

    Parameters
    ----------
    name : str
        The word that was not found.
    known : iterable of str
        The words that would have been understood.

    Returns
    -------
    str
        ``"Did you mean 'alliance'?"``, or ``"Known: a, b, c."`` when nothing is near.
    """
    words = [str(word) for word in known]
    folded = {word.casefold(): word for word in reversed(words)}
    near = difflib.get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folded[near[0]]!r}?"
    shown = ", ".join(words[:15]) + (", …" if len(words) > 15 else "")
    return f"Known: {shown}." if words else "There are none."


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: ``1 row``, ``2 rows``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
