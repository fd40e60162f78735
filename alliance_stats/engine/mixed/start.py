"""Where the optimiser starts: moments of the levels' own least-squares fits and of the outer columns' residual sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import lapack

from alliance_stats.engine.mixed.design import Floats, GroupingFactor, Ints
from alliance_stats.engine.mixed.inner import factorise
from alliance_stats.engine.mixed.statistics import Statistics

#: Least relative variance (in standardised columns) that a start may have: from zero no variance grows quickly.
_FLOOR = 0.02
#: Largest relative variance of an inner direction, and of an outer effect, that a start may have.
_MOST_INNER, _MOST_OUTER = 100.0, 10.0
#: Ridge of the levels' own fits, as a share of the mean square of their columns.
_RIDGE = 0.1


def moment_start(statistics: Statistics, factors: Sequence[GroupingFactor]) -> list[Floats]:
    """Guess the relative covariances from the residuals of ordinary least squares.

    Each inner level's residuals are regressed on its own columns with a little ridge, and each outer column's are
    summed. What the squares of both must be, and what these fits leave, is linear in the covariances of all factors and
    the residual variance; the guess solves these equations together. Outer effects count as uncorrelated.

    Returns
    -------
    list of ndarray of shape (q, q)
        Positive definite, zero outside the factors' blocks.
    """
    s = statistics
    _, beta, info = lapack.dposv(s.total[:-1, :-1], s.total[:-1, -1])
    if info:
        beta = np.linalg.lstsq(s.total[:-1, :-1], s.total[:-1, -1], rcond=1e-12)[0]
    inner, outer = _solve_moments(s, np.append(-beta, 1.0))
    values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    starts = [np.empty(0)] * len(factors)
    starts[s.inner_factor] = (vectors * np.minimum(np.maximum(values, _FLOOR), _MOST_INNER)) @ vectors.T
    variances = iter(np.minimum(np.maximum(outer, _FLOOR), _MOST_OUTER).tolist())
    for factor, q in zip(s.outer_factors, s.layout.n_effects, strict=True):
        starts[factor] = np.diag([next(variances) for _ in range(q)])
    return [_within_blocks(matrix, factor) for matrix, factor in zip(starts, factors, strict=True)]


def _solve_moments(s: Statistics, residual: Floats) -> tuple[Floats, Floats]:
    """Relative covariance of the inner effects, (q, q), and variance of each outer effect, factor by factor."""
    gram = s.inner_gram
    q, _, m = gram.shape
    ridge = _RIDGE * float(gram.trace().sum()) / max(q * m, 1) or 1.0
    whitener = factorise(gram, np.eye(q) / np.sqrt(ridge)).whitener
    inverse = np.einsum("kjm,klm->jlm", whitener, whitener)  # (G + ridge)⁻¹
    hat = np.einsum("jkm,klm->jlm", inverse, gram)
    cross = (residual @ s.inner_cross.reshape(residual.size, q * m)).reshape(q, m)
    own = np.einsum("jkm,km->jm", inverse, cross)
    left = np.eye(q)[:, :, None] - hat

    # Unknown: covariance of the inner effects (q²), outer variances, σ². In the same order the equations: squares of
    # own fits, squares of outer sums, what the own fits leave of the sum of squares.
    system, moments = _outer_equations(s, residual, inverse, gram)
    flat = hat.reshape(q * q, m)
    system[: q * q, : q * q] = (flat @ flat.T).reshape(q, q, q, q).transpose(0, 2, 1, 3).reshape(q * q, q * q)
    system[: q * q, -1] = (hat.reshape(q, q * m) @ inverse.reshape(q, q * m).T).ravel()
    moments[: q * q] = (own @ own.T).ravel()
    moved = np.einsum("jkm,klm->jlm", gram, left)
    system[-1, : q * q] = np.einsum("kjm,klm->jl", left, moved).ravel()
    system[-1, -1] = s.n_obs - s.n_fixed - 2 * hat.trace().sum() + np.einsum("jkm,kjm->", hat, hat)
    sum_of_squares = float(residual @ s.total @ residual)
    moments[-1] = sum_of_squares - 2 * np.vdot(own, cross) + np.vdot(own, np.einsum("jkm,km->jm", gram, own))

    scale = np.sqrt(np.maximum(system.diagonal(), 1e-300))
    solved = np.linalg.lstsq(system / np.outer(scale, scale), moments / scale, rcond=1e-10)[0] / scale
    solved /= max(solved[-1], 0.01 * sum_of_squares / (s.n_obs - s.n_fixed))
    return solved[: q * q].reshape(q, q), solved[q * q : -1]


def _outer_equations(s: Statistics, residual: Floats, inverse: Floats, gram: Floats) -> tuple[Floats, Floats]:
    """The system and its moments, with those rows and columns filled in that belong to outer effects."""
    layout, q = s.layout, len(gram)
    effect = _effect_of_column(s)
    n = int(effect.max(initial=-1)) + 1
    outer = slice(q * q, q * q + n)
    system, moments = np.zeros((q * q + n + 1, q * q + n + 1)), np.zeros(q * q + n + 1)
    if n == 0:
        return system, moments
    level = layout.entry_level
    carried = np.einsum("jke,ke->je", inverse.take(level, axis=2), s.entry_cross)  # what outer effects add to own fits
    fitted = np.einsum("jke,ke->je", gram.take(level, axis=2), carried)
    weight = s.outer_gram[layout.diagonal]
    moments[outer] = np.bincount(effect, (s.outer_cross @ residual) ** 2)
    system[outer, -1] = system[-1, outer] = np.bincount(effect, weight)
    of_entry = effect[layout.entry_column]
    for at in range(n):
        own = slice(None) if n == 1 else of_entry == at
        u, e = carried[:, own], s.entry_cross[:, own]
        system[: q * q, q * q + at] = (u @ u.T).ravel()
        system[q * q + at, : q * q] = (e @ e.T).ravel()
        system[-1, q * q + at] += np.vdot(u, fitted[:, own] - 2 * e)
    if n == 1:
        system[outer, outer] = weight @ weight
    else:
        met = s.outer_product.power(2).tocoo()
        np.add.at(system[outer, outer], (effect[met.coords[0]], effect[met.coords[1]]), met.data)
    return system, moments


def _effect_of_column(s: Statistics) -> Ints:
    """Which outer effect each outer column is a level of, counted over all outer factors."""
    effects, first = [np.zeros(0, np.int64)], 0
    for n_levels, q in zip(s.layout.n_levels, s.layout.n_effects, strict=True):
        effects.append(np.tile(np.arange(first, first + q), n_levels))
        first += q
    return np.concatenate(effects)


def _within_blocks(matrix: Floats, factor: GroupingFactor) -> Floats:
    if len(factor.blocks) == 1:
        return matrix
    kept = np.zeros_like(matrix)
    for block in factor.blocks:
        kept[np.ix_(block, block)] = matrix[np.ix_(block, block)]
    return kept
