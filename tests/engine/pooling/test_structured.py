"""Covariances that are never formed, against the same matrices written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from alliance_stats.engine.pooling.climb import find_peak
from alliance_stats.engine.pooling.crossed import Crossed
from alliance_stats.engine.pooling.dense_blocks import DenseBlocks, batches
from alliance_stats.engine.pooling.multilevel import Evaluation, problem
from alliance_stats.engine.pooling.profile import profile_interval
from alliance_stats.engine.pooling.structured import FIXED, LowRank, Term

RNG = np.random.default_rng(5)
STUDY = np.repeat(np.arange(8), [1, 2, 3, 3, 4, 5, 2, 6])
K = STUDY.size
SAMPLE = np.cumsum(np.r_[0, (np.diff(STUDY) > 0) | (RNG.random(K - 1) < 0.5)])
YEAR = RNG.integers(0, 3, K)
V = RNG.uniform(0.02, 0.08, K)
S = np.sqrt(V)
RHO = 0.6
X = np.column_stack([np.ones(K), RNG.normal(size=K)])
Y = RNG.normal(0.3, 0.4, K)
THETA = np.array([0.04, 0.03, 0.02])


def level(codes, parameter):
    return Term(codes, np.ones(K), np.full(codes.max() + 1, parameter))


def correlated(codes):
    return Term(codes, S, np.full(codes.max() + 1, FIXED), RHO)


def same(codes):
    return (codes[:, None] == codes).astype(float)


SAMPLING = np.where(same(STUDY) == 1, RHO, 0) * np.outer(S, S) + (1 - RHO) * np.diag(V)
NESTED = SAMPLING + THETA[0] * same(STUDY) + THETA[1] * same(SAMPLE) + THETA[2] * np.eye(K)
CASES = {
    "nested": (
        LowRank((1 - RHO) * V, (level(SAMPLE, 1), correlated(STUDY), level(STUDY, 0)), level(np.arange(K), 2)),
        NESTED,
    ),
    "dense blocks": (
        DenseBlocks(
            batches(STUDY),
            [np.stack([SAMPLING[np.ix_(row, row)] for row in batch]) for batch in batches(STUDY)],
            (level(STUDY, 0), level(SAMPLE, 1), level(np.arange(K), 2)),
            K,
        ),
        NESTED,
    ),
    "crossed": (
        Crossed(
            LowRank((1 - RHO) * V, (correlated(STUDY), level(STUDY, 0)), level(np.arange(K), 2)), (level(YEAR, 1),)
        ),
        SAMPLING + THETA[0] * same(STUDY) + THETA[1] * same(YEAR) + THETA[2] * np.eye(K),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_solves_determinants_and_quadratics_are_those_of_the_matrix(case):
    covariance, dense = case
    factored = covariance.at(THETA)
    inverse = np.linalg.inv(dense)
    assert_allclose(factored.log_det, np.linalg.slogdet(dense)[1], rtol=1e-12)
    values = RNG.normal(size=(3, K))
    assert_allclose(factored.solve(values), values @ inverse, rtol=1e-9, atol=1e-10)
    assert_allclose(factored.diagonal(), np.diag(inverse), rtol=1e-10)
    for term in covariance.terms:
        indicator = (np.arange(term.n_groups)[:, None] == term.codes) * term.vector
        assert_allclose(factored.quadratics(term), np.diag(indicator @ inverse @ indicator.T), rtol=1e-9)


def test_blocks_are_parts_of_the_matrix(case):
    covariance, dense = case
    for places in batches(STUDY):
        expected = np.stack([dense[np.ix_(row, row)] for row in places])
        assert_allclose(covariance.blocks(places, THETA), expected, rtol=1e-12)


@pytest.mark.parametrize("restricted", [True, False])
def test_the_likelihood_is_that_of_a_dense_normal(case, restricted):
    covariance, dense = case
    at = Evaluation(problem(Y, X, covariance, 3, restricted), THETA)
    inverse = np.linalg.inv(dense)
    gram = X.T @ inverse @ X
    beta = np.linalg.solve(gram, X.T @ inverse @ Y)
    value = stats.multivariate_normal.logpdf(Y, X @ beta, dense)
    if restricted:
        value += np.log(2 * np.pi) + 0.5 * (np.linalg.slogdet(X.T @ X)[1] - np.linalg.slogdet(gram)[1])
    assert_allclose(at.value, value, rtol=1e-11)
    assert_allclose(at.coefficients()[0], beta, rtol=1e-10)
    assert_allclose(at.coefficients()[1], np.linalg.inv(gram), rtol=1e-10)


@pytest.mark.parametrize("restricted", [True, False])
def test_the_slope_is_the_derivative_of_the_likelihood(case, restricted):
    of = problem(Y, X, case[0], 3, restricted)
    step = 1e-5
    for at in range(3):
        ends = [Evaluation(of, THETA + sign * step * np.eye(3)[at]).value for sign in (1, -1)]
        # a central difference of step 1e-5 has an error of about its square times the third derivative
        assert_allclose(Evaluation(of, THETA).slope[at], (ends[0] - ends[1]) / (2 * step), rtol=1e-5)


def test_the_information_is_the_average_information(case):
    covariance, dense = case
    inverse = np.linalg.inv(dense)
    p = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    derivative = [np.zeros((K, K)) for _ in range(3)]
    for term in covariance.terms:
        derivative[term.parameter[0]] += same(term.codes)
    expected = [[0.5 * Y @ p @ a @ p @ b @ p @ Y for b in derivative] for a in derivative]
    assert_allclose(Evaluation(problem(Y, X, covariance, 3), THETA).information, expected, rtol=1e-9)


def test_the_climb_ends_where_no_neighbour_is_higher(case):
    of = problem(Y, X, case[0], 3)
    peak = find_peak(of)
    assert peak.converged
    assert (peak.at.slope[peak.theta == 0] <= 0).all()
    assert_allclose(peak.at.slope[peak.theta > 0], 0, atol=1e-8)
    for _ in range(50):
        near = np.maximum(peak.theta + RNG.normal(0, 0.02, 3), 0)
        assert Evaluation(of, near).value <= peak.at.value


def test_a_variance_that_is_not_there_ends_at_zero_with_a_slope_below_it():
    # effects that are more alike within studies than chance allows
    y = np.where(np.arange(K) % 2 == 0, 0.5, -0.5)
    peak = find_peak(problem(y, X[:, :1], LowRank(V, (level(STUDY, 0),), level(np.arange(K), 1)), 2))
    assert peak.theta[0] == 0
    assert peak.at.slope[0] <= 0
    assert peak.converged


def test_profile_limits_lie_where_the_likelihood_has_fallen_by_half_a_quantile():
    of = problem(Y, X, CASES["nested"][0], 3)
    peak = find_peak(of)
    drop = stats.chi2.ppf(0.95, 1) / 2
    for parameter in range(3):
        low, high = profile_interval(of, peak, parameter)
        assert low <= peak.theta[parameter] <= high
        for end in [high, *([low] if low > 0 else [])]:
            value = find_peak(of, None, {parameter: end}).at.value
            assert_allclose(peak.at.value - value, drop, rtol=1e-7)
        if low == 0:
            assert peak.at.value - find_peak(of, None, {parameter: 0.0}).at.value <= drop


def test_a_narrow_peak_that_a_few_precise_effects_make_is_found():
    # sampling variances from 1e-4 to 3.5: the likelihood at zero is a peak too, and lower
    rng = np.random.default_rng(68)
    sizes = rng.integers(1, 5, rng.integers(3, 9))
    study = np.repeat(np.arange(sizes.size), sizes)
    k = study.size
    v = np.exp(rng.normal(-3, rng.choice([0.3, 1.5, 3]), k))
    rng.choice([0, 0.6, 0.95])
    y = rng.normal(size=sizes.size)[study] * rng.choice([0, 0.2, 1])
    y = y + rng.normal(size=k) * rng.choice([0, 0.2, 1]) + rng.normal(size=k) * np.sqrt(v)
    if rng.random() < 0.2:
        y[rng.integers(k)] += 5
    rng.integers(1, 3)
    rho = Term(study, np.sqrt(v), np.full(sizes.size, FIXED), 0.6)
    between = Term(study, np.ones(k), np.zeros(sizes.size, int))
    within = Term(np.arange(k), np.ones(k), np.ones(k, int))
    of = problem(
        y, np.column_stack([np.ones(k), rng.normal(size=k)])[:, :1], LowRank(0.4 * v, (rho, between), within), 2
    )
    grid = np.r_[0, np.geomspace(1e-6, 10, 40)] * np.mean(of.y**2)
    values = np.array([[Evaluation(of, np.array([a, b])).value for b in grid] for a in grid])
    assert 0 < np.unravel_index(values.argmax(), values.shape)[0] < 40  # inside the grid, not at zero
    assert find_peak(of).at.value >= values.max()
