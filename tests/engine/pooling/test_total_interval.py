"""The profile-likelihood interval of the sum of all variances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import chdtri

import alliance_stats as als
from alliance_stats.engine.pooling.multilevel import Evaluation
from alliance_stats.engine.pooling.profile import profile_interval, total_interval


def effects(n_studies=40, tau=0.3, omega=0.15, seed=3):
    import pandas as pd

    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(n_studies), rng.integers(1, 6, n_studies))
    vi = rng.uniform(0.01, 0.08, len(study))
    true = 0.3 + tau * rng.normal(size=n_studies)[study] + omega * rng.normal(size=len(study))
    return pd.DataFrame({"study": study, "yi": true + np.sqrt(vi) * rng.normal(size=len(study)), "vi": vi})


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_ends_are_where_the_best_shares_lose_the_quantile(method):
    fit = als.meta.multilevel(effects(), method=method)
    low, high = total_interval(fit.problem, fit.peak)
    goal = fit.peak.at.value - 0.5 * float(chdtri(1, 0.05))
    for end in (low, high):
        # another route: golden section over the share of the first variance
        best = minimize_scalar(
            lambda share, end=end: -Evaluation(fit.problem, end * np.array([share, 1 - share])).value,
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert_allclose(-best.fun, goal, atol=1e-8)
    assert low < fit.tau2 < high
    assert_allclose(fit.glance()[["tau2_ci_low", "tau2_ci_high"]].iloc[0].astype(float), [low, high])


def test_with_one_variance_it_is_that_variances_interval():
    fit = als.meta.multilevel(effects(), "study", rho=0.5)
    assert_allclose(total_interval(fit.problem, fit.peak), profile_interval(fit.problem, fit.peak, 0), rtol=1e-6)


def test_effects_that_do_not_differ_have_an_interval_from_zero():
    fit = als.meta.multilevel(effects(tau=0.0, omega=0.0, seed=1), rho=0.0)
    low, high = total_interval(fit.problem, fit.peak)
    assert low == 0
    assert 0 < high < 0.05


def test_a_wider_level_gives_a_wider_interval():
    fit = als.meta.multilevel(effects())
    narrow, wide = (total_interval(fit.problem, fit.peak, level) for level in (0.8, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.slow
def test_it_covers():
    inside = []
    for seed in range(300):
        fit = als.meta.multilevel(effects(30, seed=seed), rho=0.0, robust=None)
        low, high = total_interval(fit.problem, fit.peak)
        inside.append(low <= 0.3**2 + 0.15**2 <= high)
    # binomial(300, .95) has a standard deviation of 1.3 points; likelihood intervals of 30 studies are a little short
    assert 0.90 <= np.mean(inside) <= 0.99
