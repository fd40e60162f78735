"""Simulate the small data sets of the lme4 goldens: seeded, nothing taken from an R package.

Run ``python tests/golden/lme4/make_data.py``. Scores are rounded to four decimals *before* they are
written, so that the CSV is the truth which R and Python both read; should a later numpy draw other
numbers from the same seed, the CSV in git stay what they are. Where a design needs an exact symmetry
(``boundary_first_mirrored``) the rounding keeps it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parent / "data"
DECIMALS = 4


def labels(prefix: str, codes: np.ndarray) -> list[str]:
    """Number the units as p001, p002, …: the alphabet keeps the order, whatever the locale."""
    return [f"{prefix}{code + 1:03d}" for code in codes]


def correlated(rng: np.random.Generator, n: int, sds: list[float], correlation: float) -> np.ndarray:
    """Draw ``n`` vectors of effects with the given standard deviations and one common correlation."""
    size = len(sds)
    within = np.full((size, size), correlation) + (1 - correlation) * np.eye(size)
    return rng.standard_normal((n, size)) @ np.linalg.cholesky(within).T * np.array(sds)


def growth(rng: np.random.Generator, n_patients: int = 24, n_sessions: int = 10) -> pd.DataFrame:
    """Balanced linear growth, session counted from 0; the same data rescaled in three further columns."""
    patient = np.repeat(np.arange(n_patients), n_sessions)
    session0 = np.tile(np.arange(n_sessions), n_patients)
    u = correlated(rng, n_patients, [0.5, 0.06], 0.2)
    alliance = 4.2 + 0.05 * session0 + u[patient, 0] + u[patient, 1] * session0 + rng.normal(0, 0.35, patient.size)
    alliance = alliance.round(DECIMALS)
    return pd.DataFrame(
        {
            "patient_id": labels("p", patient),
            "session0": session0,
            "alliance": alliance,
            "session_thousands": session0 / 1e3,
            "session_thousandths": session0 * 1e3,
            "alliance_small": alliance * 1e-4,
        }
    )


def nested(rng: np.random.Generator) -> pd.DataFrame:
    """Six sites × four therapists × five patients × four sessions; therapist labels are reused across sites."""
    site, therapist, patient, session0 = (a.ravel() for a in np.indices((6, 4, 5, 4)))
    pair = site * 4 + therapist
    person = pair * 5 + patient
    u = correlated(rng, 120, [5.0, 0.9], -0.3)
    outcome = 60 - 2.5 * session0 + rng.normal(0, 3, 6)[site] + rng.normal(0, 2.5, 24)[pair]
    outcome = outcome + u[person, 0] + u[person, 1] * session0 + rng.normal(0, 3, site.size)
    return pd.DataFrame(
        {
            "site_id": labels("s", site),
            "therapist_id": labels("t", therapist),
            "patient_id": labels("p", person),
            "session0": session0,
            "outcome": outcome.round(DECIMALS),
        }
    )


def change_of_therapist(rng: np.random.Generator, therapist_sds: list[float], per_therapist: int) -> pd.DataFrame:
    """Ten therapists, eight sessions per patient; one patient in five moves to another therapist on the way."""
    n_therapists, n_sessions = 10, 8
    n_patients = n_therapists * per_therapist
    first = np.repeat(np.arange(n_therapists), per_therapist)
    second = (first + rng.integers(1, n_therapists, n_patients)) % n_therapists
    changes = np.isin(np.arange(n_patients), rng.permutation(n_patients)[: n_patients // 5])
    change_at = np.where(changes, rng.integers(3, 6, n_patients), n_sessions)
    patient = np.repeat(np.arange(n_patients), n_sessions)
    session0 = np.tile(np.arange(n_sessions), n_patients)
    after = (session0 >= change_at[patient]).astype(int)
    since = after * (session0 - change_at[patient])
    therapist = np.where(after == 1, second[patient], first[patient])
    u = correlated(rng, n_patients, [0.45, 0.07], -0.2)
    v = correlated(rng, n_therapists, therapist_sds, 0.3)
    alliance = 4.5 + 0.06 * session0 - 0.4 * after + 0.08 * since + rng.normal(0, 0.4, patient.size)
    alliance = alliance + u[patient, 0] + u[patient, 1] * session0 + v[therapist, 0] + v[therapist, 1] * session0
    return pd.DataFrame(
        {
            "patient_id": labels("p", patient),
            "therapist_id": labels("t", therapist),
            "session0": session0,
            "after_change": after,
            "since": since,
            "alliance": alliance.round(DECIMALS),
        }
    )


def crossed(rng: np.random.Generator) -> pd.DataFrame:
    """Change of therapist with therapist intercepts only."""
    return change_of_therapist(rng, [0.3, 0.0], 5)


def crossed_slopes(rng: np.random.Generator) -> pd.DataFrame:
    """Change of therapist with therapist intercepts and slopes."""
    return change_of_therapist(rng, [0.3, 0.06], 6)


def crossed_items(rng: np.random.Generator) -> pd.DataFrame:
    """Every one of six raters rates every one of 24 patients once."""
    patient, rater = (a.ravel() for a in np.indices((24, 6)))
    rating = 4 + rng.normal(0, 0.8, 24)[patient] + rng.normal(0, 0.5, 6)[rater] + rng.normal(0, 0.5, patient.size)
    return pd.DataFrame(
        {"patient_id": labels("p", patient), "rater_id": labels("r", rater), "rating": rating.round(DECIMALS)}
    )


def unbalanced(rng: np.random.Generator) -> pd.DataFrame:
    """One to fifteen sessions with gaps, caseloads of 1 to 12, three phases, alliance split within and between."""
    caseload = np.array([1, 2, 3, 4, 5, 6, 7, 9, 11, 12])
    therapist_of = np.repeat(np.arange(caseload.size), caseload)
    n_patients = therapist_of.size
    n_sessions = rng.integers(1, 16, n_patients)
    n_sessions[:4] = 1  # singletons for certain
    patient = np.repeat(np.arange(n_patients), n_sessions)
    session = np.concatenate([np.arange(1, n + 1) for n in n_sessions])
    kept = (session == 1) | (rng.random(session.size) > 0.12)  # gaps
    patient, session = patient[kept], session[kept]
    phase = np.where(session <= 4, "early", np.where(session <= 9, "middle", "late"))
    alliance = 4.4 + rng.normal(0, 0.6, n_patients)[patient] + 0.03 * session + rng.normal(0, 0.5, patient.size)
    alliance = alliance.round(DECIMALS)
    mean = (np.bincount(patient, alliance) / np.bincount(patient))[patient].round(DECIMALS)
    within = (alliance - mean).round(DECIMALS)
    u = correlated(rng, n_patients, [4.0, 1.2], -0.25)
    therapist = therapist_of[patient]
    slope = -1.5 + np.select([phase == "middle", phase == "late"], [-0.5, -1.0], 0.0)
    outcome = 55 - 3 * (mean - 4.5) + slope * within - 0.6 * session + rng.normal(0, 2.0, caseload.size)[therapist]
    outcome = outcome + u[patient, 0] + u[patient, 1] * within + rng.normal(0, 2.5, patient.size)
    return pd.DataFrame(
        {
            "patient_id": labels("p", patient),
            "therapist_id": labels("t", therapist),
            "session": session,
            "phase": phase,
            "alliance": alliance,
            "alliance_within": within,
            "alliance_between": mean,
            "outcome": outcome.round(DECIMALS),
        }
    )


def three_slopes(rng: np.random.Generator) -> pd.DataFrame:
    """Three random effects: intercept, centred linear and centred quadratic time, all near unit size."""
    n_patients, n_sessions = 40, 9
    patient = np.repeat(np.arange(n_patients), n_sessions)
    s = np.tile((np.arange(n_sessions) - 4) / 4, n_patients)
    s2 = (s**2 - np.mean(s**2)).round(DECIMALS)
    u = correlated(rng, n_patients, [1.0, 0.8, 0.7], 0.25)
    outcome = 10 + 1.2 * s - 0.5 * s2 + u[patient, 0] + u[patient, 1] * s + u[patient, 2] * s2
    outcome = (outcome + rng.normal(0, 0.5, patient.size)).round(DECIMALS)
    return pd.DataFrame({"patient_id": labels("p", patient), "s": s, "s2": s2, "outcome": outcome})


def four_effects(rng: np.random.Generator) -> pd.DataFrame:
    """Four random effects: an intercept and three covariates that vary by session."""
    n_patients, n_sessions = 45, 10
    patient = np.repeat(np.arange(n_patients), n_sessions)
    x = rng.standard_normal((patient.size, 3)).round(DECIMALS)
    u = correlated(rng, n_patients, [1.0, 0.7, 0.6, 0.5], 0.3)
    outcome = 5 + x @ [0.5, -0.3, 0.2] + u[patient, 0] + (u[patient, 1:] * x).sum(axis=1)
    outcome = (outcome + rng.normal(0, 0.6, patient.size)).round(DECIMALS)
    columns = {"patient_id": labels("p", patient), "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "outcome": outcome}
    return pd.DataFrame(columns)


def boundary_intercept(rng: np.random.Generator) -> pd.DataFrame:
    """Therapists do not differ in truth; with this seed the estimated variance between them is zero."""
    patient, session0 = (a.ravel() for a in np.indices((40, 6)))
    outcome = 50 - 1.5 * session0 + rng.normal(0, 5, 40)[patient] + rng.normal(0, 3, patient.size)
    return pd.DataFrame(
        {
            "patient_id": labels("p", patient),
            "therapist_id": labels("t", patient // 5),
            "session0": session0,
            "outcome": outcome.round(DECIMALS),
        }
    )


def boundary_slope(rng: np.random.Generator) -> pd.DataFrame:
    """Patients hardly differ in slope: with this seed the slope variance is zero, or the correlation one."""
    patient, session0 = (a.ravel() for a in np.indices((30, 6)))
    outcome = 50 - 1.5 * session0 + rng.normal(0, 4, 30)[patient] + rng.normal(0, 3, patient.size)
    return pd.DataFrame({"patient_id": labels("p", patient), "session0": session0, "outcome": outcome.round(DECIMALS)})


def boundary_first(rng: np.random.Generator) -> pd.DataFrame:
    """Groups differ in slope and not in level: the first random effect is the one on the boundary."""
    group, occasion = (a.ravel() for a in np.indices((24, 6)))
    x = occasion - 2.5
    y = 3 + 0.5 * x + rng.normal(0, 0.8, 24)[group] * x + rng.normal(0, 1, group.size)
    return pd.DataFrame({"g": labels("g", group), "x": x, "y": y.round(DECIMALS)})


def boundary_first_trap(rng: np.random.Generator) -> pd.DataFrame:
    """As ``boundary_first``; with this seed lme4 stops at a false optimum with an intercept variance of zero."""
    return boundary_first(rng)


def boundary_first_mirrored(rng: np.random.Generator) -> pd.DataFrame:
    """Each group has a twin whose course is mirrored in time about 3 + 0.5 x.

    By symmetry the criterion is even in the covariance of intercept and slope, so that an intercept
    variance of exactly zero with a positive slope variance is a true optimum of the correlated model.
    In data without the symmetry that has probability zero: there the optimum has a small intercept variance
    and a correlation of one (see ``boundary_first``).
    """
    half = boundary_first(rng)
    half["y"] = (half["y"] - 0.5 * half["x"]).round(DECIMALS)
    twin = half.assign(g=half["g"].str.replace("g", "h"), x=-half["x"]).sort_values(["g", "x"])
    both = pd.concat([half, twin], ignore_index=True)
    return both.assign(y=(both["y"] + 0.5 * both["x"]).round(DECIMALS))


def intercept_only(rng: np.random.Generator) -> pd.DataFrame:
    """Balanced one-way layout: REML has the closed form of the analysis of variance."""
    patient, session = (a.ravel() for a in np.indices((20, 5)))
    alliance = 4.5 + rng.normal(0, 0.6, 20)[patient] + rng.normal(0, 0.4, patient.size)
    return pd.DataFrame(
        {"patient_id": labels("p", patient), "session": session + 1, "alliance": alliance.round(DECIMALS)}
    )


SEEDS = {
    growth: 101,
    nested: 207,
    crossed: 103,
    crossed_slopes: 104,
    crossed_items: 105,
    unbalanced: 106,
    three_slopes: 107,
    four_effects: 108,
    boundary_intercept: 213,
    boundary_slope: 110,
    boundary_first: 111,
    boundary_first_trap: 210,
    boundary_first_mirrored: 112,
    intercept_only: 113,
}


def as_csv(frame: pd.DataFrame) -> str:
    """Ten significant digits at most: what is read back is the decimal number that stands there."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def main() -> None:
    """Write one CSV per case."""
    DATA.mkdir(exist_ok=True)
    for make, seed in SEEDS.items():
        text = as_csv(make(np.random.default_rng(seed)))
        (DATA / f"{make.__name__}.csv").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
