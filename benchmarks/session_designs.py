"""The data sets of the mixed-model benchmark: simulated alliance ratings with known seeds, by numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: True values: growth and change of therapist, then standard deviations, in alliance points. They and the seeds were
#: chosen in mixedlm's favour: on about every third data set its first optimiser gives up, and the one it falls back to
#: takes four times as long. The benchmark says so where it happens.
INTERCEPT, SLOPE, JUMP, RECOVERY = 3.3, 0.025, -0.3, 0.06
INTERCEPT_SD, SLOPE_SD, CORRELATION, THERAPIST_SD, RESIDUAL_SD = 0.6, 0.1, -0.3, 0.3, 0.5


@dataclass(frozen=True)
class SessionDesign:
    """Who sees whom, how often, and how often each program is timed on it.

    ``sessions`` is the least and the largest number of sessions of a patient, drawn evenly. A change of therapist goes
    to another of the ``clinic_size`` therapists of the same clinic (None: of all therapists). ``slow_reps`` are for
    the other programs.
    """

    label: str
    n_patients: int
    n_therapists: int
    sessions: tuple[int, int]
    change_rate: float
    clinic_size: int | None
    seed: int
    reps: int
    slow_reps: int

    @property
    def formula(self) -> str:
        changes = " + changed + since" if self.change_rate else ""
        return f"wai ~ session{changes} + (1 + session | patient) + (1 | therapist)"


DESIGNS = {
    "a": SessionDesign("20 % change therapist, at random", 320, 40, (10, 10), 0.2, None, 8, 15, 7),
    "b": SessionDesign("20 % change therapist, at random", 2_400, 200, (12, 12), 0.2, None, 10, 9, 3),
    "c": SessionDesign("20 % change therapist, at random", 20_000, 1_000, (15, 15), 0.2, None, 3, 5, 1),
    "d": SessionDesign("unbalanced, 20 % change inside clinics of ten", 20_000, 1_000, (4, 25), 0.2, 10, 4, 5, 1),
    "e": SessionDesign("nested, nobody changes", 20_000, 1_000, (15, 15), 0.0, None, 8, 5, 1),
}


def simulate(design: SessionDesign) -> pd.DataFrame:
    """Simulate one row per session: ``patient, therapist`` (text), ``session, changed, since`` (numbers), ``wai``."""
    random = np.random.default_rng(design.seed)
    n = random.integers(*design.sessions, design.n_patients, endpoint=True)
    patient = np.repeat(np.arange(design.n_patients), n)
    session = np.arange(patient.size) - np.repeat(np.cumsum(n) - n, n)
    change_at = _draw_changes(design, n, random)[patient]
    changed = session >= change_at
    since = np.where(changed, session - change_at, 0)
    home = np.arange(design.n_patients) % design.n_therapists
    therapist = np.where(changed, _draw_next(design, home, random)[patient], home[patient])
    wai = _draw_scores(patient, therapist, session, random) + JUMP * changed + RECOVERY * since
    return pd.DataFrame(
        {
            "patient": _ids("P", patient),
            "therapist": _ids("T", therapist),
            "session": session,
            "changed": changed.astype(int),
            "since": since,
            "wai": wai.round(6),
        }
    )


def _draw_changes(design: SessionDesign, n: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Session of each patient's change, with one session or more before it; beyond the last for those who stay."""
    at = random.integers(1, n)
    stays = random.permutation(n.size) >= round(design.change_rate * n.size)
    return np.where(stays, n, at)


def _draw_next(design: SessionDesign, home: np.ndarray, random: np.random.Generator) -> np.ndarray:
    size = design.clinic_size or design.n_therapists
    return home // size * size + (home % size + random.integers(1, size, home.size)) % size


def _draw_scores(
    patient: np.ndarray, therapist: np.ndarray, session: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    first, second = random.standard_normal((2, patient.max() + 1))
    slope = SLOPE + SLOPE_SD * (CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second)
    own = THERAPIST_SD * random.standard_normal(therapist.max() + 1)
    line = INTERCEPT + INTERCEPT_SD * first[patient] + slope[patient] * session
    return line + own[therapist] + RESIDUAL_SD * random.standard_normal(patient.size)


def _ids(letter: str, codes: np.ndarray) -> pd.Series:
    names = pd.Series([f"{letter}{code:05d}" for code in range(codes.max() + 1)], dtype="str")
    return names.take(codes).reset_index(drop=True)
