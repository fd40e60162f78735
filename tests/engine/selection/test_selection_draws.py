"""Draws that are fitted all at once have the estimates of draws fitted one by one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.selection import draws
from alliance_stats.engine.selection.fit import fit_selection
from alliance_stats.engine.selection.likelihood import Problem, evaluate
from alliance_stats.engine.selection.weight_functions import SmoothWeights, StepWeights

MODELS = {
    "one step": (np.array([0.025, 1.0]), None),
    "two steps": (np.array([0.025, 0.5, 1.0]), None),
    "weights given": (np.array([0.01, 0.05, 0.5, 1.0]), np.array([1.0, 0.8, 0.5, 0.2])),
    "no selection": (np.array([1.0]), np.array([1.0])),
}


def made(model, k=60, p=1, seed=3, z_shift=0.0):
    draw = np.random.default_rng(seed)
    v = draw.uniform(0.005, 0.1, k)
    y = 0.2 + z_shift + draw.normal(size=k) * np.sqrt(v + 0.02)
    x = np.column_stack([np.ones(k), draw.normal(size=(k, p - 1))])
    steps, given = MODELS[model]
    return Problem(y, v, x, StepWeights(y / np.sqrt(v), v, steps, False, given))


def drawn(k, n, seed=4):
    draw = np.random.default_rng(seed)
    return np.array([np.bincount(draw.integers(k, size=k), minlength=k) for _ in range(n)], dtype=float)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_value_gradient_and_hessian_are_those_of_one_draw(model, p):
    of = made(model, p=p)
    counts = drawn(60, 5)
    draw = np.random.default_rng(1)
    m = p + 1 + of.weights.lower.size
    theta = np.abs(draw.normal(0.3, 0.2, (5, m)))
    value, gradient, hessian = draws._Draws.of(of, counts).evaluate(theta)
    for at in range(5):
        one = evaluate(replace(of, counts=counts[at]), theta[at])
        assert_allclose(value[at], one.value, rtol=1e-12)
        assert_allclose(gradient[at], one.gradient, rtol=1e-9, atol=1e-9)
        assert_allclose(hessian[at], one.hessian, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("equal", [False, True], ids=["random", "equal"])
@pytest.mark.parametrize("model", MODELS)
def test_estimates_are_those_of_draws_fitted_one_by_one(model, equal):
    of, counts = made(model, p=2), drawn(60, 25)
    start = np.r_[0.2, 0.0, 0.02, np.full(of.weights.lower.size, 0.7)]
    theta, converged = draws.fit_draws(of, counts, start, equal)
    for at in range(25):
        one = fit_selection(replace(of, counts=counts[at]), equal, start)
        assert converged[at] == one.converged
        # both climbs stop by the same rule after the same steps: only sums in another order differ
        assert_allclose(theta[at], np.r_[one.beta, one.tau2, one.delta], rtol=1e-7, atol=1e-9)


def test_effects_far_beyond_the_steps_end_as_one_by_one():
    # nearly all z far above the step: a flat likelihood, weights that run to their bounds
    of, counts = made("one step", z_shift=1.0, k=30), drawn(30, 20)
    enough = np.array([(counts[:, of.weights.interval == at] > 0).any(axis=1) for at in (0, 1)]).all(axis=0)
    assert enough.sum() >= 5
    start = np.r_[1.0, 0.02, 0.7]
    theta, converged = draws.fit_draws(of, counts[enough], start)
    for own, found, fine in zip(counts[enough], theta, converged, strict=True):
        one = fit_selection(replace(of, counts=own), False, start)
        assert fine == one.converged
        assert_allclose(found, np.r_[one.beta, one.tau2, one.delta], rtol=1e-6, atol=1e-8)


def test_a_draw_of_all_effects_once_is_the_fit_of_the_sample():
    of = made("two steps", k=200)
    whole = fit_selection(of)
    start = np.r_[0.1, 0.05, 0.5, 0.5]
    theta, converged = draws.fit_draws(of, np.ones((2, 200)), start)
    assert converged.all()
    assert_allclose(theta, np.tile(np.r_[whole.beta, whole.tau2, whole.delta], (2, 1)), rtol=1e-6)


def test_without_selection_the_mean_of_equal_effects_is_the_weighted_mean():
    of, counts = made("no selection"), drawn(60, 7)
    theta, converged = draws.fit_draws(of, counts, np.r_[0.0, 0.0], equal=True)
    weight = counts / of.v
    assert converged.all()
    assert_allclose(theta[:, 0], (weight @ of.y) / weight.sum(axis=1), rtol=1e-10)  # Σ w y / Σ w, by hand


def test_only_one_sided_steps_are_fitted_together():
    of = made("one step")
    assert draws.can_fit(of)
    assert not draws.can_fit(replace(of, weights=replace(of.weights, two_sided=True)))
    assert not draws.can_fit(replace(of, weights=SmoothWeights(of.weights.z, of.v, "beta")))
    assert draws.draws_at_once(of) == 833  # 100 000 over 60 effects and 2 cells
    assert draws.draws_at_once(replace(of, y=np.zeros(10**6))) == 1
