"""Refits from the statistics of the first fit are the fits that the rows give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.draw import draw_outcomes
from alliance_stats.engine.mixed.fit import fit_mixed, source_of
from alliance_stats.engine.mixed.refit import Refits, Refitter
from alliance_stats.engine.mixed.variance_test import VarianceTest
from tests.engine.dense import make_design
from tests.engine.test_profile import DESIGNS, over_time, raw

BASE = DESIGNS["slope and crossed therapists"]


def weighted(design):
    """Prior weights, and nothing else, in the residuals."""
    structure = over_time(design, strata=1).residual
    alone = replace(structure, correlation="none", previous=np.full(design.n_obs, -1), gap=np.zeros(design.n_obs))
    return replace(design, residual=alone)


ALL = {
    **DESIGNS,
    "shuffled rows": raw(make_design(6, [(15, 2), (5, 2)], shuffled=True)),
    "nested": raw(make_design(7, [(15, 1), (5, 1)], nested=True)),
    "weights": weighted(BASE),
    "car1 and strata": over_time(BASE),
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_a_refit_is_the_fit_of_that_outcome(name, reml):
    design = ALL[name]
    solution = fit_mixed(design, reml)
    refitter = Refitter(design, solution)
    outcomes = refitter.draw(np.random.SeedSequence(1).spawn(4))
    refits = refitter.fit(outcomes)
    assert refits.converged.all()
    for k in range(4):
        own = fit_mixed(replace(design, outcome=outcomes[:, k]), reml)
        assert_allclose(refits.criterion[k], own.criterion, atol=1e-6)
        assert_allclose(refits.beta[k], own.beta, rtol=1e-4, atol=1e-4 * np.abs(own.beta).max())
        assert_allclose(refits.sigma2[k], own.sigma2, rtol=1e-4)
        for f, matrix in enumerate(own.random_covariances):
            assert_allclose(refits.random_covariances[f][k], matrix, atol=1e-3 * max(np.abs(matrix).max(), own.sigma2))
        if own.residual is not None:
            assert_allclose(refits.ratios[k], own.residual.ratios, rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in ALL if name != "car1 and strata"])
def test_the_statistics_of_another_outcome_are_those_that_its_rows_give(name):
    design = ALL[name]
    solution = fit_mixed(design)
    outcome = np.random.default_rng(3).permutation(design.outcome)
    (found,) = Refitter(design, solution).sources(outcome[:, None])
    standard, coordinates = standardise(design)
    scaled = (outcome - coordinates.outcome_shift) / coordinates.outcome_scale
    expected = source_of(replace(standard, outcome=scaled))
    for part in ("total", "inner_gram", "inner_cross", "entry_cross", "outer_gram", "outer_cross", "log_determinant"):
        assert_allclose(getattr(found, part), getattr(expected, part), rtol=1e-10, atol=1e-10, err_msg=part)


def test_outcomes_are_drawn_one_seed_each():
    solution = fit_mixed(BASE)
    seeds = np.random.SeedSequence(8).spawn(3)
    drawn = Refitter(BASE, solution).draw(seeds)
    for k, seed in enumerate(seeds):
        assert_allclose(drawn[:, [k]], draw_outcomes(BASE, solution, 1, np.random.default_rng(seed)))


def test_an_outcome_that_cannot_be_fitted_leaves_its_place_missing():
    solution = fit_mixed(BASE)
    refitter = Refitter(BASE, solution)
    outcomes = refitter.draw(np.random.SeedSequence(2).spawn(3))
    outcomes[:, 1] = np.nan
    refits = refitter.fit(outcomes)
    assert refits.converged.tolist() == [True, False, True]
    assert np.isnan(refits.beta[1]).all()
    assert np.isfinite(refits.beta[[0, 2]]).all()


def test_parts_are_joined_in_order():
    refitter = Refitter(BASE, fit_mixed(BASE))
    seeds = np.random.SeedSequence(2).spawn(4)
    whole = refitter.drawn(seeds)
    joined = Refits.joined([refitter.drawn(seeds[:1]), refitter.drawn(seeds[1:])])
    assert len(joined) == 4
    assert_allclose(joined.beta, whole.beta, rtol=1e-9)


# ---- the test of a variance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
def test_the_statistic_is_that_of_the_model_fitted_without_the_effect(reml):
    solution = fit_mixed(BASE, reml)
    without = fit_mixed(replace(BASE, factors=BASE.factors[:1]), reml)
    test = VarianceTest(BASE, solution, 1, 0)
    assert_allclose(test.statistic, without.criterion - solution.criterion, atol=1e-7)
    # the minimum is found to 1e-9 in the criterion, that is to some 1e-5 standard errors in the estimates
    error = np.sqrt(np.diag(without.covariance))
    assert_allclose(test.without.beta / error, without.beta / error, atol=1e-4)
    assert_allclose(test.without.sigma2, without.sigma2, rtol=1e-4)
    assert_allclose(test.without.random_covariances[0], without.random_covariances[0], rtol=1e-3, atol=1e-3)
    assert (test.without.random_covariances[1] == 0).all()


@pytest.mark.parametrize("reml", [True, False])
def test_without_the_only_random_effect_there_is_least_squares(reml):
    design = DESIGNS["one intercept"]
    solution = fit_mixed(design, reml)
    x = np.column_stack([np.ones(design.n_obs) if c is None else c for c in design.columns])
    beta, (rss,), *_ = np.linalg.lstsq(x, design.outcome, rcond=None)
    n, p = x.shape
    free = n - p * reml
    deviance = free * (1 + np.log(2 * np.pi * rss / free))
    if reml:
        deviance += np.linalg.slogdet(x.T @ x)[1]
    test = VarianceTest(design, solution, 0, 0)
    assert_allclose(test.statistic, deviance - solution.criterion, atol=1e-8)
    assert_allclose(test.without.beta, beta, rtol=1e-8)
    assert_allclose(test.without.sigma2, rss / free, rtol=1e-6)


def test_statistics_under_the_hypothesis_are_those_of_two_fits_to_each_draw():
    test = VarianceTest(BASE, fit_mixed(BASE), 1, 0)
    seeds = np.random.SeedSequence(5).spawn(6)
    drawn = test.drawn(seeds)
    for seed, statistic in zip(seeds, drawn, strict=True):
        outcome = draw_outcomes(BASE, test.without, 1, np.random.default_rng(seed))[:, 0]
        larger = fit_mixed(replace(BASE, outcome=outcome))
        smaller = fit_mixed(replace(BASE, outcome=outcome, factors=BASE.factors[:1]))
        assert_allclose(statistic, smaller.criterion - larger.criterion, atol=1e-6)
