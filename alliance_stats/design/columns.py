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

#: Above this, neighbouring whole numbers cannot be told apart in a float.
_LARGEST_SESSION = 2**53


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


def session_numbers(frame: pd.DataFrame, name: str) -> Ints:
    """Return the session numbers as whole numbers.

    Raises
    ------
    DataError
        If one is missing or no whole number.
    """
    column = column_of(frame, name)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise DataError(
            f"Column {name!r} holds no session numbers (dtype {column.dtype}, first value {column.iloc[0]!r}). "
            "Read the file with read_sessions(), or convert the column with pandas.to_numeric()."
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~((values == np.floor(values)) & (np.abs(values) < _LARGEST_SESSION))
    if wrong.any():
        raise DataError(
            f"{wrong.sum()} of {count(values.size, 'row')} have no whole number in {name!r} "
            f"({first_rows(wrong)}; the first is {values[wrong.argmax()]:g}). "
            "Number the sessions 1, 2, 3, … or leave these rows out."
        )
    return values.astype(np.int64)


def session_keys(patient: Ints, session: Ints) -> tuple[Ints, Ints]:
    """Give each patient × session pair a number, in order of patient code and session.

    Parameters
    ----------
    patient : ndarray of shape (n_rows,)
        Patient codes from 0.
    session : ndarray of shape (n_rows,)
        Session numbers.

    Returns
    -------
    keys : ndarray of shape (n_rows,)
        ``patient * n_numbers + position of the session among numbers``; never overflows.
    numbers : ndarray of shape (n_numbers,)
        The session numbers that occur, ascending.
    """
    numbers, position = np.unique(session, return_inverse=True)
    return patient * numbers.size + position, numbers


def require_one_row_per_session(frame: pd.DataFrame, patient: str, session: str) -> tuple[Ints, Ints]:
    """Check that no patient has two rows at one session.

    Returns
    -------
    codes, sessions : ndarray of shape (n_rows,)
        Patient codes and session numbers.

    Raises
    ------
    DataError
        If a patient × session pair comes twice.
    """
    codes, ids = id_codes(frame, patient)
    sessions = session_numbers(frame, session)
    keys, _ = session_keys(codes, sessions)
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(np.diff(keys[order]) == 0)
    if again.size:
        at, repeat = order[again[0]], order[again[0] + 1]
        raise DataError(
            f"{count(again.size, 'row')} repeat a patient × session that is there already "
            f"(first: {patient} {ids[codes[at]]!r}, {session} {sessions[at]}, rows {at} and {repeat}). "
            "Keep one row of each, or number the sessions anew."
        )
    return codes, sessions


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
