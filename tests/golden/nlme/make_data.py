"""Simulate the small data sets of the nlme, glmmTMB and dense goldens of residual structures: seeded, four decimals.

Run ``python tests/golden/nlme/make_data.py``. Scores are rounded *before* they are written, so that the CSV is the
truth which R and Python both read; should a later numpy draw other numbers from the same seed, the CSV in git stay what
they are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

GOLDEN = Path(__file__).resolve().parents[1]
DECIMALS = 4
PHASES = np.array(["early", "middle", "late"])


@dataclass(frozen=True)
class Residual:
    """Residual standard deviation per phase (outcome points) and correlation of rows one unit of time apart."""

    sds: tuple[float, float, float]
    correlation: float


def labels(prefix: str, codes: np.ndarray) -> list[str]:
    """Number the units as p001, p002, …: the alphabet keeps the order, whatever the locale."""
    return [f"{prefix}{code + 1:03d}" for code in codes]


def power(correlation: float, gap: np.ndarray) -> np.ndarray:
    """Correlation at a gap; a negative one only at whole gaps."""
    size = np.abs(correlation) ** np.abs(gap)
    return size if correlation >= 0 else np.where(np.round(gap) % 2 == 0, size, -size)


def residuals(rng, group: np.ndarray, time: np.ndarray, phase: np.ndarray, how: Residual, weight) -> np.ndarray:
    """Draw e with Cov(e_s, e_t) = sd_s sd_t ρ^|s − t| / √(w_s w_t) inside a group."""
    e = np.empty(time.size)
    sd = np.array(how.sds)[phase] / np.sqrt(weight)
    for g in np.unique(group):
        rows = np.flatnonzero(group == g)
        correlation = power(how.correlation, time[rows][:, None] - time[rows])
        e[rows] = sd[rows] * (np.linalg.cholesky(correlation) @ rng.standard_normal(rows.size))
    return e


def effects(rng, n: int, sds: tuple[float, float], correlation: float = 0.0) -> np.ndarray:
    """Intercepts and slopes of n levels."""
    root = np.linalg.cholesky(np.array([[1, correlation], [correlation, 1]]))
    return rng.standard_normal((n, 2)) @ root.T * np.array(sds)


def times_with_gaps(rng, n_patients: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Patient codes and weeks since the first session: about one session a week, with decimals and missed weeks."""
    patient, time = [], []
    for k in range(n_patients):
        n = int(rng.integers(low, high + 1))
        gaps = rng.choice([0.5, 1.0, 1.0, 1.0, 2.0, 3.5], n - 1) + rng.integers(-2, 3, n - 1) / 10
        patient += [k] * n
        time += [0.0, *np.cumsum(gaps)]
    return np.array(patient), np.array(time).round(1)


def columns(rng, patient: np.ndarray, phase: np.ndarray) -> dict[str, np.ndarray]:
    """Predictors at both levels, a prior weight (number of items answered) and an offset (known baseline)."""
    n_patients = patient.max() + 1
    return {
        "phase": PHASES[phase],
        "alliance_within": rng.normal(0, 0.6, patient.size).round(2),
        "severity": rng.normal(0, 1.0, n_patients).round(2)[patient],
        "n_items": rng.choice([1, 2, 4, 6], patient.size),
        "baseline": rng.normal(30, 5, n_patients).round(1)[patient],
    }


def frame_of(rng, patient, therapist, time, phase, u, v, how: Residual, residual_group=None, **more) -> pd.DataFrame:
    """Outcome and everything else; the same errors once with equal weights, once divided by the root of ``n_items``."""
    extra = columns(rng, patient, phase)
    group = patient if residual_group is None else residual_group
    mean = 20 - 0.5 * time - 1.2 * extra["alliance_within"] + 0.8 * extra["severity"] + 0.6 * (phase == 2)
    mean = mean + u[patient, 0] + u[patient, 1] * time + v[therapist, 0] + v[therapist, 1] * time
    state = rng.bit_generator.state
    plain = mean + residuals(rng, group, time, phase, how, np.ones(time.size))
    rng.bit_generator.state = state
    weighted = mean + residuals(rng, group, time, phase, how, extra["n_items"])
    scores = {"outcome": plain, "outcome_weighted": weighted, "outcome_offset": plain + extra["baseline"]}
    ids = {"patient_id": labels("p", patient), "therapist_id": labels("t", therapist)}
    data = {**ids, "time": time, **more, **extra, **{k: v.round(DECIMALS) for k, v in scores.items()}}
    return pd.DataFrame(data)


def growth_gaps(rng: np.random.Generator) -> pd.DataFrame:
    """Forty-five patients, 4 to 10 sessions at uneven times; three phases of unequal residual spread."""
    patient, time = times_with_gaps(rng, 45, 4, 10)
    phase = np.digitize(time, [3, 7])
    u = effects(rng, 45, (2.0, 0.35), -0.2)
    how = Residual((1.6, 1.0, 2.2), 0.55)
    return frame_of(rng, patient, np.zeros_like(patient), time, phase, u, np.zeros((1, 2)), how)


def equal_times(rng: np.random.Generator, correlation: float = 0.5) -> pd.DataFrame:
    """Thirty-six patients × 8 equally spaced sessions, none missing."""
    patient, time = (a.ravel() for a in np.indices((36, 8)))
    phase = np.digitize(time, [2, 5])
    u = effects(rng, 36, (1.8, 0.3), 0.2)
    how = Residual((1.5, 1.5, 1.5), correlation)
    return frame_of(rng, patient, np.zeros_like(patient), time, phase, u, np.zeros((1, 2)), how)


def negative_correlation(rng: np.random.Generator) -> pd.DataFrame:
    """The same with a residual correlation below zero: sessions swing about the course."""
    return equal_times(rng, -0.4)


def nested_gaps(rng: np.random.Generator) -> pd.DataFrame:
    """Twelve therapists × 5 patients × 4 to 7 sessions at uneven times."""
    patient, time = times_with_gaps(rng, 60, 4, 7)
    phase = np.digitize(time, [2, 5])
    u, v = effects(rng, 60, (1.5, 0.0)), effects(rng, 12, (1.5, 0.0))
    return frame_of(rng, patient, patient // 5, time, phase, u, v, Residual((1.8, 1.2, 1.2), 0.6))


def changed_therapist(rng, patient: np.ndarray, n_therapists: int) -> np.ndarray:
    """First therapist in order of patients; two in five change at about half of their sessions."""
    n_patients = patient.max() + 1
    first = np.arange(n_patients) % n_therapists
    second = (first + rng.integers(1, n_therapists, n_patients)) % n_therapists
    changes = rng.permutation(n_patients) < 0.4 * n_patients
    position = np.arange(patient.size) - np.searchsorted(patient, patient)
    half = np.bincount(patient)[patient] // 2
    return np.where(changes[patient] & (position >= half), second[patient], first[patient])


def crossed_equal(rng: np.random.Generator) -> pd.DataFrame:
    """Forty patients × 8 equally spaced sessions, ten therapists, two patients in five change."""
    patient, time = (a.ravel() for a in np.indices((40, 8)))
    therapist = changed_therapist(rng, patient, 10)
    u, v = effects(rng, 40, (1.6, 0.3), 0.2), effects(rng, 10, (1.4, 0.0))
    phase = np.digitize(time, [2, 5])
    how = Residual((1.5, 1.5, 1.5), 0.5)
    return frame_of(rng, patient, therapist, time, phase, u, v, how, session=time + 1)


def crossed_variances(rng: np.random.Generator) -> pd.DataFrame:
    """The same with independent residuals of unequal spread by phase."""
    patient, time = (a.ravel() for a in np.indices((40, 8)))
    therapist = changed_therapist(rng, patient, 10)
    u, v = effects(rng, 40, (1.6, 0.3), 0.2), effects(rng, 10, (1.4, 0.0))
    phase = np.digitize(time, [2, 5])
    return frame_of(rng, patient, therapist, time, phase, u, v, Residual((2.0, 1.2, 0.9), 0.0), session=time + 1)


def crossed_gaps(rng: np.random.Generator) -> pd.DataFrame:
    """Forty-five patients at uneven times, nine therapists, changes, CAR(1) and unequal spread by phase."""
    patient, time = times_with_gaps(rng, 45, 4, 10)
    therapist = changed_therapist(rng, patient, 9)
    u, v = effects(rng, 45, (1.8, 0.35), 0.1), effects(rng, 9, (1.5, 0.0))
    phase = np.digitize(time, [3, 7])
    frame = frame_of(rng, patient, therapist, time, phase, u, v, Residual((1.8, 1.1, 2.0), 0.55))
    return frame.assign(episode=frame["patient_id"] + "." + frame["therapist_id"])


CASES = {
    "nlme": {growth_gaps: 301, equal_times: 302, negative_correlation: 303, nested_gaps: 304},
    "glmmtmb": {crossed_equal: 311, crossed_variances: 312, crossed_gaps: 313},
}


def main() -> None:
    """Write one CSV per case, ten significant digits at most: what is read back is the number that stands there."""
    for folder, cases in CASES.items():
        data = GOLDEN / folder / "data"
        data.mkdir(exist_ok=True)
        for make, seed in cases.items():
            text = make(np.random.default_rng(seed)).to_csv(index=False, float_format="%.10g", lineterminator="\n")
            (data / f"{make.__name__}.csv").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
