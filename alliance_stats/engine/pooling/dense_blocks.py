"""Covariances of effects with any sampling covariance per study: dense blocks, in batches of studies of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.pooling.structured import FIXED, Term, add_terms

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def batches(codes: Ints) -> list[Ints]:
    """Places of the effects of each group (0, 1, …), groups of one size together: arrays of shape (n_groups, size)."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    found = np.flatnonzero(np.bincount(sizes[sizes > 0]))
    return [order[starts[sizes == size][:, None] + np.arange(size)] for size in found]


@dataclass(frozen=True)
class DenseBlocks:
    """Sampling covariance in blocks, plus terms whose groups lie inside the blocks.

    Parameters
    ----------
    places : sequence of ndarray of int, shape (n_b, m_b)
        Effects of each block, a batch for each size.
    sampling : sequence of ndarray of shape (n_b, m_b, m_b)
        Sampling covariances.
    own : tuple of Term
        Variances; groups need not be nested in each other, but each lies in one block.
    k : int
        Effects.
    """

    places: Sequence[Ints]
    sampling: Sequence[Floats]
    own: tuple[Term, ...]
    k: int

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms with variance parameters."""
        return tuple(term for term in self.own if (term.parameter != FIXED).any())

    def at(self, theta: Floats) -> DenseFactored:
        """Factorise at given variances."""
        inverses, log_det = [], 0.0
        for places, sampling in zip(self.places, self.sampling, strict=True):
            block = add_terms(sampling.astype(np.float64), places, self.own, theta)
            log_det += float(np.linalg.slogdet(block)[1].sum())
            inverses.append(np.linalg.inv(block))
        return DenseFactored(self.places, inverses, log_det, self.k)

    @lazy
    def _where(self) -> tuple[Ints, Ints, Ints]:
        """For each effect its batch, block within it, and place within the block."""
        batch, block, within = (np.zeros(self.k, np.int64) for _ in range(3))
        for at, places in enumerate(self.places):
            batch[places] = at
            block[places] = np.arange(len(places))[:, None]
            within[places] = np.arange(places.shape[1])
        return batch, block, within

    def blocks(self, places: Ints, theta: Floats) -> Floats:
        """The matrix itself for sets of effects: places (n, m) → (n, m, m)."""
        batch, block, within = (own[places] for own in self._where)
        values = np.zeros((*places.shape, places.shape[1]))
        same = (batch[:, :, None] == batch[:, None, :]) & (block[:, :, None] == block[:, None, :])
        for at, sampling in enumerate(self.sampling):
            row, i, j = np.nonzero(same & (batch[:, :, None] == at))
            values[row, i, j] = sampling[block[row, i], within[row, i], within[row, j]]
        return add_terms(values, places, self.own, theta)


@dataclass(frozen=True)
class DenseFactored:
    """Inverses of the blocks."""

    places: Sequence[Ints]
    inverses: Sequence[Floats]
    log_det: float
    k: int

    def solve(self, values: Floats) -> Floats:
        """``M⁻¹`` times the rows of (c, k)."""
        solved = np.empty_like(values, dtype=np.float64)
        for places, inverse in zip(self.places, self.inverses, strict=True):
            solved[:, places] = np.einsum("cni,nij->cnj", values[:, places], inverse)
        return solved

    def quadratics(self, term: Term) -> Floats:
        """``a_g' M⁻¹ a_g`` for each group of a term."""
        rows = np.empty(self.k)
        for places, inverse in zip(self.places, self.inverses, strict=True):
            codes, vector = term.codes[places], term.vector[places]
            same = codes[:, :, None] == codes[:, None, :]
            rows[places] = vector * np.einsum("nij,nij,nj->ni", inverse, same, vector)
        return np.bincount(term.codes, rows, term.n_groups).astype(np.float64)

    def diagonal(self) -> Floats:
        """Diagonal of ``M⁻¹``."""
        values = np.empty(self.k)
        for places, inverse in zip(self.places, self.inverses, strict=True):
            values[places] = np.diagonal(inverse, axis1=1, axis2=2)
        return values
