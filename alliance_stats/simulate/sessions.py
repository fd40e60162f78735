"""Simulated sessions: alliance and outcome from known parameters, with the truth beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.errors import DataError
from alliance_stats.names import ALLIANCE, OUTCOME, PATIENT, SESSION, THERAPIST
from alliance_stats.simulate.courses import Courses, Ints, caseloads_of, check_count, check_share, plan_courses
from alliance_stats.simulate.parameters import Parameters, parameters_from
from alliance_stats.simulate.scores import Bools, Floats, draw_alliance, draw_kept, draw_outcome

_TRUTH_COLUMNS = ["parameter", "value", "unit", "meaning"]


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedSessions(SessionTable):
    """A session table that knows the values it was made from.

    Parameters
    ----------
    frame, codebook, faults, source
        As in :class:`SessionTable`; ``source.simulated`` is True.
    truth_frame : DataFrame
        The true values, one row each: ``parameter, value, unit, meaning``.
    """

    truth_frame: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_TRUTH_COLUMNS))

    @property
    def truth(self) -> Mapping[str, float]:
        """The true values by name."""
        frame = self.truth_frame
        return dict(zip(frame["parameter"], frame["value"].astype(float), strict=True))


def simulate_sessions(
    n_therapists: int = 20,
    patients_per_therapist: int | Sequence[int] = 8,
    n_sessions: int = 12,
    change_rate: float = 0.2,
    seed: int | np.random.SeedSequence | None = None,
    *,
    return_rate: float = 0.1,
    **parameters: float,
) -> SimulatedSessions:
    """Simulate alliance and outcome, session by session, from known parameters.

    Parameters
    ----------
    n_therapists : int
        Therapists.
    patients_per_therapist : int or sequence of int
        Patients who start with each therapist: one number for all, or one per therapist.
    n_sessions : int
        Planned sessions per patient; dropout makes some courses shorter.
    change_rate : float
        Share of the patients who are planned to change therapist, rounded to whole patients. The session of the
        change is drawn evenly, with two sessions or more on either side where the course is long enough; the
        new therapist is drawn from all others. Who drops out first never gets to the change.
    seed : int, SeedSequence or None
        The same seed gives the same data; None draws fresh ones. Planning, alliance, dropout and outcome have
        a stream of chance each: another dropout leaves the alliance of the planned sessions as it was.
    return_rate : float
        Share of those who change who are planned to go back to their first therapist later.
    **parameters : float
        True values that differ from the defaults:

        - growth of the alliance: ``alliance_intercept=3.3``, ``alliance_slope=0.025``,
          ``alliance_intercept_sd=0.35``, ``alliance_slope_sd=0.015``, ``alliance_correlation=-0.2``,
          ``alliance_therapist_sd=0.15``, ``alliance_residual_sd=0.22``;
        - change of therapist: ``change_jump=-0.3``, ``change_recovery=0.06``;
        - outcome: ``outcome_intercept=22.0``, ``outcome_slope=-0.2``, ``outcome_within=-1.2``,
          ``outcome_between=-2.0``, ``outcome_intercept_sd=2.2``, ``outcome_slope_sd=0.0``,
          ``outcome_therapist_sd=0.8``, ``outcome_residual_sd=1.6``;
        - dropout: ``dropout_intercept=-3.3`` (``float("-inf")``: nobody drops out), ``dropout_alliance=-0.9``.

        ``truth_frame`` gives each with its unit and meaning.

    Returns
    -------
    SimulatedSessions
        ``patient_id, therapist_id, session, alliance, outcome``; one row per session that took place, with
        ``truth`` and ``truth_frame``. Scores are neither rounded nor cut off at the ends of a scale, because
        either would change the parameters. The outcome is a symptom score: higher is worse.

    Raises
    ------
    DataError
        If a parameter is not known or impossible, or somebody has to change therapist and there is one only.

    Notes
    -----
    With time = session - 1, patient i, therapist j of that session::

        alliance = alliance_intercept + alliance_slope * time
                   + change_jump * after_change + change_recovery * sessions_since_change
                   + u0_i + u1_i * time + v_j + e
        outcome  = outcome_intercept + outcome_slope * time
                   + outcome_within * alliance_within + outcome_between * alliance_between
                   + w0_i + w1_i * time + z_j + f
        log odds of leaving after a session = dropout_intercept
                   + dropout_alliance * (alliance - alliance_intercept)

    ``after_change`` and ``sessions_since_change`` are those of :func:`therapist_episodes`. ``alliance_within``
    and ``alliance_between`` are those of :func:`center` on the sessions that took place, so the outcome model
    holds exactly for the data. Dropout depends on observed alliance only.

    Examples
    --------
    >>> sessions = simulate_sessions(n_therapists=5, patients_per_therapist=4, seed=1)
    >>> sessions.truth["change_jump"]
    -0.3
    """
    true = parameters_from(parameters)
    caseloads = caseloads_of(patients_per_therapist, check_count("n_therapists", n_therapists))
    check_count("n_sessions", n_sessions)
    check_share("change_rate", change_rate)
    check_share("return_rate", return_rate)
    for_courses, for_alliance, for_dropout, for_outcome = _streams(seed)
    courses = plan_courses(caseloads, n_sessions, change_rate, return_rate, for_courses)
    alliance = draw_alliance(true, courses, n_therapists, for_alliance)
    kept = draw_kept(true, alliance, for_dropout)
    outcome = draw_outcome(true, courses, alliance, kept, n_therapists, for_outcome)
    frame = _frame(courses, alliance, outcome, kept, n_therapists)
    return SimulatedSessions(
        frame,
        codebook=_codebook(),
        source=_source(frame, seed),
        truth_frame=_truth(true, change_rate, return_rate),
    )


def _streams(seed: int | np.random.SeedSequence | None) -> list[np.random.Generator]:
    try:
        return np.random.default_rng(seed).spawn(4)
    except (TypeError, ValueError) as error:
        raise DataError(f"seed is {seed!r}. Give a whole number, 0 or more, or None for fresh data.") from error


def _frame(courses: Courses, alliance: Floats, outcome: Floats, kept: Bools, n_therapists: int) -> pd.DataFrame:
    patient, time = np.nonzero(kept)
    return pd.DataFrame(
        {
            PATIENT: _ids("P", 4, kept.shape[0], patient),
            THERAPIST: _ids("T", 2, n_therapists, courses.therapist[kept]),
            SESSION: courses.session[time],
            ALLIANCE: alliance[kept],
            OUTCOME: outcome,
        }
    )


def _ids(letter: str, width: int, n: int, codes: Ints) -> pd.Series:
    width = max(width, len(str(n)))
    names = pd.Series([f"{letter}{number:0{width}d}" for number in range(1, n + 1)], dtype="str")
    return names.take(codes).reset_index(drop=True)


def _codebook() -> Codebook:
    made = "SIMULATED by alliance_stats.simulate_sessions"
    return Codebook(
        (
            Variable(PATIENT, "Patient (SIMULATED)", "id", made_from=made),
            Variable(THERAPIST, "Therapist (SIMULATED)", "id", made_from=made),
            Variable(SESSION, "Session", "time", low=1, made_from=made),
            Variable(ALLIANCE, "Working alliance (simulated)", "score", higher="better", made_from=made),
            Variable(OUTCOME, "Symptoms (simulated)", "score", higher="worse", made_from=made),
        )
    )


def _source(frame: pd.DataFrame, seed: int | np.random.SeedSequence | None) -> Source:
    values = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    shown = str(seed.entropy) if isinstance(seed, np.random.SeedSequence) else str(seed)
    return Source(
        name="simulated sessions",
        sha256=hashlib.sha256(values.tobytes()).hexdigest(),
        n_rows=len(frame),
        simulated=True,
        reading={"made by": "alliance_stats.simulate_sessions", "seed": shown},
    )


def _truth(true: Parameters, change_rate: float, return_rate: float) -> pd.DataFrame:
    rates = pd.DataFrame(
        [
            ("change_rate", float(change_rate), "share of patients", "planned to change therapist"),
            ("return_rate", float(return_rate), "share of those who change", "planned to go back later"),
        ],
        columns=_TRUTH_COLUMNS,
    )
    return pd.concat([true.frame(), rates], ignore_index=True)
