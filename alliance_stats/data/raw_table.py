"""A source as it came, before any meaning is given to it, and how to name a place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.faults import Fault
from alliance_stats.errors import ColumnError, DataError, count, did_you_mean

#: How many places an error message names before it goes on with "…".
N_PLACES = 3
_LONGEST_VALUE = 40
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, eq=False)
class RawTable:
    """The mapped columns of a source, unchanged, under the names they have there.

    Parameters
    ----------
    name : str
        File name without its folder, or ``"DataFrame"``.
    columns : mapping of str to Series
        Source column name to its values; texts where the source is a file. All of length ``n_rows``.
    places : ndarray of shape (n_rows,)
        Line of the file (the header is line 1), or row position of the frame (from 0).
    place_word : str
        ``"line"`` or ``"row"``.
    sha256 : str
        Hash of the file's bytes, or of the frame's values.
    n_rows : int
        Rows that hold anything.
    reading : mapping of str to str
        What was found out about a file, in words.
    long_lines : tuple of int
        Lines that have more fields than the header and could not be read.
    words : mapping of str to ColumnWords
        What the source itself says about its columns.
    notes : tuple of Fault
        What was found and done on the way here.
    details : ndarray of str, shape (n_rows,), or None
        What has to be said beside line or row to find a place: a sheet, a session of a wide row.
    typed : bool
        Whether the source stores numbers and dates as such.
    """

    name: str
    columns: Mapping[str, pd.Series]
    places: np.ndarray
    place_word: str
    sha256: str
    n_rows: int
    reading: Mapping[str, str] = field(default_factory=dict)
    long_lines: tuple[int, ...] = ()
    words: Mapping[str, ColumnWords] = field(default_factory=dict)
    notes: tuple[Fault, ...] = ()
    details: np.ndarray | None = None
    typed: bool = False

    def where(self, rows: np.ndarray, values: pd.Series | np.ndarray | None = None) -> str:
        """Name the first few places, each with its value: ``"line 14 ('2.5'), line 20 ('x'), …"``.

        Parameters
        ----------
        rows : ndarray of int
            Row positions within the columns, in order.
        values : Series or ndarray of length n_rows, optional
            What stands there.
        """
        shown = []
        # A column of a text file that was read as numbers at once was text there, and is shown as such.
        texts = not self.typed and any(values is column for column in self.columns.values())
        for row in rows[:N_PLACES]:
            cell = None if values is None else _item(values, int(row))
            value = "" if values is None else f" ({shown_value(plain_text(cell) if texts else cell)})"
            shown.append(f"{self.place(int(row))}{value}")
        return listed(shown, len(rows))

    def place(self, row: int) -> str:
        """Name one place: ``"line 14"``."""
        detail = "" if self.details is None else f", {self.details[row]}"
        return f"{self.place_word} {self.places[row]}{detail}"


def _item(values: pd.Series | np.ndarray, row: int) -> object:
    return values.iloc[row] if isinstance(values, pd.Series) else values[row]


def shown_value(value: object) -> str:
    """Write a value for an error message: quoted, on one line, and cut where it is long."""
    text = value if isinstance(value, str) else plain_text(value)
    short = text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
    return repr(short) if isinstance(value, str) else short or "empty"


def plain_text(value: object) -> str:
    """Write one cell of a frame as text: ``17.0`` and ``17`` become ``"17"``, missing becomes ``""``."""
    if isinstance(value, str):  # halves of characters can be written nowhere
        return value if value.isascii() else _HALVES.sub("\ufffd", value)
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return ""
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


def distinct_texts(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Write the distinct values of a column as texts.

    Parameters
    ----------
    values : Series of length n_rows
        Texts of a file, or any column of a frame.

    Returns
    -------
    codes : ndarray of int, shape (n_rows,)
        Position of each row's text.
    texts : ndarray of str objects
        The distinct texts, as :func:`plain_text` writes them; the last is ``""``, which stands for no value at all.

    Raises
    ------
    DataError
        If cells hold lists or other containers.
    """
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(
            f"Column {str(values.name)!r} has cells that are no text, number or date ({error}). Turn them into text."
        ) from None
    texts = np.append(np.asarray(distinct, dtype=object), "")
    if not isinstance(values.dtype, pd.StringDtype):
        texts = np.array([plain_text(value) for value in texts], dtype=object)
    return codes % len(texts), texts  # −1 becomes the last


def listed(places: Sequence[str], n: int, mark: str = ", ") -> str:
    """Join the first few places, and say with "…" that there are more (``n`` in all)."""
    return mark.join(places[:N_PLACES]) + (f"{mark}…" if n > N_PLACES else "")


def shown_list(values: Sequence[str]) -> str:
    """Write the first few values in quotes, long ones cut."""
    return listed([shown_value(value) for value in values[:N_PLACES]], len(values))


def named_list(names: Sequence[str]) -> str:
    """Write names in quotes, with commas between them."""
    return ", ".join(repr(name) for name in names)


def find_columns(wanted: Mapping[str, str], header: Sequence[str], source: str) -> dict[str, int]:
    """Find each wanted column's position in the header.

    Parameters
    ----------
    wanted : mapping of str to str
        What the column is for (``"patient"``) to its name in the source.
    header : sequence of str
        Column names of the source, in order.
    source : str
        Name of the source, for the message.

    Returns
    -------
    dict of str to int
        Source column name to its position.

    Raises
    ------
    ColumnError
        Naming every column that is not there, and the nearest that is.
    DataError
        If a wanted name stands twice in the header.
    """
    missing = {role: name for role, name in wanted.items() if name not in header}
    if missing:
        hints = " ".join(
            f"No column {name!r} (for {role}). {did_you_mean(name, header)}" for role, name in missing.items()
        )
        raise ColumnError(f"{count(len(missing), 'column')} not found in {source}. {hints}")
    for role, name in wanted.items():
        at = [position + 1 for position, known in enumerate(header) if known == name]
        if len(at) > 1:
            raise DataError(
                f"{source} has {len(at)} columns named {name!r} ({', '.join(map(str, at))}; asked for as {role}). "
                "Rename one of them, so that it is clear which is meant."
            )
    return {name: list(header).index(name) for name in wanted.values()}
