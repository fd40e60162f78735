"""Degrees of freedom and the derivatives behind them."""

from __future__ import annotations

import numpy as np
import pytest
from dense import Dense, covariance, engine, make_design, one_block
from numpy.testing import assert_allclose
from scipy import stats

from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.inference import infer
from alliance_stats.engine.mixed.optimise import observed_hessian
from alliance_stats.engine.mixed.story import free_parameters


def _one_way(m: int, k: int, seed: int) -> MixedDesign:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(m), k)
    return MixedDesign(
        3 * rng.normal(size=m)[codes] + rng.normal(size=m * k), [None], (0,), (one_block("g", codes, (0,)),)
    )


@pytest.mark.parametrize(("m", "k"), [(5, 4), (12, 3), (30, 2)])
def test_balanced_one_way_layout_has_m_minus_1_degrees_of_freedom(m, k):
    design = _one_way(m, k, seed=m)
    solution = fit_mixed(design)
    # by hand: the mean's variance is MSB / (m k), and MSB is χ² with m − 1
    assert_allclose(solution.inference.satterthwaite(np.eye(1)), [m - 1], rtol=1e-5)
    means = design.outcome.reshape(m, k).mean(axis=1)
    assert_allclose(solution.covariance[0, 0], means.var(ddof=1) / m, rtol=1e-9)


@pytest.mark.parametrize("residual_sd", [1.0, 0.1, 1e-2, 1e-3])
def test_degrees_of_freedom_of_a_slope_do_not_depend_on_the_size_of_the_residuals(residual_sd):
    # Balanced growth: the fixed effects are means of the groups' own intercepts and slopes, with 19 degrees of freedom
    # each while the variances are above zero. Where residuals are small, relative variances are large (1e6) beside the
    # ratios of order 1 that share the Hessian with them.
    rng = np.random.default_rng(1)
    codes, time = np.repeat(np.arange(20), 5), np.tile(np.arange(5.0), 20)
    effects, noise = rng.normal(size=(2, 20)), rng.normal(size=100)
    outcome = 3 * effects[0, codes] + 3 * effects[1, codes] * time + residual_sd * noise
    design = MixedDesign(outcome, [None, time], (0, 1), (one_block("g", codes, (0, 1)),))
    # a Hessian by differences keeps fewer digits as the variances grow
    assert_allclose(fit_mixed(design).inference.satterthwaite(np.eye(2)), [19, 19], rtol=1e-6 / min(residual_sd, 0.1))


def test_paired_design_is_the_paired_t_test():
    rng = np.random.default_rng(3)
    before = rng.normal(size=15) * 2
    after = before + 0.7 + rng.normal(size=15)
    codes, time = np.repeat(np.arange(15), 2), np.tile([0.0, 1.0], 15)
    y = np.column_stack([before, after]).ravel()
    solution = fit_mixed(MixedDesign(y, [None, time], (0, 1), (one_block("g", codes, (0,)),)))
    expected = stats.ttest_rel(after, before)
    assert_allclose(solution.beta[1] / np.sqrt(solution.covariance[1, 1]), expected.statistic, rtol=1e-8)
    assert_allclose(solution.inference.satterthwaite(np.array([[0.0, 1.0]])), [expected.df], rtol=1e-5)


def test_without_group_variance_the_residual_degrees_of_freedom_remain():
    # every group has the same mean, so the model is a plain mean of 20 values: df = 20 − 1
    codes = np.repeat(np.arange(5), 4)
    solution = fit_mixed(MixedDesign(np.tile([1.0, 2, 3, 5], 5), [None], (0,), (one_block("g", codes, (0,)),)))
    assert solution.rank_deficient == (True,)
    assert_allclose(solution.inference.satterthwaite(np.eye(1)), [19.0], rtol=1e-10)
    assert_allclose(solution.covariance[0, 0], np.tile([1.0, 2, 3, 5], 5).var(ddof=1) / 20, rtol=1e-10)


def test_degrees_of_freedom_do_not_depend_on_units():
    design = _one_way(8, 4, seed=1)
    expected = fit_mixed(design).inference.satterthwaite(np.eye(1))
    for size in (1e-12, 1e-6, 1e6, 1e12):
        scaled = MixedDesign(design.outcome * size, [None], (0,), design.factors)
        assert_allclose(fit_mixed(scaled).inference.satterthwaite(np.eye(1)), expected, rtol=1e-6)


def test_a_contrast_of_nothing_has_no_finite_degrees_of_freedom():
    with np.errstate(all="raise", divide="ignore"):
        assert fit_mixed(_one_way(8, 4, seed=1)).inference.satterthwaite(np.zeros((1, 1))) == np.inf


#: Crossed and nested designs whose covariances lie well inside the space.
DESIGNS = {
    "inner": {"sizes": [(15, 2)]},
    "crossed slopes": {"sizes": [(15, 2), (6, 2)]},
    "big block": {"sizes": [(45, 1), (38, 1)], "n_obs": 140},
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_derivatives_of_the_fixed_covariance_equal_differences(name, reml):
    design = make_design(5, **DESIGNS[name])
    rng = np.random.default_rng(6)
    matrices = tuple(covariance(rng, q) + 0.3 * np.eye(q) for _, q in DESIGNS[name]["sizes"])
    ours = engine(design, matrices, reml)
    found = infer(ours)
    sigma2 = ours.sigma2
    step = 1e-5
    for r in range(ours.covariance.values.size):
        ends = []
        for sign in (1, -1):
            values = ours.covariance.values.copy()
            values[r] += sign * step
            dense = Dense(design, ours.covariance.moved(values).matrices, reml)
            ends.append(sigma2 * np.linalg.inv(dense.information))  # at the same residual variance
        expected = (ends[0] - ends[1]) / (2 * step)
        assert_allclose(found.derivatives[r], expected, rtol=1e-5, atol=1e-7 * np.abs(found.covariance).max())
    assert_allclose(found.derivatives[-1], found.covariance)  # with respect to log σ²
    assert_allclose(found.covariance, Dense(design, matrices, reml).fixed_covariance(), rtol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_parameter_covariance_is_twice_the_inverse_hessian_with_the_residual_variance(name):
    """Profiling σ² out and putting it back equals differentiating −2 log L in all parameters."""
    design = make_design(5, **DESIGNS[name])
    solution = fit_mixed(design)
    evaluation = solution._evaluation
    free = free_parameters(evaluation) & ~(evaluation.covariance.pivots & (evaluation.covariance.values <= 0))
    at = np.flatnonzero(free)
    start = np.append(evaluation.covariance.values[at], np.log(evaluation.sigma2))

    def value(parameters):
        values = evaluation.covariance.values.copy()
        values[at] = parameters[:-1]
        moved = Evaluation(evaluation.statistics, evaluation.covariance.moved(values), True)
        n, log_sigma2 = moved.n_free, parameters[-1]
        rss = moved.sigma2 * n
        return moved.value - n * (1 + np.log(rss / n)) + n * log_sigma2 + rss / np.exp(log_sigma2)

    k, steps = start.size, 1e-3 * np.maximum(np.abs(start), 0.05)
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            corners = [
                si * sj * value(start + si * steps[i] * np.eye(k)[i] + sj * steps[j] * np.eye(k)[j])
                for si in (1, -1)
                for sj in (1, -1)
            ]
            hessian[i, j] = sum(corners) / (4 * steps[i] * steps[j])
    expected = 2 * np.linalg.inv(hessian)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    found = infer(evaluation).parameter_covariance
    assert_allclose(found / scale, expected / scale, atol=2e-3)


def test_observed_hessian_equals_second_differences_of_the_value():
    design = make_design(5, [(15, 2)], n_obs=120)
    rng = np.random.default_rng(1)
    ours = engine(design, (covariance(rng, 2) + np.eye(2),), True)
    found = observed_hessian(ours, np.ones(3, bool))
    step = 1e-3
    for i in range(3):
        for j in range(3):
            corners = []
            for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                values = ours.covariance.values.copy()
                values[i] += si * step
                values[j] += sj * step
                corners.append(si * sj * Evaluation(ours.statistics, ours.covariance.moved(values), True).value)
            assert_allclose(found[i, j], sum(corners) / (4 * step**2), rtol=1e-4, atol=1e-4)
