"""Levels that cross the others (years, measures, laboratories), on top of a covariance in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.structured import Covariance, Factored, Term, add_terms

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Crossed:
    """``M = N + Z Θ Z'`` with N in blocks and the few levels of crossed factors in Z.

    Parameters
    ----------
    base : Covariance
        N.
    own : tuple of Term
        Crossed factors. Work and memory grow with effects times levels.
    """

    base: Covariance
    own: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms with variance parameters."""
        return (*self.base.terms, *self.own)

    def at(self, theta: Floats) -> CrossedFactored:
        """Factorise at given variances."""
        return CrossedFactored(self.base.at(theta), self.own, theta)

    def blocks(self, places: Ints, theta: Floats) -> Floats:
        """The matrix itself for sets of effects: places (n, m) → (n, m, m)."""
        return add_terms(self.base.blocks(places, theta), places, self.own, theta)


class CrossedFactored:
    """``M⁻¹ = N⁻¹ − U'U`` with ``U = L⁻¹ Θ^½ Z' N⁻¹`` and ``L L' = I + Θ^½ Z' N⁻¹ Z Θ^½``."""

    def __init__(self, base: Factored, own: tuple[Term, ...], theta: Floats) -> None:
        self._base, self._own = base, own
        columns = np.vstack([(np.arange(term.n_groups)[:, None] == term.codes) * term.vector for term in own])
        root = np.sqrt(np.concatenate([term.weights(theta) for term in own]))
        solved = base.solve(columns.astype(np.float64))
        inner = root[:, None] * (columns @ solved.T) * root
        lower = np.linalg.cholesky(np.eye(root.size) + inner)
        self._u = np.linalg.solve(lower, root[:, None] * solved)
        self.log_det = base.log_det + 2 * float(np.log(np.diag(lower)).sum())

    def solve(self, values: Floats) -> Floats:
        """``M⁻¹`` times the rows of (c, k)."""
        return self._base.solve(values) - (values @ self._u.T) @ self._u

    def quadratics(self, term: Term) -> Floats:
        """``a_g' M⁻¹ a_g`` for each group of a term."""
        if any(term is own for own in self._own):
            indicator = (np.arange(term.n_groups)[:, None] == term.codes) * term.vector
            base = np.einsum("gk,gk->g", indicator, self._base.solve(indicator.astype(np.float64)))
        else:
            base = self._base.quadratics(term)
        return np.asarray(base - (term.sums(self._u) ** 2).sum(axis=0))

    def diagonal(self) -> Floats:
        """Diagonal of ``M⁻¹``."""
        return np.asarray(self._base.diagonal() - (self._u**2).sum(axis=0))
