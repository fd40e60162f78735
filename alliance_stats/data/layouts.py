"""How the rows of a source become rows per patient and session: as they are, from a wide file, from REDCap."""

from __future__ import annotations

from collections.abc import Sequence

from alliance_stats.data.column_map import ColumnMap
from alliance_stats.data.raw_table import RawTable
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.redcap import RedcapLayout, redcap_layout
from alliance_stats.data.wide import WideLayout, wide_layout


class LongLayout:
    """One row per patient and session already."""

    def __init__(self, header: Sequence[str]) -> None:
        self.header = tuple(header)

    def sources(self, wanted: Sequence[str]) -> list[str]:
        """Name the columns of the file that are needed: those that are wanted."""
        return list(wanted)

    def arrange(self, raw: RawTable, columns: ColumnMap, options: ReadOptions) -> RawTable:
        """Return the table as it is."""
        return raw


Layout = LongLayout | WideLayout | RedcapLayout


def find_layout(header: Sequence[str], options: ReadOptions, source: str) -> Layout:
    """Say how the source is laid out: wide where patterns are given, REDCap by its own columns, else long.

    Raises
    ------
    DataError
        If a pattern does not fit.
    """
    if options.wide:
        return wide_layout(header, options.wide, options.occasions, source)
    return redcap_layout(header) or LongLayout(header)
