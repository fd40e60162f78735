"""A mean with weights of the user's choice, and τ² from the Q statistic of these weights.

References
----------
DerSimonian & Kacker (2007), Contemporary Clinical Trials, 28, 105-114 (τ²); Jackson (2013), Research Synthesis Methods,
4, 220-229 (its interval).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from alliance_stats.engine.pooling.quadratic_form import upper_tail

Floats = NDArray[np.floating[Any]]


def weighted_mean(y: Floats, v: Floats, weight: Floats, tau2: float) -> tuple[float, float]:
    """Mean and its standard error, for effects of variance ``v + τ²``."""
    share = weight / weight.sum()
    return float(share @ y), float(np.sqrt(share**2 @ (v + tau2)))


def weighted_q(y: Floats, weight: Floats) -> float:
    """Weighted sum of squared deviations from the weighted mean."""
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def generalised_q_tau2(y: Floats, v: Floats, weight: Floats) -> float:
    """τ² at which the statistic is what is expected of it; 0 where it is less than sampling errors alone explain."""
    left = weight * (1 - weight / weight.sum())  # diagonal of the quadratic form
    return max((weighted_q(y, weight) - float(left @ v)) / float(left.sum()), 0.0)


def generalised_q_interval(y: Floats, v: Floats, weight: Floats, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of τ²: where the statistic is the upper and the lower quantile of its law.

    Returns
    -------
    low, high : float
        ``low`` is 0 where the statistic is no surprise without differences. Both are NaN where it is too small for any
        τ² ≥ 0.
    """
    tail, scale = (1 - level) / 2, float(np.median(v))

    def above(tau2: float) -> float:
        return exceeded(y, v, weight, tau2)

    def where(target: float) -> float:
        if above(0.0) > target:
            return 0.0
        high = scale
        while above(high) < target:
            high *= 2
        return float(brentq(lambda tau2: above(tau2) - target, 0.0, high, xtol=1e-14 * scale, rtol=1e-13))

    if y.size < 2 or above(0.0) > 1 - tail:
        return float("nan"), float("nan")
    return where(tail), where(1 - tail)


def exceeded(y: Floats, v: Floats, weight: Floats, tau2: float) -> float:
    """Probability of a larger statistic than that of these effects, studies differing by τ²."""
    spread = weight * np.sqrt(v + tau2)
    turned = np.diag(weight * (v + tau2)) - np.outer(spread, spread) / weight.sum()
    values = np.linalg.eigvalsh(turned)[1:]  # the first is 0: the mean is taken out
    return upper_tail(weighted_q(y, weight), values)
