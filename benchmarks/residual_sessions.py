"""Sessions with residuals that hang together over time, for the benchmark: simulated, with a known seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Correlation of residuals a day apart, and residual standard deviations by phase.
RHO, SDS = 0.95, {"early": 0.6, "middle": 0.5, "late": 0.4}


def simulate_residuals(n_patients: int, n_sessions: int, n_therapists: int, changing: float, seed: int) -> pd.DataFrame:
    """One row per session, days apart by a week and up to three decimal days.

    A share ``changing`` of the patients goes on with another therapist, at random.
    """
    random = np.random.default_rng(seed)
    n = n_patients * n_sessions
    patient, session = np.divmod(np.arange(n), n_sessions)
    day = (7.0 * session + 3 * random.random(n)).round(3)
    change = np.where(random.random(n_patients) < changing, random.integers(1, n_sessions, n_patients), n_sessions)
    changed = session >= change[patient]
    first, second = random.integers(n_therapists, size=(2, n_patients))
    therapist = np.where(changed, second[patient], first[patient])
    phase = np.array(list(SDS))[np.minimum(3 * session // n_sessions, 2)]
    residual = _series(day.reshape(n_patients, -1), random).ravel() * pd.Series(phase).map(SDS).to_numpy()
    level, slope = random.standard_normal((2, n_patients))
    mean = 3.3 + 0.02 * session + 0.6 * level[patient] + 0.12 * slope[patient] * session
    own = 0.3 * random.standard_normal(n_therapists)
    return pd.DataFrame(
        {
            "patient": "P" + pd.Series(patient).astype(str).str.zfill(6),
            "therapist": "T" + pd.Series(therapist).astype(str).str.zfill(4),
            "session": session,
            "day": day,
            "phase": phase,
            "changed": changed.astype(int),
            "wai": (mean + own[therapist] + residual).round(6),
        }
    )


def _series(days: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Continuous-time AR(1) of unit variance, (patients, sessions)."""
    values = random.standard_normal(days.shape)
    for t in range(1, days.shape[1]):
        decay = RHO ** (days[:, t] - days[:, t - 1])
        values[:, t] = decay * values[:, t - 1] + np.sqrt(1 - decay**2) * values[:, t]
    return values
