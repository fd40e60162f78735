"""Columns in and out of a frame: checked arrays for the kernels, derived columns back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.session_table import require_columns
from alliance_stats.errors import DataError, count

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def names_of(score: str | Iterable[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple without repeats.

    Raises
    ------
    DataError
        If there is none.
    """
    names = (score,) if isinstance(score, str) else tuple(dict.fromkeys(score))
    if not names:
        raise DataError("0 scores were named. Name at least one, e.g. 'alliance'.")
    return names


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return one column.

    Raises
    ------
    ColumnError
        If there is none of that name.
    DataError
        If there are several of that name.
    """
    require_columns(frame, name)
    n_same = sum(column == name for column in frame.columns)
    if n_same > 1:
        raise DataError(f"{n_same} columns are called {name!r}. Rename them so that each name is used once.")
    return frame[name]


def first_rows(rows: Bools | Ints) -> str:
    """Say where: ``"row 2"``, or ``"rows 2, 5, 9, …"`` (positions from 0, the first three)."""
    positions = np.flatnonzero(rows) if rows.dtype == bool else rows
    shown = ", ".join(str(position) for position in positions[:3])
    more = ", …" if positions.size > 3 else ""
    return f"row{'s' if positions.size > 1 else ''} {shown}{more}"


def id_codes(frame: pd.DataFrame, name: str, *, allow_missing: bool = False) -> tuple[Ints, pd.Index]:
    """Give each id of a column a number.

    Parameters
    ----------
    frame : DataFrame
        Holds the column.
    name : str
        Column of ids.
    allow_missing : bool
        Whether a missing id is coded -1; otherwise it is an error.

    Returns
    -------
    codes : ndarray of shape (n_rows,)
        0, 1, 2, … in order of first appearance.
    ids : Index
        The id behind each code.

    Raises
    ------
    DataError
        If an id is missing and may not be, or if all are.
    """
    codes, ids = pd.factorize(column_of(frame, name))
    missing = codes < 0
    if missing.all():
        raise DataError(f"0 of {count(codes.size, 'row')} have a {name!r}. Name the column that holds it.")
    if missing.any() and not allow_missing:
        raise DataError(
            f"{missing.sum()} of {count(codes.size, 'row')} have no {name!r} ({first_rows(missing)}). "
            "Fill in the ids or leave these rows out."
        )
    return codes.astype(np.int64), pd.Index(ids)


def score_values(frame: pd.DataFrame, name: str) -> Floats:
    """Return a score as floats, missing as NaN.

    Raises
    ------
    DataError
        If the column holds no numbers, only missing values, or an infinite value.
    """
    column = column_of(frame, name)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise DataError(
            f"Column {name!r} holds no numbers (dtype {column.dtype}, first value {column.iloc[0]!r}). "
            "Name a score, or convert the column with pandas.to_numeric()."
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(
            f"{infinite.sum()} of {values.size} values of {name!r} are infinite ({first_rows(infinite)}). "
            "Set them to missing."
        )
    if np.isnan(values).all():
        raise DataError(f"0 of {count(values.size, 'value')} of {name!r} are observed. Name a score that was measured.")
    return values


def add_columns(frame: pd.DataFrame, columns: Mapping[str, NDArray]) -> pd.DataFrame:
    """Return the frame with derived columns added at the end.

    A column that is there already with the same values is left where it is.

    Raises
    ------
    DataError
        If a column of that name is there with other values.
    """
    for name, values in columns.items():
        if name in frame.columns and not _same(column_of(frame, name), values):
            raise DataError(
                f"The data have a column {name!r} already, with other values. "
                f"Drop it (drop(columns={name!r})) or rename it before this one is derived."
            )
    fresh = {name: values for name, values in columns.items() if name not in frame.columns}
    return frame.assign(**fresh)


def _same(column: pd.Series, values: NDArray) -> bool:
    if not pd.api.types.is_numeric_dtype(column):
        return False
    there = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array_equal(there, values.astype(np.float64), equal_nan=True)
