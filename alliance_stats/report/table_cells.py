"""From a result table to the cells that are printed, still without a language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from alliance_stats.report import numbers
from alliance_stats.report.numbers import DecimalMark, Number
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.tables import BLOCK, ROW_KIND, ResultTable

#: Formats and headings of the results' contract.
_FORMATS = {
    "p_value": "p",
    "df": "df",
    "ci_low": "interval",
    "statistic": "number:2",
    "session": "whole",
}
_HEADINGS = {
    "term": "Term",
    "estimate": "Estimate",
    "std_error": "*SE*",
    "df": "*df*",
    "statistic": "*t*",
    "p_value": "*p*",
    "ci_low": "95% CI",
    "ci_high": "95% CI, upper",
}


@dataclass(frozen=True)
class Line:
    """One line of the printed table: a block's heading (one cell), or the stub and its cells."""

    cells: tuple[Sentences, ...]
    is_heading: bool = False


@dataclass(frozen=True)
class Grid:
    """What is printed: headings over the columns, and the lines under them."""

    headings: tuple[Sentences, ...]
    lines: tuple[Line, ...]


def grid(table: ResultTable) -> Grid:
    """Format every cell of a table."""
    columns = shown_columns(table)
    headings = tuple(_heading(table, column) for column in columns)
    cells = [_column_cells(table, column) for column in columns]
    blocks = list(table.frame[BLOCK]) if BLOCK in table.frame else [None] * len(table.frame)
    lines: list[Line] = []
    previous: object = None
    for index, block in enumerate(blocks):
        if block is not None and block != previous:
            lines.append(Line((Sentences.plain(block),), is_heading=True))
        previous = block
        lines.append(Line(tuple(column[index] for column in cells)))
    return Grid(headings, tuple(lines))


def shown_columns(table: ResultTable) -> list[str]:
    """Name the columns that are printed, the stub first."""
    columns = [column for column in table.frame.columns if column != BLOCK]
    by_kind = any(isinstance(chosen, Mapping) for chosen in table.formats.values())
    shown: list[str] = []
    skip = False
    for column in columns:
        kind = _format_of(table, column)
        first = next(iter(kind.values()), "text") if isinstance(kind, Mapping) else kind
        if not (skip or first == "hidden" or (by_kind and column == ROW_KIND)):
            shown.append(column)
        skip = not skip and first.startswith("interval")
    stub = table.stub
    return [stub, *(column for column in shown if column != stub)] if stub in shown else shown


def _format_of(table: ResultTable, column: str) -> str | Mapping[str, str]:
    chosen = table.formats.get(column) or _FORMATS.get(column)
    values = table.frame[column]
    if column == "ci_low" and column not in table.formats and _after(table.frame, column) != "ci_high":
        chosen = "number"
    if chosen is not None:
        return chosen
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return "text"
    return "whole" if pd.api.types.is_integer_dtype(values) else "number"


def _heading(table: ResultTable, column: str) -> Sentences:
    if column in table.headings:
        return Sentences.plain(table.headings[column])
    return Sentences(_HEADINGS[column]) if column in _HEADINGS else Sentences.plain(column)


def _column_cells(table: ResultTable, column: str) -> list[Sentences]:
    chosen = _format_of(table, column)
    values = list(table.frame[column])
    uppers = list(_next_column(table.frame, column))
    kinds = list(table.frame[ROW_KIND]) if isinstance(chosen, Mapping) else [None] * len(values)
    formats = [chosen if isinstance(chosen, str) else chosen.get(str(kind)) for kind in kinds]
    writers = {kind: _writer(kind, _members(values, formats, kind), table.decimal) for kind in set(formats)}
    return [
        Sentences.plain(writers[kind](value, upper)) for kind, value, upper in zip(formats, values, uppers, strict=True)
    ]


def _members(values: list[object], formats: list[str | None], kind: str | None) -> list[object]:
    return [value for value, chosen in zip(values, formats, strict=True) if chosen == kind]


def _next_column(frame: pd.DataFrame, column: str) -> Iterator[object]:
    after = _after(frame, column)
    return iter(frame[after] if after is not None else [None] * len(frame))


def _after(frame: pd.DataFrame, column: str) -> str | None:
    place = list(frame.columns).index(column) + 1
    return frame.columns[place] if place < frame.shape[1] else None


def _writer(kind: str | None, members: list[object], decimal: DecimalMark) -> Callable[[object, object], object]:
    """Return how one kind of cell is written; all numbers of a column share their decimals."""
    name, _, places = (kind or "blank").partition(":")
    given = int(places) if places else None
    if name == "number":
        shared = given if given is not None else numbers.decimals_for(*_numeric(members))
        return lambda value, _: numbers.number(_n(value), shared, keep_small=False, decimal=decimal)
    if name == "bounded":
        shared = given if given is not None else 2
        return lambda value, _: numbers.bounded(_n(value), shared, keep_small=False, decimal=decimal)
    if name == "interval":
        return lambda low, high: _interval_cell(low, high, given, decimal)
    if name == "interval_bounded":
        return lambda low, high: _bounded_interval(low, high, 2 if given is None else given, decimal)
    if name == "p":
        return lambda value, _: numbers.p_value(_n(value), decimal=decimal).removeprefix("= ")
    if name == "df":
        return lambda value, _: numbers.degrees_of_freedom(_n(value), decimal=decimal)
    if name == "whole":
        # A text in a column of counts stands for one that is not shown.
        return lambda value, _: value if isinstance(value, str) else numbers.whole(_n(value), decimal=decimal)
    return (lambda value, _: "") if name == "blank" else (lambda value, _: _text_cell(value))


def _interval_cell(low: object, high: object, places: int | None, decimal: DecimalMark) -> str:
    ends = _n(low), _n(high)
    missing = all(end != end for end in map(numbers.as_float, ends))
    return numbers.MISSING if missing else numbers.interval(*ends, places, decimal=decimal)


def _bounded_interval(low: object, high: object, places: int, decimal: DecimalMark) -> str:
    ends = [numbers.bounded(_n(end), places, keep_small=False, decimal=decimal) for end in (low, high)]
    return numbers.MISSING if set(ends) == {numbers.MISSING} else f"[{', '.join(ends)}]"


def _text_cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or value is pd.NA or value != value else value


def _numeric(members: list[object]) -> list[Number]:
    return [_n(value) for value in members]


def _n(value: object) -> Number:
    return value  # type: ignore[return-value]  # as_float refuses what is no number, with a message
