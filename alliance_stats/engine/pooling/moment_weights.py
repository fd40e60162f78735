"""Weights of robust variance estimation, with variances between effects from moments.

References
----------
Hedges, Tipton & Johnson (2010), Research Synthesis Methods, 1, 39-65, sections 4 and 5; Tipton (2015), Psychological
Methods, 20, 375-393.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class MomentWeights:
    """Weights of effects, and the variances that they are made of.

    Parameters
    ----------
    weights : ndarray of shape (k,)
    tau2, omega2 : float
        Variance between studies, and within them (0 for correlated effects).
    i2 : float
        I² in per cent; NaN for hierarchical effects.
    """

    weights: Floats
    tau2: float
    omega2: float
    i2: float


@dataclass(frozen=True)
class _Residuals:
    """A weighted regression and the sums that expectations of quadratic forms are made of."""

    x: Floats
    w: Floats
    study: Ints
    e: Floats
    inverse: Floats

    def summed(self, values: Floats) -> Floats:
        """Sum columns (k, c) over studies."""
        total = np.zeros((int(self.study.max()) + 1, values.shape[1]))
        np.add.at(total, self.study, values)
        return total

    def trace(self, matrix: Floats) -> float:
        """Trace of ``(X'WX)⁻¹`` times a matrix."""
        return float(np.einsum("ij,ji->", self.inverse, matrix))


def _regress(y: Floats, x: Floats, w: Floats, study: Ints) -> _Residuals:
    xw = x * w[:, None]
    inverse = np.linalg.inv(xw.T @ x)
    return _Residuals(x, w, study, y - x @ (inverse @ (xw.T @ y)), inverse)


def correlated_weights(y: Floats, v: Floats, x: Floats, study: Ints, rho: float) -> MomentWeights:
    """Weights ``1/(k_j (v̄_j + τ²))`` for effects whose sampling errors correlate by ``rho`` within studies.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
    x : ndarray of shape (k, p)
    study : ndarray of int, shape (k,)
        From 0.
    rho : float
    """
    size = np.bincount(study)
    mean_v = (np.bincount(study, v) / size)[study]
    n = size[study].astype(np.float64)
    fit = _regress(y, x, 1 / (n * mean_v), study)
    q = float(fit.w @ fit.e**2)
    xw_sums = fit.summed(x * fit.w[:, None])
    divisor = float(fit.w.sum()) - fit.trace(xw_sums.T @ xw_sums)
    own = (x * (fit.w / n)[:, None]).T @ x
    # weights are one number per study, so that sums of x need one root of w/k each
    sums = fit.summed(x * np.sqrt(fit.w / n)[:, None])
    first, second = fit.trace(own), fit.trace(sums.T @ sums - own)
    expected = size.size - first - rho * second
    tau2 = max(0.0, (q - expected) / divisor)
    i2 = max(0.0, 100 * (q - expected) / q) if q > 0 else 0.0
    return MomentWeights(1 / (n * (mean_v + tau2)), tau2, 0.0, i2)


def hierarchical_weights(y: Floats, v: Floats, x: Floats, study: Ints) -> MomentWeights:
    """Weights ``1/(v + τ² + ω²)`` for effects that vary between studies (τ²) and within them (ω²).

    The variances equate two quadratic forms of the residuals with their expectations: the weighted sum of squares, and
    the sum over studies of the squared sum of residuals.
    """
    fit = _regress(y, x, 1 / v, study)
    size = np.bincount(study).astype(np.float64)
    squares = float(fit.w @ fit.e**2)
    totals = float((np.bincount(study, fit.e) ** 2).sum())
    xw = x * fit.w[:, None]
    x_sums, xw_sums = fit.summed(x), fit.summed(xw)
    joined, weighted_joined, weighted = x_sums.T @ x_sums, xw_sums.T @ xw_sums, xw.T @ xw
    g = fit.inverse
    # E(squares) = (k − p) + a τ² + b ω², with a, b the traces of P J and P
    a, b = float(fit.w.sum()) - fit.trace(weighted_joined), float(fit.w.sum()) - fit.trace(weighted)
    # E(totals) = c + d τ² + f ω², with tr(J S) − 2 tr(G X'W S J X) + tr(G X'J X G X'W S W X)
    c = float(v.sum()) - fit.trace(joined)
    d = (
        float((size**2).sum())
        - 2 * fit.trace(xw_sums.T @ (x_sums * size[:, None]))
        + float(np.trace(g @ joined @ g @ weighted_joined))
    )
    f = float(size.sum()) - 2 * fit.trace(xw_sums.T @ x_sums) + float(np.trace(g @ joined @ g @ weighted))
    spare = y.size - x.shape[1]
    omega2 = max(0.0, ((totals - c) * a - (squares - spare) * d) / (f * a - b * d))
    tau2 = max(0.0, (squares - spare - omega2 * b) / a)
    return MomentWeights(1 / (v + tau2 + omega2), tau2, omega2, float("nan"))
