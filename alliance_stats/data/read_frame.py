"""Take a DataFrame as a source, as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.raw_table import RawTable
from alliance_stats.errors import DataError


def frame_header(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the column names as texts."""
    return tuple(str(name) for name in frame.columns)


def read_frame(frame: pd.DataFrame, choose: Callable[[Sequence[str]], dict[str, int]]) -> RawTable:
    """Take the chosen columns of a frame, unchanged.

    Parameters
    ----------
    frame : DataFrame
        Any frame; its index plays no part.
    choose : callable
        Takes the column names, returns those wanted and their positions.

    Raises
    ------
    DataError
        If the frame has no rows.
    """
    wanted = choose(frame_header(frame))
    if frame.empty:
        raise DataError("The frame has 0 rows. Check the filter that came before.")
    columns = {name: frame.iloc[:, position].reset_index(drop=True) for name, position in wanted.items()}
    return RawTable(
        name="DataFrame",
        columns=columns,
        places=np.arange(len(frame)),
        place_word="row",
        sha256=_hash(columns),
        n_rows=len(frame),
        typed=True,
    )


def _hash(columns: dict[str, pd.Series]) -> str:
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(name.encode("utf-8", "backslashreplace"))
        try:
            digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
        except (TypeError, ValueError):  # cells that have no hash: say so by having none
            return ""
    return digest.hexdigest()
