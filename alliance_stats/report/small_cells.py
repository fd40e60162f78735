"""Counts that are too small to be shown, because they might point at a person."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.report.tables import ROW_KIND, ResultTable

#: Kind of the rows of a model's table that are counts, and those among them that count no people or sessions.
_COUNT = "count"
_NO_CELLS = ("Parameters",)
#: What stands beside a count and is told by it: with a small count, it describes few people.
_TOLD_BY_COUNT = {"mean": ("mean", "ci_low", "ci_high"), "value": ("value",)}


class Suppressed(str):
    """What is shown in place of a small count: ``"< 5"``."""

    __slots__ = ()


def check_min_cell(min_cell: int) -> int:
    """Check the smallest count that may be shown.

    Raises
    ------
    DataError
        If it is no whole number from 1 on.
    """
    if isinstance(min_cell, bool) or not isinstance(min_cell, int) or min_cell < 1:
        raise DataError(f"min_cell is {min_cell!r}. Give the smallest count that may be shown, 1 (all) or more.")
    return min_cell


def is_small(n: object, min_cell: int) -> bool:
    """Whether a count is above zero and below the smallest that may be shown; what is no number is not."""
    number = isinstance(n, int | float) or (hasattr(n, "dtype") and hasattr(n, "item"))
    return bool(number and not isinstance(n, bool) and 0 < n < min_cell)  # type: ignore[operator]


def is_count(column: str) -> bool:
    """Whether a column or key counts people, sessions or rows: ``n``, ``n_patients``, …."""
    return column == "n" or (column.startswith("n_") and column != "n_parameters")


def told_by_count(columns: Container[str]) -> list[str]:
    """Name the columns (or keys) that describe the people counted beside them, such as a mean and its interval."""
    return [name for sign, names in _TOLD_BY_COUNT.items() if sign in columns for name in names]


def few(n: int, noun: str, min_cell: int, plural: str | None = None) -> str:
    """Write a count with its noun, or ``fewer than 5 patients`` where it is small."""
    many = plural or f"{noun}s"
    return f"fewer than {min_cell} {many}" if is_small(n, min_cell) else f"{n} {noun if n == 1 else many}"


def suppress(frame: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """Replace small counts of a frame, and empty what is told by them (a mean over three patients).

    Parameters
    ----------
    frame : DataFrame
        Counts stand in columns ``n`` and ``n_…``, or in rows of kind ``count`` under ``estimate``.
    min_cell : int
        The smallest count that may be shown; 1 shows all.

    Returns
    -------
    DataFrame
        A new frame; columns with a suppressed count become objects.
    """
    hidden = Suppressed(f"< {min_cell}")
    result = frame.copy()
    few_people = pd.Series(False, index=frame.index)
    for column in filter(is_count, map(str, frame.columns)):
        small = frame[column].map(lambda n: is_small(n, min_cell))
        few_people |= small
        if small.any():
            result[column] = _put(frame[column], small, hidden)
    for column in told_by_count(frame) if few_people.any() else ():
        if column in frame:
            words = frame[column].map(lambda value: isinstance(value, str)).any()
            result[column] = _put(frame[column], few_people, "" if words else None)
    if ROW_KIND in frame and "estimate" in frame:
        small = (frame[ROW_KIND] == _COUNT) & frame["estimate"].map(lambda n: is_small(n, min_cell))
        small &= ~frame.iloc[:, : list(frame.columns).index(ROW_KIND)].isin(_NO_CELLS).any(axis=1)
        if small.any():
            result["estimate"] = _put(frame["estimate"], small, hidden)
    return result


def _put(values: pd.Series, where: pd.Series, what: object) -> pd.Series:
    # By hand: pandas' own ways would turn the marked text into a plain one.
    mixed = [what if hide else value for value, hide in zip(values, where, strict=True)]
    return pd.Series(mixed, index=values.index, dtype="object")


def suppress_table(table: ResultTable, min_cell: int) -> ResultTable:
    """Return the table with small counts suppressed, on the page and in its CSV; a note says so."""
    shown = suppress(table.frame, min_cell)
    changed = [str(c) for c in shown.columns if shown[c].map(lambda value: isinstance(value, Suppressed)).any()]
    if not changed:
        return table
    formats = {column: "whole" for column in changed if column != "estimate"}
    note = f"Counts below {min_cell} are not shown."
    return replace(table, frame=shown, formats={**formats, **table.formats}, notes=(*table.notes, note))
