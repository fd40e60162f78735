"""Newton's method inside a box, for functions with exact Hessians that need not be concave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.selection.likelihood import Point

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

STEPS = 200
#: A step is small enough when the rise that it promises is below this.
RISE = 1e-13
#: Curvature within this share of the largest is none: the top is a ridge there.
_FLAT = 1e-9
#: Share of the promised rise that a step must bring (Armijo).
ENOUGH = 1e-4


@dataclass(frozen=True)
class Top:
    """Where a climb ended.

    Parameters
    ----------
    at : Point
    converged : bool
        A maximum inside, or on a side of the box that the slope leans against (Karush, Kuhn and Tucker).
    free : ndarray of bool
        Parameters that do not rest on a bound.
    """

    at: Point
    converged: bool
    free: Bools


def climb(evaluate: Callable[[Floats], Point], start: Floats, low: Floats, high: Floats, scale: Floats) -> Top:
    """Climb to a maximum.

    Parameters
    ----------
    evaluate : callable
        Parameters → :class:`Point`.
    start, low, high : ndarray of shape (n,)
        Where to begin, and the box; bounds may be infinite, and equal for parameters that are held.
    scale : ndarray of shape (n,)
        Typical sizes of the parameters.
    """
    at = evaluate(np.clip(start, low, high))
    if not np.isfinite(at.value):
        return Top(at, False, low < high)
    for _ in range(STEPS):
        free = (low < high) & ~((at.theta <= low) & (at.gradient <= 0)) & ~((at.theta >= high) & (at.gradient >= 0))
        if not free.any():
            return Top(at, True, free)
        step, concave = _newton(at, free, scale)
        rise = float(at.gradient @ step)
        if concave and rise < RISE * max(1.0, abs(at.value)):
            return Top(_last(evaluate, at, step, low, high, scale), True, free)
        new = _search(evaluate, at, step, low, high)
        if new is None:
            return Top(at, concave and rise < 1e-8, free)
        at = new
    return Top(at, False, free)


def _last(
    evaluate: Callable[[Floats], Point], at: Point, step: Floats, low: Floats, high: Floats, scale: Floats
) -> Point:
    """Take the step that promises no rise any more: the value is at its rounding, but the slope still tells digits."""
    theta = at.theta + step
    if ((theta <= low) | (theta >= high))[step != 0].any():
        return at
    new = evaluate(theta)
    moved = step != 0
    flatter = np.abs(new.gradient * scale)[moved].max(initial=0.0) < np.abs(at.gradient * scale)[moved].max(initial=0.0)
    return new if np.isfinite(new.value) and flatter else at


def _newton(at: Point, free: Bools, scale: Floats) -> tuple[Floats, bool]:
    """Newton's step over the free parameters; directions that bend upwards are turned round."""
    step, concave = newton_steps(at.gradient[None], at.hessian[None], free[None], scale)
    return step[0], bool(concave[0])


def newton_steps(gradient: Floats, hessian: Floats, free: Bools, scale: Floats) -> tuple[Floats, Bools]:
    """Newton's steps at n points, each over its own free parameters; directions that bend upwards are turned round.

    Parameters
    ----------
    gradient : ndarray of shape (n, m)
    hessian : ndarray of shape (n, m, m)
    free : ndarray of bool, shape (n, m)
    scale : ndarray of shape (m,)

    Returns
    -------
    steps : ndarray of shape (n, m)
    concave : ndarray of bool, shape (n,)
        Whether the function bends upwards in no direction.
    """
    # parameters that are held bend nowhere and pull nowhere, so that they take no part
    bend = np.where(free[:, :, None] & free[:, None, :], -hessian * np.outer(scale, scale), 0.0)
    values, vectors = np.linalg.eigh(bend)
    largest = np.abs(values).max(axis=1, keepdims=True)
    pull = np.where(free, gradient * scale, 0.0)
    floor = 1e-10 * np.maximum(largest, 1e-300)
    turned = np.einsum("nij,ni->nj", vectors, pull) / np.maximum(np.abs(values), floor)
    inner = np.where(free, np.einsum("nij,nj->ni", vectors, turned), 0.0)
    # far from the top a parabola says little: no parameter moves by more than five of its sizes
    reach = np.maximum(np.abs(inner).max(axis=1, keepdims=True), 1e-300)
    steps = scale * inner * np.minimum(1.0, 5.0 / reach)
    return steps, values[:, 0] >= -_FLAT * largest[:, 0]


def _search(evaluate: Callable[[Floats], Point], at: Point, step: Floats, low: Floats, high: Floats) -> Point | None:
    """Halve the step until the function rises; None where it never does."""
    share = 1.0
    for _ in range(50):
        theta = np.clip(at.theta + share * step, low, high)
        moved = theta - at.theta
        if not moved.any():
            return None
        new = evaluate(theta)
        if new.value > at.value + ENOUGH * max(float(at.gradient @ moved), 0.0):
            return new
        share /= 2
    return None
