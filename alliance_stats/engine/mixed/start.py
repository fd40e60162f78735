"""Where the optimiser starts: shrunken moments of the levels' own least-squares fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.engine.mixed.design import Floats, GroupingFactor
from alliance_stats.engine.mixed.statistics import Statistics

#: Least relative variance (in standardised columns) that a start may have: from zero no variance grows quickly.
_FLOOR = 0.02
#: An outer factor's levels also carry the spread of the patients in them; this share is taken for the factor's own.
_OUTER_SHARE = 0.5


def moment_start(statistics: Statistics, factors: Sequence[GroupingFactor]) -> list[Floats]:
    """Guess the relative covariances from the residuals of ordinary least squares.

    Each level's residuals are regressed on its own columns with a little ridge; the spread of those coefficients,
    less what the residual variance alone would cause, is the covariance of the effects.

    Returns
    -------
    list of ndarray of shape (q, q)
        Positive definite, zero outside the factors' blocks.
    """
    s = statistics
    beta = np.linalg.lstsq(s.total[:-1, :-1], s.total[:-1, -1], rcond=1e-12)[0]
    residual = np.append(-beta, 1.0)
    sum_of_squares = float(residual @ s.total @ residual)
    gram = s.inner_gram.transpose(2, 0, 1)
    cross = (residual @ s.inner_cross.reshape(residual.size, -1)).reshape(s.inner_cross.shape[1:]).T
    inner, sigma2 = _inner_moments(gram, cross, sum_of_squares, s.n_obs - s.n_fixed)

    starts = [np.empty(0)] * len(factors)
    starts[s.inner_factor] = inner
    columns = np.arange(s.layout.n_columns)
    weight = s.outer_gram[s.layout.position(columns, columns)] if columns.size else np.zeros(0)
    score = s.outer_cross @ residual
    for at, factor in enumerate(s.outer_factors):
        own = s.layout.columns_of(at)
        g, a = (v[own].reshape(-1, s.layout.n_effects[at]) for v in (weight, score))
        spread = (a**2 / sigma2 - g).sum(axis=0) / np.maximum((g**2).sum(axis=0), 1e-300)
        starts[factor] = np.diag(np.clip(_OUTER_SHARE * spread, _FLOOR, 10.0))
    return [_within_blocks(matrix, factor) for matrix, factor in zip(starts, factors, strict=True)]


def _inner_moments(gram: Floats, cross: Floats, sum_of_squares: float, n_free: int) -> tuple[Floats, float]:
    """Relative covariance of the inner effects, and the residual variance."""
    q = gram.shape[1]
    ridge = 0.1 * gram.mean(axis=0).diagonal().mean()
    weight = np.linalg.inv(gram + ridge * np.eye(q))
    own = np.einsum("ijk,ik->ij", weight, cross)
    hat = weight @ gram
    used = float(np.einsum("ijj->", hat))
    explained = float(np.einsum("ij,ij->", own, 2 * cross - np.einsum("ijk,ik->ij", gram, own)))
    sigma2 = max(sum_of_squares - explained, 0.01 * sum_of_squares) / max(n_free - used, 0.1 * n_free)
    spread = np.einsum("ij,ik->jk", own, own) / sigma2 - np.einsum("ijk,ikl->jl", hat, weight)
    kron = np.einsum("ijk,ilm->jlkm", hat, hat).reshape(q * q, q * q)
    matrix = np.linalg.lstsq(kron, spread.ravel(), rcond=1e-10)[0].reshape(q, q)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (vectors * np.clip(values, _FLOOR, 100.0)) @ vectors.T, sigma2


def _within_blocks(matrix: Floats, factor: GroupingFactor) -> Floats:
    kept = np.zeros_like(matrix)
    for block in factor.blocks:
        kept[np.ix_(block, block)] = matrix[np.ix_(block, block)]
    return kept
