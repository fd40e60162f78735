"""Profile-likelihood intervals of a joint second stage: metafor's confint(), dense computations, and the edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import chi2

from alliance_stats.engine.pooling.multivariate import Vectors, find_covariance
from alliance_stats.engine.pooling.multivariate_profile import correlation_interval, variance_interval

GOLDEN = Path(__file__).parents[2] / "golden"
PROFILES = json.loads((GOLDEN / "metafor" / "joint_profiles.json").read_text(encoding="utf-8"))
MADE = json.loads((GOLDEN / "two_stage" / "two_stage.json").read_text(encoding="utf-8"))["made"]


def vectors(kind, restricted=True):
    data = MADE if kind == "two" else PROFILES["three"]
    y, v = np.array(data["y"]), np.array(data["v"])
    there = np.ones(y.size, dtype=bool)
    there[np.array(data.get("gone", []), dtype=int) - 1] = False
    there = there.reshape(y.shape)
    both = there[:, :, None] & there[:, None, :]
    return Vectors(np.where(there, y, 0.0), np.where(both, v, 0.0), there, restricted)


def dense_value(of, between):
    """The log-likelihood from whole matrices of all effects, up to what does not depend on T."""
    n, p = of.y.shape
    keep = of.there.ravel()
    total = np.kron(np.eye(n), between)
    for i in range(n):
        total[i * p : (i + 1) * p, i * p : (i + 1) * p] += of.v[i]
    total, y, x = total[np.ix_(keep, keep)], of.y.ravel()[keep], np.tile(np.eye(p), (n, 1))[keep]
    inverse = np.linalg.inv(total)
    information = x.T @ inverse @ x
    r = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    value = -0.5 * (np.linalg.slogdet(total)[1] + r @ inverse @ r)
    return value - 0.5 * np.linalg.slogdet(information)[1] if of.restricted else value


@pytest.mark.parametrize("name", PROFILES["profiles"])
def test_intervals_of_variances_are_those_of_metafor(name):
    golden, (kind, structure, method) = PROFILES["profiles"][name], name.split()
    of, diagonal = vectors(kind, method == "REML"), structure == "DIAG"
    peak = find_covariance(of, diagonal)
    for at, one in enumerate(golden["tau2"]):
        low, high = variance_interval(of, peak, at, diagonal)
        # uniroot's tolerance on the variance is 1e-9; nlminb leaves the profile 1e-10 of the criterion below its top
        assert_allclose([low, high], [one["low"], one["high"]], rtol=1e-7, atol=3e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_intervals_of_a_correlation_are_those_of_metafor(method):
    # of three terms metafor's are not taken: at their ends its G is no covariance (an eigenvalue of −.0024), or another
    # one is higher; see the next test
    of = vectors("two", method == "REML")
    one = PROFILES["profiles"][f"two UN {method}"]["rho"][0]
    assert_allclose(correlation_interval(of, find_covariance(of), (0, 1)), [one["low"], one["high"]], rtol=0, atol=5e-8)


def highest_with(of, pair, rho, n_starts=6):
    """The highest dense likelihood among covariances of three terms with one correlation, by a simplex."""
    order = [*pair, 3 - sum(pair)]
    draw = np.random.default_rng(1)

    def covariance(free):
        root = np.zeros((3, 3))
        root[0, 0] = abs(free[0])
        root[1, :2] = abs(free[1]) * np.array([rho, np.sqrt(1 - rho**2)])
        root[2] = free[2:]
        whole = np.zeros((3, 3))
        whole[np.ix_(order, order)] = root @ root.T
        return whole

    options = {"xatol": 1e-8, "fatol": 1e-12, "maxfev": 6000, "maxiter": 6000}
    tries = [
        minimize(
            lambda f: -dense_value(of, covariance(f)), draw.normal(0, 0.3, 5), method="Nelder-Mead", options=options
        )
        for _ in range(n_starts)
    ]
    return -min(one.fun for one in tries)


def test_of_three_terms_the_likelihood_at_the_ends_has_fallen_by_the_quantile():
    of = vectors("three")
    peak = find_covariance(of)
    goal = dense_value(of, peak.at.between) - chi2.ppf(0.95, 1) / 2
    low, high = correlation_interval(of, peak, (1, 2))
    for end in (low, high):  # a simplex ends within 1e-5 of a top
        assert_allclose(highest_with(of, (1, 2), end), goal, rtol=0, atol=1e-5)
    assert_allclose(correlation_interval(of, peak, (2, 1)), [low, high], rtol=1e-9)
    # the first variance may be zero, so that nothing is known about its correlations
    assert variance_interval(of, peak, 0)[0] == 0
    for pair in ((0, 1), (0, 2)):
        assert correlation_interval(of, peak, pair) == (-1.0, 1.0)
        assert highest_with(of, pair, -1.0 if pair == (0, 1) else 1.0, 3) > goal


def test_a_higher_level_lies_around_a_lower_one_and_units_only_scale():
    of = vectors("two")
    peak = find_covariance(of)
    narrow, wide = (variance_interval(of, peak, 0, level=level) for level in (0.8, 0.99))
    assert wide[0] < narrow[0] < peak.at.between[0, 0] < narrow[1] < wide[1]
    unit = np.array([100.0, 1e-3])
    other = Vectors(of.y * unit, of.v * np.multiply.outer(unit, unit), of.there)
    found = variance_interval(other, find_covariance(other), 0, level=0.8)
    assert_allclose(found, np.array(narrow) * 1e4, rtol=1e-7)


def test_one_term_has_the_interval_of_its_own_likelihood():
    # the profile of a single variance is the likelihood itself: its ends by bisection on the dense value
    of = vectors("two")
    single = Vectors(of.y[:, :1], of.v[:, :1, :1], of.there[:, :1])
    single = Vectors(*(values[of.there[:, 0]] for values in (single.y, single.v, single.there)))
    peak = find_covariance(single)
    goal = dense_value(single, peak.at.between) - chi2.ppf(0.95, 1) / 2
    for end in variance_interval(single, peak, 0):
        assert_allclose(dense_value(single, np.array([[end]])), goal, rtol=0, atol=1e-9)


def test_effects_that_are_alike_have_intervals_from_zero_and_no_correlation():
    y = np.tile([0.3, -0.2], (12, 1))
    of = Vectors(y, np.tile(np.diag([0.02, 0.03]), (12, 1, 1)), np.ones((12, 2), dtype=bool))
    peak = find_covariance(of)
    assert np.all(peak.at.between == 0)
    low, high = variance_interval(of, peak, 0)
    assert low == 0
    assert 0 < high < 0.02
    assert np.isnan(correlation_interval(of, peak, (0, 1))).all()
