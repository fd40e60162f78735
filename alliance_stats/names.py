"""Canonical column names: the one place where they are spelled."""

from __future__ import annotations

PATIENT = "patient_id"
THERAPIST = "therapist_id"
SESSION = "session"
DATE = "date"
SITE = "site_id"
PHASE = "phase"

#: Columns that say who and when, in the order in which a session table shows them.
KEYS = (PATIENT, THERAPIST, SESSION, DATE, SITE, PHASE)

#: Scores' default names.
ALLIANCE = "alliance"
ALLIANCE_THERAPIST = "alliance_therapist"
OUTCOME = "outcome"

#: Derived by :func:`alliance_stats.therapist_episodes`.
EPISODE = "therapist_episode"
AFTER_CHANGE = "after_change"
SINCE_CHANGE = "sessions_since_change"

#: Terms of every fitted model.
INTERCEPT = "(Intercept)"
RESIDUAL = "residual"

#: Columns of every result's ``table()``.
TABLE_COLUMNS = ("term", "estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high")
#: Columns of every result's ``variance()``.
VARIANCE_COLUMNS = ("group", "term", "term2", "vcov", "sdcor")
#: Columns of every result's ``random()``.
RANDOM_COLUMNS = ("level", "term", "estimate", "std_error", "ci_low", "ci_high")


def within(score: str) -> str:
    """Name of a score's deviation from the patient's own mean."""
    return f"{score}_within"


def between(score: str) -> str:
    """Name of a score's patient mean."""
    return f"{score}_between"


def therapist_mean(score: str) -> str:
    """Name of a score's therapist mean."""
    return f"{score}_therapist"


def previous(score: str) -> str:
    """Name of a score at the session before."""
    return f"previous_{score}"
