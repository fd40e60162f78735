"""The law of weighted sums of χ² variables against cases whose law is known, and τ² from a user's weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from alliance_stats.engine.pooling.quadratic_form import upper_tail
from alliance_stats.engine.pooling.user_weights import (
    exceeded,
    generalised_q_interval,
    generalised_q_tau2,
    weighted_mean,
    weighted_q,
)

Y = np.array([0.12, 0.61, 0.35, -0.08, 0.44, 0.72])
V = np.array([0.02, 0.05, 0.01, 0.04, 0.03, 0.09])
W = np.array([30.0, 12.0, 55.0, 20.0, 25.0, 8.0])


@pytest.mark.parametrize("m", [1, 2, 3, 18, 100, 2000])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e5])
def test_equal_weights_give_chi_square(m, scale):
    for q in (1e-6, 0.025, 0.3, 0.5, 0.7, 0.975, 1 - 1e-6):
        x = chi2.ppf(q, m)
        assert_allclose(upper_tail(scale * x, np.full(m, scale)), chi2.sf(x, m), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 0.5), (1.0, 0.1, 0.01), (1.0, 1e-3, 1e-6, 3.0)])
@pytest.mark.parametrize("x", [0.01, 0.5, 3.0, 20.0])
def test_weights_that_come_twice_give_a_sum_of_exponentials(weights, x):
    """Two χ² variables with one weight are an exponential; a sum of those has partial fractions for its law."""
    terms = [
        np.exp(-x / (2 * one)) * np.prod([one / (one - other) for other in weights if other != one]) for one in weights
    ]
    assert_allclose(upper_tail(x, np.repeat(weights, 2)), sum(terms), rtol=0, atol=1e-12)


def test_nothing_is_far_beyond_the_largest_weight():
    assert upper_tail(1e18, np.array([1.0, 2.0])) == 0.0
    assert_allclose(upper_tail(1e-12, np.array([1.0, 2.0])), 1.0, rtol=1e-12)


def test_nothing_is_below_zero():
    assert upper_tail(0.0, np.array([1.0, 2.0])) == 1.0
    assert upper_tail(-1.0, np.array([1.0, 2.0])) == 1.0


def test_weights_of_inverse_variances_give_dersimonian_and_laird():
    from alliance_stats.engine.pooling.regression import fit_regression

    expected = fit_regression(Y, V, np.ones((6, 1)), "DL").tau2
    assert_allclose(generalised_q_tau2(Y, V, 1 / V), expected, rtol=1e-12)
    assert_allclose(generalised_q_tau2(Y, V, 7 / V), expected, rtol=1e-12)  # the unit does not matter


def test_equal_weights_give_hedges():
    from alliance_stats.engine.pooling.regression import fit_regression

    assert_allclose(generalised_q_tau2(Y, V, np.ones(6)), fit_regression(Y, V, np.ones((6, 1)), "HE").tau2, rtol=1e-12)


def test_the_mean_and_its_error_by_hand():
    mean, error = weighted_mean(np.array([0.2, 0.5]), np.array([0.01, 0.03]), np.array([3.0, 1.0]), 0.02)
    assert_allclose(mean, 0.75 * 0.2 + 0.25 * 0.5)
    assert_allclose(error**2, 0.5625 * 0.03 + 0.0625 * 0.05)


def test_the_interval_ends_where_the_tails_are_and_covers_as_in_simulation():
    low, high = generalised_q_interval(Y, V, W)
    assert_allclose([exceeded(Y, V, W, low) if low else 0.025, exceeded(Y, V, W, high)], [0.025, 0.975], rtol=1e-9)
    rng, spread = np.random.default_rng(11), np.sqrt(V + 0.05)
    drawn = rng.normal(size=(400_000, 6)) * spread
    means = drawn @ W / W.sum()
    share = (((drawn - means[:, None]) ** 2) @ W > weighted_q(Y, W)).mean()
    assert_allclose(exceeded(Y, V, W, 0.05), share, rtol=0, atol=0.003)  # four standard errors of the share


def test_equal_variances_and_weights_give_the_q_profile():
    from alliance_stats.engine.pooling.regression import fit_regression, q_profile

    v = np.full(6, 0.01)
    found = generalised_q_interval(Y, v, np.ones(6))
    assert_allclose(found, q_profile(fit_regression(Y, v, np.ones((6, 1)), "REML")), rtol=1e-8)
    assert found[0] > 0


def test_effects_that_hardly_differ_have_no_interval_or_one_from_zero():
    assert np.isnan(generalised_q_interval(np.full(6, 0.3), V, W)).all()
    assert generalised_q_tau2(np.full(6, 0.3), V, W) == 0
    low, high = generalised_q_interval(0.5 * Y, V, W)
    assert low == 0 < high
