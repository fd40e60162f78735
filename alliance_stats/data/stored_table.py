"""A table as a file stores it, with types of its own (SPSS, Excel, Parquet, …), whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.faults import Fault
from alliance_stats.data.raw_table import RawTable
from alliance_stats.errors import DataError, MissingExtraError


@dataclass(frozen=True, eq=False)
class StoredTable:
    """Columns of a file that has types.

    Parameters
    ----------
    header : tuple of str
        Column names, in order; a name may stand twice.
    columns : sequence of Series
        The columns, in the same order; all of length ``n_rows``.
    places : ndarray of int, shape (n_rows,)
        Row of each in the file, counted as its own program counts.
    reading : mapping of str to str
        What was found out about the file, in words.
    words : mapping of str to ColumnWords
        What the file says about its columns.
    declared : mapping of str to Series of length n_rows
        Columns in which the file itself declares values as missing: these values; missing elsewhere.
    notes : tuple of Fault
        What is worth knowing about the file as a whole.
    details : ndarray of str, shape (n_rows,), or None
        What has to be said beside the row to find a place (the sheet).
    """

    header: tuple[str, ...]
    columns: Sequence[pd.Series]
    places: np.ndarray
    reading: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, ColumnWords] = field(default_factory=dict)
    declared: Mapping[str, pd.Series] = field(default_factory=dict)
    notes: tuple[Fault, ...] = ()
    details: np.ndarray | None = None

    def take(self, choose: Callable[[Sequence[str]], dict[str, int]], name: str, sha256: str) -> RawTable:
        """Take the chosen columns as a raw table; rows in which no column holds anything are left out.

        Raises
        ------
        DataError
            If no row is left.
        """
        wanted = choose(self.header)
        filled = np.zeros(len(self.places), dtype=bool)
        for column in self.columns:
            filled |= _filled(column)
        if not filled.any():
            raise DataError(f"{name} has a header and 0 rows. Check that the export was finished.")
        rows = np.flatnonzero(filled)
        columns = {column: self.columns[at].take(rows).reset_index(drop=True) for column, at in wanted.items()}
        raw = RawTable(
            name=name,
            columns=columns,
            places=self.places[rows],
            place_word="row",
            sha256=sha256,
            n_rows=len(rows),
            reading=self.reading,
            words={column: words for column, words in self.words.items() if column in wanted},
            details=None if self.details is None else self.details[rows],
            typed=True,
        )
        declared = {column: values.take(rows) for column, values in self.declared.items() if column in wanted}
        return replace(raw, notes=(*self.notes, *(_declared(raw, *pair) for pair in declared.items())))


def _declared(raw: RawTable, column: str, values: pd.Series) -> Fault:
    there = np.flatnonzero(values.notna().to_numpy())
    return Fault(
        "values that the file declares as missing",
        column,
        len(there),
        raw.where(there, values),
        "value set to missing",
        "None needed.",
    )


def _filled(values: pd.Series) -> np.ndarray:
    there = values.notna().to_numpy()
    if isinstance(values.dtype, pd.StringDtype) or values.dtype == object:
        there = there & np.array([not (isinstance(value, str) and not value.strip()) for value in values], dtype=bool)
    return there


def need(module: str, extra: str, what: str) -> Any:
    """Import a library that a format needs.

    Raises
    ------
    MissingExtraError
        If it is not installed; the message is one line and names the extra.
    """
    try:
        return import_module(module)
    except ImportError:
        library = module.partition(".")[0].replace("_", "-")
        raise MissingExtraError(
            f"Reading {what} files needs {library}: pip install 'alliance-stats[{extra}]'"
        ) from None
