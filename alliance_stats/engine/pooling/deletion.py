"""Diagnostics of effects from the fits without each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr

from alliance_stats.engine.pooling.many_fits import ManyFits
from alliance_stats.engine.pooling.regression import Regression
from alliance_stats.engine.pooling.sums import solve

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Deletion:
    """Diagnostics, one value per effect; ``dfbetas`` has a column per coefficient."""

    rstudent: Floats
    dffits: Floats
    cook_d: Floats
    cov_ratio: Floats
    hat: Floats
    dfbetas: Floats
    influential: NDArray[np.bool_]


def deletion_diagnostics(fit: Regression, y: Floats, x: Floats, without: ManyFits) -> Deletion:
    """Compare a fit with those without each effect.

    Parameters
    ----------
    fit : Regression
    y : ndarray of shape (k,)
    x : ndarray of shape (k, p)
    without : ManyFits
        k fits, the i-th without effect i.

    References
    ----------
    Viechtbauer & Cheung (2010), Research Synthesis Methods, 1, 112-125.
    """
    v = fit.effects.v
    k, p = x.shape
    plain = fit.covariance / fit.scale
    hat = np.einsum("ip,pq,iq->i", x, plain, x) / (v + fit.tau2)
    change = fit.beta - without.beta
    fitted_without = np.einsum("ip,ip->i", x, without.beta)
    spread = np.einsum("ip,ipq,iq->i", x, without.covariance, x)
    rstudent = (y - fitted_without) / np.sqrt(without.scale * (v + without.tau2) + spread)
    moved = x @ fit.beta - fitted_without
    dffits = moved / np.sqrt(without.scale * hat * (without.tau2 + v))
    cook_d = np.einsum("ip,pq,iq->i", change, np.linalg.inv(fit.covariance), change)
    with np.errstate(invalid="ignore"):  # NaN where the rest cannot tell the coefficients apart
        cov_ratio = np.linalg.det(without.covariance) / np.linalg.det(fit.covariance)
    # all effects, at the τ² without one
    spreads = fit.effects.covariance(solve(fit.effects, without.tau2).inverse)
    dfbetas = change / np.sqrt(without.scale[:, None] * np.diagonal(spreads, axis1=1, axis2=2))
    influential = (
        (np.abs(dffits) > 3 * np.sqrt(p / (k - p)))
        | (chdtr(p, cook_d) > 0.5)
        | (hat > 3 * p / k)
        | (np.abs(dfbetas) > 1).any(axis=1)
    )
    return Deletion(rstudent, dffits, cook_d, cov_ratio, hat, dfbetas, influential)
