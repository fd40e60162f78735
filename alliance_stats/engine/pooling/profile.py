"""Profile-likelihood intervals of variances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import chdtri

from alliance_stats.engine.pooling.climb import find_peak
from alliance_stats.engine.pooling.multilevel import Evaluation, Peak, Problem

Floats = NDArray[np.floating[Any]]


def profile_interval(of: Problem, peak: Peak, parameter: int, level: float = 0.95) -> tuple[float, float]:
    """Find the values of one variance at which the likelihood, highest over the others, has fallen by χ²₁/2.

    Returns
    -------
    low, high : float
        ``low`` is 0 where the likelihood does not fall so far; ``high`` is infinite where it never does.
    """
    last = {"theta": np.array(peak.theta, dtype=np.float64)}

    def highest(value: float) -> float:
        found = find_peak(of, last["theta"], {parameter: value})
        last["theta"] = np.array(found.theta, dtype=np.float64)
        return float(found.at.value)

    def again() -> None:
        last["theta"] = np.array(peak.theta, dtype=np.float64)

    return _ends(of, peak, float(peak.theta[parameter]), level, highest, again)


def total_interval(of: Problem, peak: Peak, level: float = 0.95) -> tuple[float, float]:
    """Find the sums of all variances at which the likelihood, highest over their shares, has fallen by χ²₁/2.

    Returns
    -------
    low, high : float
        As for :func:`profile_interval`.
    """
    last = {"share": _shares(peak.theta)}

    def highest(total: float) -> float:
        value, last["share"] = _highest_at(of, total, last["share"])
        return value

    def again() -> None:
        last["share"] = _shares(peak.theta)

    return _ends(of, peak, float(np.sum(peak.theta)), level, highest, again)


#: Variances and errors that are this much smaller than their sum leave no digits to tell them by.
_NOTHING = 1e-8
#: An end of an interval is found when it moves by less than this share of the size that variances may have.
_CLOSE = 1e-14


def _shares(theta: Floats) -> Floats:
    total = float(np.sum(theta))
    return theta / total if total > 0 else np.full(len(theta), 1 / len(theta))


def _highest_at(of: Problem, total: float, share: Floats) -> tuple[float, Floats]:
    """The highest likelihood among variances with one sum, and their shares."""
    if total <= 0:
        return float(Evaluation(of, np.zeros(of.n_parameters)).value), share

    # without sampling errors to speak of, a variance of zero would make the covariance singular
    least = 0.0 if _error(of) > _NOTHING * total else _NOTHING

    def falls(shares: Floats) -> tuple[float, Floats]:
        at = Evaluation(of, total * np.clip(shares, least, None))
        return -float(at.value), -total * at.slope

    found = minimize(
        falls,
        np.clip(share, 1e-3, None) / np.clip(share, 1e-3, None).sum(),
        jac=True,
        method="SLSQP",
        bounds=[(least, 1.0)] * len(share),
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones_like(w)}],
        options={"ftol": 1e-13, "maxiter": 200},
    )
    return -float(found.fun), np.asarray(found.x, dtype=np.float64)


def _ends(
    of: Problem,
    peak: Peak,
    estimate: float,
    level: float,
    highest: Callable[[float], float],
    again: Callable[[], None],
) -> tuple[float, float]:
    """Where ``highest`` falls by χ²₁/2 below the peak, on both sides; ``again`` makes it start from the peak.

    Both are missing where rounding hides the likelihood.
    """
    try:
        return _both_ends(of, peak, estimate, level, highest, again)
    except np.linalg.LinAlgError:  # beside the variances tried, sampling errors leave no digits
        return float("nan"), float("nan")


def _both_ends(
    of: Problem,
    peak: Peak,
    estimate: float,
    level: float,
    highest: Callable[[float], float],
    again: Callable[[], None],
) -> tuple[float, float]:
    goal = peak.at.value - 0.5 * float(chdtri(1, 1 - level))

    def excess(value: float) -> float:
        return highest(value) - goal

    scale = _scale(of)
    near = _CLOSE * scale  # in units of the effects: what is close for correlations is far for tiny units
    if excess(estimate) <= 0:  # rounding hides the peak
        return float("nan"), float("nan")
    low = 0.0
    if estimate > 0 and excess(0.0) < 0:
        again()
        low = float(brentq(excess, 0.0, estimate, xtol=near, rtol=1e-11))
    again()
    far = max(2 * estimate, 0.1 * scale)
    while excess(far) > 0:
        far *= 2
        if far > 1e8 * scale:
            return low, float("inf")
    again()
    return low, float(brentq(excess, estimate, far, xtol=near, rtol=1e-11))


def _scale(of: Problem) -> float:
    """The size that variances may have: of the effects, or of their errors where the effects are alike."""
    return max(float(np.mean(of.y**2)), _error(of))


def _error(of: Problem) -> float:
    """A typical sampling variance."""
    return float(1 / np.mean(of.covariance.at(np.zeros(of.n_parameters)).diagonal()))
