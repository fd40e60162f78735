"""What steps teach about the Hessian, on quadratics whose Hessian is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import GroupingFactor
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.secant import Secant

INFORMATION = np.array([[4.0, 1.0], [1.0, 3.0]])
#: The true Hessian, and what information misses of it: of rank one, then of rank two.
RANK_ONE = INFORMATION + np.outer([0.3, -0.2], [0.3, -0.2])
RANK_TWO = INFORMATION + np.array([[0.3, 0.1], [0.1, 0.4]])
FREE = np.ones(2, dtype=bool)


def at(values, hessian: np.ndarray, order: tuple = ((0, 1),)):
    """An evaluation of ``θ'Hθ/2`` as far as the secant looks at it."""
    values = np.array(values, float)
    return SimpleNamespace(
        state=SimpleNamespace(values=values),
        gradient=hessian @ values,
        average_information=INFORMATION,
        covariance=SimpleNamespace(order=order),
    )


def test_one_step_teaches_what_is_missing_in_one_direction():
    secant = Secant()
    assert_allclose(secant.corrected(at([1, 1], RANK_ONE), FREE, near=False), INFORMATION)  # nothing learned yet
    assert_allclose(secant.corrected(at([0.5, 0.2], RANK_ONE), FREE, near=True), RANK_ONE, rtol=1e-12)


def test_the_surprise_is_what_a_step_with_that_curvature_leaves():
    secant = Secant()
    first, second = np.array([1.0, 1.0]), np.array([0.5, 0.2])
    secant.corrected(at(first, RANK_ONE), FREE, near=True)
    secant.corrected(at(second, RANK_ONE), FREE, near=True)
    # the decrement g'A⁻¹g of the gradient that was not foreseen, beside that of the step
    unforeseen, step = (RANK_ONE - INFORMATION) @ (second - first), second - first
    expected = unforeseen @ np.linalg.solve(INFORMATION, unforeseen) / (step @ INFORMATION @ step)
    assert_allclose(secant.surprise, expected, rtol=1e-12)
    secant.corrected(at([0.1, -0.2], RANK_ONE), FREE, near=True)
    assert secant.surprise < 1e-25  # all is known now


def test_two_steps_teach_a_hessian_of_two_parameters():
    secant = Secant()
    for values in ([1, 1], [0.5, 0.2], [0.1, -0.2]):
        found = secant.corrected(at(values, RANK_TWO), FREE, near=True)
    assert_allclose(found, RANK_TWO, rtol=1e-12)


def test_a_step_from_afar_teaches_nothing_and_what_was_learned_is_forgotten():
    secant = Secant()
    secant.corrected(at([1, 1], RANK_ONE), FREE, near=True)
    secant.corrected(at([0.5, 0.2], RANK_ONE), FREE, near=True)
    assert_allclose(secant.corrected(at([0.1, 0.1], RANK_ONE), FREE, near=False), INFORMATION)


def test_parameters_of_another_order_are_not_compared():
    secant = Secant()
    secant.corrected(at([1, 1], RANK_ONE), FREE, near=True)
    assert_allclose(secant.corrected(at([0.5, 0.2], RANK_ONE, ((1, 0),)), FREE, near=True), INFORMATION)


def test_a_large_correction_is_not_believed():
    secant = Secant()
    secant.corrected(at([1, 1], 3 * INFORMATION), FREE, near=True)
    assert_allclose(secant.corrected(at([0.5, 0.2], 3 * INFORMATION), FREE, near=True), INFORMATION)


def test_nothing_is_learned_where_nothing_may_move():
    secant = Secant()
    secant.corrected(at([1, 1], RANK_ONE), FREE, near=True)
    assert_allclose(secant.corrected(at([0.5, 0.2], RANK_ONE), ~FREE, near=True), INFORMATION)


def test_a_small_change_of_a_variance_is_a_factor_and_a_large_one_ends_at_zero():
    factors = [GroupingFactor(name, np.zeros(1, np.int64), 1, (0,), ((0,),)) for name in "abc"]
    here = State(state(factors, [np.array([[value]]) for value in (2.0, 2.0, 2.0)]))
    # by hand: 2 exp(0.5 / 2); beyond half of the value the step itself, 2 + 1.5; and 2 − 3 is no variance
    assert_allclose(here.after(np.array([0.5, 1.5, -3.0])), [2 * np.exp(0.25), 3.5, 0.0])
