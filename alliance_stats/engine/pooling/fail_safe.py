"""Fail-safe N: how many unseen null results would change a conclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from alliance_stats.engine.pooling.regression import fit_regression

Floats = NDArray[np.floating[Any]]

#: No search beyond this many studies.
MOST = 10_000_000


def rosenthal(y: Floats, v: Floats, alpha: float) -> tuple[int, float]:
    """Null results until Stouffer's combined one-sided p is alpha, and that p now (Rosenthal, 1979)."""
    k = y.size
    z = abs(float((y / np.sqrt(v)).sum())) / np.sqrt(k)
    return _whole(k * (z / -ndtri(alpha)) ** 2 - k), float(ndtr(-z))


def rosenberg(y: Floats, v: Floats, alpha: float) -> tuple[int, float]:
    """Null results of average weight until the fixed mean's two-sided p is alpha, and that p now (Rosenberg, 2005)."""
    w = 1 / v
    total = float(w.sum())
    z = abs(float(w @ y)) / np.sqrt(total)
    needed = ((w @ y) / ndtri(alpha / 2)) ** 2 - total
    return _whole(y.size * needed / total), float(2 * ndtr(-z))


def orwin(y: Floats, w: Floats, target: float) -> int:
    """Null results until the (weighted) mean falls to a target of its own sign (Orwin, 1983)."""
    mean = float(w @ y / w.sum())
    return _whole(y.size * (mean - target) / target)


@dataclass(frozen=True)
class WithNulls:
    """The random-effects mean with n null results added."""

    n: int
    estimate: float
    tau2: float
    p_value: float


def general(y: Floats, v: Floats, method: str, alpha: float, target: float | None) -> WithNulls:
    """Null results until the random-effects mean falls to a target, or without one until its two-sided p is alpha.

    They average 0, vary by the same τ² as the studies at hand, and have the harmonic mean of their sampling variances;
    τ² with them is the variance of the mixture of both groups.

    References
    ----------
    Viechtbauer (2010), Journal of Statistical Software, 36(3), and the documentation of metafor 4 (``fsn``).
    """
    now = fit_regression(y, v, np.ones((y.size, 1)), method)
    mean, tau2, k = float(now.beta[0]), now.tau2, y.size
    typical = 1 / float(np.mean(1 / v))

    def added(n: int) -> WithNulls:
        between = k * n / (k + n) * mean**2
        mixed = ((k + n - 2) * tau2 + between) / (k + n - 1) if n and method != "EE" else tau2
        w, null = 1 / (v + mixed), n / (typical + mixed)
        total = float(w.sum()) + null
        estimate = float(w @ y) / total
        return WithNulls(n, estimate, mixed, float(2 * ndtr(-abs(estimate) * np.sqrt(total))))

    def reached(n: int) -> bool:
        at = added(n)
        return at.p_value >= alpha if target is None else abs(at.estimate) <= abs(target)

    if reached(0):
        return added(0)
    high = 1
    while not reached(high) and high < MOST:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return added(high)


def _whole(n: float) -> int:
    """Round up, forgiving rounding errors."""
    n = max(float(n), 0.0)
    near = round(n)
    return int(near) if abs(n - near) < 1e-8 else int(np.ceil(n))
