"""Lags: a score at the session before, by session number and not by row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from alliance_stats.data.codebook import Variable
from alliance_stats.data.session_table import Data, codebook_of, frame_of, rewrap
from alliance_stats.design.columns import (
    Floats,
    Ints,
    add_columns,
    names_of,
    require_one_row_per_session,
    score_values,
    session_keys,
)
from alliance_stats.errors import DataError
from alliance_stats.names import PATIENT, SESSION, previous

#: A look back further than this is a slip (a date, an id), and keeps the arithmetic in 64 bits.
_LARGEST_K = 1_000_000


def lag(
    data: Data,
    score: str | Iterable[str],
    *,
    k: int = 1,
    patient: str = PATIENT,
    session: str = SESSION,
    into: str | Iterable[str] | None = None,
) -> Data:
    """Add the score that the same patient had ``k`` sessions before.

    The session before is found by its number, not by its row: after a gap (sessions 1, 2, 4) the previous score
    of session 4 is missing and never that of session 2. Rows may come in any order.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session. It is not changed.
    score : str or iterable of str
        The score or scores.
    k : int
        How many sessions before; 1 is the session before.
    patient, session : str
        Columns that say who and when.
    into : str or iterable of str, optional
        Names of the new columns, one per score; ``previous_<x>`` by default. Needed where two lags of one score
        are to stand side by side.

    Returns
    -------
    SessionTable or DataFrame
        The same type as ``data`` with ``previous_<x>`` for each score ``x``. The codebook's ``made_from`` says how
        many rows have no previous value and why: first session, gap, or missing score.

    Raises
    ------
    DataError
        If a patient has two rows at one session, a session is no whole number, or a score holds no numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"patient_id": ["a", "a", "a"], "session": [1, 2, 4], "outcome": [9.0, 8.0, 6.0]})
    >>> lag(frame, "outcome")["previous_outcome"].tolist()
    [nan, 9.0, nan]
    """
    frame = frame_of(data)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= _LARGEST_K:
        raise DataError(f"k is {k!r}. Give the number of sessions to look back: 1, 2, 3, …")
    codes, sessions = require_one_row_per_session(frame, patient, session)
    source = rows_before(codes, sessions, int(k))
    scores = names_of(score)
    columns: dict[str, Floats] = {}
    variables = []
    for name, new in zip(scores, _new_names(scores, into), strict=True):
        values = score_values(frame, name)
        columns[new] = np.where(source >= 0, values[source], np.nan)
        original = codebook_of(data).get(name)
        made_from = _made_from(name, int(k), values, source, _has_past(codes, sessions, int(k)))
        variables.append(_variable(original, new, int(k), made_from))
    return rewrap(data, add_columns(frame, columns), *variables)


def rows_before(patient: Ints, session: Ints, k: int) -> Ints:
    """Find the row of the same patient ``k`` sessions before.

    Parameters
    ----------
    patient : ndarray of shape (n_rows,)
        Patient codes from 0. Rows may come in any order; a patient × session pair comes once.
    session : ndarray of shape (n_rows,)
        Session numbers.
    k : int
        How many sessions before.

    Returns
    -------
    ndarray of shape (n_rows,)
        Position of that row, -1 where there is none.
    """
    keys, numbers = session_keys(patient, session)
    order = np.argsort(keys)
    sorted_keys = keys[order]
    wanted = session - k
    position = np.minimum(np.searchsorted(numbers, wanted), numbers.size - 1)
    wanted_keys = patient * numbers.size + position
    at = np.minimum(np.searchsorted(sorted_keys, wanted_keys), keys.size - 1)
    found = (numbers[position] == wanted) & (sorted_keys[at] == wanted_keys)
    return np.where(found, order[at], -1)


def _new_names(scores: tuple[str, ...], into: str | Iterable[str] | None) -> tuple[str, ...]:
    if into is None:
        return tuple(previous(name) for name in scores)
    names = names_of(into)
    if len(names) != len(scores):
        raise DataError(f"{len(scores)} scores but {len(names)} different names in `into`. Give one name per score.")
    return names


def _has_past(patient: Ints, session: Ints, k: int) -> np.ndarray:
    """Whether the patient's first row is early enough for a session ``k`` before."""
    first = np.full(patient.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, patient, session)
    return session - k >= first[patient]


def _made_from(name: str, k: int, values: Floats, source: Ints, has_past: np.ndarray) -> str:
    first = ~has_past
    gap = has_past & (source < 0)
    unobserved = (source >= 0) & np.isnan(values[source])
    n_without = int(first.sum() + gap.sum() + unobserved.sum())
    when = "the session before" if k == 1 else f"{k} sessions before"
    early = "first session" if k == 1 else f"first {k} sessions"
    text = f"{name} at {when}, by session number; {n_without} of {values.size} rows have none"
    if not n_without:
        return text
    return text + f": {first.sum()} {early}, {gap.sum()} gap, {unobserved.sum()} score missing there"


def _variable(original: Variable, name: str, k: int, made_from: str) -> Variable:
    when = "previous session" if k == 1 else f"{k} sessions before"
    return replace(original, name=name, label=f"{original.title}, {when}", role="score", made_from=made_from)
