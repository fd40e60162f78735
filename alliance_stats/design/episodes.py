"""Therapist episodes: which therapist a patient is with, since when, and whether for the first time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.codebook import Variable
from alliance_stats.data.session_table import Data, SessionTable, frame_of, rewrap
from alliance_stats.design.columns import Bools, Floats, Ints, add_columns, id_codes, require_one_row_per_session
from alliance_stats.errors import count
from alliance_stats.names import AFTER_CHANGE, EPISODE, PATIENT, SESSION, SINCE_CHANGE, THERAPIST

#: Whether the therapist of the row's episode had treated the patient in an earlier episode.
RETURNED = "returned_to_former"


def therapist_episodes(
    data: Data, *, patient: str = PATIENT, therapist: str = THERAPIST, session: str = SESSION
) -> Data:
    """Find each patient's episodes with a therapist and count the sessions since a change.

    A change is a session whose therapist differs from that of the patient's last session with a known therapist.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session, in any order. It is not changed.
    patient, therapist, session : str
        Columns that say who, with whom and when.

    Returns
    -------
    SessionTable or DataFrame
        The same type as ``data``, with

        - ``therapist_episode``: 1, 2, … per patient in order of sessions. A return to a former therapist is an
          episode of its own;
        - ``after_change``: 0 before the patient's first change, 1 from it on;
        - ``sessions_since_change``: session number minus that of the latest change; 0 before the first change
          and at the first session after each, so it starts again at a second change;
        - ``returned_to_former``: True throughout an episode whose therapist had an earlier episode with the patient.

    Raises
    ------
    DataError
        If a patient has two rows at one session, a session is no whole number, a patient id is missing, or no
        row has a therapist.

    Notes
    -----
    *Rows without a therapist.* Between two sessions with the same therapist, nobody else in between, the episode
    continues. Anywhere else (between two therapists, before the first or after the last known one) nobody knows
    whose session it was: the three columns are missing there and ``returned_to_former`` is False. The change
    then counts from the first session known to be with the new therapist. The columns are whole numbers where
    nothing is missing and floats where something is. The codebook says how many rows this concerns.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"patient_id": "a", "session": [1, 2, 3, 4], "therapist_id": ["x", "x", "y", "y"]})
    >>> therapist_episodes(frame)["sessions_since_change"].tolist()
    [0, 0, 0, 1]
    """
    frame = frame_of(data)
    patients, sessions = require_one_row_per_session(frame, patient, session)
    therapists, _ = id_codes(frame, therapist, allow_missing=True)
    found = find_episodes(patients, therapists, sessions)
    columns: dict[str, NDArray] = {
        EPISODE: _whole(found.episode),
        AFTER_CHANGE: _whole(found.after_change),
        SINCE_CHANGE: _whole(found.sessions_since_change),
        RETURNED: found.returned,
    }
    return rewrap(data, add_columns(frame, columns), *_variables(found, patients, therapists, therapist))


def change_summary(
    data: SessionTable | pd.DataFrame, *, patient: str = PATIENT, therapist: str = THERAPIST, session: str = SESSION
) -> pd.DataFrame:
    """List the changes of therapist, one row each.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session, in any order.
    patient, therapist, session : str
        Columns that say who, with whom and when.

    Returns
    -------
    DataFrame
        The patient (under the column's own name), ``change`` (1, 2, … within the patient), ``session`` (the
        first with the new therapist), ``from_therapist``, ``to_therapist``, ``returned`` (to a former
        therapist). No rows where nobody changed.

    Raises
    ------
    DataError
        As :func:`therapist_episodes`.
    """
    frame = frame_of(data)
    patients, sessions = require_one_row_per_session(frame, patient, session)
    patient_ids = id_codes(frame, patient)[1]
    therapists, therapist_ids = id_codes(frame, therapist, allow_missing=True)
    found = find_episodes(patients, therapists, sessions)
    rows = found.change_rows
    return pd.DataFrame(
        {
            patient: patient_ids.take(patients[rows]),
            "change": found.episode[rows].astype(np.int64) - 1,
            "session": sessions[rows],
            "from_therapist": therapist_ids.take(found.change_from),
            "to_therapist": therapist_ids.take(therapists[rows]),
            "returned": found.returned[rows],
        }
    )


@dataclass(frozen=True)
class Episodes:
    """Episodes of all rows, in the rows' own order.

    Parameters
    ----------
    episode, after_change, sessions_since_change : ndarray of shape (n_rows,)
        NaN where nobody knows whose session it was.
    returned : ndarray of shape (n_rows,)
        Whether the row's episode is with a former therapist.
    change_rows : ndarray of shape (n_changes,)
        Row of the first session with each new therapist, by patient code and session.
    change_from : ndarray of shape (n_changes,)
        Code of the therapist before.
    """

    episode: Floats
    after_change: Floats
    sessions_since_change: Floats
    returned: Bools
    change_rows: Ints
    change_from: Ints


def find_episodes(patient: Ints, therapist: Ints, session: Ints) -> Episodes:
    """Find the episodes of all patients at once.

    Parameters
    ----------
    patient : ndarray of shape (n_rows,)
        Patient codes from 0.
    therapist : ndarray of shape (n_rows,)
        Therapist codes from 0, -1 where the therapist is unknown. At least one is known.
    session : ndarray of shape (n_rows,)
        Session numbers; a patient × session pair comes once.

    Returns
    -------
    Episodes
        For each row, and for each change.
    """
    order = np.lexsort((session, patient))
    is_known = therapist[order] >= 0
    known = order[is_known]
    first, change = _boundaries(patient[known], therapist[known])
    # Stretches are numbered through all patients, so equal numbers mean the same patient and the same episode.
    stretch = np.cumsum(first | change) - 1
    first_stretch = stretch[first][np.cumsum(first) - 1]
    number = stretch - first_stretch + 1
    begins_at = session[known][first | change][stretch]
    returned = _returns(patient[known], therapist[known], stretch)

    owner = _owner(is_known, stretch)
    has_owner = owner >= 0
    rows, owner = order[has_owner], owner[has_owner]
    episode, since = np.full(session.size, np.nan), np.full(session.size, np.nan)
    is_return = np.zeros(session.size, dtype=bool)
    episode[rows] = number[owner]
    since[rows] = np.where(number[owner] > 1, session[rows] - begins_at[owner], 0)
    is_return[rows] = returned[owner]
    after = np.where(np.isnan(episode), np.nan, episode > 1)
    changes = np.flatnonzero(change)
    return Episodes(episode, after, since, is_return, known[changes], therapist[known[changes - 1]])


def _boundaries(patient: Ints, therapist: Ints) -> tuple[Bools, Bools]:
    """Mark the first row of each patient, and each row whose therapist differs from the row before."""
    first = np.ones(patient.size, dtype=bool)
    first[1:] = patient[1:] != patient[:-1]
    change = np.zeros(patient.size, dtype=bool)
    change[1:] = (therapist[1:] != therapist[:-1]) & ~first[1:]
    return first, change


def _returns(patient: Ints, therapist: Ints, stretch: Ints) -> Bools:
    """Mark rows whose patient and therapist first met in an earlier stretch."""
    pair = patient * (therapist.max() + 1) + therapist
    _, first_met, inverse = np.unique(pair, return_index=True, return_inverse=True)
    returned: Bools = stretch[first_met][inverse] != stretch
    return returned


def _owner(is_known: Bools, stretch: Ints) -> Ints:
    """For each sorted row, the row with a known therapist whose episode it belongs to; -1 where none is sure."""
    before = np.cumsum(is_known) - 1
    after = before + 1
    has_both = (before >= 0) & (after < stretch.size)
    same = has_both & (stretch[before] == stretch[np.minimum(after, stretch.size - 1)])
    owner: Ints = np.where(is_known | same, before, -1)
    return owner


def _whole(values: Floats) -> NDArray:
    return values if np.isnan(values).any() else values.astype(np.int64)


def _variables(found: Episodes, patients: Ints, therapists: Ints, column: str) -> tuple[Variable, ...]:
    """Describe the four columns, with the counts that a reader needs."""
    n_changes = found.change_rows.size
    n_changers = np.unique(patients[found.change_rows]).size
    n_returns = int(found.returned[found.change_rows].sum())
    unknown = therapists < 0
    n_missing = int(np.isnan(found.episode).sum())
    told = (
        f"{column} against the patient's last session with a known one: "
        f"{count(n_changes, 'change')} in {count(n_changers, 'patient')}, "
        f"{n_returns} of them a return to a former therapist"
    )
    if unknown.any():
        told += (
            f"; {count(int(unknown.sum()), 'row')} without a therapist, {unknown.sum() - n_missing} of them between "
            f"sessions with the same one (episode continues), {n_missing} missing"
        )
    return (
        Variable(EPISODE, "Episode with a therapist", "other", made_from=told),
        Variable(AFTER_CHANGE, "After a change of therapist", "other", low=0, high=1, made_from=told),
        Variable(
            SINCE_CHANGE,
            "Sessions since the change of therapist",
            "time",
            made_from=f"session numbers since the latest change, 0 before the first; {told}",
        ),
        Variable(RETURNED, "With a former therapist again", "other", low=0, high=1, made_from=told),
    )
