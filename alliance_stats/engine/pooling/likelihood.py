"""Likelihood of τ²: value, peak, and where it has fallen by a given amount."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.one_mean import maximise_one
from alliance_stats.engine.pooling.sets import Sets
from alliance_stats.engine.pooling.sums import Effects, Solved, solve

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_STEPS = 200
#: Relative size of a Newton step after which no other is needed.
_LAST_STEP = 1e-9
#: Values of τ², relative to the spread of the effects, among which the highest peak is looked for.
_GRID = np.concatenate([[0.0], np.geomspace(1e-5, 30.0, 23)])


def log_likelihood(effects: Effects, tau2: Floats, restricted: bool) -> Floats:
    """Log-likelihood of n values of τ², with β at its best for each.

    Parameters
    ----------
    effects : Effects
    tau2 : ndarray of shape (n,)
    restricted : bool
        The restricted likelihood, of contrasts that β does not reach (``½ log|X'X|`` is part of it).
    """
    logs = np.log(effects.v + tau2[:, None]).sum(axis=1)
    return _value(solve(effects, tau2), logs, np.array(effects.k), restricted)


def _value(at: Solved, logs: Floats, count: Floats, restricted: bool) -> Floats:
    value = -0.5 * (count * np.log(2 * np.pi) + logs + at.q)
    if restricted:
        # the basis is orthonormal: log|X'X| and log|X'WX| change by the same amount with the coordinates
        value = value - 0.5 * (at.log_det - at.effects.p * np.log(2 * np.pi))
    return np.asarray(value)


def _values(sets: Sets, tau2: float, restricted: bool) -> Floats:
    """Log-likelihood of each set at one τ²."""
    logs = sets.total(np.log(sets.effects.v + tau2)[:, None])[:, 0]
    return _value(sets.solve(np.full(sets.n, tau2)), logs, sets.count.astype(np.float64), restricted)


def maximise(sets: Sets, restricted: bool, start: float | None) -> tuple[Floats, Bools]:
    """Find the τ² ≥ 0 that maximises the likelihood of each of n sets, to the last digits.

    Newton's method where the likelihood bends downwards, Fisher scoring elsewhere, inside a bracket that shrinks by
    the sign of the slope.

    Parameters
    ----------
    sets : Sets
    restricted : bool
    start : float, optional
        Where to start; by default the best value of a grid between whose neighbours the peak lies.

    Returns
    -------
    tau2 : ndarray of shape (n,)
    converged : ndarray of bool, shape (n,)
        Whether the slope vanishes, or points below zero at zero.
    """
    n = sets.n
    mean_v = float(sets.effects.v.mean())
    if start is None:
        tau2, low, high = _best_of_grid(sets, restricted)
    else:
        tau2, low, high = np.full(n, start), np.zeros(n), np.full(n, np.inf)
    if n == 1 and sets.effects.p == 1 and sets.count[0] == sets.effects.k > 1:
        value, good = maximise_one(sets.effects, restricted, float(tau2[0]), float(low[0]), float(high[0]))
        return np.array([value]), np.array([good])
    done = np.zeros(n, bool)
    for _ in range(_STEPS):
        at = sets.solve(tau2)
        slope, bend, expected = _derivatives(at, restricted)
        low = np.where(slope > 0, tau2, low)
        high = np.where(slope < 0, tau2, high)
        information = np.where(bend > 0.1 * expected, bend, expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = np.maximum(tau2 + slope / information, 0.0)
        outside = (new < low) | (new > high)
        new = np.where(outside, 0.5 * (low + np.where(np.isinf(high), 2 * tau2 + mean_v, high)), new)
        before = done | ((tau2 == 0) & (slope <= 0)) | np.isnan(slope)
        # a Newton step doubles the digits: after one below 1e-9, all are right
        small = np.abs(new - tau2) <= np.where(information == bend, _LAST_STEP, 1e-15) * tau2
        tau2 = np.where(before, tau2, new)
        done = before | small
        if done.all():
            return tau2, ~np.isnan(slope)
    at = sets.solve(tau2)
    slope, _, expected = _derivatives(at, restricted)
    # rounding keeps a step from vanishing: what is left must be far below the standard error of τ²
    return tau2, (np.abs(slope) <= 1e-8 * np.sqrt(expected)) | ((tau2 == 0) & (slope <= 0))


def _derivatives(at: Solved, restricted: bool) -> tuple[Floats, Floats, Floats]:
    """Slope over τ², and the observed and the expected information."""
    trace, squares = (at.trace_p, at.trace_pp) if restricted else (at.first.one, at.second.one)
    return 0.5 * (at.ypp_y - trace), at.yppp_y - 0.5 * squares, 0.5 * squares


def _best_of_grid(sets: Sets, restricted: bool) -> tuple[Floats, Floats, Floats]:
    effects = sets.effects
    spread = float(np.mean(effects.y**2))
    if spread == 0:
        zero = np.zeros(sets.n)
        return zero, zero, np.full(sets.n, np.inf)
    grid = _GRID * spread
    if sets.n == 1 and sets.count[0] == effects.k:
        values = log_likelihood(effects, grid, restricted)[:, None]
    else:
        values = np.stack([_values(sets, float(tau2), restricted) for tau2 in grid])
    best = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=0)
    wide = np.append(grid, np.inf)
    return grid[best], grid[np.maximum(best - 1, 0)], wide[best + 1]


def drop_points(effects: Effects, tau2: float, restricted: bool, drop: float) -> tuple[float, float]:
    """Find where the log-likelihood lies ``drop`` below its peak, on both sides.

    Returns
    -------
    low, high : float
        ``low`` is 0 where the likelihood does not fall so far.
    """
    from scipy.optimize import brentq

    def value(at: float) -> float:
        return float(log_likelihood(effects, np.array([at]), restricted)[0])

    goal = value(tau2) - drop

    def excess(at: float) -> float:
        return value(at) - goal

    low = 0.0 if tau2 == 0 or excess(0.0) >= 0 else float(brentq(excess, 0.0, tau2, xtol=1e-300, rtol=1e-15))
    far = 2 * tau2 + float(np.mean(effects.v)) + float(np.mean(effects.y**2))
    while excess(far) > 0:
        far *= 2
    return low, float(brentq(excess, tau2, far, xtol=1e-300, rtol=1e-15))
