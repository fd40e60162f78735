"""Where the names of the columns stand in a sheet: under titles, in one row or in several with merged cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from alliance_stats.errors import DataError

#: First row and column, last row and column, counted from 0.
Merge = tuple[tuple[int, int], tuple[int, int]]
#: A header that goes on further than this is none.
_MOST_ROWS = 6


@dataclass(frozen=True)
class SheetHeader:
    """The header of a sheet.

    Parameters
    ----------
    names : tuple of str
        A name per column; names of merged cells stand before the names under them, with a space between.
    first, last : int
        Its rows, counted from 0.
    joined : tuple of str
        The names that were put together from several rows.
    """

    names: tuple[str, ...]
    first: int
    last: int
    joined: tuple[str, ...]


def sheet_header(
    rows: Sequence[Sequence[object]], merges: Sequence[Merge], where: str, given: tuple[int, ...] | None = None
) -> SheetHeader:
    """Find the header of a sheet.

    Rows with a single filled cell at the top are titles. The header is the first row after them; where one of its cells
    is merged over several columns, the names go on in the row below.

    Parameters
    ----------
    rows : sequence of rows
        Cells, ``""`` where empty.
    merges : sequence of Merge
        Merged ranges.
    where : str
        Name of the sheet, for messages.
    given : tuple of int, optional
        First and last row of the header, counted from 1 as spreadsheets count, where that is told.

    Raises
    ------
    DataError
        If there is no such row.
    """
    if given is not None:
        first, last = given[0] - 1, given[-1] - 1
        if last >= len(rows):
            raise DataError(f"{where} has {len(rows)} rows, so its header cannot stand in row {last + 1}.")
    else:
        first = next((at for at, row in enumerate(rows) if sum(map(_filled, row)) > 1), -1)
        if first < 0:
            raise DataError(f"{where} has no row with two or more filled cells, so no header. Name the columns.")
        last = _last_row(first, merges, len(rows))
    parts = [_spread(rows, at, merges, last) for at in range(first, last + 1)]
    names = [_joined([part[column] for part in parts]) for column in range(len(rows[first]))]
    several = [name for name, *words in zip(names, *parts, strict=True) if len({word for word in words if word}) > 1]
    return SheetHeader(tuple(names), first, last, tuple(several))


def cell_text(cell: object) -> str:
    """Write the name in a cell on one line."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return re.sub(r"\s+", " ", str(cell)).strip()


def _filled(cell: object) -> bool:
    return not isinstance(cell, str) or bool(cell.strip())


def _last_row(first: int, merges: Sequence[Merge], n_rows: int) -> int:
    last = first
    while last < min(first + _MOST_ROWS, n_rows - 1):
        here = [merge for merge in merges if merge[0][0] <= last <= merge[1][0]]
        wide = any(left < right for (_, left), (_, right) in here)
        deep = any(bottom > last for _, (bottom, _) in here)
        if not (wide or deep):
            break
        last += 1
    return last


def _spread(rows: Sequence[Sequence[object]], at: int, merges: Sequence[Merge], last: int) -> list[str]:
    """Return the names of one row; a cell merged over columns names all of them."""
    names = [cell_text(cell) for cell in rows[at]]
    for (top, left), (bottom, right) in merges:
        if top == at and bottom <= last and left < len(names):
            names[left : right + 1] = [names[left]] * (min(right, len(names) - 1) - left + 1)
    return names


def _joined(words: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(word for word in words if word))
