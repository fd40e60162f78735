"""Compare a file's stored totals with the key's, and name the items that would explain the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from alliance_stats.data.columns import score_values
from alliance_stats.data.session_table import SessionTable, frame_of
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.questionnaires.arithmetic import Floats, scale_scores
from alliance_stats.questionnaires.explanations import Explanation, explain
from alliance_stats.questionnaires.items import Answers, Items, read_answers
from alliance_stats.questionnaires.key import TOTAL, MeasureKey, Scale
from alliance_stats.questionnaires.known import measure_key
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable


@dataclass(frozen=True, eq=False, repr=False)
class ScoringCheck(Shown):
    """Stored totals against those of the key.

    Parameters
    ----------
    key : MeasureKey
    scale : Scale
        The scale whose totals were compared.
    column : str
        Column of the stored totals.
    compared : DataFrame
        Rows with all items and a stored total: ``row, stored, key, difference`` (stored minus key).
    explanations : tuple of Explanation
        Changes of the key that would bring its totals to the stored ones, best first.
    incomplete : DataFrame
        Rows with a stored total although items are missing: ``row, stored, answered`` and what the blanks may have
        been counted as: ``skipped, reversed_zero, prorated`` (the totals that this would give).
    tolerance : float
        Totals that differ by no more agree.
    simulated : bool
    """

    key: MeasureKey
    scale: Scale
    column: str
    compared: pd.DataFrame = field(repr=False)
    explanations: tuple[Explanation, ...]
    incomplete: pd.DataFrame = field(repr=False)
    tolerance: float
    simulated: bool = False

    @property
    def n_different(self) -> int:
        """How many stored totals differ from the key's."""
        return int((self.compared["difference"].abs() > self.tolerance).sum())

    def table(self) -> pd.DataFrame:
        """What would explain the difference, best first.

        Returns
        -------
        DataFrame
            One row per change: ``explanation`` (its number), ``item`` (missing for a number added to all), ``change``
            (in words), ``n_explained`` (differing rows that agree after all changes of the explanation), ``n_broken``
            (rows that no longer agree). Empty where the totals agree or nothing explains half of the rows.
        """
        from alliance_stats.questionnaires.check_words import change_words, shift_words

        rows: list[tuple[object, ...]] = []
        for number, explanation in enumerate(self.explanations, start=1):
            counts = (explanation.n_explained, explanation.n_broken)
            rows += [(number, change.item, change_words(change), *counts) for change in explanation.changes]
            if explanation.shift:
                rows.append((number, None, shift_words(explanation.shift, self.key, self.scale), *counts))
        table = pd.DataFrame(rows, columns=["explanation", "item", "change", "n_explained", "n_broken"])
        return table.astype({"item": "Int64"})

    def differences(self) -> pd.DataFrame:
        """Rows whose totals differ: ``row, stored, key, difference``, largest first."""
        differing = self.compared[self.compared["difference"].abs() > self.tolerance]
        order = differing["difference"].abs().sort_values(ascending=False, kind="stable").index
        return differing.loc[order].reset_index(drop=True)

    def glance(self) -> pd.DataFrame:
        """One row: counts, the largest difference, the correlation, and how many blanks were counted."""
        stored, own = self.compared["stored"].to_numpy(), self.compared["key"].to_numpy()
        varies = stored.size > 1 and np.ptp(stored) > 0 and np.ptp(own) > 0
        return pd.DataFrame(
            {
                "measure": [self.key.name],
                "scale": [self.scale.name],
                "column": [self.column],
                "n_compared": [len(self.compared)],
                "n_different": [self.n_different],
                "largest_difference": [float(self.compared["difference"].abs().max())],
                "correlation": [float(np.corrcoef(stored, own)[0, 1]) if varies else np.nan],
                "n_explained": [self.explanations[0].n_explained if self.explanations else 0],
                "n_incomplete": [len(self.incomplete)],
            }
        )

    def plot(self, kind: str = "totals", ax: Axes | None = None) -> Axes:
        """Draw the stored totals against the key's."""
        if kind != "totals":
            raise DataError(f"A check of scoring has no figure {kind!r}. {did_you_mean(kind, ('totals',))}")
        from alliance_stats.report.figures.stored_totals import stored_totals

        name = f"{self.key.name}, {self.scale.name}"
        return stored_totals(self.compared, name=name, column=self.column, ax=ax, simulated=self.simulated)

    def report(self) -> Sentences:
        """How many totals differ, by how much, and which items would explain it."""
        from alliance_stats.questionnaires.check_words import check_report

        return check_report(self)

    def notes(self) -> tuple[str, ...]:
        """Ties among explanations, and totals of incomplete forms."""
        from alliance_stats.questionnaires.check_words import check_notes

        return check_notes(self)

    def describe(self) -> str:
        """What was compared."""
        return f"Totals in {self.column!r} against the key of {self.key.name} ({self.scale.name}; {self.key.status})"

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The explanations as an artefact that writes itself."""
        from alliance_stats.report.tables import ResultTable

        headings = {"explanation": "Explanation", "item": "Item", "change": "Change of the key",
                    "n_explained": "Rows explained", "n_broken": "Rows broken"}  # fmt: skip
        return ResultTable(
            self.table(),
            title or f"What Would Explain the Stored Totals of {self.key.name}",
            self.notes(),
            headings=headings,
            number=number,
        )


def check_scoring(
    data: SessionTable | pd.DataFrame,
    measure: str | MeasureKey,
    *,
    total: str,
    items: Items,
    scale: str | None = None,
    how: Literal["sum", "mean"] | None = None,
    multiply: float | None = None,
    response: tuple[float, float] | None = None,
    missing: Sequence[float | str] = (),
    on_faults: Literal["raise", "leave_out"] = "raise",
    tolerance: float = 1e-6,
) -> ScoringCheck:
    """Compare stored totals with those of the key, and name the items that would explain the difference.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per form, with items and stored totals. It is not changed.
    measure : str
        Name as in :func:`alliance_stats.measures`.
    total : str
        Column of the stored totals.
    items : str, sequence of str, or mapping of int to str
        As in :func:`alliance_stats.score`.
    scale : str, optional
        Which scale the totals belong to (``"bond"``); the total by default.
    how : {"sum", "mean"}, optional
        Whether the stored totals are sums or means of items; by default what the key says.
    multiply, response, missing, on_faults
        As in :func:`alliance_stats.score`.
    tolerance : float
        Totals that differ by no more agree: 0.005 where they were stored with two decimals.

    Returns
    -------
    ScoringCheck
        ``table()`` names the items, ``differences()`` the rows, ``glance()`` counts them.

    Raises
    ------
    FaultsError
        If answers cannot be right.
    DataError
        If no row has all items and a stored total, or the measure has no such scale.

    Notes
    -----
    Tried are: one number added to every total; one item, then two items, reversed, not reversed, left out, or
    counted although they belong elsewhere; and, where there are enough different forms, the weights that the file
    must have given to all items. Several explanations of the same rows are all listed.
    """
    key, frame = measure_key(measure), frame_of(data)
    asked = key.scale(scale) if scale is not None else _total_of(key)
    answers = read_answers(frame, key, items, response, missing, on_faults)
    stored = score_values(frame, total)
    form = how or key.form
    if form not in ("sum", "mean"):
        raise DataError(f"how is 'sum' or 'mean', not {how!r}.")
    factor = multiply if multiply is not None else (key.multiply if how is None else 1.0)
    at = [item - 1 for item in asked.items]
    own, answered = scale_scores(answers.reversed(key.reversed)[:, at], form, len(at), factor)
    both = ~np.isnan(own) & ~np.isnan(stored)
    if not both.any():
        raise DataError(
            f"0 of {count(len(frame), 'row')} have all {len(at)} items of {asked.name} and a total in {total!r}. "
            "Check the columns."
        )
    rows = np.flatnonzero(both)
    compared = pd.DataFrame({"row": rows, "stored": stored[rows], "key": own[rows]})
    compared["difference"] = compared["stored"] - compared["key"]
    scaling = factor / (len(at) if form == "mean" else 1)
    explanations = _explanations(answers, key, asked, rows, compared["difference"].to_numpy() / scaling,
                                 tolerance / abs(scaling))  # fmt: skip
    incomplete = _incomplete(answers, key, at, stored, answered, scaling)
    simulated = isinstance(data, SessionTable) and data.source.simulated
    return ScoringCheck(key, asked, total, compared, explanations, incomplete, tolerance, simulated)


def _total_of(key: MeasureKey) -> Scale:
    if key.total is None:
        raise DataError(f"{key.name} has no total. Name the scale: {', '.join(s.name for s in key.scales)}.")
    return key.scale(TOTAL)


def _explanations(
    answers: Answers, key: MeasureKey, scale: Scale, rows: np.ndarray, difference: Floats, tolerance: float
) -> tuple[Explanation, ...]:
    """Explain the differences on complete forms (sums of items)."""
    if (np.abs(difference) <= tolerance).all():
        return ()
    complete = ~np.isnan(answers.given[rows]).any(axis=1)
    if not complete.any():
        return ()
    weights = np.array([(-1 if item in key.reversed else 1) if item in scale.items else 0
                        for item in range(1, key.n_items + 1)])  # fmt: skip
    found = explain(answers.given[rows][complete], weights, answers.response, difference[complete], tolerance)
    return tuple(found)


def _incomplete(
    answers: Answers, key: MeasureKey, at: list[int], stored: Floats, answered: np.ndarray, scaling: float
) -> pd.DataFrame:
    """Rows with a total although items are missing, and the totals that different treatments would give."""
    rows = np.flatnonzero((answered < len(at)) & ~np.isnan(stored))
    raw = answers.given[rows][:, at]
    turned = answers.reversed(key.reversed)[rows][:, at]
    reverse = np.isin(np.array(at) + 1, sorted(key.reversed))
    skipped = np.nansum(turned, axis=1)
    n_there = answered[rows]
    columns = {
        "skipped": skipped,
        "reversed_zero": skipped + sum(answers.response) * (np.isnan(raw) & reverse).sum(axis=1),
        "prorated": np.where(n_there > 0, skipped * len(at) / np.maximum(n_there, 1), np.nan),
    }
    frame = pd.DataFrame({"row": rows, "stored": stored[rows], "answered": n_there})
    return frame.assign(**{name: scaling * total for name, total in columns.items()})
