"""Trim and fill: how many studies a lopsided funnel lacks, and what they would have found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.regression import fit_regression

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

ESTIMATORS = ("L0", "R0", "Q0")
_ROUNDS = 100


@dataclass(frozen=True)
class Trimmed:
    """What a funnel lacks on its left side.

    Parameters
    ----------
    n : int
        Studies missing.
    error : float
        Standard error of their number.
    p_value : float
        Of no study missing; known for R0 only.
    places : ndarray of int, shape (n,)
        Effects whose mirror images are missing.
    mirrored : ndarray of shape (n,)
        The mirror images.
    converged : bool
        Whether the rounds of trimming came to rest.
    """

    n: int
    error: float
    p_value: float
    places: Ints
    mirrored: Floats
    converged: bool


def trim(y: Floats, v: Floats, estimator: str, method: str) -> Trimmed:
    """Trim the largest effects until what is left is symmetric.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
        Effects and sampling variances; studies are missing on the left.
    estimator : {"L0", "R0", "Q0"}
    method : str
        Estimator of τ² for the centre of what is left.

    References
    ----------
    Duval & Tweedie (2000), Journal of the American Statistical Association, 95, 89-98; Biometrics, 56, 455-463.
    """
    order = np.argsort(y, kind="stable")
    own, spread, k = y[order], v[order], y.size
    n, seen, centre, error = 0, [-1], float("nan"), float("nan")
    while n != seen[-1] and len(seen) <= _ROUNDS:
        seen.append(n)
        left = slice(0, max(k - n, 1))
        centre = float(fit_regression(own[left], spread[left], np.ones((k - n, 1)), method).beta[0])
        n, error = _missing(own - centre, estimator)
        n = min(n, k - 1)
    places = order[k - n :]
    p = 0.5 ** (n + 1) if estimator == "R0" else float("nan")
    return Trimmed(n, error, p, places, 2 * centre - y[places], n == seen[-1])


def _missing(deviation: Floats, estimator: str) -> tuple[int, float]:
    """Missing studies and their standard error, from deviations in rising order."""
    k = deviation.size
    ranks = np.empty(k)
    ranks[np.argsort(np.abs(deviation), kind="stable")] = np.arange(1, k + 1)
    if estimator == "R0":
        below = ranks[deviation < 0]
        n = max(0.0, k - below.max() - 1) if below.size else 0.0
        return int(n), float(np.sqrt(2 * n + 2))
    rank_sum = float(ranks[deviation > 0].sum())
    if estimator == "L0":
        raw = (4 * rank_sum - k * (k + 1)) / (2 * k - 1)
        return max(0, round(raw)), float(4 * np.sqrt(max(_rank_variance(k, raw), 0.0)) / (2 * k - 1))
    raw = k - 0.5 - np.sqrt(max(2 * k**2 - 4 * rank_sum + 0.25, 0.0))
    slope = (k - 0.5) ** 2 - raw * (2 * k - raw - 1)
    error = 2 * np.sqrt(max(_rank_variance(k, raw), 0.0)) / np.sqrt(slope) if slope > 0 else float("nan")
    return max(0, round(raw)), float(error)


def _rank_variance(k: int, n: float) -> float:
    """Variance of the rank sum when n of the most extreme studies are missing."""
    return (
        float(k * (k + 1) * (2 * k + 1) + 10 * n**3 + 27 * n**2 + 17 * n - 18 * k * n**2 - 18 * k * n + 6 * k**2 * n)
        / 24
    )
