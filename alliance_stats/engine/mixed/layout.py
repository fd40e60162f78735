"""Where the outer columns (therapists, sites, …) stand: components, block storage, who meets whom.

Two outer columns are coupled when one inner level (patient) meets both. The connected components of that graph
are independent: nested designs fall into one column each, changes inside clinics into small blocks, changes at
random into one big block. Blocks of one size are stored together, so that they are factorised in one call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alliance_stats.engine.mixed.design import Ints

#: Block sizes that small components are padded to, so that a design with many sizes needs few calls.
_SIZES = np.array([1, 2, 3, 4, 6, 8, 11, 16, 22, 32])


@dataclass(frozen=True)
class BlockGroup:
    """Components of one (padded) size.

    Parameters
    ----------
    columns : ndarray of int, shape (n_blocks, size)
        Outer column in each place; ``n_columns`` (one past the last) marks padding.
    start : int
        Where the group begins in block storage.
    """

    columns: Ints
    start: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the group's storage: blocks, rows, columns."""
        n_blocks, size = self.columns.shape
        return n_blocks, size, size

    @property
    def stop(self) -> int:
        """Where the group ends in block storage."""
        return self.start + int(np.prod(self.shape))


@dataclass(frozen=True)
class OuterLayout:
    """Index arrays of the outer columns.

    Parameters
    ----------
    n_columns : int
        Outer columns: levels × effects, over all outer factors.
    first_column : tuple of int
        First column of each outer factor; its columns run level by level, effect by effect.
    n_effects, n_levels : tuple of int
        Effects per level and number of levels of each outer factor.
    groups : tuple of BlockGroup
        The components.
    size : int
        Length of block storage.
    block_start, block_size, local : ndarray of int, shape (n_columns,)
        Where each column's block begins in storage, its size, and the column's place in it.
    entry_level, entry_column : ndarray of int, shape (n_entries,)
        The (inner level, outer column) pairs that occur, sorted by inner level.
    entry_of_cell, column_of_cell : per factor, per effect, ndarray of int, shape (n_cells,)
        Entry and column that each cell adds to.
    pair_a, pair_b : ndarray of int, shape (n_pairs,)
        Entries (``a >= b``) that meet in one inner level, and
    pair_position : ndarray of int, shape (n_pairs,)
        the place in block storage that their product adds to.
    """

    n_columns: int
    first_column: tuple[int, ...]
    n_effects: tuple[int, ...]
    n_levels: tuple[int, ...]
    groups: tuple[BlockGroup, ...]
    size: int
    block_start: Ints
    block_size: Ints
    local: Ints
    entry_level: Ints
    entry_column: Ints
    entry_of_cell: tuple[tuple[Ints, ...], ...]
    column_of_cell: tuple[tuple[Ints, ...], ...]
    pair_a: Ints
    pair_b: Ints
    pair_position: Ints

    @property
    def n_entries(self) -> int:
        """Number of (inner level, outer column) pairs that occur."""
        return int(self.entry_level.size)

    def position(self, a: Ints, b: Ints) -> Ints:
        """Place of (column a, column b) in the lower triangle of their block."""
        return _position(self.block_start, self.block_size, self.local, a, b)

    def columns_of(self, factor: int) -> slice:
        """Columns of one outer factor."""
        start = self.first_column[factor]
        return slice(start, start + self.n_levels[factor] * self.n_effects[factor])


def _position(block_start: Ints, block_size: Ints, local: Ints, a: Ints, b: Ints) -> Ints:
    row, column = np.maximum(local[a], local[b]), np.minimum(local[a], local[b])
    return block_start[a] + row * block_size[a] + column


def lay_out(
    inner_codes: Ints, n_inner: int, outer_codes: list[Ints], n_levels: list[int], n_effects: list[int]
) -> OuterLayout:
    """Lay out the outer columns of a design.

    Parameters
    ----------
    inner_codes : ndarray of int, shape (n_cells,)
        Inner level of each cell.
    n_inner : int
        Number of inner levels.
    outer_codes : list of ndarray of int, shape (n_cells,)
        Level of each cell, for each outer factor.
    n_levels, n_effects : list of int
        Levels, and effects per level, of each outer factor.
    """
    sizes = [m * q for m, q in zip(n_levels, n_effects, strict=True)]
    first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    n_columns = int(first[-1])
    column_of_cell = tuple(
        tuple(first[f] + codes * n_effects[f] + k for k in range(n_effects[f])) for f, codes in enumerate(outer_codes)
    )
    groups, block_start, block_size, local = _blocks(inner_codes, n_inner, column_of_cell, n_columns)

    flat = [column for columns in column_of_cell for column in columns]
    keys = np.concatenate([inner_codes * n_columns + column for column in flat]) if flat else np.zeros(0, np.int64)
    unique, entry = np.unique(keys, return_inverse=True)
    entries = iter(entry.reshape(len(flat), -1) if flat else ())
    entry_level, entry_column = np.divmod(unique, max(n_columns, 1))
    pair_a, pair_b = _pairs(entry_level, n_inner)
    return OuterLayout(
        n_columns=n_columns,
        first_column=tuple(int(k) for k in first[:-1]),
        n_effects=tuple(n_effects),
        n_levels=tuple(n_levels),
        groups=groups,
        size=groups[-1].stop if groups else 0,
        block_start=block_start,
        block_size=block_size,
        local=local,
        entry_level=entry_level,
        entry_column=entry_column,
        entry_of_cell=tuple(tuple(next(entries) for _ in columns) for columns in column_of_cell),
        column_of_cell=column_of_cell,
        pair_a=pair_a,
        pair_b=pair_b,
        pair_position=_position(block_start, block_size, local, entry_column[pair_a], entry_column[pair_b]),
    )


def _pairs(entry_level: Ints, n_inner: int) -> tuple[Ints, Ints]:
    """All pairs (a >= b) of entries of one inner level; entries are sorted by level."""
    per_level = np.bincount(entry_level, minlength=n_inner)
    first = np.cumsum(per_level) - per_level
    partners = np.arange(entry_level.size) - first[entry_level] + 1
    a = np.repeat(np.arange(entry_level.size), partners)
    offset = np.arange(a.size) - np.repeat(np.cumsum(partners) - partners, partners)
    return a, first[entry_level[a]] + offset


def _blocks(
    inner_codes: Ints, n_inner: int, column_of_cell: tuple[tuple[Ints, ...], ...], n_columns: int
) -> tuple[tuple[BlockGroup, ...], Ints, Ints, Ints]:
    """Split the columns into connected components and give each a place in storage."""
    block_start, block_size, local = (np.zeros(n_columns, np.int64) for _ in range(3))
    if n_columns == 0:
        return (), block_start, block_size, local
    component = _components(inner_codes, n_inner, column_of_cell, n_columns)
    order = np.argsort(component, kind="stable")
    n_in = np.bincount(component)
    local[order] = np.arange(n_columns) - np.repeat(np.cumsum(n_in) - n_in, n_in)
    padded = np.where(n_in <= _SIZES[-1], _SIZES[np.searchsorted(_SIZES, np.minimum(n_in, _SIZES[-1]))], n_in)

    groups, start = [], 0
    for size in np.unique(padded):
        members = np.flatnonzero(padded == size)
        rank = np.full(n_in.size, -1)
        rank[members] = np.arange(members.size)
        own = np.flatnonzero(rank[component] >= 0)
        columns = np.full((members.size, size), n_columns)
        columns[rank[component[own]], local[own]] = own
        block_start[own] = start + rank[component[own]] * size * size
        block_size[own] = size
        groups.append(BlockGroup(columns, start))
        start = groups[-1].stop
    return tuple(groups), block_start, block_size, local


def _components(
    inner_codes: Ints, n_inner: int, column_of_cell: tuple[tuple[Ints, ...], ...], n_columns: int
) -> Ints:
    """Component of each outer column in the graph that inner levels tie together."""
    nodes = [n_inner + column for columns in column_of_cell for column in columns]
    source, target = np.tile(inner_codes, len(nodes)), np.concatenate(nodes)
    n_nodes = n_inner + n_columns
    graph = coo_array((np.ones(source.size, np.int8), (source, target)), shape=(n_nodes, n_nodes))
    _, label = connected_components(graph, directed=False)
    return np.unique(label[n_inner:], return_inverse=True)[1]
