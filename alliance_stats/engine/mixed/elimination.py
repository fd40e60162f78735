"""A large component of outer columns: sparse elimination in rounds, then a dense core.

Therapists tied by a few patients each make a sparse system. Columns with few neighbours are eliminated first, a round
of mutually unconnected ones at a time, so that every round is a handful of array operations. What is left when the
neighbourhoods have grown is a dense core for LAPACK. For 1 000 therapists among whom a fifth of 20 000 patients change
at random, the core has about half of the columns and an eighth of the work.

The inverse is needed only where the matrix has entries; it is found backwards through the rounds.

References
----------
Takahashi, Fagan & Chin (1973), Proceedings of the 8th PICA Conference, 63-69 (inverse on the pattern).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.design import Floats, Ints

#: Rounds end when the columns to eliminate have more neighbours than this on average …
_MOST_NEIGHBOURS = 24
#: … or fewer columns than this are left.
_SMALLEST_CORE = 128


@dataclass(frozen=True)
class Round:
    """Columns eliminated together: none is a neighbour of another.

    Parameters
    ----------
    columns : slice
        Local columns eliminated; their diagonals have the same places in the group's storage.
    edges : slice
        Places of their edges, which stand owner by owner.
    owner, neighbour : ndarray of int, shape (n_edges,)
        The two local columns of each edge: the one eliminated, and the one that stays.
    first : ndarray of int, shape (n_with_edges,)
        Where each owner's edges begin; owners without edges are left out.
    linked : ndarray of int, shape (n_with_edges,)
        The owners that have edges.
    arriving, arriving_owner : ndarray of int, shape (n_edges,)
        The edges in the order of their neighbours, and their owners in that order.
    first_arriving, receivers : ndarray of int, shape (n_receivers,)
        Where each neighbour's edges begin in that order, and the neighbours.
    left, right, target : ndarray of int, shape (n_pairs,)
        Pairs of edges of one owner (all ordered pairs, by left edge), and the place of their neighbours' entry.
    first_pair : ndarray of int, shape (n_edges,)
        Where each left edge's pairs begin.
    lower : tuple of ndarray of int
        Left, right and target of the pairs with ``left >= right``.
    """

    columns: slice
    edges: slice
    owner: Ints
    neighbour: Ints
    first: Ints
    linked: Ints
    arriving: Ints
    arriving_owner: Ints
    first_arriving: Ints
    receivers: Ints
    left: Ints
    right: Ints
    target: Ints
    first_pair: Ints
    lower: tuple[Ints, Ints, Ints]


@dataclass(frozen=True)
class SparseGroup:
    """Storage and order of elimination of one component.

    Local columns are numbered in the order of elimination; those of the dense core come last. Storage holds the
    diagonals of the eliminated columns, their edges, and the core as a square (lower triangle valid).

    Parameters
    ----------
    columns : ndarray of int, shape (1, size)
        Outer column of each local column.
    start : int
        Where the component begins in block storage.
    rounds : tuple of Round
    n_eliminated : int
        Columns before the core.
    keys : ndarray of int
        Sorted keys (earlier column × size + later column) of the edges.
    """

    columns: Ints
    start: int
    rounds: tuple[Round, ...]
    n_eliminated: int
    keys: Ints

    @property
    def n_core(self) -> int:
        """Columns of the dense core."""
        return self.columns.shape[1] - self.n_eliminated

    @property
    def n_sparse(self) -> int:
        """Entries stored before the core: diagonals and edges of eliminated columns."""
        return self.n_eliminated + int(self.keys.size)

    @property
    def stop(self) -> int:
        """Where the component ends in block storage."""
        return self.start + self.n_sparse + self.n_core**2

    def places(self, a: Ints, b: Ints) -> Ints:
        """Place of (local column a, local column b) in the component's storage, from 0."""
        return _places(self.columns.shape[1], self.n_eliminated, self.keys, a, b)

    @lazy
    def ends(self) -> tuple[Ints, Ints]:
        """The two local columns of each entry before the core, the earlier one first."""
        diagonal = np.arange(self.n_eliminated)
        early, late = np.divmod(self.keys, self.columns.shape[1])
        return np.append(diagonal, early), np.append(diagonal, late)


def _places(size: int, n_eliminated: int, keys: Ints, a: Ints, b: Ints) -> Ints:
    early, late = np.minimum(a, b), np.maximum(a, b)
    n_core = size - n_eliminated
    edge = n_eliminated + np.searchsorted(keys, early * size + late)
    core = n_eliminated + keys.size + (late - n_eliminated) * n_core + (early - n_eliminated)
    return np.where(early >= n_eliminated, core, np.where(early == late, early, edge))


def plan(columns: Ints, start: int, a: Ints, b: Ints) -> SparseGroup:
    """Choose the order of elimination of a component.

    Parameters
    ----------
    columns : ndarray of int, shape (size,)
        Outer columns of the component.
    start : int
        Where it begins in block storage.
    a, b : ndarray of int
        Pairs of positions in ``columns`` that are connected.
    """
    size = columns.size
    if size <= _SMALLEST_CORE:
        return SparseGroup(columns[None, :], start, (), 0, np.zeros(0, np.int64))
    adjacent = np.zeros((size, size), dtype=bool)
    adjacent[a, b] = adjacent[b, a] = True
    np.fill_diagonal(adjacent, False)
    alive = np.ones(size, dtype=bool)
    chosen_rounds: list[
        tuple[Ints, Ints, Ints]
    ] = []  # columns; owner (counted within the round) and neighbour of edges
    while alive.sum() > _SMALLEST_CORE:
        chosen = _unconnected(adjacent, alive)
        owner, neighbour = np.nonzero(adjacent[chosen])
        if owner.size > _MOST_NEIGHBOURS * chosen.size:
            break
        left, right, _ = _edge_pairs(owner, chosen.size)
        adjacent[neighbour[left], neighbour[right]] = True
        adjacent[chosen] = adjacent[:, chosen] = False
        np.fill_diagonal(adjacent, False)
        alive[chosen] = False
        chosen_rounds.append((chosen, owner, neighbour))

    order = np.concatenate([*(chosen for chosen, _, _ in chosen_rounds), np.flatnonzero(alive)])
    rank = np.empty(size, dtype=np.int64)
    rank[order] = np.arange(size)
    edges = [rank[chosen[owner]] * size + rank[neighbour] for chosen, owner, neighbour in chosen_rounds]
    keys = np.sort(np.concatenate(edges)) if edges else np.zeros(0, np.int64)
    n_eliminated = size - int(alive.sum())
    rounds, begin, place = [], 0, n_eliminated
    for chosen, owner, _ in chosen_rounds:
        own = keys[place - n_eliminated : place - n_eliminated + owner.size]
        rounds.append(_round(slice(begin, begin + chosen.size), place, own, size, n_eliminated, keys))
        begin, place = begin + chosen.size, place + owner.size
    return SparseGroup(columns[order][None, :], start, tuple(rounds), n_eliminated, keys)


def _unconnected(adjacent: np.ndarray, alive: np.ndarray) -> Ints:
    """Choose columns of low degree, none a neighbour of another."""
    degree = np.where(alive, adjacent.sum(axis=1), np.iinfo(np.int64).max)
    limit = 3 * degree.min() + 6
    blocked = ~alive
    chosen = []
    for column in np.argsort(degree, kind="stable"):
        if degree[column] > limit:
            break
        if not blocked[column]:
            chosen.append(column)
            blocked |= adjacent[column]
    return np.array(chosen, dtype=np.int64)


def _edge_pairs(owner: Ints, n_owners: int) -> tuple[Ints, Ints, Ints]:
    """All ordered pairs of edges of one owner: left, right, and where each left edge's pairs begin."""
    n_own = np.bincount(owner, minlength=n_owners)
    first = np.cumsum(n_own) - n_own
    partners = n_own[owner]  # every edge is paired as often as its owner has edges
    first_pair = np.cumsum(partners) - partners
    left = np.repeat(np.arange(owner.size), partners)
    right = first[owner[left]] + np.arange(left.size) - first_pair[left]
    return left, right, first_pair


def _round(columns: slice, place: int, own_keys: Ints, size: int, n_eliminated: int, keys: Ints) -> Round:
    """Describe a round whose edges have the sorted ``own_keys`` and are stored from ``place`` on."""
    owner, neighbour = np.divmod(own_keys, size)
    linked, first = np.unique(owner, return_index=True)
    arriving = np.argsort(neighbour, kind="stable")
    receivers, first_arriving = np.unique(neighbour[arriving], return_index=True)
    left, right, first_pair = _edge_pairs(owner - columns.start, columns.stop - columns.start)
    target = _places(size, n_eliminated, keys, neighbour[left], neighbour[right])
    below = left >= right
    return Round(
        columns=columns,
        edges=slice(place, place + own_keys.size),
        owner=owner,
        neighbour=neighbour,
        first=first,
        linked=linked,
        arriving=arriving,
        arriving_owner=owner[arriving],
        first_arriving=first_arriving,
        receivers=receivers,
        left=left,
        right=right,
        target=target,
        first_pair=first_pair,
        lower=(left[below], right[below], target[below]),
    )


class SparseFactor:
    """``L D L'`` of a component's ``S``, given as the component's storage (which is overwritten)."""

    def __init__(self, group: SparseGroup, stored: Floats) -> None:
        self.group = group
        self._pivots = stored[: group.n_eliminated]
        self._ratios: list[Floats] = []
        for step in group.rounds:
            edge = stored[step.edges]
            ratio = edge / stored.take(step.owner)  # the owner's diagonal has the owner's place
            left, right, target = step.lower
            np.subtract.at(stored, target, ratio.take(left) * edge.take(right))
            self._ratios.append(ratio)
        self._core: Floats = stored[group.n_sparse :].reshape(group.n_core, group.n_core)
        self.log_determinant = 0.0
        info = 0
        if group.n_core:
            self._core, info = lapack.dpotrf(self._core.T, lower=0, clean=0, overwrite_a=1)
            self.log_determinant += 2 * float(np.log(self._core.diagonal()).sum())
        if info or (group.n_eliminated and not self._pivots.min() > 0):
            raise LinAlgError("the outer system is not positive definite")
        if group.n_eliminated:
            self.log_determinant += float(np.log(self._pivots).sum())

    def solve(self, rhs: Floats) -> Floats:
        """``S⁻¹ b`` for ``b`` of shape (1, size, r)."""
        group = self.group
        if not group.rounds:
            return lapack.dpotrs(self._core, rhs[0], lower=0)[0][None]
        x = rhs[0].copy()
        for step, ratio in zip(group.rounds, self._ratios, strict=True):
            if step.receivers.size:
                passed = ratio.take(step.arriving)[:, None] * x.take(step.arriving_owner, axis=0)
                x[step.receivers] -= np.add.reduceat(passed, step.first_arriving, axis=0)
        if group.n_core:
            x[group.n_eliminated :] = lapack.dpotrs(self._core, x[group.n_eliminated :], lower=0)[0]
        for step, ratio in zip(group.rounds[::-1], self._ratios[::-1], strict=True):
            x[step.columns] /= self._pivots[step.columns, None]
            if step.linked.size:
                passed = ratio[:, None] * x.take(step.neighbour, axis=0)
                x[step.linked] -= np.add.reduceat(passed, step.first, axis=0)
        return x[None]

    @lazy
    def inverse(self) -> Floats:
        """``S⁻¹`` where the component has storage (the core's lower triangle)."""
        group = self.group
        if not group.rounds:
            return lapack.dpotri(self._core, lower=0)[0].T.ravel()
        inverse = np.empty(group.n_sparse + group.n_core**2)
        np.divide(1.0, self._pivots, out=inverse[: group.n_eliminated])
        if group.n_core:
            core = inverse[group.n_sparse :].reshape(group.n_core, group.n_core)
            core[...] = lapack.dpotri(self._core, lower=0)[0].T
        for step, ratio in zip(group.rounds[::-1], self._ratios[::-1], strict=True):
            if step.linked.size:
                across = np.add.reduceat(ratio.take(step.right) * inverse.take(step.target), step.first_pair)
                inverse[step.edges] = -across
                inverse[step.linked] += np.add.reduceat(ratio * across, step.first)
        return inverse


def multiply_sparse(group: SparseGroup, stored: Floats, x: Floats) -> Floats:
    """Product of the component's matrix with ``x`` of shape (size, r)."""
    own = stored[group.start : group.stop]
    size, n = group.columns.shape[1], group.n_eliminated
    result = np.zeros_like(x)
    result[:n] = own[:n, None] * x[:n]
    if group.keys.size:
        early, late = (end[n:] for end in group.ends)
        edges = csr_array((own[n : group.n_sparse], (early, late)), shape=(size, size))
        result += edges @ x + edges.T @ x
    if group.n_core:
        core = own[group.n_sparse :].reshape(group.n_core, group.n_core)
        result[n:] += blas.dsymm(1.0, core.T, x[n:], lower=0)
    return result
