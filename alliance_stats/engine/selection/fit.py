"""Fit selection models by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.regression import fit_regression
from alliance_stats.engine.selection.climb import Top, climb
from alliance_stats.engine.selection.likelihood import Problem, evaluate
from alliance_stats.engine.selection.weight_functions import LARGEST

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


#: Curvature of the log-likelihood, per typical size of a parameter, that tells nothing about it.
_KNOWN = 1e-8


@dataclass(frozen=True)
class SelectionFit:
    """A fitted selection model.

    Parameters
    ----------
    beta : ndarray of shape (p,)
    tau2 : float
    delta : ndarray of shape (d,)
        Parameters of the weight function.
    covariance : ndarray of shape (p + 1 + d, p + 1 + d)
        Of (β, τ², δ) by the observed information. Where that cannot be inverted, parameters that rest on a bound are
        taken as known; theirs is NaN, as is that of parameters in which the likelihood is flat.
    free : ndarray of bool
        Which parameters do not.
    log_likelihood : float
    converged : bool
    """

    beta: Floats
    tau2: float
    delta: Floats
    covariance: Floats
    free: Bools
    log_likelihood: float
    converged: bool

    @property
    def errors(self) -> Floats:
        """Standard errors of (β, τ², δ)."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))


def fit_selection(of: Problem, equal: bool = False, start: Floats | None = None) -> SelectionFit:
    """Maximise the likelihood from several starts.

    Parameters
    ----------
    of : Problem
    equal : bool
        Hold τ² at 0.
    start : ndarray, optional
        One start (β, τ², δ) instead, as for bootstrap samples.
    """
    scale, (low, high) = sizes(of), box(of, equal)
    starts = _starts(of, equal) if start is None else [start]
    tops = [climb(partial(evaluate, of), one, low, high, scale) for one in starts]
    best = max(tops, key=lambda top: top.at.value)
    return _finished(best, of.p, low >= high, scale)


def _finished(top: Top, p: int, held: Bools, size: Floats) -> SelectionFit:
    theta = top.at.theta
    known = np.abs(np.diag(top.at.hessian)) * size**2 > _KNOWN
    covariance = np.full((theta.size, theta.size), np.nan)
    # a parameter on a bound is not known exactly: its uncertainty stays in that of the others, where there is an
    # inverse; weights that the effects tell nothing about (all p near 0) are left out
    for chosen in (~held, top.free, top.free & known):
        own = np.flatnonzero(chosen)
        information = -top.at.hessian[np.ix_(own, own)]
        if own.size and np.isfinite(information).all() and np.linalg.eigvalsh(_unit(information))[0] > 1e-12:
            covariance[np.ix_(own, own)] = np.linalg.inv(information)
            break
    return SelectionFit(theta[:p], float(theta[p]), theta[p + 1 :], covariance, top.free, top.at.value, top.converged)


def _unit(matrix: Floats) -> Floats:
    """Scale a matrix to a unit diagonal, so that units do not hide singularity."""
    root = np.sqrt(np.abs(np.diag(matrix)))
    root = np.where(root > 0, root, 1.0)
    return np.asarray(matrix / np.outer(root, root))


def box(of: Problem, equal: bool = False) -> tuple[Floats, Floats]:
    """Bounds of (β, τ², δ)."""
    p, d = of.p, of.weights.lower.size
    low = np.concatenate([np.full(p, -np.inf), [0.0], of.weights.lower])
    high = np.concatenate([np.full(p, np.inf), [0.0 if equal else np.inf], np.full(d, LARGEST)])
    return low, high


def sizes(of: Problem) -> Floats:
    """Typical sizes of (β, τ², δ)."""
    spread = float(np.var(of.y)) + float(np.median(of.v))
    size = np.sqrt(spread / np.maximum(np.mean(of.x**2, axis=0), 1e-300))
    return np.concatenate([size, [spread], np.ones(of.weights.lower.size)])


def _starts(of: Problem, equal: bool) -> list[Floats]:
    """The fit without selection, with each start of the weights, at its own τ² and one far from 0."""
    plain = fit_regression(of.y, of.v, of.x, "EE" if equal else "ML")
    beta, tau2 = plain.beta, plain.tau2
    sizes = [0.0] if equal else [tau2, 0.1 * float(np.var(of.y)) + 0.5 * tau2]
    return [np.concatenate([beta, [size], delta]) for delta in of.weights.starts for size in sizes]
