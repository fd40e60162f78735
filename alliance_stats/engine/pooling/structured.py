"""Covariances of effects as a diagonal plus terms of rank one per group, nested in each other.

With sampling errors that correlate by ρ within studies, ``V = (1 − ρ) diag(v) + ρ s s'`` in each study (s the standard
errors); a variance between studies adds ``σ² 1 1'`` per study, one between samples of studies adds ``σ² 1 1'`` per
sample, one between effects adds to the diagonal. Such a matrix is inverted by taking in one term after the other, inner
groups first; every step costs k operations, and no matrix is formed.

Arrays over effects have shape (c, k), with effects along the last axis, ordered so that groups are contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

#: A weight that is known and no parameter.
FIXED = -1


@dataclass(frozen=True)
class Term:
    """For each group g, ``weight_g a_g a_g'``.

    Parameters
    ----------
    codes : ndarray of int, shape (k,)
        Group of each effect, from 0.
    vector : ndarray of shape (k,)
        a: ones for a variance, standard errors for correlated sampling errors.
    parameter : ndarray of int, shape (n_groups,)
        Which variance parameter is the weight of each group; ``FIXED`` for ``weight``.
    weight : float
        The weight of groups without parameter.
    """

    codes: Ints
    vector: Floats
    parameter: Ints
    weight: float = 0.0

    @property
    def n_groups(self) -> int:
        """Groups."""
        return self.parameter.size

    @lazy
    def _ones(self) -> bool:
        return bool((self.vector == 1).all())

    @lazy
    def parameters(self) -> tuple[int, ...]:
        """The variance parameters that are weights here."""
        return tuple(np.unique(self.parameter[self.parameter != FIXED]).tolist())

    @lazy
    def only(self) -> int | None:
        """The parameter that is the weight of every group; None where weights differ or are known."""
        return self.parameters[0] if len(self.parameters) == 1 and (self.parameter != FIXED).all() else None

    @lazy
    def _known(self) -> Floats:
        return np.full(self.n_groups, self.weight)

    @lazy
    def each(self) -> bool:
        """Whether every effect is a group, in order."""
        return self.n_groups == self.codes.size and self.starts is not None

    @lazy
    def starts(self) -> Ints | None:
        """Where groups begin, if each is contiguous and they are in order; else None."""
        steps = np.diff(self.codes)
        if self.codes[0] != 0 or ((steps != 0) & (steps != 1)).any():
            return None
        return np.flatnonzero(np.r_[True, steps != 0])

    def sums(self, values: Floats) -> Floats:
        """Sum values (c, k), times the vector, over groups: (c, n_groups)."""
        weighted = values if self._ones else values * self.vector
        if self.each:
            return weighted
        if self.starts is not None:
            return np.asarray(np.add.reduceat(weighted, self.starts, axis=1))
        return np.stack([np.bincount(self.codes, row, self.n_groups) for row in weighted])

    def spread(self, values: Floats) -> Floats:
        """Give each effect its group's value, times the vector: (c, n_groups) → (c, k)."""
        spread = values if self.each else values.take(self.codes, axis=1)
        return spread if self._ones else spread * self.vector

    def weights(self, theta: Floats) -> Floats:
        """Weight of each group at the variance parameters."""
        if self.only is not None:
            return np.full(self.n_groups, theta[self.only])
        if not self.parameters:
            return self._known
        return np.where(self.parameter == FIXED, self.weight, theta[self.parameter])

    def products(self, places: Ints, weights: Floats) -> Floats:
        """``weight a a'`` at places (n, m), with weights (n, m) or (n, 1): (n, m, m), or a shape that spreads to it."""
        if self._ones:
            return weights[:, :, None]
        vector = self.vector[places]
        return np.asarray((weights * vector)[:, :, None] * vector[:, None, :])

    def by_parameter(self, values: Floats, n_parameters: int) -> Floats:
        """Sum values of groups (n_groups,) by their parameter."""
        if self.only is not None:
            total = np.zeros(n_parameters)
            total[self.only] = values.sum()
            return total
        own = self.parameter != FIXED
        return np.bincount(self.parameter[own], values[own], n_parameters).astype(np.float64)


class Factored(Protocol):
    """A covariance at given variances, ready to be solved with."""

    @property
    def log_det(self) -> float:
        """Logarithm of the determinant."""
        ...

    def solve(self, values: Floats) -> Floats:
        """``M⁻¹`` times the rows of (c, k)."""
        ...

    def quadratics(self, term: Term) -> Floats:
        """``a_g' M⁻¹ a_g`` for each group of a term."""
        ...

    def diagonal(self) -> Floats:
        """Diagonal of ``M⁻¹``."""
        ...


class Covariance(Protocol):
    """A covariance of effects as a function of its variance parameters."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms with variance parameters (a variance between effects among them)."""
        ...

    def at(self, theta: Floats) -> Factored:
        """Factorise at given variances."""
        ...

    def blocks(self, places: Ints, theta: Floats) -> Floats:
        """The matrix itself for sets of effects: places (n, m) → (n, m, m)."""
        ...


@dataclass(frozen=True)
class LowRank:
    """Diagonal plus nested terms.

    Parameters
    ----------
    diagonal : ndarray of shape (k,)
        Known part of the diagonal.
    nested : sequence of Term
        Inner groups first; every group of a term lies inside one group of each later term.
    single : Term, optional
        A variance of groups that hold one effect each: it joins the diagonal.
    """

    diagonal: Floats
    nested: tuple[Term, ...]
    single: Term | None = None

    @lazy
    def terms(self) -> tuple[Term, ...]:
        """Terms with variance parameters."""
        own = tuple(term for term in self.nested if term.parameters)
        return own if self.single is None else (*own, self.single)

    def _diagonal(self, theta: Floats) -> Floats:
        return self.diagonal if self.single is None else self.diagonal + self.single.weights(theta)[self.single.codes]

    def at(self, theta: Floats) -> LowRankFactored:
        """Factorise at given variances."""
        return LowRankFactored(self._diagonal(theta), self.nested, theta)

    def blocks(self, places: Ints, theta: Floats) -> Floats:
        """The matrix itself for sets of effects: places (n, m) → (n, m, m)."""
        blocks = np.zeros((*places.shape, places.shape[1]))
        np.einsum("nii->ni", blocks)[...] = self._diagonal(theta)[places]
        return add_terms(blocks, places, self.nested, theta)


def add_terms(blocks: Floats, places: Ints, terms: Sequence[Term], theta: Floats) -> Floats:
    """Add terms to blocks (n, m, m) of the effects at places (n, m), where they stand."""
    for term in terms:
        codes = term.codes[places]
        if (codes == codes[:, :1]).all():  # a block is one group
            blocks += term.products(places, term.weights(theta)[codes[:, :1]])
        else:
            same = codes[:, :, None] == codes[:, None, :]
            blocks += same * term.products(places, term.weights(theta)[codes])
    return blocks


class LowRankFactored:
    """``M⁻¹ = D⁻¹ − Σ_t Σ_g c_g u_g u_g'``, found term by term."""

    def __init__(self, d: Floats, nested: Sequence[Term], theta: Floats) -> None:
        self._d = d
        self._taken: list[tuple[Term, Floats, Floats]] = []
        log_det = float(np.log(d).sum())
        for term in nested:
            weights = term.weights(theta)
            direction = self.solve(term.vector[None])[0]
            inner = term.sums(direction[None])[0]
            share = weights * inner
            with np.errstate(divide="ignore", invalid="ignore"):  # no determinant where rounding makes it negative
                log_det += float(np.log1p(share).sum())
            part = Term(term.codes, direction, term.parameter)
            # the same groups: no need to look for them again
            vars(part).update(starts=term.starts, each=term.each, _ones=False)
            self._taken.append((part, weights / (1 + share), inner))
        self._log_det = log_det

    @property
    def log_det(self) -> float:
        """Logarithm of the determinant."""
        return self._log_det

    def solve(self, values: Floats) -> Floats:
        """``M⁻¹`` times the rows of (c, k)."""
        solved = values / self._d
        for part, factor, _ in self._taken:
            solved -= part.spread(factor * part.sums(values))
        return solved

    def quadratics(self, term: Term) -> Floats:
        """``a_g' M⁻¹ a_g`` for each group of a term."""
        total = term.sums((term.vector / self._d)[None])[0]
        for part, factor, _ in self._taken:
            total = total - _overlaps(term, part, factor)
        return total

    def diagonal(self) -> Floats:
        """Diagonal of ``M⁻¹``."""
        total = 1 / self._d
        for part, factor, _ in self._taken:
            total = total - factor[part.codes] * part.vector**2
        return np.asarray(total)


def _overlaps(term: Term, part: Term, factor: Floats) -> Floats:
    """``Σ c_h (Σ_{i in g and h} a_i u_i)²`` over the groups h that meet each group g; one set lies inside the other."""
    if part.n_groups >= term.n_groups:  # h inside g
        inner = part.sums(term.vector[None])[0]
        owner = term.codes[part.starts] if part.starts is not None else _first(term.codes, part)
        return np.bincount(owner, factor * inner**2, term.n_groups).astype(np.float64)
    inner = term.sums(part.vector[None])[0]
    owner = part.codes[term.starts] if term.starts is not None else _first(part.codes, term)
    return np.asarray(factor[owner] * inner**2)


def _first(codes: Ints, groups: Term) -> Ints:
    """Code of the first effect of each group."""
    found = np.zeros(groups.n_groups, dtype=np.int64)
    found[groups.codes[::-1]] = codes[::-1]
    return found
