"""Scores on planned courses: alliance, who drops out, outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alliance_stats.design.centering import split_within_between
from alliance_stats.simulate.courses import Courses
from alliance_stats.simulate.parameters import Parameters

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def draw_alliance(true: Parameters, courses: Courses, n_therapists: int, random: np.random.Generator) -> Floats:
    """Draw the alliance of every planned session.

    Parameters
    ----------
    true : Parameters
        The true values.
    courses : Courses
        Who is with whom when, shape (n_patients, n_sessions).
    n_therapists : int
        How many therapists there are.
    random : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (n_patients, n_sessions)
        Growth, change of therapist, the patient's own line, the therapist, chance: their sum in alliance points.
    """
    n_patients, n_sessions = courses.therapist.shape
    time = courses.session - 1
    z_intercept, z_slope = random.standard_normal((2, n_patients, 1))
    rho = true.alliance_correlation
    intercepts = true.alliance_intercept_sd * z_intercept
    slopes = true.alliance_slope_sd * (rho * z_intercept + np.sqrt(1 - rho**2) * z_slope)
    therapists = true.alliance_therapist_sd * random.standard_normal(n_therapists)
    chance = true.alliance_residual_sd * random.standard_normal((n_patients, n_sessions))
    change = true.change_jump * courses.after_change + true.change_recovery * courses.sessions_since_change
    expected = true.alliance_intercept + true.alliance_slope * time
    alliance: Floats = expected + change + intercepts + slopes * time + therapists[courses.therapist] + chance
    return alliance


def draw_kept(true: Parameters, alliance: Floats, random: np.random.Generator) -> Bools:
    """Draw which sessions take place before the patient drops out.

    After each session but the last the patient leaves with log odds ``dropout_intercept + dropout_alliance *
    (alliance at that session - alliance_intercept)``. The hazard knows the last observed alliance and nothing
    else, so the sessions that never take place are missing at random.

    Parameters
    ----------
    true : Parameters
        The true values.
    alliance : ndarray of shape (n_patients, n_sessions)
        Alliance of every planned session.
    random : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (n_patients, n_sessions)
        True for sessions that take place: an unbroken run from session 1 on.
    """
    log_odds = true.dropout_intercept + true.dropout_alliance * (alliance[:, :-1] - true.alliance_intercept)
    hazard = np.exp(-np.logaddexp(0, -log_odds))
    leaves = random.random(hazard.shape) < hazard
    kept = np.ones(alliance.shape, dtype=bool)
    kept[:, 1:] = ~np.logical_or.accumulate(leaves, axis=1)
    return kept


def draw_outcome(
    true: Parameters, courses: Courses, alliance: Floats, kept: Bools, n_therapists: int, random: np.random.Generator
) -> Floats:
    """Draw the outcome of the sessions that take place.

    The alliance is centred at each patient's mean over the sessions that take place, exactly as an analyst of
    the data will centre it. So a model with these two parts, time, and intercepts of patients and therapists is
    the true one, and its estimates are not attenuated.

    Parameters
    ----------
    true : Parameters
        The true values.
    courses : Courses
        Who is with whom when, shape (n_patients, n_sessions).
    alliance : ndarray of shape (n_patients, n_sessions)
        Alliance of every planned session.
    kept : ndarray of shape (n_patients, n_sessions)
        Which sessions take place.
    n_therapists : int
        How many therapists there are.
    random : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (n_kept,)
        Outcome of the kept sessions by patient and session, in outcome points.
    """
    # Chance is drawn for the whole grid, so that one seed gives a patient the same chance whoever drops out.
    intercepts, slopes = random.standard_normal((2, kept.shape[0]))
    therapists = true.outcome_therapist_sd * random.standard_normal(n_therapists)
    chance = true.outcome_residual_sd * random.standard_normal(kept.shape)[kept]
    patient, time = np.nonzero(kept)
    within, between = split_within_between(alliance[kept], patient)
    expected = (
        true.outcome_intercept
        + true.outcome_slope * time
        + true.outcome_within * within
        + true.outcome_between * between
    )
    own_line = true.outcome_intercept_sd * intercepts[patient] + true.outcome_slope_sd * slopes[patient] * time
    outcome: Floats = expected + own_line + therapists[courses.therapist[kept]] + chance
    return outcome
