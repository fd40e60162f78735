"""Checks on the frames that reach the report room."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from alliance_stats.errors import ColumnError, DataError, did_you_mean


def need_columns(frame: pd.DataFrame, columns: Iterable[str], frame_name: str) -> None:
    """Check that a frame has its columns.

    Raises
    ------
    ColumnError
        Naming every missing column and the nearest that there is.
    """
    there = [str(column) for column in frame.columns]
    missing = [column for column in columns if column not in there]
    if missing:
        hints = " ".join(f"No column {name!r}. {did_you_mean(name, there)}" for name in missing)
        raise ColumnError(f"{frame_name} lacks {len(missing)} of its columns. {hints}")


def need_rows(frame: pd.DataFrame, columns: Iterable[str], frame_name: str) -> pd.DataFrame:
    """Check that a frame has its columns and at least one row; return those columns.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If there is no row.
    """
    wanted = list(columns)
    need_columns(frame, wanted, frame_name)
    if frame.empty:
        raise DataError(f"{frame_name} has 0 rows, and there is nothing to draw. Leave the figure out, and say why.")
    return frame[wanted]
