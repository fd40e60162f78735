"""Session numbers as arrays; and, from the room below, the columns that every design starts from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.data.columns import (
    Bools,
    Floats,
    Ints,
    add_columns,
    column_of,
    first_rows,
    id_codes,
    names_of,
    score_values,
)
from alliance_stats.errors import DataError, count

__all__ = [
    "Bools",
    "Floats",
    "Ints",
    "add_columns",
    "column_of",
    "first_rows",
    "id_codes",
    "names_of",
    "require_one_row_per_session",
    "score_values",
    "session_keys",
    "session_numbers",
]

#: Above this, neighbouring whole numbers cannot be told apart in a float.
_LARGEST_SESSION = 2**53


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
