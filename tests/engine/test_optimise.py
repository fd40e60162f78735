"""The optimiser: the boundary, the honest end, and the best optimum on hard little problems."""

from __future__ import annotations

import numpy as np
import pytest
from dense import one_block
from near_singular import optima, problem
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed import optimise as module
from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.optimise import optimise
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.statistics import collect
from alliance_stats.engine.mixed.story import free_parameters

#: A division by zero in a fit is a fault, even where its result is not used.
pytestmark = pytest.mark.filterwarnings("error")


def least_of_many_starts(design: MixedDesign, reml: bool, n_starts: int) -> float:
    return float(optima(design, reml, n_starts).min())


def fit(design: MixedDesign, reml: bool = True):
    """Fit in standardised coordinates; the criterion comes back in those of the data."""
    standard, coordinates = standardise(design)
    evaluation, story = optimise(collect(standard), standard.factors, reml)
    return evaluation, story, evaluation.value + coordinates.criterion_to_raw(design.n_obs, reml)


# ---- the boundary -----------------------------------------------------------------------------------------------


def _without_intercept_variance(seed: int = 1) -> MixedDesign:
    """Groups differ in their slopes, and less in their intercepts than chance alone would make them."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(12), 6)
    x = np.tile(np.linspace(-1, 1, 6), 12)
    noise = rng.normal(size=codes.size)
    noise -= (np.bincount(codes, noise) / 6)[codes]  # every group has mean zero
    return MixedDesign(2 * rng.normal(size=12)[codes] * x + noise, [None, x], (0, 1), (one_block("g", codes, (0, 1)),))


@pytest.mark.parametrize("reml", [True, False])
def test_first_pivot_zero_beside_a_slope_variance_that_is_not(reml):
    design = _without_intercept_variance()
    evaluation, story, value = fit(design, reml)
    d = evaluation.covariance.matrices[0]
    assert story.converged
    assert d[0, 0] < 1e-9 < 1 < d[1, 1]
    assert value - least_of_many_starts(design, reml, 6) < 1e-6


@pytest.mark.parametrize("start", [[[1.0, 0], [0, 0]], [[0, 0], [0, 1e-3]], [[1, -1], [-1, 1]], [[0, 0], [0, 0]]])
def test_leaves_a_corner_when_it_starts_in_one(start):
    design, _ = standardise(_without_intercept_variance())
    evaluate = module._Counter(collect(design), True)
    run = module._run(evaluate, State(state(design.factors, [np.array(start, float)])))
    _, story, _ = fit(_without_intercept_variance())
    assert run is not None
    assert run[1].converged
    assert_allclose(run[1].value, story.value, atol=1e-7)


def _held_by_every_coordinate() -> MixedDesign:
    """A design at which, from no variance, neither the intercept's nor the slope's helps, but the two together do."""
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        codes, x = np.repeat(np.arange(8), 3), rng.normal(size=24)
        design = MixedDesign(rng.normal(size=24), [None, x], (0, 1), (one_block("g", codes, (0, 1)),))
        gamma = Evaluation(collect(design), state(design.factors, [np.zeros((2, 2))]), True).gradient_matrices[0]
        if min(np.diag(gamma)) > 0.5 and np.linalg.eigvalsh(gamma)[0] < -0.5:
            return design
    raise AssertionError("no such design among 2000")


def test_escapes_where_only_a_mixture_of_effects_helps():
    design = _held_by_every_coordinate()
    statistics = collect(design)
    at_zero = Evaluation(statistics, state(design.factors, [np.zeros((2, 2))]), True)
    assert not free_parameters(at_zero).any()  # Newton's method sees nothing to do
    evaluation, story = module._run(module._Counter(statistics, True), at_zero.state)
    assert story.converged
    assert evaluation.value < at_zero.value - 1e-3
    assert evaluation.value - least_of_many_starts(design, True, 4) < 1e-6


def test_boundary_is_accepted_only_when_the_gradient_points_out_of_it():
    evaluation, story, _ = fit(_without_intercept_variance())
    gamma = evaluation.gradient_matrices[0]
    scale = np.sqrt(evaluation.statistics.n_obs)
    assert np.linalg.eigvalsh(gamma)[0] > -1e-6 * scale
    assert_allclose(story.least_eigenvalue, [np.linalg.eigvalsh(gamma)[0]])
    # complementarity: variance only where more of it would not help
    assert abs(np.sum(gamma * evaluation.covariance.matrices[0])) < 1e-5


def test_no_variance_at_all_is_found_exactly():
    # every group has the same mean, so the estimated variance between groups is zero, not small
    codes = np.repeat(np.arange(5), 4)
    design = MixedDesign(np.tile([1.0, 2, 3, 5], 5), [None], (0,), (one_block("g", codes, (0,)),))
    evaluation, story, _ = fit(design)
    assert story.converged
    assert evaluation.covariance.matrices[0][0, 0] == 0.0


# ---- an honest end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2])
def test_the_step_limit_is_never_called_convergence(monkeypatch, limit):
    monkeypatch.setattr(module, "_MAX_STEPS", limit)
    _, story, _ = fit(problem(0)[0])
    assert not story.converged
    assert story.message.startswith("Did not converge")


def test_story_tells_what_was_done():
    evaluation, story, _ = fit(problem(0)[0])
    assert story.converged
    assert story.value == evaluation.value
    assert story.evaluations > story.steps >= 1
    assert 1 <= story.starts <= 1 + len(module._MORE_STARTS)
    assert story.gradient_norm < 1e-3
    assert len(story.least_eigenvalue) == 1
    assert story.message.startswith("Converged after")


def test_the_optimum_is_a_stationary_point_inside_the_space():
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(40), 8)
    x = np.tile(np.arange(8.0), 40)
    y = rng.normal(size=40)[codes] + 0.5 * rng.normal(size=40)[codes] * x + rng.normal(size=320)
    design = MixedDesign(y, [None, x], (0, 1), (one_block("g", codes, (0, 1)),))
    evaluation, _, _ = fit(design)
    assert np.linalg.eigvalsh(evaluation.covariance.matrices[0])[0] > 0
    assert_allclose(evaluation.gradient_matrices[0], 0, atol=1e-5)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("size", [None, *module._MORE_STARTS])
def test_no_single_run_claims_convergence_while_a_derivative_is_left(size, reml):
    # From these starts a first step promises 1e25, because average information about a pivot is next to nothing; a
    # second one that promises 0.01 must not pass for convergence by a factor of 1e27.
    design, _ = standardise(_without_intercept_variance())
    statistics = collect(design)
    start = module._start(statistics, design.factors, size)
    evaluation, story = module._run(module._Counter(statistics, reml), start, careful=size is not None)
    assert story.converged
    assert story.gradient_norm < 1e-4
    assert evaluation.covariance.matrices[0][0, 0] < 1e-9


def test_later_starts_do_not_throw_variances_to_zero_at_once():
    # problem 590 of near_singular.py: from every start of equal variances a full Newton step sends the first factor to
    # zero, a strict local optimum .057 above the best, where both factors have covariances of rank one
    design, reml = problem(590)
    _, story, value = fit(design, reml)
    assert story.converged
    assert value - least_of_many_starts(design, reml, 4) < 1e-6


def test_curvature_that_points_down_is_not_taken_for_the_end(monkeypatch):
    # rounding can make average information indefinite; a step along it promises less than nothing, which is no optimum
    _, story, value = fit(problem(0)[0])
    upside_down = property(lambda self, usual=Evaluation.average_information: -usual.compute(self))
    monkeypatch.setattr(Evaluation, "average_information", upside_down)
    _, other, found = fit(problem(0)[0])
    assert story.converged
    assert other.converged
    assert_allclose(found, value, rtol=0, atol=1e-8)
