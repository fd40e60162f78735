"""Covariances as pivots: round trips, derivatives, zero pivots."""

from __future__ import annotations

import numpy as np
import pytest
from dense import covariance
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import GroupingFactor


def _factor(q: int, blocks=None) -> GroupingFactor:
    blocks = blocks or (tuple(range(q)),)
    return GroupingFactor("g", np.zeros(1, np.int64), 1, tuple(range(q)), blocks)


@pytest.mark.parametrize("q", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_round_trip_at_any_rank(q, lost):
    rng = np.random.default_rng(q)
    matrix = covariance(rng, q, max(q - lost, 0))
    point = state([_factor(q)], [matrix])
    assert_allclose(point.matrices[0], matrix, atol=1e-12)
    assert_allclose(point.roots[0] @ point.roots[0].T, matrix, atol=1e-12)
    assert_allclose(point.reordered().matrices[0], matrix, atol=1e-12)


@pytest.mark.parametrize("q", [2, 3, 4])
def test_the_number_of_positive_pivots_is_the_rank(q):
    rng = np.random.default_rng(q)
    for rank in range(q + 1):
        point = state([_factor(q)], [covariance(rng, q, rank)])
        assert (point.values[point.pivots] > 0).sum() == rank


def test_the_largest_remaining_variance_comes_first():
    # by hand: effect 2 (9) comes first; then 4 − 6²/9 = 0 remains of effect 0 and 1 of effect 1, so 1 before 0
    matrix = np.array([[4.0, 0, 6], [0, 1, 0], [6, 0, 9]])
    point = state([_factor(3)], [matrix])
    assert_allclose(point.values[:3], [9, 1, 0], atol=1e-12)


def test_a_collapsed_first_pivot_moves_to_the_end():
    # no intercept variance: in Cholesky order the slope's entry would lie below a pivot of zero
    point = state([_factor(2)], [np.diag([0.0, 2.0])])
    assert_allclose(point.values, [2, 0, 0])
    assert point.alive.all()  # the entry of U lies below the pivot of 2


def test_numbers_below_a_zero_pivot_are_not_alive():
    point = state([_factor(3)], [np.zeros((3, 3))])
    assert point.alive.tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    "blocks", [((0, 1, 2, 3),), ((0,), (1,), (2,), (3,)), ((0, 2), (1, 3)), ((3, 1, 0), (2,))], ids=str
)
def test_derivatives_equal_differences(blocks):
    rng = np.random.default_rng(2)
    matrix = np.zeros((4, 4))
    for block in blocks:
        matrix[np.ix_(block, block)] = covariance(rng, len(block))
    point = state([_factor(4, blocks)], [matrix])
    step = 1e-6
    for r, parameter in enumerate(point.parameters):
        shift = np.zeros(point.values.size)
        shift[r] = step
        ends = [point.moved(point.values + sign * shift).matrices[0] for sign in (1, -1)]
        assert_allclose(parameter.derivative, (ends[0] - ends[1]) / (2 * step), atol=1e-8)


def test_effects_of_different_blocks_stay_uncorrelated():
    point = state([_factor(3, ((0, 2), (1,)))], [np.array([[2.0, 0, 1], [0, 3, 0], [1, 0, 2]])])
    moved = point.moved(point.values + 0.3)
    assert_allclose(moved.matrices[0][1, [0, 2]], 0)
    assert moved.matrices[0][0, 2] != 1


def test_pivots_below_zero_count_as_zero():
    point = state([_factor(2)], [np.diag([1.0, 0.5])])
    moved = point.moved(np.array([1.0, -3.0, 0.0]))
    assert moved.values.tolist() == [1.0, 0.0, 0.0]
    assert_allclose(moved.matrices[0], np.diag([1.0, 0.0]))


def test_moving_does_not_change_the_state_it_starts_from():
    point = state([_factor(2)], [np.eye(2)])
    values = np.array([-1.0, 2.0, 0.5])
    point.moved(values)
    assert values.tolist() == [-1.0, 2.0, 0.5]
    assert point.values.tolist() == [1.0, 1.0, 0.0]


def test_rounding_below_the_largest_variance_is_zero():
    # 1e-14 beside 1 is what a subtraction leaves over, not a variance
    point = state([_factor(2)], [np.array([[1.0, 1.0], [1.0, 1.0 + 1e-14]])])
    assert (point.values[point.pivots] == 0).sum() == 1


def test_factors_follow_one_another():
    point = state([_factor(1), _factor(2)], [np.array([[3.0]]), np.diag([1.0, 2.0])])
    assert [p.factor for p in point.parameters] == [0, 1, 1, 1]
    assert_allclose(point.values, [3, 2, 1, 0])
