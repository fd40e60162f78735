"""Result tables in APA form: a tidy frame, how each column reads, and writers for four formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from alliance_stats.errors import ColumnError, DataError, count, did_you_mean
from alliance_stats.report.numbers import DecimalMark

#: Kinds of column. ``interval`` shows its column and the next one as one cell ``[LL, UL]``,
#: ``interval_bounded`` without leading zeros; ``hidden`` is kept for the CSV only. Decimals may follow a colon:
#: ``"number:3"``.
KINDS = ("text", "number", "bounded", "p", "df", "whole", "interval", "interval_bounded", "hidden")
#: Column whose value chooses a row's kind where a column's format is a mapping.
ROW_KIND = "kind"
#: Column that parts the rows into blocks, each under its own heading.
BLOCK = "block"

Format: TypeAlias = str | Mapping[str, str]


@dataclass(frozen=True, eq=False)
class ResultTable:
    """A table that can be printed, with the numbers in full behind it.

    Parameters
    ----------
    frame : DataFrame
        The numbers, one row per line. A column ``block`` parts the lines into blocks with headings; a column
        ``kind`` chooses a line's format (see ``formats``). Both reach the CSV but are no columns of the page.
    title : str
        What the table shows; printed in italics.
    notes : sequence of str
        Notes under the table, in APA order: general, specific, probability.
    formats : mapping of str to str, or of str to mapping
        How a column reads: one of ``KINDS``, e.g. ``"number"``, ``"number:3"``, ``"p"``. A mapping chooses by the
        value in ``kind``; lines of other kinds stay blank. Left out: by dtype. Columns of the
        results' contract (``p_value``, ``df``, ``ci_low``) are known by name.
    headings : mapping of str to str
        What stands over a column; ``Sentences`` may carry italics.
    number : int, optional
        Printed as "Table 1". A document numbers the tables that have none.
    stub : str, optional
        The column at the left; the first one if left out.
    decimal : {".", ","}
        The decimal mark on the page. The CSV always has a point.

    Raises
    ------
    ColumnError
        If ``formats``, ``headings`` or ``stub`` name a column that is not in the frame.
    DataError
        If a kind is unknown.
    """

    frame: pd.DataFrame
    title: str
    notes: tuple[str, ...] = ()
    formats: Mapping[str, Format] = field(default_factory=dict)
    headings: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None
    stub: str | None = None
    decimal: DecimalMark = "."

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", self.frame.copy(deep=False))
        object.__setattr__(self, "notes", (self.notes,) if isinstance(self.notes, str) else tuple(self.notes))
        object.__setattr__(self, "formats", dict(self.formats))
        object.__setattr__(self, "headings", dict(self.headings))
        _check(self)

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_html_(self) -> str:
        return self.to_html()

    def numbered(self, number: int) -> ResultTable:
        """Return the table with a number."""
        return replace(self, number=number)

    def to_html(self, *, style: bool = True) -> str:
        """Write the table as an HTML fragment, everything escaped.

        Parameters
        ----------
        style : bool, default True
            Put the style sheet in front. A page that brings ``TABLE_CSS`` itself says False.
        """
        from alliance_stats.report.table_writers import html_table

        return html_table(self, style=style)

    def to_markdown(self) -> str:
        """Write the table in Markdown, with number, title and notes."""
        from alliance_stats.report.table_writers import markdown_table

        return markdown_table(self)

    def to_latex(self) -> str:
        r"""Write the table in LaTeX; the preamble needs ``\usepackage{booktabs}``."""
        from alliance_stats.report.table_writers import latex_table

        return latex_table(self)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Write the frame as CSV in full precision; return the text.

        A text that begins like a formula (``=``, ``+``, ``-``, ``@``, tab) gets an apostrophe in front, so that no
        spreadsheet runs it.

        Parameters
        ----------
        path : path, optional
            Where to write, in UTF-8. Left out, nothing is written.
        """
        from alliance_stats.report.table_writers import csv_text

        text = csv_text(self.frame)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="")
        return text


def _check(table: ResultTable) -> None:
    columns = [str(column) for column in table.frame.columns]
    if len(set(columns)) < len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise ColumnError(
            f"{count(len(twice), 'column name')} used twice in the table: {', '.join(twice)}. Rename them."
        )
    asked = [*table.formats, *table.headings, *([table.stub] if table.stub is not None else [])]
    for name in asked:
        if name not in columns:
            raise ColumnError(f"The table has no column {name!r}. {did_you_mean(name, columns)}")
    for column, chosen in table.formats.items():
        for kind in chosen.values() if isinstance(chosen, Mapping) else [chosen]:
            _check_kind(column, kind)
        if isinstance(chosen, Mapping) and ROW_KIND not in columns:
            raise ColumnError(
                f"Column {column!r} is formatted by kind, but the table has no column {ROW_KIND!r}. Add it."
            )


def _check_kind(column: str, kind: str) -> None:
    name, colon, places = kind.partition(":")
    if name not in KINDS:
        raise DataError(f"Column {column!r} has the unknown kind {kind!r}. {did_you_mean(name, KINDS)}")
    if colon and not (places.isdigit() and int(places) <= 15):
        raise DataError(f"Column {column!r} has the kind {kind!r}. After the colon comes a count of decimals, 0 to 15.")
