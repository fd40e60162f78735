"""Algebra of the inner factor (patients): the same small matrices for every level, levels along the last axis.

Every level has a ``q × q`` system; loops run over ``q`` (one to four or so), never over levels. A factor without
effects (``q = 0``) has arrays of shape (0, 0, m) and adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import Floats


@dataclass(frozen=True)
class InnerFactor:
    """Factorised ``V1 = I + Z1 (I ⊗ D) Z1'``, level by level.

    With ``D = L L'`` and ``I + L'GL = R R'`` per level, ``whitener`` is ``R⁻¹L'``. Then
    ``V1⁻¹ = I − Z1 W'W Z1'``, which holds at any singular ``D``.

    Parameters
    ----------
    gram : ndarray of shape (q, q, m)
        ``G = Z1'Z1``.
    whitener : ndarray of shape (q, q, m)
        ``W``.
    log_determinant : float
        ``log|V1|``.
    """

    gram: Floats
    whitener: Floats
    log_determinant: float

    def whiten(self, cross: Floats) -> Floats:
        """``W a`` for stacked vectors ``a`` of shape (…, q, m)."""
        return np.einsum("jkm,...km->...jm", self.whitener, cross)

    def whitened_gram(self) -> Floats:
        """``W G``, shape (q, q, m)."""
        return np.einsum("jlm,lkm->jkm", self.whitener, self.gram)


def factorise(gram: Floats, root: Floats) -> InnerFactor:
    """Factorise every level's system for the relative covariance ``root @ root.T``.

    Parameters
    ----------
    gram : ndarray of shape (q, q, m)
    root : ndarray of shape (q, q)
        Any square root of ``D``; it may be singular.
    """
    q, m = root.shape[0], gram.shape[2]
    half = (root.T @ gram.reshape(q, q * m)).reshape(gram.shape)
    system = np.matmul(root.T, half)
    lower: list[list[Floats]] = []
    whitener = np.empty_like(gram)
    determinant = np.ones(m)
    for j in range(q):
        row: list[Floats] = []
        for k in range(j):
            entry = system[j, k]
            for i in range(k):
                entry -= row[i] * lower[k][i]
            entry /= lower[k][k]
            row.append(entry)
        pivot = system[j, j]
        pivot += 1.0
        for entry in row:
            pivot -= entry * entry
        # The pivots of I + L'GL are at least 1; anything below is rounding.
        np.maximum(pivot, 1.0, out=pivot)
        determinant *= pivot
        row.append(np.sqrt(pivot))
        lower.append(row)
        whitener[j] = root[:, j, None]
        for k in range(j):
            whitener[j] -= row[k] * whitener[k]
        whitener[j] /= row[j]
    return InnerFactor(gram, whitener, float(np.log(determinant).sum()))
