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
from functools import cached_property

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import blas, lapack

from alliance_stats.engine.mixed.design import Floats, Ints

#: Rounds end when the columns to eliminate have more neighbours than this on average …
_MOST_NEIGHBOURS = 24
#: … or fewer columns than this are left.
_SMALLEST_CORE = 96


@dataclass(frozen=True)
class Round:
    """Columns eliminated together: none is a neighbour of another.

    Places are positions in the group's storage. ``owner`` counts within the round; edges of one owner stand together.

    Parameters
    ----------
    columns : ndarray of int, shape (n,)
        Local columns eliminated.
    diagonal : ndarray of int, shape (n,)
        Place of each one's diagonal.
    edges, owner, neighbour : ndarray of int, shape (n_edges,)
        Place, owner and neighbour (local column) of each edge.
    first : ndarray of int, shape (n_with_edges,)
        Where each owner's edges begin; owners without edges are left out.
    linked : ndarray of int, shape (n_with_edges,)
        The owners that have edges.
    left, right, target : ndarray of int, shape (n_pairs,)
        Pairs of edges of one owner (all ordered pairs), and the place of their neighbours' entry.
    """

    columns: Ints
    diagonal: Ints
    edges: Ints
    owner: Ints
    neighbour: Ints
    first: Ints
    linked: Ints
    left: Ints
    right: Ints
    target: Ints


@dataclass(frozen=True)
class SparseGroup:
    """Storage and order of elimination of one component.

    Parameters
    ----------
    columns : ndarray of int, shape (1, size)
        Outer column of each local column.
    start : int
        Where the component begins in block storage.
    rounds : tuple of Round
    core : ndarray of int
        Local columns of the dense core.
    rank : ndarray of int, shape (size,)
        Order of elimination; the core comes last.
    keys : ndarray of int
        Sorted keys (rank of the earlier column × size + rank of the later one) of the entries before the core.
    """

    columns: Ints
    start: int
    rounds: tuple[Round, ...]
    core: Ints
    rank: Ints
    keys: Ints

    @property
    def n_edges(self) -> int:
        """Entries stored before the core, diagonals of eliminated columns included."""
        return int(self.keys.size)

    @property
    def stop(self) -> int:
        """Where the component ends in block storage."""
        return self.start + self.n_edges + self.core.size**2

    def places(self, a: Ints, b: Ints) -> Ints:
        """Place of (local column a, local column b) in the component's storage, from 0."""
        return _places(self.rank, self.keys, self.core.size, a, b)

    @cached_property
    def ends(self) -> tuple[Ints, Ints]:
        """The two local columns of each entry before the core."""
        order = np.argsort(self.rank)
        early, late = np.divmod(self.keys, self.rank.size)
        return order[early], order[late]

    def split(self, stored: Floats) -> tuple[Floats, Floats]:
        """The component's entries: those before the core, and the core as a square (lower triangle valid)."""
        own = stored[self.start : self.stop]
        return own[: self.n_edges], own[self.n_edges :].reshape(self.core.size, self.core.size)


def _places(rank: Ints, keys: Ints, n_core: int, a: Ints, b: Ints) -> Ints:
    size = rank.size
    early, late = np.minimum(rank[a], rank[b]), np.maximum(rank[a], rank[b])
    n_eliminated = size - n_core
    in_core = early >= n_eliminated
    sparse = np.searchsorted(keys, early * size + late)
    dense = keys.size + (late - n_eliminated) * n_core + (early - n_eliminated)
    return np.where(in_core, dense, sparse)


def plan(columns: Ints, start: int, a: Ints, b: Ints) -> SparseGroup:
    """Choose the order of elimination of a component.

    Parameters
    ----------
    columns : ndarray of int, shape (size,)
        Outer columns of the component.
    start : int
        Where it begins in block storage.
    a, b : ndarray of int
        Pairs of local columns that are connected.
    """
    size = columns.size
    adjacent = np.zeros((size, size), dtype=bool)
    adjacent[a, b] = adjacent[b, a] = True
    np.fill_diagonal(adjacent, False)
    alive = np.ones(size, dtype=bool)
    chosen_rounds: list[list[tuple[int, Ints]]] = []
    while alive.sum() > _SMALLEST_CORE:
        chosen = _unconnected(adjacent, alive)
        neighbours = [(column, np.flatnonzero(adjacent[column])) for column in chosen]
        if np.mean([own.size for _, own in neighbours]) > _MOST_NEIGHBOURS:
            break
        for column, own in neighbours:
            adjacent[np.ix_(own, own)] = True
            adjacent[column] = adjacent[:, column] = False
        np.fill_diagonal(adjacent, False)
        alive[chosen] = False
        chosen_rounds.append(neighbours)

    core = np.flatnonzero(alive)
    order = [column for chosen in chosen_rounds for column, _ in chosen]
    rank = np.empty(size, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[core] = np.arange(len(order), size)
    entries = [
        rank[column] * size + np.append(rank[own], rank[column]) for chosen in chosen_rounds for column, own in chosen
    ]
    keys = np.sort(np.concatenate(entries)) if entries else np.zeros(0, np.int64)
    rounds = tuple(_round(chosen, rank, keys, core.size) for chosen in chosen_rounds)
    return SparseGroup(columns[None, :], start, rounds, core, rank, keys)


def _unconnected(adjacent: np.ndarray, alive: np.ndarray) -> list[int]:
    """Choose columns of low degree, none a neighbour of another."""
    degree = np.where(alive, adjacent.sum(axis=1), np.iinfo(np.int64).max)
    limit = 1.5 * degree.min() + 2
    blocked = ~alive
    chosen = []
    for column in np.argsort(degree, kind="stable"):
        if degree[column] > limit:
            break
        if not blocked[column]:
            chosen.append(int(column))
            blocked |= adjacent[column]
    return chosen


def _round(chosen: list[tuple[int, Ints]], rank: Ints, keys: Ints, n_core: int) -> Round:
    columns = np.array([column for column, _ in chosen])
    n_own = np.array([own.size for _, own in chosen])
    owner = np.repeat(np.arange(columns.size), n_own)
    neighbour = np.concatenate([own for _, own in chosen]).astype(np.int64)
    first = np.cumsum(n_own) - n_own
    linked = np.flatnonzero(n_own)
    # All ordered pairs of edges of one owner: every edge as often as its owner has edges.
    left = np.repeat(np.arange(owner.size), n_own[owner])
    within = np.arange(left.size) - np.repeat(np.cumsum(n_own[owner]) - n_own[owner], n_own[owner])
    right = first[owner[left]] + within
    return Round(
        columns=columns,
        diagonal=_places(rank, keys, n_core, columns, columns),
        edges=_places(rank, keys, n_core, columns[owner], neighbour),
        owner=owner,
        neighbour=neighbour,
        first=first[linked],
        linked=linked,
        left=left,
        right=right,
        target=_places(rank, keys, n_core, neighbour[left], neighbour[right]),
    )


class SparseFactor:
    """``L D L'`` of a component's ``S``, of which entries before the core and the core's lower triangle are given."""

    def __init__(self, group: SparseGroup, entries: Floats, core: Floats) -> None:
        self.group = group
        work = np.concatenate([entries, core.ravel()])
        self._pivots: list[Floats] = []
        self._ratios: list[Floats] = []
        for step in group.rounds:
            pivot, edge = work[step.diagonal], work[step.edges]
            ratio = edge / pivot[step.owner]
            below = step.left >= step.right
            np.subtract.at(work, step.target[below], (ratio[step.left] * edge[step.right])[below])
            self._pivots.append(pivot)
            self._ratios.append(ratio)
        square = work[group.n_edges :].reshape(core.shape)
        self._core: Floats = square
        info = 0
        if core.size:
            self._core, info = lapack.dpotrf(square.T, lower=0, clean=0, overwrite_a=1)
        if info or any((pivot <= 0).any() for pivot in self._pivots):
            raise LinAlgError("the outer system is not positive definite")
        self.log_determinant = float(
            2 * np.log(np.diagonal(self._core)).sum() + sum(np.log(pivot).sum() for pivot in self._pivots)
        )

    def solve(self, rhs: Floats) -> Floats:
        """``S⁻¹ b`` for ``b`` of shape (1, size, r)."""
        x = rhs[0].copy()
        group = self.group
        for step, ratio in zip(group.rounds, self._ratios, strict=True):
            np.subtract.at(x, step.neighbour, ratio[:, None] * x[step.columns[step.owner]])
        if group.core.size:
            x[group.core] = lapack.dpotrs(self._core, x[group.core], lower=0)[0]
        for step, ratio, pivot in zip(group.rounds[::-1], self._ratios[::-1], self._pivots[::-1], strict=True):
            x[step.columns] /= pivot[:, None]
            if step.linked.size:
                sums = np.add.reduceat(ratio[:, None] * x[step.neighbour], step.first, axis=0)
                x[step.columns[step.linked]] -= sums
        return x[None]

    @cached_property
    def inverse(self) -> Floats:
        """``S⁻¹`` where the component has storage (the core's lower triangle)."""
        group = self.group
        inverse = np.empty(group.n_edges + group.core.size**2)
        if group.core.size:
            inverse[group.n_edges :] = lapack.dpotri(self._core, lower=0)[0].T.ravel()
        for step, ratio, pivot in zip(group.rounds[::-1], self._ratios[::-1], self._pivots[::-1], strict=True):
            across = np.zeros(step.edges.size)
            np.subtract.at(across, step.left, ratio[step.right] * inverse[step.target])
            inverse[step.edges] = across
            own = 1.0 / pivot
            np.subtract.at(own, step.owner, ratio * across)
            inverse[step.diagonal] = own
        return inverse

    @property
    def inverse_diagonal(self) -> Floats:
        """Diagonal of ``S⁻¹`` by local column."""
        own = np.arange(self.group.rank.size)
        return self.inverse[self.group.places(own, own)]


def multiply_sparse(group: SparseGroup, stored: Floats, x: Floats) -> Floats:
    """Product of the component's matrix with ``x`` of shape (size, r)."""
    entries, core = group.split(stored)
    result = np.zeros_like(x)
    if group.rounds:
        a, b = group.ends
        np.add.at(result, a, entries[:, None] * x[b])
        apart = a != b
        np.add.at(result, b[apart], entries[apart, None] * x[a[apart]])
    if group.core.size:
        result[group.core] += blas.dsymm(1.0, core.T, x[group.core], lower=0)
    return result
