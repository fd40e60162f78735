"""Profile likelihood of variance parameters: gradients by differences, and minima by a search on dense matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import chi2

from alliance_stats.engine.mixed.constrained import Held
from alliance_stats.engine.mixed.design import GroupingFactor, Membership
from alliance_stats.engine.mixed.effect_targets import Correlation, EffectDeviation, Share
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.fixed_targets import FixedCoefficient
from alliance_stats.engine.mixed.profile import Profile, profile_interval
from alliance_stats.engine.mixed.residual import ResidualStructure
from alliance_stats.engine.mixed.residual_targets import DeviationRatio, ResidualCorrelation, ResidualDeviation
from tests.engine.dense import Dense, make_design

LIMIT = chi2.ppf(0.95, 1)


def raw(design):
    """Shifted and scaled columns, so that standardising has something to do."""
    columns = [None if c is None else 3.0 + 0.2 * k * c for k, c in enumerate(design.columns)]
    return replace(design, columns=columns, outcome=50 + 10 * design.outcome)


def with_membership(design):
    """The last factor's rows belong to two neighbouring levels, by weights .7 and .3."""
    *others, last = design.factors
    levels = np.arange(last.n_levels)
    members = Membership(np.repeat(levels, 2), np.column_stack([levels, (levels + 1) % last.n_levels]).ravel(),
                         np.tile([0.7, 0.3], last.n_levels))  # fmt: skip
    return replace(design, factors=(*others, replace(last, membership=members)))


def in_two_blocks(design):
    first, *others = design.factors
    blocks = ((0, 2), (1,)) if first.n_effects == 3 else tuple((k,) for k in range(first.n_effects))
    return replace(design, factors=(replace(first, blocks=blocks), *others))


def over_time(design, correlation="car1", strata=2):
    """Residuals correlated within the first factor's levels, of two variances, with prior weights."""
    rng = np.random.default_rng(5)
    codes = design.factors[0].codes
    previous = np.where(np.diff(codes, prepend=-1) == 0, np.arange(codes.size) - 1, -1)
    gap = np.where(previous >= 0, rng.integers(1, 4, codes.size), 0).astype(float)
    stratum = rng.integers(strata, size=codes.size)
    structure = ResidualStructure(correlation, previous, gap, stratum, strata, rng.uniform(0.5, 2, codes.size))
    return replace(design, residual=structure)


DESIGNS = {
    "one intercept": raw(make_design(1, [(12, 1)])),
    "slope and crossed therapists": raw(make_design(2, [(15, 2), (5, 1)])),
    "three effects beside two": raw(make_design(3, [(20, 3), (6, 2)], n_obs=200)),
    "two blocks": raw(in_two_blocks(make_design(3, [(20, 3), (6, 1)], n_obs=200))),
    "multiple membership": raw(with_membership(make_design(4, [(15, 2), (6, 1)]))),
}


def noise(design):
    if design.residual is None:
        return (1.0,)
    shares = np.bincount(design.residual.stratum, 1 / design.residual.root_weight**2) / design.n_obs
    return tuple(shares)


def targets(design, solution):
    found = []
    for f, factor in enumerate(design.factors):
        found += [EffectDeviation(solution, f, (k,)) for k in range(factor.n_effects)]
        found += [Correlation(solution, f, (j, k)) for b in factor.blocks for j in b for k in b if j < k]
        found.append(Share(solution, f, (0,), (0,) * len(design.factors), noise(design)))
    found.append(ResidualDeviation(solution))
    model = solution.state.model
    if model is not None and model.n_strata > 1:
        found += [ResidualDeviation(solution, 1), DeviationRatio(solution, 1)]
    if model is not None and model.has_correlation:
        found.append(ResidualCorrelation(solution))
    if not solution.reml:
        found += [FixedCoefficient(solution, k) for k in range(design.n_fixed)]
    return found


def off_the_estimate(target, seed=0):
    """A place that is not the optimum, with the target moved as well."""
    place = target.start()
    values = place.values
    moved = place.moved(values * (1 + 0.1 * np.random.default_rng(seed).standard_normal(values.size)) + 0.01)
    c = 0.9 * target.estimate + (0.01 if isinstance(target, Correlation) else 0.0)
    return Held(target, c, moved)


def slope_by_differences(held, r):
    values = held.place.values
    step = np.zeros(values.size)
    step[r] = 1e-5 * max(1.0, abs(values[r]))
    ahead, behind = (Held(held.target, held.c, held.place.shifted(values + sign * step)).value for sign in (1, -1))
    return (ahead - behind) / (2 * step[r])


STRUCTURED = {
    "car1 and strata": over_time(DESIGNS["slope and crossed therapists"]),
    "ar1": over_time(DESIGNS["slope and crossed therapists"], "ar1", 1),
}
ALL = DESIGNS | STRUCTURED


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_the_gradient_with_a_target_held_is_that_of_differences(name, reml):
    design = ALL[name]
    solution = fit_mixed(design, reml)
    for target in targets(design, solution):
        held = off_the_estimate(target)
        alive = np.flatnonzero(target.alive(held.c, held.place))
        numbers = [slope_by_differences(held, r) for r in alive]
        size = max(1.0, np.abs(numbers).max(initial=0.0))
        # central differences of a criterion of some hundreds: 1e-13 · 500 / 1e-5
        assert_allclose(held.gradient[alive], numbers, atol=3e-6 * size, err_msg=type(target).__name__)


@pytest.mark.parametrize("name", ALL)
def test_at_the_estimate_the_held_criterion_is_that_of_the_fit_with_a_gradient_of_zero(name):
    design = ALL[name]
    solution = fit_mixed(design, True)
    for target in targets(design, solution):
        if np.isnan(target.estimate) or abs(target.estimate) == 1:
            continue
        held = Held(target, target.estimate, target.start())
        assert_allclose(held.value, solution._evaluation.value, rtol=1e-11)
        if not any(solution.rank_deficient):
            assert_allclose(held.gradient[target.alive(held.c, held.place)], 0, atol=1e-3)


# ---- a search that shares nothing with the engine --------------------------------------------------------------------


def unpack(design, values):
    """Covariances (units of the data) and σ² from Cholesky entries, factor by factor, and log σ."""
    covariances, at = [], 0
    for factor in design.factors:
        root = np.zeros((factor.n_effects, factor.n_effects))
        for block in factor.blocks:
            n = len(block) * (len(block) + 1) // 2
            own = np.zeros((len(block), len(block)))
            own[np.tril_indices(len(block))] = values[at : at + n]
            root[np.ix_(block, block)] = own
            at += n
        covariances.append(root @ root.T)
    return covariances, np.exp(2 * values[at])


def pack(design, solution):
    values = []
    for factor, matrix in zip(design.factors, solution.random_covariances, strict=True):
        for block in factor.blocks:
            own = matrix[np.ix_(block, block)]
            lift = 1e-6 * np.trace(own) * np.eye(len(block)) + 1e-6 * solution.sigma2 * np.eye(len(block))
            values.append(np.linalg.cholesky(own + lift)[np.tril_indices(len(block))])
    return np.append(np.concatenate(values), 0.5 * np.log(solution.sigma2))


def dense_criterion(design, reml, values):
    covariances, sigma2 = unpack(design, values)
    dense = Dense(design, tuple(matrix / sigma2 for matrix in covariances), reml)
    excess = dense.sigma2 / sigma2
    return dense.value + dense.n_free * (excess - 1 - np.log(excess))


def read(target, covariances, sigma2):
    """The target's value, in units of the data."""
    if isinstance(target, ResidualDeviation):
        return np.sqrt(sigma2)
    own = covariances[target.factor]
    at = target.effects
    if isinstance(target, EffectDeviation):
        return np.sqrt(own[at[0], at[0]])
    if isinstance(target, Correlation):
        return own[at[0], at[1]] / np.sqrt(own[at[0], at[0]] * own[at[1], at[1]])
    return own[0, 0] / (sum(matrix[0, 0] for matrix in covariances) + sigma2)


def dense_rise(design, solution, target, c):
    """How far the criterion is above its minimum where the target is c: sequential quadratic programming, raw units."""
    start = pack(design, solution)
    size = np.maximum(np.abs(start), 0.1 * np.exp(start[-1]))
    size[-1] = 1.0
    bounds = [(-12.0, 12.0)] * (start.size - 1) + [(start[-1] - 1, start[-1] + 1)]

    def criterion(v):
        return dense_criterion(design, solution.reml, v * size)

    def away(v):
        return (read(target, *unpack(design, v * size)) - c) / max(abs(c), 0.1)

    best = np.inf
    for shift in (0.0, 0.2):
        options = {"ftol": 1e-12, "maxiter": 400}
        held = {"type": "eq", "fun": away}
        found = minimize(
            criterion, start / size + shift, method="SLSQP", bounds=bounds, options=options, constraints=held
        )
        if abs(away(found.x)) < 1e-7:
            best = min(best, found.fun)
    return best - dense_criterion(design, solution.reml, start)


BRUTE = {
    "slope and crossed therapists": raw(make_design(12, [(12, 2), (5, 1)], n_obs=70, n_fixed=2)),
    "three effects": raw(make_design(13, [(14, 3)], n_obs=90, n_fixed=2)),
    "multiple membership": raw(with_membership(make_design(14, [(10, 1), (5, 1)], n_obs=60, n_fixed=2))),
}


@pytest.mark.parametrize(("name", "reml"), list(zip(BRUTE, (True, False, True), strict=True)))
def test_at_the_ends_of_the_interval_a_dense_search_finds_the_criterion_risen_by_the_quantile(name, reml):
    design = BRUTE[name]
    solution = fit_mixed(design, reml)
    for target in targets(design, solution):
        if isinstance(target, FixedCoefficient):
            continue  # against lme4 in tests/models/test_intervals.py
        found = profile_interval(target)
        for end, is_open in ((found.low, found.low_open), (found.high, found.high_open)):
            if is_open:
                continue
            # SLSQP's gradient is by differences: its minimum is good to about 1e-5 (never below the true one)
            assert_allclose(dense_rise(design, solution, target, end), LIMIT, atol=2e-3, err_msg=str(target.estimate))


def test_an_open_end_is_one_where_the_criterion_stays_below_the_quantile():
    design = BRUTE["slope and crossed therapists"]
    solution = fit_mixed(design, True)
    target = EffectDeviation(solution, 1, (0,))
    found = profile_interval(target)
    without = fit_mixed(replace(design, factors=design.factors[:1]), True)
    assert (without.criterion - solution.criterion <= LIMIT) == found.low_open
    assert_allclose(Profile(target).rise(0.0), without.criterion - solution.criterion, atol=1e-8)


def test_holding_an_effect_at_zero_is_leaving_it_out():
    design = DESIGNS["three effects beside two"]
    solution = fit_mixed(design, True)
    first, second = design.factors
    for effect in range(3):
        kept = tuple(k for k in first.effects if k != first.effects[effect])
        smaller = GroupingFactor(first.name, first.codes, first.n_levels, kept, ((0, 1),))
        without = fit_mixed(replace(design, factors=(smaller, second)), True)
        rise = Profile(EffectDeviation(solution, 0, (effect,))).rise(0.0)
        assert_allclose(rise, without.criterion - solution.criterion, atol=1e-7)


def test_the_interval_contains_the_estimate_and_grows_with_the_level():
    design = DESIGNS["slope and crossed therapists"]
    for target in targets(design, fit_mixed(design, True)):
        if np.isnan(target.estimate):
            continue
        half, most = profile_interval(target, 0.5), profile_interval(target, 0.99)
        assert most.low <= half.low <= target.estimate <= half.high <= most.high


def test_a_change_of_units_changes_the_interval_alike():
    design = DESIGNS["slope and crossed therapists"]
    columns = [None if c is None else 1000 * c + 7 for c in design.columns]
    other = replace(design, columns=columns, outcome=1e-3 * design.outcome - 2)
    one, two = (
        profile_interval(EffectDeviation(fit_mixed(d, True), 0, (1,))) for d in (design, other)
    )  # a slope: outcome per predictor
    assert_allclose([two.low, two.high], [1e-6 * one.low, 1e-6 * one.high], rtol=1e-5)
