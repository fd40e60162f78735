"""What must not matter does not matter: the order of rows, the names of ids, the units of predictors and outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import alliance_stats as als

FORMULAS = {
    "slope": "y ~ x + session + (1 + x | patient)",
    "crossed": "y ~ x + session + (1 | patient) + (1 | therapist)",
    "crossed slopes": "y ~ x + session + (1 + x | patient) + (1 + x | therapist)",
}
few = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32 - 1)
powers = st.sampled_from([1e-6, 1e-3, 0.5, 40.0, 1e3, 1e6])
shifts = st.sampled_from([-1e3, -7.0, 0.0, 2.5, 2020.0])


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    patient, therapist = np.repeat(np.arange(20), 6), rng.integers(7, size=120)
    x, session = rng.normal(size=120), np.tile(np.arange(6.0), 20)
    y = 5 + 0.6 * x - 0.3 * session + (1.2 * rng.normal(size=20))[patient] + (0.7 * rng.normal(size=20))[patient] * x
    y += (1.5 * rng.normal(size=7))[therapist] + (0.8 * rng.normal(size=7))[therapist] * x + rng.normal(size=120)
    return pd.DataFrame(
        {
            "patient": [f"p{k}" for k in patient],
            "therapist": [f"t{k}" for k in therapist],
            "x": x,
            "session": session,
            "y": y,
        }
    )


FRAME = _frame()
#: Estimates agree to this share of their size or standard error: two runs of an optimiser end this close.
CLOSE = 1e-5


@pytest.fixture(scope="module", params=FORMULAS)
def base(request):
    fit = als.mixed(FORMULAS[request.param], FRAME)
    assert fit.converged
    assert not fit.singular
    return fit


def refit(base, frame: pd.DataFrame):
    fit = als.mixed(base.formula.text, frame, base.method)
    assert fit.converged
    return fit


def assert_same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found["term"].tolist() == expected["term"].tolist()
    errors = expected["std_error"].to_numpy()
    assert_allclose(found["estimate"] / errors, expected["estimate"] / errors, rtol=CLOSE, atol=CLOSE)
    assert_allclose(found["std_error"], errors, rtol=CLOSE)
    assert_allclose(found["df"], expected["df"], rtol=1e-3)


def deviance(fit) -> float:
    return float(fit.glance().iloc[0]["deviance"])


def random_covariance(fit) -> np.ndarray:
    return fit.solution.random_covariances[0]


@few
@given(seed=seeds)
def test_order_of_rows(base, seed):
    order = np.random.default_rng(seed).permutation(len(FRAME))
    fit = refit(base, FRAME.iloc[order])
    assert_same_table(fit.table(), base.table())
    assert_allclose(deviance(fit), deviance(base), rtol=1e-10)
    ours = fit.random("patient").sort_values(["level", "term"], ignore_index=True)
    expected = base.random("patient").sort_values(["level", "term"], ignore_index=True)
    assert ours["level"].tolist() == expected["level"].tolist()
    scale = expected["estimate"].std()
    assert_allclose(ours["estimate"] / scale, expected["estimate"] / scale, atol=CLOSE)
    # fitted values follow their rows
    assert_allclose(fit.fitted().to_numpy(), base.fitted().to_numpy()[order], atol=CLOSE * scale)


@few
@given(seed=seeds)
def test_names_of_ids(base, seed):
    rng = np.random.default_rng(seed)
    frame = FRAME.copy()
    for group in ("patient", "therapist"):
        names = sorted(set(frame[group]))
        frame[group] = frame[group].map(dict(zip(names, rng.permutation(10_000)[: len(names)], strict=True)))
    fit = refit(base, frame)
    assert_same_table(fit.table(), base.table())
    assert_allclose(deviance(fit), deviance(base), rtol=1e-10)
    assert_allclose(fit.random("patient")["estimate"], base.random("patient")["estimate"], atol=1e-4)


def test_a_second_copy_of_the_data_with_other_ids_doubles_the_likelihood(base):
    """Under ML and without therapists in common, two independent copies have twice the −2 log-likelihood."""
    ml = als.mixed(base.formula.text, FRAME, "ML")
    both = pd.concat([FRAME, FRAME.assign(patient=FRAME["patient"] + "'", therapist=FRAME["therapist"] + "'")])
    both = both.iloc[np.random.default_rng(8).permutation(len(both))]
    twice = als.mixed(base.formula.text, both, "ML")
    assert_allclose(deviance(twice), 2 * deviance(ml), rtol=1e-9)
    assert_allclose(twice.table()["std_error"] * np.sqrt(2), ml.table()["std_error"], rtol=CLOSE)


@few
@given(scale=powers, shift=shifts, sign=st.sampled_from([1, -1]))
def test_units_of_a_fixed_predictor(base, scale, shift, sign):
    c = sign * scale
    fit = refit(base, FRAME.assign(session=c * FRAME["session"] + shift * scale))
    expected = base.table().set_index("term")
    found = fit.table().set_index("term")
    # the slope is divided by c; the intercept moves by shift times the slope; the rest stays
    assert_allclose(c * found.loc["session", "estimate"], expected.loc["session", "estimate"], rtol=CLOSE)
    assert_allclose(scale * found.loc["session", "std_error"], expected.loc["session", "std_error"], rtol=CLOSE)
    assert_allclose(found.loc["session", "df"], expected.loc["session", "df"], rtol=1e-3)
    moved = found.loc["(Intercept)", "estimate"] + shift * scale * found.loc["session", "estimate"]
    assert_allclose(moved, expected.loc["(Intercept)", "estimate"], rtol=CLOSE, atol=1e-6)
    for column in ("estimate", "std_error"):
        assert_allclose(found.loc["x", column], expected.loc["x", column], rtol=CLOSE)
    # REML: |X'V⁻¹X| changes by c², so the criterion by 2 log c
    assert_allclose(deviance(fit), deviance(base) + 2 * np.log(scale), rtol=1e-9)
    assert_allclose(fit.variance()["vcov"], base.variance()["vcov"], rtol=1e-4)


@pytest.mark.parametrize("base", [name for name, text in FORMULAS.items() if "1 + x" in text], indirect=True)
@few
@given(scale=powers, shift=shifts, sign=st.sampled_from([1, -1]))
def test_units_of_a_predictor_with_random_slopes(base, scale, shift, sign):
    c = sign * scale
    fit = refit(base, FRAME.assign(x=c * (FRAME["x"] + shift)))
    found, expected = fit.table().set_index("term"), base.table().set_index("term")
    assert_allclose(c * found.loc["x", "estimate"], expected.loc["x", "estimate"], rtol=CLOSE)
    assert_allclose(deviance(fit), deviance(base) + 2 * np.log(scale), rtol=1e-9)
    # a + b x = (a − b s) + (b / c) · c (x + s): the effects turn by this matrix, and their covariance with it
    turn = np.array([[1.0, -shift], [0.0, 1 / c]])
    turned = turn @ random_covariance(base) @ turn.T
    size = np.sqrt(np.outer(np.diag(turned), np.diag(turned)))
    assert_allclose(random_covariance(fit) / size, turned / size, atol=1e-4)


@few
@given(scale=powers, shift=shifts, sign=st.sampled_from([1, -1]))
def test_units_of_the_outcome(base, scale, shift, sign):
    fit = refit(base, FRAME.assign(y=sign * scale * (FRAME["y"] + shift)))
    found, expected = fit.table(), base.table()
    estimates = expected["estimate"] + np.array([shift, 0, 0])
    errors = expected["std_error"]
    assert_allclose(sign * found["estimate"] / scale / errors, estimates / errors, rtol=CLOSE, atol=CLOSE)
    assert_allclose(found["std_error"] / scale, errors, rtol=CLOSE)
    assert_allclose(found["df"], expected["df"], rtol=1e-3)
    assert_allclose(fit.variance()["vcov"] / scale**2, base.variance()["vcov"], rtol=1e-4)
    # 120 rows less 3 fixed effects are free: −2 log L grows by (n − p) log c²
    assert_allclose(deviance(fit), deviance(base) + 2 * 117 * np.log(scale), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_the_outcome_under_ml(scale):
    formula = FORMULAS["crossed"]
    fits = [als.mixed(formula, FRAME.assign(y=FRAME["y"] * c), "ML") for c in (1.0, scale)]
    # all 120 rows are free under ML
    assert_allclose(deviance(fits[1]), deviance(fits[0]) + 2 * 120 * np.log(scale), rtol=1e-9)


def test_the_order_of_terms_does_not_matter():
    one = als.mixed("y ~ x + session + (1 | patient) + (1 | therapist)", FRAME)
    other = als.mixed("y ~ (1 | therapist) + session + (1 | patient) + x", FRAME)
    found = other.table().set_index("term").loc[one.table()["term"]].reset_index()
    assert_same_table(found, one.table())
    assert_allclose(deviance(other), deviance(one), rtol=1e-10)


def test_the_same_category_under_another_reference_fits_the_same():
    frame = FRAME.assign(phase=np.where(FRAME["session"] > 2, "late", "early"))
    other = frame.assign(phase=pd.Categorical(frame["phase"], ["late", "early"]))
    one, two = (als.mixed("y ~ phase + (1 | patient)", f, "ML") for f in (frame, other))
    assert_allclose(deviance(one), deviance(two), rtol=1e-10)
    assert_allclose(one.table()["estimate"][1], -two.table()["estimate"][1], rtol=1e-7)
    assert_allclose(one.fitted(), two.fitted(), rtol=1e-6)
