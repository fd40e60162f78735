"""Rows summed in parts give the sums of all rows, wherever the cuts are and however the parts differ."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.parts import add_parts, sum_part
from alliance_stats.engine.mixed.statistics import collect
from alliance_stats.engine.mixed.summed import RowlessDesign, SummedFactor, finish
from alliance_stats.errors import DesignError, RowsNotKeptError

N = 96
CODES, TIME = np.repeat(np.arange(16), 6), np.tile(np.arange(6.0), 16)
THERAPIST = np.random.default_rng(0).integers(5, size=N)

#: Fixed columns and, per factor, effects and blocks. Column 0 is the intercept; the others are far from zero.
MODELS = {
    "with intercept": ((0, 1, 2), [((0, 1), ((0, 1),))]),
    "without intercept": ((1, 2), [((1,), ((0,),))]),
    "random intercept without a fixed one": ((1,), [((0, 1), ((0, 1),))]),
    "slope without intercept": ((0, 1), [((1,), ((0,),))]),
    "uncorrelated": ((0, 1), [((0, 1), ((0,), (1,)))]),
    "a slope that is no fixed effect": ((0, 2), [((0, 1), ((0, 1),))]),
    "shifted and not": ((0, 1), [((0, 1), ((0, 1),)), ((1, 2), ((0,), (1,)))]),
    "crossed": ((0, 1, 2), [((0, 1), ((0, 1),)), ((0, 2), ((0, 1),))]),
}


def design_of(model: str) -> MixedDesign:
    rng = np.random.default_rng(4)
    fixed, parts = MODELS[model]
    columns = [None, 40 + 3 * rng.normal(size=N) + TIME, 2000.0 + TIME]
    factors = tuple(
        GroupingFactor(f"g{at}", codes, int(codes.max()) + 1, effects, blocks)
        for at, ((effects, blocks), codes) in enumerate(zip(parts, (CODES, THERAPIST), strict=False))
    )
    y = 500 + 20 * rng.normal(size=16)[CODES] + 3 * rng.normal(size=N) * TIME + 4 * rng.normal(size=5)[THERAPIST]
    return MixedDesign(y, columns, fixed, factors)


def rows_of(design: MixedDesign, rows: np.ndarray) -> MixedDesign:
    return MixedDesign(
        design.outcome[rows],
        [None if column is None else column[rows] for column in design.columns],
        design.fixed,
        tuple(replace(factor, codes=factor.codes[rows]) for factor in design.factors),
    )


def add(design: MixedDesign, parts):
    n_levels = [factor.n_levels for factor in design.factors]
    return add_parts(parts, [part.cells.left for part in parts], n_levels)


def summed(design: MixedDesign, pieces) -> object:
    total = add(design, [sum_part(rows_of(design, np.asarray(rows))) for rows in pieces])
    shape = RowlessDesign(
        design.n_obs,
        design.n_columns,
        design.fixed,
        tuple(SummedFactor(f.name, f.n_levels, f.effects, f.blocks) for f in design.factors),
    )
    return finish(total, shape)


def by_time():
    """Parts in which the time does not vary, and which differ in nothing but the time."""
    return [np.flatnonzero(time == TIME) for time in np.unique(TIME)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cut", ["halves", "single rows", "by time"])
def test_the_statistics_are_those_of_all_rows(model, cut):
    design = design_of(model)
    pieces = {
        "halves": np.array_split(np.random.default_rng(1).permutation(N), 2),
        "single rows": [[row] for row in range(N)],
        "by time": by_time(),
    }[cut]
    ours = summed(design, pieces)
    standard, coordinates = standardise(design)
    expected = collect(standard)
    for name in ("total", "inner_gram", "inner_cross", "entry_cross", "outer_gram", "outer_cross"):
        # sums of 96 products of numbers of size 1; the means are rounded at 1e-16 of their own size, up to 1200 here
        assert_allclose(getattr(ours.statistics, name), getattr(expected, name), rtol=0, atol=2e-11, err_msg=name)
    for name in ("fixed_map", "outcome_shift", "outcome_scale"):
        assert_allclose(getattr(ours.coordinates, name), getattr(coordinates, name), rtol=1e-13, err_msg=name)
    for one, other in zip(ours.coordinates.random_maps, coordinates.random_maps, strict=True):
        assert_allclose(one, other, rtol=1e-13)
    assert ours.coordinates.intercept == coordinates.intercept
    assert ours.n_obs == N


@pytest.mark.parametrize("model", MODELS)
def test_the_order_in_which_sums_are_added_does_not_matter(model):
    design = design_of(model)
    parts = [sum_part(rows_of(design, rows)) for rows in np.array_split(np.arange(N), 7)]
    at_once = add(design, parts)
    pairwise = add(design, [add(design, parts[:2]), add(design, [parts[2], add(design, parts[3:6])]), parts[6]])
    for field in fields(at_once):
        if field.name != "cells":
            assert_allclose(getattr(pairwise, field.name), getattr(at_once, field.name), rtol=1e-12, atol=1e-10)
    for one, other in zip(pairwise.cells.left, at_once.cells.left, strict=True):
        assert_array_equal(one, other)
    for pair, sums in at_once.cells.sums.items():
        assert_allclose(pairwise.cells.sums[pair], sums, rtol=1e-12, atol=1e-9)


def exact_products(columns):
    """Sums of products of the columns less their means, in fractions."""
    exact = [[Fraction(float(value)) for value in column] for column in columns]
    centred = [[value - sum(column) / len(column) for value in column] for column in exact]
    return np.array([[float(sum(a * b for a, b in zip(u, v, strict=True))) for v in centred] for u in centred])


@pytest.mark.parametrize(
    "bad",
    [
        "a constant far away",
        "one row far away",
        "far away, one after the other",
        "a drift",
    ],
)
def test_parts_that_lie_far_apart_cost_no_digits(bad):
    """Against fractions: a first part that says nothing about the others' place or scale is as good as any."""
    rng = np.random.default_rng(8)
    x, pieces = {
        "a constant far away": (np.r_[np.full(30, 1e8), rng.normal(size=66)], [np.arange(30), np.arange(30, N)]),
        "one row far away": (np.r_[1e7, rng.normal(size=95)], [[0], np.arange(1, N)]),
        "far away, one after the other": (
            rng.normal(size=N) + np.repeat([0.0, 1e6, -1e6, 1e7], 24),
            np.split(np.arange(N), 4),
        ),
        "a drift": (1e5 + 1e3 * np.arange(N) + rng.normal(size=N), np.split(np.arange(N), 32)),
    }[bad]
    y = 3e4 + rng.normal(size=N) + CODES
    design = MixedDesign(y, [None, x], (0, 1), (GroupingFactor("g", CODES, 16, (0,), ((0,),)),))
    total = add(design, [sum_part(rows_of(design, np.asarray(rows))) for rows in pieces]).total
    expected = exact_products([x, y])
    size = np.sqrt(np.diag(expected))
    # a handful of roundings of 1.1e-16, relative to the columns' own size
    assert_allclose(total[1:, 1:] / np.outer(size, size), expected / np.outer(size, size), rtol=0, atol=2e-15)


def test_a_fit_from_sums_is_the_fit_from_rows_also_by_maximum_likelihood():
    design = design_of("crossed")
    ours = summed(design, by_time())
    for reml in (True, False):
        one, other = fit_mixed(ours, reml), fit_mixed(design, reml)
        assert_allclose(one.criterion, other.criterion, rtol=1e-12)
        assert_allclose(one.beta, other.beta, rtol=1e-10)
        assert_allclose(one.covariance, other.covariance, rtol=1e-10)
        assert_allclose(one.sigma2, other.sigma2, rtol=1e-10)


def test_cells_of_many_levels_do_not_overflow_their_key():
    n_levels = 2**31
    codes = [np.array([0, n_levels - 1, 5]), np.array([n_levels - 1, 0, 5]), np.array([7, 7, n_levels - 1])]
    factors = tuple(GroupingFactor(f"g{k}", code, n_levels, (0,), ((0,),)) for k, code in enumerate(codes))
    design = MixedDesign(np.array([1.0, 2.0, 4.0]), [None], (0,), factors)
    total = add(design, [sum_part(design), sum_part(design)])
    found = {tuple(int(code[k]) for code in total.cells.left): total.cells.product(0, 0)[k] for k in range(3)}
    assert found == {tuple(int(code[k]) for code in codes): 2.0 for k in range(3)}


@pytest.mark.parametrize("x", [np.linspace(1e180, 2e180, N), np.linspace(1e-200, 2e-200, N)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_columns_beyond_the_range_of_squares_are_refused(x):
    design = MixedDesign(TIME + CODES, [None, x], (0, 1), (GroupingFactor("g", CODES, 16, (0,), ((0,),)),))
    with pytest.raises(DesignError, match=r"varies on a scale of 2e[+-]\d+"):
        summed(design, [np.arange(40), np.arange(40, N)])


def test_rows_that_were_let_go_cannot_be_had():
    design = summed(design_of("crossed"), [np.arange(N)])
    for ask in (lambda: design.outcome, lambda: design.columns, lambda: design.factors[0].codes):
        with pytest.raises(RowsNotKeptError, match="needs the rows of the fit, which were not kept"):
            ask()
    assert (design.n_obs, design.n_columns, design.n_fixed, design.inner) == (N, 3, 3, 0)
    assert [factor.n_levels for factor in design.factors] == [16, 5]
