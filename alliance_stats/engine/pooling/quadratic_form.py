"""Law of a weighted sum of independent χ² variables with one degree of freedom each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.floating[Any]]

#: Steps along the contour and how fast it bends, in units in which the integrand is about 1 wide.
_STEP, _BEND = 0.05, 0.2
#: Where ``exp(−_LAST)`` is nothing.
_LAST = 38.0


def upper_tail(x: float, weights: Floats) -> float:
    """Probability that ``Σ λ_j χ²_j`` exceeds x, to twelve decimals.

    The inversion integral of the cumulant generating function along a parabola through (nearly) its saddlepoint, where
    the trapezoidal rule converges geometrically.

    Parameters
    ----------
    x : float
    weights : ndarray of shape (m,)
        λ > 0.

    References
    ----------
    Rice (1980), SIAM Journal on Scientific and Statistical Computing, 1, 438-448.
    """
    if x <= 0:
        return 1.0
    if x > (10 * weights.size + 2000) * weights.max():
        return 0.0  # less than 1e-300, by Chernoff's bound
    at, width = _crossing(x, weights)
    bend = _BEND * min(1.0, width / x)  # many terms make a normal top, which falls before the contour may bend
    last = np.sqrt(_LAST * width / (bend * x))
    t = np.arange(-np.ceil(last / _STEP), np.ceil(last / _STEP) + 1) * _STEP
    s = at + (bend * t**2 + 1j * t) / width
    slope = (2 * bend * t + 1j) / width
    logarithm = -s * x - 0.5 * np.log(1 - 2 * s[:, None] * weights).sum(axis=1)
    integral = float((np.exp(logarithm) * slope / s).sum().imag) * _STEP / (2 * np.pi)
    return float(np.clip(integral if at > 0 else 1 + integral, 0.0, 1.0))


def _crossing(x: float, weights: Floats) -> tuple[float, float]:
    """Where the contour crosses the real axis, away from the pole at 0, and the curvature's root there."""
    largest, m = weights.max(), weights.size

    def slope(s: float) -> float:
        return float((weights / (1 - 2 * weights * s)).sum() - x)

    # the slope is below x where every factor is m λ / x or more, and above it near the pole of the largest weight
    low, high = -0.5 * (m + 1) / x, (0.5 / largest) * (1 - 0.5 * largest / (x + largest))
    at = float(brentq(slope, low, high, rtol=1e-6))
    gap = 0.5 / float(np.sqrt(2 * (weights**2).sum()))
    at = gap if abs(at) < gap else at
    return at, float(np.sqrt(2 * ((weights / (1 - 2 * weights * at)) ** 2).sum()))
