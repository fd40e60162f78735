"""What must not matter to models with residual structures, weights, offsets, ``||`` or memberships does not matter.

Order of rows, names of ids, units and origin of outcome, predictors and time, units of weights, names of strata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import alliance_stats as als

few = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32 - 1)
powers = st.sampled_from([1e-6, 1e-3, 0.5, 40.0, 1e3, 1e6])
shifts = st.sampled_from([-1e3, -7.0, 0.0, 2.5, 2020.0])
signs = st.sampled_from([1, -1])
#: Estimates agree to this share of their size or standard error: two runs of an optimiser end this close.
CLOSE = 1e-5
N_PATIENTS, N_SESSIONS, N_THERAPISTS = 36, 7, 8
N_FREE = N_PATIENTS * N_SESSIONS - 3  # rows less three fixed effects


def _frame() -> pd.DataFrame:
    """Patients who change therapist, uneven times, correlated residuals of unequal spread."""
    rng = np.random.default_rng(21)
    patient, session = np.divmod(np.arange(N_PATIENTS * N_SESSIONS), N_SESSIONS)
    therapist = (patient + (session > 3) * rng.integers(0, 3, N_PATIENTS)[patient]) % N_THERAPISTS
    week = np.cumsum(rng.choice([0.8, 1.0, 1.3, 2.5], (N_PATIENTS, N_SESSIONS)), axis=1).ravel()
    e = rng.normal(size=patient.size)
    for k in np.flatnonzero(session):
        rho = 0.5 ** (week[k] - week[k - 1])
        e[k] = rho * e[k - 1] + np.sqrt(1 - rho**2) * e[k]
    x = rng.normal(size=patient.size)
    phase = np.where(session < 3, "early", "late")
    y = 5 + 0.6 * x - 0.2 * week + e * np.where(phase == "early", 1.5, 0.8) + (1.3 * rng.normal(size=8))[therapist]
    y += (1.4 * rng.normal(size=N_PATIENTS))[patient] + (0.8 * rng.normal(size=N_PATIENTS))[patient] * x
    columns = {"x": x, "week": week, "session": session + 1, "phase": phase, "y": y}
    ids = {"patient_id": [f"p{k}" for k in patient], "therapist_id": [f"t{k}" for k in therapist]}
    n_items = rng.choice([1.0, 2.0, 4.0], patient.size)
    return pd.DataFrame({**ids, **columns, "n_items": n_items, "known": rng.normal(3, 2, patient.size)})


FRAME = _frame()
CAR1 = {"residual": "car1", "residual_time": "week", "residual_group": "patient_id"}
SLOPE = "y ~ x + week + (1 + x | patient_id)"


@dataclass(frozen=True)
class Model:
    """A formula and what goes with it; arguments that hold positions of rows are made from the frame."""

    formula: str
    arguments: Callable[[pd.DataFrame], dict]

    def fit(self, frame: pd.DataFrame, **changed):
        fit = als.mixed(self.formula, frame, **{**self.arguments(frame), **changed})
        assert fit.converged
        return fit


def _always(**arguments):
    return lambda frame: arguments


def _members(frame: pd.DataFrame) -> dict:
    return {"membership": {"therapist_id": als.membership(frame, "cumulative")}}


MODELS = {
    "uncorrelated": Model("y ~ x + week + (1 + x || patient_id) + (1 | therapist_id)", _always()),
    "membership": Model(SLOPE + " + (1 | mm(therapist_id))", _members),
    "car1": Model(SLOPE, _always(**CAR1)),
    "ar1, crossed": Model(
        SLOPE + " + (1 | therapist_id)", _always(**CAR1 | {"residual": "ar1", "residual_time": "session"})
    ),
    "variance": Model(SLOPE, _always(variance="phase")),
    "weights and offset": Model(SLOPE + " + (1 | therapist_id)", _always(weights="n_items", offset="known")),
    "all": Model(
        SLOPE + " + (1 | mm(therapist_id))",
        lambda frame: _members(frame) | CAR1 | {"variance": "phase", "weights": "n_items", "offset": "known"},
    ),
}
on_every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def base():
    known = {}

    def fit(name: str):
        if name not in known:
            known[name] = MODELS[name].fit(FRAME)
            assert not known[name].singular
        return known[name]

    return fit


def deviance(fit) -> float:
    return float(fit.glance().iloc[0]["deviance"])


def assert_same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    errors = expected["std_error"].to_numpy()
    assert_allclose(found["estimate"] / errors, expected["estimate"] / errors, rtol=CLOSE, atol=CLOSE)
    assert_allclose(found["std_error"], errors, rtol=CLOSE)
    assert_allclose(found["df"], expected["df"], rtol=1e-3)


def assert_same_residuals(found, expected, unit: float = 1.0) -> None:
    """The same σ (times ``unit``), ρ and ratios."""
    assert_allclose(found.solution.sigma2, unit**2 * expected.solution.sigma2, rtol=1e-4)
    if expected.solution.residual is not None:
        assert_allclose(found.solution.residual.rho, expected.solution.residual.rho, rtol=1e-4)
        assert_allclose(found.solution.residual.ratios, expected.solution.residual.ratios, rtol=1e-4)


@on_every_model
@few
@given(seed=seeds)
def test_order_of_rows(base, name, seed):
    order = np.random.default_rng(seed).permutation(len(FRAME))
    fit, expected = MODELS[name].fit(FRAME.iloc[order]), base(name)
    assert_same_table(fit.table(), expected.table())
    assert_same_residuals(fit, expected)
    assert_allclose(deviance(fit), deviance(expected), rtol=1e-10)
    scale = FRAME["y"].std()
    assert_allclose(fit.fitted().to_numpy(), expected.fitted().to_numpy()[order], atol=CLOSE * scale)


@on_every_model
@few
@given(seed=seeds)
def test_names_of_ids(base, name, seed):
    rng = np.random.default_rng(seed)
    frame = FRAME.copy()
    for group in ("patient_id", "therapist_id"):
        names = sorted(set(frame[group]))
        frame[group] = frame[group].map(dict(zip(names, rng.permutation(10_000)[: len(names)], strict=True)))
    fit = MODELS[name].fit(frame)
    assert_same_table(fit.table(), base(name).table())
    assert_allclose(deviance(fit), deviance(base(name)), rtol=1e-10)


@on_every_model
@few
@given(scale=powers, shift=shifts, sign=signs)
def test_units_of_the_outcome(base, name, scale, shift, sign):
    c = sign * scale
    frame = FRAME.assign(y=c * (FRAME["y"] + shift), known=c * FRAME["known"])
    fit, expected = MODELS[name].fit(frame), base(name)
    table = expected.table()
    errors = table["std_error"]
    assert_allclose(
        fit.table()["estimate"] / c / errors, (table["estimate"] + [shift, 0, 0]) / errors, rtol=CLOSE, atol=CLOSE
    )
    assert_allclose(fit.table()["std_error"] / scale, errors, rtol=CLOSE)
    assert_allclose(fit.table()["df"], table["df"], rtol=1e-3)
    assert_same_residuals(fit, expected, scale)
    # −2 log L grows by (n − p) log c²
    assert_allclose(deviance(fit), deviance(expected) + 2 * N_FREE * np.log(scale), rtol=1e-9, atol=1e-7)


@on_every_model
@few
@given(scale=powers, shift=shifts, sign=signs)
def test_units_of_a_predictor(base, name, scale, shift, sign):
    if "||" in MODELS[name].formula:
        shift = 0.0  # another origin of x is another model where the effects may not correlate
    c = sign * scale
    fit, expected = MODELS[name].fit(FRAME.assign(x=c * (FRAME["x"] + shift))), base(name).table().set_index("term")
    found = fit.table().set_index("term")
    assert_allclose(c * found.loc["x", "estimate"], expected.loc["x", "estimate"], rtol=CLOSE)
    assert_allclose(scale * found.loc["x", "std_error"], expected.loc["x", "std_error"], rtol=CLOSE)
    assert_allclose(found.loc["week", "estimate"], expected.loc["week", "estimate"], rtol=CLOSE)
    assert_same_residuals(fit, base(name))
    # REML: |X'V⁻¹X| changes by c²
    assert_allclose(deviance(fit), deviance(base(name)) + 2 * np.log(scale), rtol=1e-9)


@pytest.mark.parametrize("name", ["car1", "all"])
@few
@given(scale=powers, shift=shifts)
def test_units_and_origin_of_time(base, name, scale, shift):
    """Only distances in time count, and ρ belongs to the unit; time as a predictor keeps its own column."""
    frame = FRAME.assign(day=scale * (FRAME["week"] + shift))
    fit, expected = MODELS[name].fit(frame, residual_time="day"), base(name)
    assert_same_table(fit.table(), expected.table())
    assert_allclose(deviance(fit), deviance(expected), rtol=0, atol=1e-7)
    rate = -np.log(expected.solution.residual.rho) / scale  # per new unit
    assert_allclose(fit.solution.residual.rho, np.exp(-rate), rtol=1e-4 * max(rate, 1))  # 0 where a unit is years


@pytest.mark.parametrize("name", ["weights and offset", "all"])
@few
@given(scale=powers)
def test_units_of_weights(base, name, scale):
    """Residual variance is σ² / weight: σ² takes the unit, and nothing else changes."""
    frame = FRAME.assign(n_items=scale * FRAME["n_items"])
    fit, expected = MODELS[name].fit(frame), base(name)
    assert_same_table(fit.table(), expected.table())
    assert_same_residuals(fit, expected, np.sqrt(scale))
    assert_allclose(deviance(fit), deviance(expected), rtol=1e-9)
    assert_allclose(fit.solution.started_from.sigma2, scale * expected.solution.started_from.sigma2, rtol=1e-9)
    assert_allclose(fit.residuals("standardised"), expected.residuals("standardised"), atol=CLOSE)
    # where a new outcome will lie: the row's own residual variance, σ² / weight, has no unit of weights
    bands = [f.predict(interval="prediction")[["ci_low", "ci_high"]].to_numpy() for f in (fit, expected)]
    assert_allclose(bands[0], bands[1], rtol=CLOSE, atol=CLOSE * FRAME["y"].std())


@pytest.mark.parametrize("name", ["weights and offset", "all"])
@few
@given(shift=shifts)
def test_a_constant_in_the_offset_moves_the_intercept(base, name, shift):
    fit, expected = MODELS[name].fit(FRAME.assign(known=FRAME["known"] + shift)), base(name).table()
    moved = fit.table().assign(estimate=lambda t: t["estimate"] + [shift, 0, 0])
    assert_same_table(moved, expected)
    assert_allclose(deviance(fit), deviance(base(name)), rtol=1e-9)


@pytest.mark.parametrize("name", ["variance", "all"])
def test_names_of_strata(base, name):
    """Under other names the other stratum is the first: σ is its own, and the ratio is turned over."""
    frame = FRAME.assign(phase=FRAME["phase"].map({"early": "z", "late": "a"}))
    fit, expected = MODELS[name].fit(frame), base(name)
    assert_same_table(fit.table(), expected.table())
    assert_allclose(deviance(fit), deviance(expected), rtol=1e-10)
    ours, theirs = fit.solution, expected.solution
    assert_allclose(ours.sigma2, theirs.sigma2 * theirs.residual.ratios[1] ** 2, rtol=1e-4)
    assert_allclose(ours.residual.ratios[1], 1 / theirs.residual.ratios[1], rtol=1e-4)


def test_whole_weights_are_not_copies_of_rows(base):
    """A weight of 2 halves the residual variance of one row; two rows would also say something about σ²."""
    twice = MODELS["weights and offset"].fit(pd.concat([FRAME, FRAME]), weights=None)
    halved = MODELS["weights and offset"].fit(FRAME.assign(n_items=2.0))
    plain = MODELS["weights and offset"].fit(FRAME, weights=None)
    assert_same_table(halved.table(), plain.table())
    assert_allclose(halved.solution.sigma2, 2 * plain.solution.sigma2, rtol=1e-6)
    assert twice.table()["std_error"][2] < 0.9 * plain.table()["std_error"][2]
