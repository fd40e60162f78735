"""Profile-likelihood intervals of variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from alliance_stats.engine.pooling.climb import find_peak
from alliance_stats.engine.pooling.multilevel import Peak, Problem

Floats = NDArray[np.floating[Any]]


def profile_interval(of: Problem, peak: Peak, parameter: int, level: float = 0.95) -> tuple[float, float]:
    """Find the values of one variance at which the likelihood, highest over the others, has fallen by χ²₁/2.

    Returns
    -------
    low, high : float
        ``low`` is 0 where the likelihood does not fall so far; ``high`` is infinite where it never does.
    """
    goal = peak.at.value - 0.5 * float(chdtri(1, 1 - level))
    estimate = float(peak.theta[parameter])
    last = {"theta": np.array(peak.theta, dtype=np.float64)}

    def excess(value: float) -> float:
        found = find_peak(of, last["theta"], {parameter: value})
        last["theta"] = np.array(found.theta, dtype=np.float64)
        return found.at.value - goal

    low = 0.0
    if estimate > 0 and excess(0.0) < 0:
        last["theta"] = np.array(peak.theta, dtype=np.float64)
        low = float(brentq(excess, 0.0, estimate, xtol=1e-14, rtol=1e-11))
    last["theta"] = np.array(peak.theta, dtype=np.float64)
    scale = float(np.mean(of.y**2))
    far = max(2 * estimate, 0.1 * scale)
    while excess(far) > 0:
        far *= 2
        if far > 1e8 * scale:
            return low, float("inf")
    last["theta"] = np.array(peak.theta, dtype=np.float64)
    return low, float(brentq(excess, estimate, far, xtol=1e-14, rtol=1e-11))
