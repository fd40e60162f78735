"""Inverse square roots of many small symmetric matrices, applied to vectors.

LAPACK takes apart one matrix after the other, and for a thousand matrices of five rows most of its time goes into
beginning anew. Here every step is taken for all matrices at once, with the matrices along the last axis: Newton's
iteration for the square root in its product form,

    M ← ½ I + ¼ (μ² M + μ⁻² M⁻¹),    y ← ½ (μ y + μ⁻¹ M⁻¹ y),    μ⁴ = tr M⁻¹ / tr M,

which begins at M = B and y = z and carries y to ``B^(−1/2) z``. Any μ leads to the same root; this one brings the
largest and the smallest eigenvalue about equally far from 1. Close to M = c I, what is left is a binomial series.

References
----------
Higham (2008), Functions of Matrices, ch. 6 (product form of the Denman-Beavers iteration, and its scaling).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

#: Eigenvalues below this share of the largest are zero: a cluster that fixes a coefficient has one.
_ZERO = 1e-10
#: Fewer matrices than this, or larger ones, are LAPACK's: steps taken together pay by number.
_FEW, _LARGE = 150, 12
#: Above this condition number Newton's steps would lose digits that eigenvalues keep.
_ILL = 1e6
#: Summed distance of eigenvalues from 1 below which the series needs less work than another step, and the most steps.
_NEAR, _STEPS = 0.2, 30


def inverse_root_times(matrices: Floats, vectors: Floats) -> Floats:
    """Multiply by symmetric inverse square roots.

    Parameters
    ----------
    matrices : ndarray of shape (n, m, m)
        Symmetric, without negative eigenvalues.
    vectors : ndarray of shape (n, m, p)

    Returns
    -------
    ndarray of shape (n, m, p)
        ``B^(−1/2) z``; where B has eigenvalues of zero, the root of its pseudo-inverse.
    """
    n, m = matrices.shape[:2]
    if m == 1 or m > _LARGE or n < _FEW:
        return inverse_root(matrices) @ vectors
    together = np.moveaxis(matrices, 0, -1)
    solved, well = _newton(together.copy(), np.moveaxis(vectors, 0, -1))
    found = np.moveaxis(solved, -1, 0).copy()
    if not well.all():
        found[~well] = inverse_root(matrices[~well]) @ vectors[~well]
    return found


def inverse_root(matrices: Floats) -> Floats:
    """Symmetric inverse square roots (n, m, m); zero eigenvalues stay zero."""
    if matrices.shape[-1] == 1:
        with np.errstate(divide="ignore"):
            return np.where(matrices > 0, 1 / np.sqrt(np.abs(matrices)), 0.0)
    values, vectors = np.linalg.eigh(0.5 * (matrices + np.swapaxes(matrices, -1, -2)))
    largest = values[..., -1:]
    safe = values > _ZERO * largest
    roots = np.where(safe, 1 / np.sqrt(np.where(safe, values, 1.0)), 0.0)
    return np.asarray((vectors * roots[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def _newton(m: Floats, y: Floats) -> tuple[Floats, Bools]:
    """Roots of (m, m, n) times (m, p, n), and which of the n can be trusted. Overwrites the matrices."""
    well = np.ones(m.shape[-1], dtype=bool)
    inverse = np.empty_like(m)  # once: fresh memory costs as much as the sums done in it
    for step in range(_STEPS):
        with np.errstate(all="ignore"):
            _invert(m, inverse)
            if step == 0:
                well = _trace(m) * _trace(inverse) < _ILL
                m[:, :, ~well] = inverse[:, :, ~well] = np.eye(len(m))[:, :, None]  # these go another way
        scale = np.sqrt(_trace(inverse) / _trace(m))
        inverse *= 0.25 / scale
        y = np.sqrt(scale) * (0.5 * y + 2 * _times(inverse, y))
        m *= 0.25 * scale
        m += inverse
        _diagonal(m)[...] += 0.5
        above = _trace(m) - len(m)  # eigenvalues are at least 1 now
        if above.max() < _NEAR:
            return _series(m, y), well
    return y, np.zeros_like(well)


def _invert(m: Floats, inverse: Floats) -> None:
    """Write inverses of (m, m, n), made by bordering: a row and a column at a time."""
    inverse[0, 0] = 1 / m[0, 0]
    for k in range(1, len(m)):
        column = _times(inverse[:k, :k], m[:k, k, None])[:, 0]
        factor = 1 / (m[k, k] - np.einsum("in,in->n", column, m[:k, k]))
        scaled = column * factor
        inverse[k, k] = factor
        inverse[:k, k] = inverse[k, :k] = -scaled
        inverse[:k, :k] += column[:, None] * scaled


def _series(m: Floats, y: Floats) -> Floats:
    """``M^(−1/2) y`` for M close to a multiple of I. Overwrites M."""
    middle = _trace(m) / len(m)
    m /= middle
    _diagonal(m)[...] -= 1
    far = float(np.sqrt(np.einsum("ijn,ijn->n", m, m).max()))
    term: Floats = y / np.sqrt(middle)
    total = term
    k, size = 0, 1.0
    while size > 1e-17:
        k += 1
        term = _times(m, term) * ((1 - 2 * k) / (2 * k))
        total = total + term
        size *= far
    return total


def _times(m: Floats, y: Floats) -> Floats:
    return np.asarray(np.einsum("ijn,jpn->ipn", m, y))


def _diagonal(m: Floats) -> Floats:
    """The diagonal of (m, m, n) as a view that can be written to, (m, n)."""
    return np.einsum("iin->in", m)


def _trace(m: Floats) -> Floats:
    return np.asarray(np.einsum("iin->n", m))
