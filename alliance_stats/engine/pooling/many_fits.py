"""Fits of many subsets of the same effects: one left out, the first so many, any subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.large import one_thread
from alliance_stats.engine.pooling.sets import Bools, Sets, Subsets
from alliance_stats.engine.pooling.sums import Effects
from alliance_stats.engine.pooling.univariate import estimate_tau2

Floats = NDArray[np.floating[Any]]

#: Weights held at once: subsets are fitted in pieces of this size.
_PIECE = 1_000_000


@dataclass(frozen=True)
class ManyFits:
    """Estimates of n subsets; NaN where a subset cannot tell its coefficients apart.

    Parameters
    ----------
    k : ndarray of int, shape (n,)
        Effects in each subset.
    beta : ndarray of shape (n, p)
    covariance : ndarray of shape (n, p, p)
        With Knapp and Hartung's factor in it, where the test has one; missing where there are no residuals for it.
    scale, tau2, q, i2, h2 : ndarray of shape (n,)
        As in :class:`alliance_stats.engine.pooling.regression.Regression`.
    converged : ndarray of bool, shape (n,)
    """

    k: Floats
    beta: Floats
    covariance: Floats
    scale: Floats
    tau2: Floats
    q: Floats
    i2: Floats
    h2: Floats
    converged: Bools


#: Share of the squares of all effects below which those of residuals are rounding.
_ROUNDING = 1e-13


def pieces(n: int, k: int) -> Iterator[slice]:
    """Parts of n subsets of k effects that fit into memory together."""
    size = max(1, _PIECE // max(k, 1))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def joined(parts: Sequence[ManyFits]) -> ManyFits:
    """Put the fits of several pieces together."""
    fields = [np.concatenate([getattr(part, name) for part in parts]) for name in ManyFits.__dataclass_fields__]
    return ManyFits(*fields)


def fit_growing(effects: Effects, method: str, test: str) -> ManyFits:
    """Fit the first effect, the first two, and so on."""
    place = np.arange(effects.k)
    parts = []
    for at in pieces(effects.k, effects.k):
        parts.append(fit_sets(Subsets(effects, place <= place[at][:, None]), method, test))
    return joined(parts)


def fit_sets(sets: Sets, method: str, test: str, start: float | None = None) -> ManyFits:
    """Fit sets of effects.

    Parameters
    ----------
    sets : Sets
    method, test : str
        As for :func:`alliance_stats.engine.pooling.regression.fit_regression`.
    start : float, optional
        Where likelihoods are climbed from: τ² of all effects is close where few are left out.
    """
    with one_thread(sets.effects.k):
        return _fit_sets(sets, method, test, start)


def _fit_sets(sets: Sets, method: str, test: str, start: float | None) -> ManyFits:
    effects, k = sets.effects, sets.count
    spare = k - effects.p
    estimate = estimate_tau2(sets, method, start)
    at, fixed = sets.solve(estimate.value), sets.solve(np.zeros(sets.n))
    alone = spare <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.ones(sets.n) if test in ("z", "t") else np.where(alone, 1.0, at.q / spare)
        typical = spare / fixed.trace_p
        if method == "EE":
            i2, h2 = 100 * np.maximum(0.0, 1 - spare / fixed.q), fixed.q / spare
        else:
            i2, h2 = 100 * estimate.value / (typical + estimate.value), estimate.value / typical + 1
    if test == "knha":  # effects that are alike but for rounding leave no residuals, and standard errors of 0
        scale = np.where(~alone & (at.q <= _ROUNDING * at.first.yy), np.nan, scale)
    scale = np.maximum(scale, 1.0) if test == "adhoc" else scale
    return ManyFits(
        k.astype(np.float64),
        effects.coefficients(at.beta),
        effects.covariance(at.inverse) * scale[:, None, None],
        scale,
        np.where(np.isnan(at.beta[:, 0]), np.nan, estimate.value),
        np.where(alone, 0.0, np.maximum(fixed.q, 0.0)),
        np.where(alone, 0.0, i2),
        np.where(alone, 1.0, h2),
        estimate.converged,
    )
