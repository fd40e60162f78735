"""Simulated studies for benchmarks/coverage.py: 30 therapists × 8 patients × 10 sessions, one patient in five changes.

Nothing of the package takes part in the simulation. Predictors stand at every level: session (alliance_within, phase),
patient (severity), therapist (experience, orientation); after_change belongs to those who change therapist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

N_THERAPISTS, N_PATIENTS, N_SESSIONS, CHANGE_RATE = 30, 8, 10, 0.2
PHASES, ORIENTATIONS = ("a_early", "b_middle", "c_late"), ("cbt", "pdt", "sys")

#: True fixed effects (outcome points). Phase and orientation have none: their F tests should reject at their level.
TRUTH = {
    "(Intercept)": 20.0,
    "time": -0.5,
    "alliance_within": -1.2,
    "severity": 0.8,
    "experience": -0.4,
    "after_change": 0.7,
    "phase[T.b_middle]": 0.0,
    "phase[T.c_late]": 0.0,
    "orientation[T.pdt]": 0.0,
    "orientation[T.sys]": 0.0,
}
LEVEL_OF = {
    "(Intercept)": "all",
    "time": "session (slopes vary)",
    "alliance_within": "session",
    "severity": "patient",
    "experience": "therapist",
    "after_change": "patients who change",
    "phase[T.b_middle]": "session",
    "phase[T.c_late]": "session",
    "orientation[T.pdt]": "therapist",
    "orientation[T.sys]": "therapist",
}
FORMULA = (
    "outcome ~ time + alliance_within + severity + experience + after_change + phase + orientation "
    "+ (1 + time | patient_id) + (1 | therapist_id)"
)


@dataclass(frozen=True)
class Scenario:
    """True random effects and residuals.

    Parameters
    ----------
    stream : int
        Chance is drawn from this stream, so that scenarios are independent of each other.
    title : str
        For the table.
    therapist_sd : float
        Standard deviation between therapists (outcome points).
    correlation : float or None
        Residual correlation of sessions one week apart; None for independent residuals and sessions a week apart.
    phase_sds : tuple of float
        Residual standard deviation in each phase.
    arguments : tuple of (str, str)
        What the fit is told beside the formula.
    """

    stream: int
    title: str
    therapist_sd: float
    correlation: float | None
    phase_sds: tuple[float, float, float]
    arguments: tuple[tuple[str, str], ...] = ()


_CAR1 = (("residual", "car1"), ("residual_time", "time"), ("residual_group", "patient_id"))
SCENARIOS = {
    "independent": Scenario(1, "Independent residuals", 1.2, None, (2.0, 2.0, 2.0)),
    "no-therapists": Scenario(2, "Independent residuals, no variance between therapists", 0.0, None, (2.0, 2.0, 2.0)),
    "car1": Scenario(3, "CAR(1), uneven times with gaps", 1.2, 0.5, (2.0, 2.0, 2.0), _CAR1),
    "car1-no-therapists": Scenario(4, "CAR(1), no variance between therapists", 0.0, 0.5, (2.0, 2.0, 2.0), _CAR1),
    "car1-variance": Scenario(
        5, "CAR(1) and unequal variances by phase", 1.2, 0.5, (2.6, 2.0, 1.4), (*_CAR1, ("variance", "phase"))
    ),
}
PATIENT_SDS, PATIENT_CORRELATION = (2.0, 0.3), -0.2


def simulate(scenario: Scenario, seed: int) -> pd.DataFrame:
    """Draw one study."""
    rng = np.random.default_rng([17, scenario.stream, seed])
    n = N_THERAPISTS * N_PATIENTS
    patient = np.repeat(np.arange(n), N_SESSIONS)
    number = np.tile(np.arange(N_SESSIONS), n)
    therapist, after = _therapists(rng, n, patient, number)
    time = number.astype(float) if scenario.correlation is None else _uneven_times(rng, n)
    phase = np.digitize(number, [3, 7])
    frame = pd.DataFrame(
        {
            "patient_id": np.char.add("p", patient.astype(str)),
            "therapist_id": np.char.add("t", therapist.astype(str)),
            "time": time,
            "alliance_within": rng.normal(0, 0.6, patient.size),
            "severity": rng.normal(size=n)[patient],
            "experience": rng.normal(size=N_THERAPISTS)[therapist],
            "after_change": after.astype(float),
            "phase": np.array(PHASES)[phase],
            "orientation": np.array(ORIENTATIONS)[rng.permutation(np.arange(N_THERAPISTS) % 3)][therapist],
        }
    )
    mean = sum(TRUTH[c] * frame[c] for c in ("time", "alliance_within", "severity", "experience", "after_change"))
    root = np.linalg.cholesky([[1, PATIENT_CORRELATION], [PATIENT_CORRELATION, 1]])
    u = rng.normal(size=(n, 2)) @ root.T * PATIENT_SDS
    v = scenario.therapist_sd * rng.normal(size=N_THERAPISTS)
    error = np.array(scenario.phase_sds)[phase] * _correlated(rng, time, scenario.correlation)
    outcome = TRUTH["(Intercept)"] + mean + u[patient, 0] + u[patient, 1] * time + v[therapist] + error
    return frame.assign(outcome=outcome)


def _therapists(rng, n: int, patient: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each session's therapist, and whether it comes after a change."""
    first = np.repeat(np.arange(N_THERAPISTS), N_PATIENTS)
    second = (first + rng.integers(1, N_THERAPISTS, n)) % N_THERAPISTS
    changes = rng.permutation(n) < CHANGE_RATE * n
    at = np.where(changes, rng.integers(3, N_SESSIONS - 2, n), N_SESSIONS)
    after = number >= at[patient]
    return np.where(after, second[patient], first[patient]), after


def _uneven_times(rng, n: int) -> np.ndarray:
    """Weeks since the first session: about a week apart, to the day, with missed weeks."""
    gaps = rng.choice([1.0, 1.0, 1.0, 2.0, 3.0], (n, N_SESSIONS - 1)) + rng.integers(-2, 3, (n, N_SESSIONS - 1)) / 7
    return np.hstack([np.zeros((n, 1)), np.cumsum(gaps, axis=1)]).round(3).ravel()


def _correlated(rng, time: np.ndarray, correlation: float | None) -> np.ndarray:
    """Standard normal errors; with ``correlation``, a continuous-time autoregression within each patient."""
    fresh = rng.normal(size=(time.size // N_SESSIONS, N_SESSIONS))
    if correlation is not None:
        gaps = np.diff(time.reshape(fresh.shape), axis=1)
        for s in range(1, N_SESSIONS):
            rho = correlation ** gaps[:, s - 1]
            fresh[:, s] = rho * fresh[:, s - 1] + np.sqrt(1 - rho**2) * fresh[:, s]
    return fresh.ravel()
