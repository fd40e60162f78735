"""Sessions as courses of therapy: time from the start, and which groupings a model can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.errors import ColumnError, DataError, DesignError, count, did_you_mean
from alliance_stats.names import PATIENT, SESSION, THERAPIST

#: Time in a course: sessions since the first one, so that an intercept is the level at session 1.
TIME = "sessions_since_start"
SQUARED = f"{TIME}_squared"
LOGARITHM = "log_session"


@dataclass(frozen=True)
class Columns:
    """Names of the columns that say who and when.

    Parameters
    ----------
    patient, session : str
    therapist : str or None
        None to leave therapists out.
    """

    patient: str = PATIENT
    therapist: str | None = THERAPIST
    session: str = SESSION


def with_time(frame: pd.DataFrame, session: str, *needed: str) -> pd.DataFrame:
    """Add ``sessions_since_start`` (session − 1), and check that the columns needed are there.

    Raises
    ------
    ColumnError
        If a column is missing; the nearest is named.
    DataError
        If ``session`` is not numeric.
    """
    require_columns(frame, session, *needed)
    if not pd.api.types.is_numeric_dtype(frame[session].dtype):
        raise DataError(f"Column {session!r} holds text, not session numbers. Read the file with read_sessions().")
    return frame.assign(**{TIME: frame[session].astype(float) - 1.0})


def therapist_term(frame: pd.DataFrame, columns: Columns, *scores: str) -> tuple[str, str]:
    """Decide whether a model of these scores can hold a therapist term.

    Returns
    -------
    term, reason : str
        ``" + (1 | therapist_id)"`` and ``""``, or ``""`` and the reason why therapists are left out.
    """
    name = columns.therapist
    if name is None:
        return "", ""
    if name not in frame.columns:
        if name == THERAPIST:
            return "", "The data name no therapists, so differences between therapists are not part of the model."
        hint = did_you_mean(name, map(str, frame.columns))
        raise ColumnError(f"No column {name!r} for the therapists. {hint} Pass therapist=None to leave them out.")
    rows = frame.dropna(subset=[*scores, columns.patient, name])
    n_therapists, n_patients = rows[name].nunique(), rows[columns.patient].nunique()
    if n_therapists < 2:
        found = count(n_therapists, "therapist")
        return "", f"{found} in the rows used: differences between therapists cannot be estimated."
    pairs = rows[[columns.patient, name]].drop_duplicates()
    if len(pairs) == n_therapists == n_patients:
        return "", (
            f"Each of the {n_therapists} therapists saw one patient, so therapists cannot be told from patients; "
            "therapists are left out of the model."
        )
    return f" + (1 | {_quoted(name)})", ""


def require_courses(frame: pd.DataFrame, score: str, patient: str, *, slopes: bool = True) -> None:
    """Check that there are patients, and sessions enough for a level (and a slope) of each patient's own.

    Raises
    ------
    DesignError
        If there is one patient only, every patient has the score once at most, or, with ``slopes``, patients have it
        at two sessions each.
    """
    scored = frame.dropna(subset=[score, patient])
    per_patient = scored.groupby(patient, observed=True).size()
    if len(per_patient) < 2:
        found = count(len(per_patient), "patient")
        raise DesignError(f"{found} with {score!r}: how patients differ cannot be estimated. Bring more patients.")
    if not (per_patient > 1).any():
        raise DesignError(
            f"None of {len(per_patient)} patients has {score!r} at two sessions or more, so change over sessions "
            "cannot be estimated, nor patients be told from the residual."
        )
    if slopes and 2 * len(per_patient) >= len(scored):
        raise DesignError(
            f"{len(scored)} sessions of {len(per_patient)} patients have {score!r}: too few for a level and a slope of "
            "each patient's own, which take more than two sessions per patient on average."
        )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def quoted(*names: str) -> list[str]:
    """Write column names so that they can stand in a formula."""
    return [_quoted(name) for name in names]


def numeric_score(frame: pd.DataFrame, score: str) -> pd.Series:
    """Return a score as floats.

    Raises
    ------
    DataError
        If the column holds text, or no value at all.
    """
    require_columns(frame, score)
    column = frame[score]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise DataError(f"Score {score!r} holds text, not numbers. Read the file with read_sessions(scores=…).")
    values = column.astype(float)
    if not np.isfinite(values).any():
        raise DataError(
            f"Score {score!r} is missing in all {len(values)} rows. Check the column that it was read from."
        )
    return values
