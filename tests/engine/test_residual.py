"""Residual structures of the engine against the same model in n × n matrices (``dense.py``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from dense import Dense, covariance, one_block
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from alliance_stats.engine.mixed import kenward_roger_residual
from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import GroupingFactor, Membership, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.residual import ResidualStructure, classify
from alliance_stats.engine.mixed.residual_basis import ResidualBasis
from alliance_stats.engine.mixed.residual_rows import colour, row_scale, whiten

N_PATIENTS, N_SESSIONS, N_THERAPISTS = 9, 5, 4
#: Step of central differences.
STEP = 1e-5


@dataclass(frozen=True)
class Case:
    """A design, and the times and patients that its residual structure was made from."""

    design: MixedDesign
    time: np.ndarray
    patient: np.ndarray

    def r(self, parameters: np.ndarray) -> np.ndarray:
        """Residual covariance relative to σ², element by element."""
        structure = self.design.residual
        model = classify(structure)[0].model
        scale = np.exp(model.log_ratios(parameters))[structure.stratum]
        if structure.weight is not None:
            scale = scale / np.sqrt(structure.weight)
        r = np.eye(self.time.size)
        if structure.correlation != "none":
            apart = np.abs(self.time[:, None] - self.time)
            rho = model.rho(parameters)
            decay = np.power(rho, np.round(apart).astype(int)) if structure.correlation == "ar1" else rho**apart
            r = np.where(self.patient[:, None] == self.patient, decay, 0.0)
        return r * scale[:, None] * scale

    def evaluation(self, parameters, matrices, reml) -> Evaluation:
        point = ResidualBasis(self.design).point(parameters)
        return Evaluation(point.statistics, state(self.design.factors, matrices), reml, point)

    def dense(self, at, reml) -> Dense:
        """The model at a state."""
        return Dense(self.design, at.covariance.matrices, reml, self.r(at.residual))


def make_case(seed, correlation="car1", strata=1, weights=False, membership=False, outer_effects=1, own=True) -> Case:
    """Rows in random order; a third of the sessions with another therapist than the patient's first.

    Patients have an intercept and a slope of their ``own``, or only carry the correlation.
    """
    rng = np.random.default_rng(seed)
    n = N_PATIENTS * N_SESSIONS
    patient = np.repeat(np.arange(N_PATIENTS), N_SESSIONS)
    gaps = rng.random(n) * 2 + 0.1 if correlation == "car1" else rng.integers(1, 4, n)
    time = np.cumsum(gaps).astype(float)
    order = rng.permutation(n)
    place = np.argsort(order)
    previous = np.where(np.arange(n) % N_SESSIONS > 0, place[np.arange(n) - 1], -1)[order]
    gap = np.where(previous >= 0, np.append(0, np.diff(time))[order], 0.0)
    patient, time = patient[order], time[order]
    if correlation == "none":
        previous, gap = np.full(n, -1), np.zeros(n)
    therapist = np.where(rng.random(n) < 0.3, rng.integers(0, N_THERAPISTS, n), patient % N_THERAPISTS)
    x, z = rng.normal(size=n), rng.normal(size=n)
    structure = ResidualStructure(
        correlation, previous, gap, rng.integers(0, strata, n), strata, rng.random(n) + 0.5 if weights else None
    )
    second = one_block("therapist", therapist, tuple(range(outer_effects)), N_THERAPISTS)
    if membership:
        level = np.array([0, 1, 1, 2, 2, 3, 0, 3, 1, 3, 0, 2])
        weight = np.array([0.5, 0.5, 0.3, 0.7, 0.2, 0.8, 0.5, 0.5, 0.6, 0.4, 0.9, 0.1])
        patterns = Membership(np.repeat(np.arange(6), 2), level, weight)
        second = GroupingFactor(
            "therapist", rng.integers(0, 6, n), N_THERAPISTS, second.effects, second.blocks, patterns
        )
    first = (
        one_block("patient", patient, (0, 1), N_PATIENTS)
        if own
        else GroupingFactor("patient", patient, N_PATIENTS, (), ())
    )
    factors = (first, second)
    return Case(MixedDesign(rng.normal(size=n) + x, [None, x, z], (0, 1, 2), factors, structure), time, patient)


STRUCTURES = {
    "ar1": {"correlation": "ar1"},
    "car1": {"correlation": "car1"},
    "strata": {"correlation": "none", "strata": 3},
    "weights and strata": {"correlation": "none", "strata": 2, "weights": True},
    "ar1, strata": {"correlation": "ar1", "strata": 3},
    "car1, strata, weights": {"correlation": "car1", "strata": 2, "weights": True},
    "car1, therapist slopes": {"correlation": "car1", "outer_effects": 2},
    "car1, strata, membership": {"correlation": "car1", "strata": 2, "membership": True},
    "ar1, strata, patients without effects": {"correlation": "ar1", "strata": 2, "own": False},
    "ar1, membership, therapist slopes": {"correlation": "ar1", "membership": True, "outer_effects": 2},
}


@pytest.fixture(params=[*STRUCTURES], scope="module")
def case(request):
    return make_case(3, **STRUCTURES[request.param])


def _point(case, seed=5):
    rng = np.random.default_rng(seed)
    k = classify(case.design.residual)[0].model.n_parameters
    return 0.5 * rng.normal(size=k), [covariance(rng, factor.n_effects) for factor in case.design.factors]


@pytest.mark.parametrize("reml", [True, False])
def test_value_and_estimates_equal_the_dense_model(case, reml):
    ours = case.evaluation(*_point(case), reml)
    dense = case.dense(ours.state, reml)
    assert_allclose(ours.value, dense.value, rtol=1e-12)
    assert_allclose(ours.beta, dense.beta, rtol=1e-9)
    assert_allclose(ours.sigma2, dense.sigma2, rtol=1e-11)


@pytest.mark.parametrize("reml", [True, False])
def test_gradient_is_the_slope_of_the_dense_criterion(case, reml):
    ours = case.evaluation(*_point(case), reml)
    slopes = []
    for step in np.eye(ours.state.values.size) * STEP:
        ends = [case.dense(ours.state.moved(ours.state.values + side * step), reml).value for side in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * STEP))
    assert_allclose(ours.gradient, slopes, rtol=1e-6, atol=1e-6)  # central differences are good to 1e-7 here


def _slopes_of_v(case, ours):
    slopes = []
    for step in np.eye(ours.state.values.size) * STEP:
        ends = [case.dense(ours.state.moved(ours.state.values + side * step), True).v for side in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * STEP))
    return slopes


def test_average_information_equals_the_dense_one(case):
    ours = case.evaluation(*_point(case), True)
    dense = case.dense(ours.state, True)
    residual = dense.projection @ case.design.outcome
    q = np.column_stack([slope @ residual for slope in _slopes_of_v(case, ours)])
    sums = residual @ q / dense.rss
    expected = dense.n_free * (q.T @ dense.projection @ q / dense.rss - np.outer(sums, sums))
    assert_allclose(ours.average_information, expected, rtol=1e-6, atol=1e-6)


def test_kenward_roger_matrices_equal_the_dense_ones(case, monkeypatch):
    # all parameters, as if this were an optimum inside the parameter space
    monkeypatch.setattr(
        kenward_roger_residual, "interior_parameters", lambda e: np.ones(e.state.values.size, dtype=bool)
    )
    ours = case.evaluation(*_point(case), True)
    p, q, _ = kenward_roger_residual.residual_products(ours)
    dense = case.dense(ours.state, True)
    x = dense.x @ ours.fixed_root
    slopes = [*_slopes_of_v(case, ours), dense.v]
    left = [x.T @ dense.v_inverse @ slope @ dense.v_inverse for slope in slopes]
    assert_allclose(p, [-half @ x for half in left], atol=1e-7)
    expected = [[half @ slope @ dense.v_inverse @ x for slope in slopes] for half in left]
    assert_allclose(q, expected, atol=1e-6)


def test_whitened_rows_have_unit_covariance(case):
    parameters = _point(case)[0]
    structure = case.design.residual
    model = classify(structure)[0].model
    n = case.design.n_obs
    w = np.column_stack([whiten(structure, model, parameters, unit) for unit in np.eye(n)])
    assert_allclose(w @ case.r(parameters) @ w.T, np.eye(n), atol=1e-11)
    assert_allclose(w @ colour(structure, model, parameters, np.eye(n)), np.eye(n), atol=1e-11)
    assert_allclose(row_scale(structure, model, parameters) ** 2, np.diag(case.r(parameters)), rtol=1e-12)


@pytest.mark.parametrize("name", ["ar1", "car1", "strata", "ar1, strata"])
def test_optimum_is_that_of_an_independent_search(name):
    case = make_case(11, **STRUCTURES[name])
    fit = fit_mixed(case.design)
    rng = np.random.default_rng(0)
    k = fit.state.residual.size

    def criterion(v):
        root = np.array([[v[0], 0], [v[1], v[2]]])
        return Dense(case.design, (root @ root.T, np.array([[v[3] ** 2]])), True, case.r(v[4:])).value

    starts = [np.append(0.7 * rng.normal(size=4), 0.5 * rng.normal(size=k)) for _ in range(5)]
    best = min(minimize(criterion, start, method="BFGS").fun for start in starts)
    assert fit.story.converged
    assert abs(fit.criterion - best) < 1e-6  # where a parameter runs to its limit, the limits differ


def test_correlation_at_its_limit_is_said():
    rng = np.random.default_rng(1)
    case = make_case(2, "car1")
    independent = rng.normal(size=N_PATIENTS)[case.patient] + rng.normal(size=case.time.size)
    fits = []
    for sign in (1.0, -1.0):  # residuals that alternate from session to session: no correlation ≥ 0 fits better than 0
        flips = np.argsort(np.argsort(case.time)) % 2 * 2 - 1.0
        y = independent + 3 * sign * flips
        fits.append(fit_mixed(MixedDesign(y, case.design.columns, (0,), case.design.factors, case.design.residual)))
    for fit in fits:
        assert fit.story.converged
        assert fit.residual.on_boundary[0]
        assert fit.residual.rho < 1e-3
