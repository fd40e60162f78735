"""Courses of therapy: who treats whom, who changes therapist when, who goes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alliance_stats.errors import DataError, count

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Courses:
    """Planned courses on the full grid of patients × sessions, before anybody drops out.

    Parameters
    ----------
    therapist : ndarray of shape (n_patients, n_sessions)
        Who holds each session, from 0.
    after_change : ndarray of shape (n_patients, n_sessions)
        0 before the first change of therapist, 1 from it on.
    sessions_since_change : ndarray of shape (n_patients, n_sessions)
        Sessions since the latest change, 0 at the first session after it and before any.
    """

    therapist: Ints
    after_change: Floats
    sessions_since_change: Floats

    @property
    def session(self) -> Ints:
        """Session numbers 1, 2, … along the grid's columns."""
        return np.arange(1, self.therapist.shape[1] + 1)


def plan_courses(
    caseloads: Ints, n_sessions: int, change_rate: float, return_rate: float, random: np.random.Generator
) -> Courses:
    """Draw who changes therapist, when, to whom, and who goes back.

    Parameters
    ----------
    caseloads : ndarray of shape (n_therapists,)
        Patients who start with each therapist.
    n_sessions : int
        Planned sessions per patient.
    change_rate : float
        Share of the patients who change, rounded to whole patients.
    return_rate : float
        Share of those who change who go back to their first therapist later, rounded to whole patients. Those
        who change at the last session cannot.
    random : Generator
        Source of chance.

    Returns
    -------
    Courses
        The planned courses. A change leaves two sessions on either side where there are enough.

    Raises
    ------
    DataError
        If somebody has to change and there is one therapist only, or one session only.
    """
    home = np.repeat(np.arange(caseloads.size), caseloads)
    n_changers = round(change_rate * home.size)
    if n_changers and caseloads.size < 2:
        raise DataError(
            f"{count(n_changers, 'patient')} should change therapist (change_rate={change_rate:g}) but there is "
            "1 therapist. Use n_therapists=2 or more, or change_rate=0."
        )
    if n_changers and n_sessions < 2:
        raise DataError(
            f"{count(n_changers, 'patient')} should change therapist (change_rate={change_rate:g}) but there is "
            "1 session per patient. Use n_sessions=2 or more, or change_rate=0."
        )
    never = n_sessions + 1
    changes_at, returns_at = np.full((2, home.size), never)
    changers = random.permutation(home.size)[:n_changers]
    if n_changers:
        changes_at[changers] = _draw_session(np.ones(n_changers, dtype=np.int64), n_sessions, random)
    returners = changers[changes_at[changers] < n_sessions][: round(return_rate * n_changers)]
    if returners.size:
        returns_at[returners] = _draw_session(changes_at[returners], n_sessions, random)
    other = home
    if caseloads.size > 1:
        other = (home + random.integers(1, caseloads.size, home.size)) % caseloads.size
    return _lay_out(home, other, changes_at, returns_at, n_sessions)


def _draw_session(begins_at: Ints, n_sessions: int, random: np.random.Generator) -> Ints:
    """Draw the first session with the next therapist; the present one began at ``begins_at``."""
    low, high = begins_at + 2, np.full(begins_at.size, n_sessions - 1)
    # Too short a course cannot leave two sessions on either side: one has to do.
    tight = low > high
    low, high = np.where(tight, begins_at + 1, low), np.where(tight, n_sessions, high)
    drawn: Ints = random.integers(low, high, endpoint=True)
    return drawn


def _lay_out(home: Ints, other: Ints, changes_at: Ints, returns_at: Ints, n_sessions: int) -> Courses:
    session = np.arange(1, n_sessions + 1)
    changed = session >= changes_at[:, None]
    back = session >= returns_at[:, None]
    therapist = np.where(changed & ~back, other[:, None], home[:, None])
    latest = np.where(back, returns_at[:, None], changes_at[:, None])
    since = np.where(changed, session - latest, 0)
    return Courses(therapist, changed.astype(np.float64), since.astype(np.float64))


def check_share(name: str, value: float) -> None:
    """Check that a share lies between 0 and 1.

    Raises
    ------
    DataError
        If it does not.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise DataError(f"{name} is {value!r}. Give a share between 0 and 1.")


def check_count(name: str, value: int) -> int:
    """Check that a count is a whole number from 1 on, and return it.

    Raises
    ------
    DataError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise DataError(f"{name} is {value!r}. Give a whole number, 1 or more.")
    return int(value)


def caseloads_of(patients_per_therapist: int | Sequence[int], n_therapists: int) -> Ints:
    """Return how many patients start with each therapist.

    Raises
    ------
    DataError
        If a count is not a whole number from 1 on, or there is not one per therapist.
    """
    if isinstance(patients_per_therapist, Sequence | np.ndarray) and not isinstance(patients_per_therapist, str):
        loads = [check_count("A number in patients_per_therapist", load) for load in patients_per_therapist]
        if len(loads) != n_therapists:
            raise DataError(
                f"patients_per_therapist has {count(len(loads), 'number')} for {count(n_therapists, 'therapist')}. "
                "Give one number for all, or one per therapist."
            )
        return np.array(loads, dtype=np.int64)
    return np.full(n_therapists, check_count("patients_per_therapist", patients_per_therapist), dtype=np.int64)
