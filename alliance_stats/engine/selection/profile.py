"""Intervals and tests of single parameters of a selection model by the profile likelihood."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from alliance_stats.engine.selection.climb import Top, climb
from alliance_stats.engine.selection.fit import SelectionFit, box, sizes
from alliance_stats.engine.selection.likelihood import Problem, evaluate

Floats = NDArray[np.floating[Any]]

#: An end is looked for up to this many sizes of the parameter away.
_FAR = 100.0


def held_at(of: Problem, fit: SelectionFit, which: int, value: float, equal: bool = False) -> Top:
    """Maximise with one parameter (of β, τ², δ) held at a value."""
    low, high = box(of, equal)
    low[which] = high[which] = value
    theta = np.concatenate([fit.beta, [fit.tau2], fit.delta])
    starts = [theta]
    if which != of.p and not equal:
        starts.append(np.where(np.arange(theta.size) == of.p, theta + 0.3 * sizes(of), theta))
    scale = sizes(of)
    return max((climb(partial(evaluate, of), one, low, high, scale) for one in starts), key=lambda top: top.at.value)


def profile_interval(
    of: Problem, fit: SelectionFit, which: int, level: float = 0.95, equal: bool = False
) -> tuple[float, float]:
    """Where the profile likelihood has dropped by half the χ² quantile.

    Ends beyond reach are infinite, or the parameter's bound.
    """
    drop = 0.5 * float(chdtri(1, 1 - level))
    low, high = box(of, equal)
    theta = np.concatenate([fit.beta, [fit.tau2], fit.delta])
    centre, size = float(theta[which]), float(sizes(of)[which])
    gap = lambda value: held_at(of, fit, which, value, equal).at.value - fit.log_likelihood + drop  # noqa: E731
    ends = []
    for bound, sign in ((float(low[which]), -1.0), (float(high[which]), 1.0)):
        ends.append(_end(gap, centre, bound, sign, size))
    return ends[0], ends[1]


def _end(gap, centre: float, bound: float, sign: float, size: float) -> float:  # type: ignore[no-untyped-def]
    inner, step = centre, 0.1 * size
    while True:
        outer = centre + sign * step
        outer = max(outer, bound) if sign < 0 else min(outer, bound)
        if gap(outer) < 0:
            return float(brentq(gap, inner, outer, xtol=1e-10 * size, rtol=1e-12))
        if outer == bound:
            return bound
        if step > _FAR * size:
            return sign * np.inf
        inner, step = outer, 2 * step
