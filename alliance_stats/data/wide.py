"""Wide files, with a column per session: patterns of column names, and the long table they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from alliance_stats.data.column_map import ColumnMap
from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.faults import Fault
from alliance_stats.data.name_patterns import FIELD, SESSION_OF_NAME, name_shape
from alliance_stats.data.raw_table import N_PLACES, RawTable, listed
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import DataError, count


@dataclass(frozen=True, eq=False)
class WideLayout:
    """The columns of a wide file, by what they become.

    Parameters
    ----------
    header : tuple of str
        Names of the long table: the columns that hold for all sessions, the session number, the columns per session.
    fixed : tuple of str
        The columns that hold for all sessions.
    cells : mapping of str to mapping of int to str
        Long column to session to column of the file.
    """

    header: tuple[str, ...]
    fixed: tuple[str, ...]
    cells: Mapping[str, Mapping[int, str]]
    words: str

    def sources(self, wanted: Sequence[str]) -> list[str]:
        """Name the columns of the file that the wanted long columns need."""
        per_session = [name for name in wanted if name in self.cells] or list(self.cells)
        return [
            *(name for name in wanted if name in self.fixed),
            *(column for name in per_session for column in self.cells[name].values()),
        ]

    def arrange(self, raw: RawTable, columns: ColumnMap, options: ReadOptions) -> RawTable:
        """Make one row per row of the file and session; sessions without any value are left out, counted."""
        wanted = [*columns.wanted.values()]
        per_session = [name for name in wanted if name in self.cells] or list(self.cells)
        sessions = sorted({session for name in per_session for session in self.cells[name]})
        n = raw.n_rows
        stacked = {name: _stacked(raw, self.cells[name], sessions, n) for name in per_session}
        empty = np.ones(n * len(sessions), dtype=bool)
        for values in stacked.values():
            empty &= _empty(values, options.missing)
        # Rows of the file stay together: session varies fastest.
        order = np.arange(n * len(sessions)).reshape(len(sessions), n).T.ravel()
        rows = order[~empty[order]]
        source, at = rows % n, rows // n
        numbers = np.array(sessions)
        made = {name: values.take(rows).reset_index(drop=True) for name, values in stacked.items() if name in wanted}
        kept = {name: raw.columns[name].take(source).reset_index(drop=True) for name in wanted if name in self.fixed}
        made[SESSION_OF_NAME] = pd.Series(numbers[at].astype("float64"))
        left_out = int(empty.sum())
        note = Fault(
            "sessions of the wide file without any value",
            "",
            left_out,
            f"of {count(n * len(sessions), 'patient and session', 'patients and sessions')}",
            "row left out",
            "None needed; they are sessions that were not held, or not rated.",
        )
        return replace(
            raw,
            columns={**kept, **made},
            places=raw.places[source],
            details=np.array([f"session {session}" for session in sessions], dtype=object)[at],
            n_rows=len(rows),
            reading={**raw.reading, "layout": self.words},
            words=self._words(raw, per_session),
            notes=(*raw.notes, note) if left_out else raw.notes,
        )

    def _words(self, raw: RawTable, per_session: Sequence[str]) -> dict[str, ColumnWords]:
        words = {name: told for name, told in raw.words.items() if name in self.fixed}
        for name in per_session:
            columns = list(self.cells[name].values())
            told = next((raw.words[column] for column in columns if column in raw.words), ColumnWords())
            made_from = f"{columns[0]} … {columns[-1]} ({count(len(columns), 'column')}, one per session)"
            words[name] = replace(told, made_from=made_from)
        words[SESSION_OF_NAME] = ColumnWords(made_from="the session in the names of the columns")
        return words


def _stacked(raw: RawTable, cells: Mapping[int, str], sessions: Sequence[int], n: int) -> pd.Series:
    nothing = pd.Series(np.full(n, np.nan))
    parts = [raw.columns[cells[session]] if session in cells else nothing for session in sessions]
    if all(pd.api.types.is_numeric_dtype(part) and not pd.api.types.is_bool_dtype(part) for part in parts):
        return pd.Series(np.concatenate([part.to_numpy("float64", na_value=np.nan) for part in parts]))
    return pd.concat([part.astype(object) for part in parts], ignore_index=True)


def _empty(values: pd.Series, missing: Sequence[str]) -> np.ndarray:
    nowhere = values.isna().to_numpy()
    if values.dtype == object:
        nowhere = nowhere | values.map(lambda cell: isinstance(cell, str) and cell.strip() in missing).to_numpy(bool)
    return nowhere


def wide_layout(
    header: Sequence[str], patterns: Mapping[str, str], occasions: Mapping[str, int] | None, source: str
) -> WideLayout:
    """Sort the columns of a wide file by patterns.

    Parameters
    ----------
    header : sequence of str
        Column names of the file.
    patterns : mapping of str to str
        Name of the long column (``"wai_i{item}"``) to pattern of the file's columns (``"wai_t{session}_i{item}"``).
        Fields other than ``{session}`` stand for anything and may be used in the name.
    occasions : mapping of str to int, or None
        What may stand for ``{session}``, and the session's number; whole numbers if None.
    source : str
        Name of the file, for messages.

    Raises
    ------
    DataError
        If a pattern fits no column, two columns become the same cell, or a session is below 1.
    """
    cells: dict[str, dict[int, str]] = {}
    taken: set[str] = set()
    low: set[str] = set()
    for name, pattern in patterns.items():
        shape = name_shape(pattern, occasions)
        fitting = [(column, found) for column in header if column not in taken and (found := shape.fullmatch(column))]
        if not fitting:
            raise DataError(
                f"The pattern {pattern!r} fits 0 of {count(len(header), 'column')} of {source} "
                f"({listed([repr(column) for column in header[:N_PLACES]], len(header))})."
            )
        for column, found in fitting:
            taken.add(column)
            long = FIELD.sub(lambda part, found=found: found[part[1]], name)  # type: ignore[misc]
            session = occasions[found["session"]] if occasions else int(found["session"])
            if session < 1:
                low.add(found["session"])
            known = cells.setdefault(long, {})
            if session in known:
                raise DataError(
                    f"{source}: columns {known[session]!r} and {column!r} would both be {long!r} at session {session}. "
                    'Name them apart: wide={"name": "pattern", …}.'
                )
            known[session] = column
    if low:
        texts = list(dict.fromkeys(_sessions_of(patterns, header)))
        raise DataError(
            f"{source}: sessions count from 1, but the names of columns have session {', '.join(sorted(low))}. Say in "
            f"which order they came: occasions={texts}."
        )
    fixed = tuple(column for column in header if column not in taken)
    clash = [name for name in cells if name in fixed]
    if clash:
        raise DataError(
            f"{source} has a column {clash[0]!r} already. Give the long one another name: wide={{name: pattern}}."
        )
    words = f"wide, {', '.join(patterns.values())} (given)"
    return WideLayout((*fixed, SESSION_OF_NAME, *cells), fixed, cells, words)


def _sessions_of(patterns: Mapping[str, str], header: Sequence[str]) -> list[str]:
    found = [
        match["session"]
        for pattern in patterns.values()
        for name in header
        if (match := name_shape(pattern, None).fullmatch(name))
    ]
    return sorted(found, key=int)
