"""Saddlepoint approximation to the law of a robust t statistic.

Under the working model ``t² > c`` means that a sum of independent χ² variables with one degree of freedom exceeds 0:
one with weight 1, for the coefficient, and one with weight ``−c γ_j / Σγ`` for each eigenvalue γ of the robust
variance. The probability follows from the cumulant generating function of that sum. Where all γ are equal and t is
Student's, it is within 2.5% of the exact p value for |t| below 1.3, and 15% too large in the far tail.

References
----------
McCaffrey & Bell (2006), Statistics in Medicine, 25, 4081-4098; Lugannani & Rice (1980), Advances in Applied
Probability, 12, 475-490; Tipton (2015), Psychological Methods, 20, 375-393.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from alliance_stats.engine.pooling.large import one_thread
from alliance_stats.engine.pooling.robust import Robust

Floats = NDArray[np.floating[Any]]

#: More clusters than this have t statistics that are normal for all purposes, and eigenvalues that take long.
MOST_CLUSTERS = 2_000
#: Standardised saddlepoints below this are expanded around 0, where the formula is a difference of large numbers.
_NEAR_ZERO = 1e-4


@dataclass(frozen=True)
class Saddlepoint:
    """Tests of weighted sums of coefficients.

    Parameters
    ----------
    point : ndarray of shape (q,)
        The saddlepoint, below 0.5; missing where the statistic is 0 or there is none.
    p_value : ndarray of shape (q,)
        Two-sided.
    """

    point: Floats
    p_value: Floats


def saddlepoint_test(of: Robust, rows: Floats, beta: Floats) -> Saddlepoint:
    """Test each of several weighted sums of coefficients.

    Parameters
    ----------
    of : Robust
        With at most ``MOST_CLUSTERS`` clusters.
    rows : ndarray of shape (q, p)
    beta : ndarray of shape (p,)
    """
    variances = np.einsum("qp,pr,qr->q", rows, of.covariance, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (rows @ beta) ** 2 / variances
    found = np.array([_tail(square, spectrum(of, row)) for square, row in zip(squares, rows, strict=True)])
    return Saddlepoint(found[:, 0], found[:, 1])


def spectrum(of: Robust, row: Floats) -> Floats:
    """Eigenvalues γ of the robust variance of one weighted sum under the working model, (n,)."""
    turned = of.inverse @ row
    across = of.across @ turned
    with one_thread(len(across) ** 2):
        matrix = np.diag(np.einsum("r,nrs,s->n", turned, of.own, turned)) - across @ of.form @ across.T
        return np.asarray(np.linalg.eigvalsh(matrix))


def _tail(square: float, gamma: Floats) -> tuple[float, float]:
    """Saddlepoint, and probability that t² exceeds ``square``."""
    if not np.isfinite(square):
        return float("nan"), float("nan")
    if square == 0:
        return float("nan"), 1.0
    weights = np.append(1.0, -square * gamma / gamma.sum())
    point = saddlepoint(weights)
    return point, exceeds_zero(weights, point)


def saddlepoint(weights: Floats) -> float:
    """Where the slope of the cumulant generating function is 0, for weights of which the first is 1, others below 0.

    The slope rises from −∞ to ∞ between the poles ``0.5 / min(weights)`` and 0.5; its sign is known at both ends of
    what is searched.
    """

    def slope(s: float) -> float:
        return float((weights / (1 - 2 * weights * s)).sum())

    low, high = 0.75 * 0.5 / weights.min(), 0.5 * (1 - 1 / (weights.size + 1))
    # a root near 0 needs the digits of the scale only: what is made of it does not change to first order
    return float(brentq(slope, low, high, xtol=1e-15 * min(-low, high), rtol=1e-14))


def exceeds_zero(weights: Floats, point: float) -> float:
    """Probability that the weighted sum of χ² variables exceeds 0, from its saddlepoint (Lugannani & Rice)."""
    second = 2 * ((weights / (1 - 2 * weights * point)) ** 2).sum()
    q = point * np.sqrt(second)
    r = np.sign(point) * np.sqrt(max(np.log1p(-2 * weights * point).sum(), 0.0))
    gap = _expanded(weights, point, second) if abs(q) < _NEAR_ZERO else 1 / r - 1 / q
    density = np.exp(-0.5 * r**2) / np.sqrt(2 * np.pi)
    return float(np.clip(ndtr(-r) - density * gap, 0.0, 1.0))


def _expanded(weights: Floats, point: float, second: float) -> float:
    """``1/r − 1/q`` for a saddlepoint near 0, to its first order."""
    ratio = weights / (1 - 2 * weights * point)
    third, fourth = 8 * (ratio**3).sum() / second, 48 * (ratio**4).sum() / second
    return float((third / 6 + point * (third**2 - fourth) / 24) / np.sqrt(second))
