"""Likelihood of τ² for one set of effects and one coefficient: the same climb as for many sets, in plain numbers.

One mean is what is pooled most often. Its climb needs twelve sums per step; as arrays of length one they cost ten times
as much as the sums themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, sqrt

import numpy as np

from alliance_stats.engine.pooling.sums import Effects

_STEPS = 200
#: Relative size of a Newton step after which no other is needed.
_LAST_STEP = 1e-9


@dataclass(frozen=True)
class _Slope:
    """Slope of the log-likelihood over τ², and the observed and the expected information."""

    slope: float
    bend: float
    expected: float


def _slope(effects: Effects, tau2: float, restricted: bool) -> _Slope:
    """Compute what :class:`alliance_stats.engine.pooling.sums.Solved` has for many sets."""
    weights = np.empty((3, effects.k))
    np.divide(1.0, effects.v + tau2, out=weights[0])
    np.multiply(weights[0], weights[0], out=weights[1])
    np.multiply(weights[1], weights[0], out=weights[2])
    first, second, third = (weights @ effects.products).tolist()
    one1, xx1, xy1, _ = first
    one2, xx2, xy2, yy2 = second
    _, xx3, xy3, yy3 = third
    beta = xy1 / xx1
    ypp_y = yy2 - 2 * beta * xy2 + beta * beta * xx2
    left = xy2 - xx2 * beta
    yppp_y = yy3 - 2 * beta * xy3 + beta * beta * xx3 - left * left / xx1
    trace, squares = one1, one2
    if restricted:
        turned = xx2 / xx1
        trace -= turned
        squares += turned * turned - 2 * xx3 / xx1
    return _Slope(0.5 * (ypp_y - trace), yppp_y - 0.5 * squares, 0.5 * squares)


def maximise_one(
    effects: Effects, restricted: bool, tau2: float, low: float = 0.0, high: float = inf
) -> tuple[float, bool]:
    """Find the τ² ≥ 0 that maximises the likelihood of one mean, to the last digits.

    Newton's method where the likelihood bends downwards, Fisher scoring elsewhere, inside a bracket that shrinks by
    the sign of the slope.

    Parameters
    ----------
    effects : Effects
        With one column of moderators.
    restricted : bool
    tau2 : float
        Where to start.
    low, high : float
        Bracket of the peak.

    Returns
    -------
    tau2 : float
    converged : bool
        Whether the slope vanishes, or points below zero at zero.
    """
    for _ in range(_STEPS):
        at = _slope(effects, tau2, restricted)
        if isnan(at.slope):
            return tau2, False
        if at.slope == 0 or (tau2 == 0 and at.slope < 0):
            return tau2, True
        low, high = (tau2, high) if at.slope > 0 else (low, tau2)
        observed = at.bend > 0.1 * at.expected
        information = at.bend if observed else at.expected
        new = max(tau2 + at.slope / information, 0.0) if information > 0 else inf
        if not low <= new <= high:
            new = 0.5 * (low + (2 * tau2 + float(effects.v.mean()) if high == inf else high))
        # a Newton step doubles the digits: after one below 1e-9, all are right
        small = abs(new - tau2) <= (_LAST_STEP if observed else 1e-15) * tau2
        tau2 = new
        if small:
            return tau2, True
    at = _slope(effects, tau2, restricted)
    # rounding keeps a step from vanishing: what is left must be far below the standard error of τ²
    return tau2, abs(at.slope) <= 1e-8 * sqrt(at.expected) or (tau2 == 0 and at.slope <= 0)
