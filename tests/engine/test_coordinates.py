"""Standardised coordinates describe the same model as the raw columns."""

from __future__ import annotations

import numpy as np
import pytest
from dense import Dense, covariance, engine
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.errors import DesignError

N = 72
CODES, TIME = np.repeat(np.arange(12), 6), np.tile(np.arange(6.0), 12)
THERAPIST = np.random.default_rng(0).integers(4, size=N)

#: Fixed columns and, per factor, effects and blocks. Column 0 is the intercept, 1 and 2 are far from zero.
MODELS = {
    "with intercept": ((0, 1, 2), [((0, 1), ((0, 1),))]),
    "without intercept": ((1, 2), [((1,), ((0,),))]),
    "random intercept only": ((0, 1), [((0,), ((0,),))]),
    "uncorrelated": ((0, 1), [((0, 1), ((0,), (1,)))]),
    "slope without intercept": ((0, 1), [((1,), ((0,),))]),
    "correlated and not": ((0, 1, 2), [((0, 1, 2), ((0, 1), (2,)))]),
    "crossed": ((0, 1), [((0, 1), ((0, 1),)), ((0, 2), ((0,), (1,)))]),
    "random intercept without a fixed one": ((1,), [((0, 1), ((0, 1),))]),
}


def _design(name: str) -> MixedDesign:
    rng = np.random.default_rng(4)
    fixed, parts = MODELS[name]
    columns = [None, 40 + 3 * rng.normal(size=N), 0.02 * (TIME - 7)]
    codes = (CODES, THERAPIST)
    factors = tuple(
        GroupingFactor(f"g{at}", codes[at], int(codes[at].max()) + 1, effects, blocks)
        for at, (effects, blocks) in enumerate(parts)
    )
    y = 500 + 20 * rng.normal(size=12)[CODES] + 3 * rng.normal(size=N) * TIME + 0.5 * columns[1]
    return MixedDesign(y, columns, fixed, factors)


def _within_blocks(factor: GroupingFactor, rng) -> np.ndarray:
    matrix = np.zeros((factor.n_effects, factor.n_effects))
    for block in factor.blocks:
        matrix[np.ix_(block, block)] = covariance(rng, len(block))
    return matrix


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_criterion_and_coefficients_equal_those_of_the_raw_columns(name, reml):
    design = _design(name)
    standard, coordinates = standardise(design)
    rng = np.random.default_rng(9)
    matrices = tuple(_within_blocks(factor, rng) for factor in standard.factors)
    ours = engine(standard, matrices, reml)
    raw = tuple(coordinates.random_covariance_to_raw(f, d) for f, d in enumerate(matrices))
    dense = Dense(design, raw, reml)
    assert_allclose(ours.value + coordinates.criterion_to_raw(N, reml), dense.value, rtol=1e-10)
    assert_allclose(coordinates.fixed_to_raw(ours.beta), dense.beta, rtol=1e-8)
    root = ours.fixed_root
    ours_covariance = coordinates.fixed_covariance_to_raw(ours.sigma2 * root @ root.T)
    assert_allclose(ours_covariance, dense.fixed_covariance(), rtol=1e-8)
    assert_allclose(coordinates.outcome_scale**2 * ours.sigma2, dense.sigma2, rtol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_the_fit_in_raw_units_is_stationary_in_the_dense_raw_model(name):
    design = _design(name)
    solution = fit_mixed(design)
    relative = [d / solution.sigma2 for d in solution.random_covariances]
    dense = Dense(design, tuple(relative), True)
    assert_allclose(solution.criterion, dense.value, rtol=1e-10)
    assert_allclose(solution.beta, dense.beta, rtol=1e-8)
    for f, factor in enumerate(design.factors):
        for block in factor.blocks:
            for j in block:
                moved = list(relative)
                moved[f] = relative[f].copy()
                moved[f][j, j] *= 1 + 1e-3
                # a larger variance than the estimated one fits no better
                assert Dense(design, tuple(moved), True).value > dense.value - 1e-9


def test_blocks_of_uncorrelated_effects_stay_uncorrelated_in_raw_units():
    # shifting the slope's column would smuggle a covariance in
    for matrix in fit_mixed(_design("uncorrelated")).random_covariances:
        assert matrix[0, 1] == 0.0


@pytest.mark.parametrize("name", MODELS)
def test_standardised_columns_have_unit_mean_square(name):
    standard, _ = standardise(_design(name))
    used = set(standard.fixed) | {k for f in standard.factors for k in f.effects}
    for k in used:
        if standard.columns[k] is not None:
            assert_allclose(np.mean(standard.columns[k] ** 2), 1)
    assert_allclose(np.mean(standard.outcome**2), 1)


def test_the_given_columns_are_not_changed():
    design = _design("with intercept")
    before = [None if c is None else c.copy() for c in design.columns]
    standardise(design)
    for column, old in zip(design.columns, before, strict=True):
        assert column is old is None or (column == old).all()


@pytest.mark.parametrize("size", [1e60, 1e-60])
def test_scales_whose_squares_leave_the_floats_are_refused(size):
    design = _design("with intercept")
    with pytest.raises(DesignError, match=r"varies on a scale of \de[+-]\d\d\. Choose units"):
        standardise(MixedDesign(design.outcome * size - 500 * size, design.columns, (0,), design.factors))
