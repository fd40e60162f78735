"""Weighted least squares with an unknown factor on all variances: Egger's test in its first form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LeastSquares:
    """Coefficients and their covariance.

    Parameters
    ----------
    beta : ndarray of shape (p,)
    inverse : ndarray of shape (p, p)
        ``(X'WX)⁻¹`` with W = 1/v.
    residual : ndarray of shape (k,)
    factor : float
        Multiplicative dispersion: the weighted residual mean square.
    df : int
    """

    beta: Floats
    inverse: Floats
    residual: Floats
    factor: float
    df: int

    @property
    def covariance(self) -> Floats:
        """Covariance of the coefficients."""
        return self.factor * self.inverse


def least_squares(y: Floats, v: Floats, x: Floats) -> LeastSquares:
    """Regress effects on columns, weights 1/v.

    References
    ----------
    Egger et al. (1997), BMJ, 315, 629-634; Thompson & Sharp (1999), Statistics in Medicine, 18, 2693-2708.
    """
    root = 1 / np.sqrt(v)
    q, r = np.linalg.qr(x * root[:, None])
    beta = np.linalg.solve(r, q.T @ (y * root))
    residual = y - x @ beta
    df = y.size - x.shape[1]
    factor = float((residual * root) @ (residual * root)) / df if df > 0 else float("nan")
    half = np.linalg.inv(r)
    return LeastSquares(beta, half @ half.T, residual, factor, df)
