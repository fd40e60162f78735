"""Where the outer columns (therapists, sites, …) stand: components, block storage, who meets whom.

Two outer columns are coupled when one inner level (patient) meets both. The connected components of that graph
are independent: nested designs fall into one column each, changes inside clinics into small blocks, changes at
random into one big component. Small blocks of one size are stored together, so that they are factorised in one call; a
big component is eliminated sparsely (``elimination``) where every outer factor has one effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.design import Floats, Ints
from alliance_stats.engine.mixed.elimination import SparseGroup, plan

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
    groups : tuple of BlockGroup or SparseGroup
        The components.
    size : int
        Length of block storage.
    block_start, block_size, local : ndarray of int, shape (n_columns,)
        Where each column's block begins in storage, its size, and the column's place in it.
    sparse : ndarray of int, shape (n_columns,)
        Position in ``groups`` of the column's component if that is a sparse one, else −1.
    entry_level, entry_column : ndarray of int, shape (n_entries,)
        The (inner level, outer column) pairs that occur, sorted by inner level.
    entry_of_item, column_of_item : per factor, per effect, ndarray of int, shape (n_items,)
        Entry and column that each item adds to.
    pair_a, pair_b : ndarray of int, shape (n_pairs,)
        Entries (``a >= b``) that meet in one inner level: first every entry with itself, in order, then the pairs of
        two; and
    pair_position : ndarray of int, shape (n_pairs,)
        the place in block storage that their product adds to.
    """

    n_columns: int
    first_column: tuple[int, ...]
    n_effects: tuple[int, ...]
    n_levels: tuple[int, ...]
    groups: tuple[BlockGroup | SparseGroup, ...]
    size: int
    block_start: Ints
    block_size: Ints
    local: Ints
    sparse: Ints
    entry_level: Ints
    entry_column: Ints
    entry_of_item: tuple[tuple[Ints, ...], ...]
    column_of_item: tuple[tuple[Ints, ...], ...]
    pair_a: Ints
    pair_b: Ints
    pair_position: Ints

    @lazy
    def distinct_pairs(self) -> tuple[Ints, Ints]:
        """Places in block storage where outer columns meet, each once, and a pair of entries that meets there."""
        place, pair = np.unique(self.pair_position, return_index=True)
        return place, pair

    @property
    def n_entries(self) -> int:
        """Number of (inner level, outer column) pairs that occur."""
        return int(self.entry_level.size)

    @lazy
    def apart(self) -> tuple[Ints, Ints]:
        """The pairs of two different entries: those after the first ``n_entries``."""
        return self.pair_a[self.n_entries :], self.pair_b[self.n_entries :]

    @lazy
    def in_order(self) -> bool:
        """Whether there is one group, without padding, in which the columns stand in their own order."""
        order = np.arange(self.n_columns)
        return len(self.groups) == 1 and np.array_equal(self.groups[0].columns.ravel(), order)

    @lazy
    def diagonal(self) -> Ints:
        """Place in block storage of every column with itself, (n_columns,)."""
        columns = np.arange(self.n_columns)
        return self.position(columns, columns)

    def level_index(self, n_inner: int) -> Ints | slice:
        """Index that takes inner levels to entries; a plain slice where each level has exactly one entry."""
        return slice(None) if self._one_entry_each and self.n_entries == n_inner else self.entry_level

    @lazy
    def _one_entry_each(self) -> bool:
        return bool((self.entry_level == np.arange(self.n_entries)).all())

    def by_level(self, entry_values: Floats, n_inner: int) -> csr_array:
        """Values at the entries, (q, E), as a sparse matrix (q · inner levels, columns)."""
        q = len(entry_values)
        first = np.searchsorted(self.entry_level, np.arange(n_inner))
        starts = (first + self.n_entries * np.arange(q)[:, None]).ravel()
        indices = np.tile(self.entry_column, q), np.append(starts, q * self.n_entries)
        return csr_array((entry_values.ravel(), *indices), shape=(q * n_inner, self.n_columns))

    def position(self, a: Ints, b: Ints) -> Ints:
        """Place of (column a, column b) in the lower triangle of their block, or in their sparse component."""
        row, column = np.maximum(self.local[a], self.local[b]), np.minimum(self.local[a], self.local[b])
        places: Ints = np.asarray(self.block_start[a] + row * self.block_size[a] + column, dtype=np.int64)
        for at, group in enumerate(self.groups):
            if isinstance(group, SparseGroup):
                own = np.flatnonzero(self.sparse[a] == at)
                places[own] = group.start + group.places(self.local[a[own]], self.local[b[own]])
        return places

    def entry(self, level: Ints, column: Ints) -> Ints:
        """Entry of each (inner level, outer column); every pair must be one that occurs."""
        keys = self.entry_level * self.n_columns + self.entry_column
        return np.searchsorted(keys, level * self.n_columns + column)

    def columns_of(self, factor: int) -> slice:
        """Columns of one outer factor."""
        start = self.first_column[factor]
        return slice(start, start + self.n_levels[factor] * self.n_effects[factor])


def lay_out(
    inner_of_item: list[Ints], n_inner: int, level_of_item: list[Ints], n_levels: list[int], n_effects: list[int]
) -> OuterLayout:
    """Lay out the outer columns of a design.

    An *item* is a cell of rows and one level of an outer factor that the cell belongs to (with multiple membership it
    belongs to several).

    Parameters
    ----------
    inner_of_item : list of ndarray of int, shape (n_items,)
        Inner level of each item, for each outer factor.
    n_inner : int
        Number of inner levels.
    level_of_item : list of ndarray of int, shape (n_items,)
        Level of each item, for each outer factor.
    n_levels, n_effects : list of int
        Levels, and effects per level, of each outer factor.
    """
    sizes = [m * q for m, q in zip(n_levels, n_effects, strict=True)]
    first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    n_columns = int(first[-1])
    column_of_item = tuple(
        tuple(first[f] + codes * n_effects[f] + k for k in range(n_effects[f])) for f, codes in enumerate(level_of_item)
    )
    keys = [
        inner * n_columns + column
        for inner, columns in zip(inner_of_item, column_of_item, strict=True)
        for column in columns
    ]
    unique, entry = np.unique(np.concatenate(keys) if keys else np.zeros(0, np.int64), return_inverse=True)
    entries = iter(np.split(entry, np.cumsum([key.size for key in keys])[:-1]) if keys else ())
    entry_level, entry_column = np.divmod(unique, max(n_columns, 1))
    pair_a, pair_b = _pairs(entry_level, n_inner)
    meeting = entry_column[pair_a], entry_column[pair_b]
    component, may_be_sparse = _components(*meeting, n_columns), max(n_effects, default=1) == 1
    if may_be_sparse:
        component = _join_stray(component)
    placed = _place(component, *meeting, may_be_sparse)
    layout = OuterLayout(
        n_columns=n_columns,
        first_column=tuple(int(k) for k in first[:-1]),
        n_effects=tuple(n_effects),
        n_levels=tuple(n_levels),
        groups=placed.groups,
        size=placed.groups[-1].stop if placed.groups else 0,
        block_start=placed.block_start,
        block_size=placed.block_size,
        local=placed.local,
        sparse=placed.sparse,
        entry_level=entry_level,
        entry_column=entry_column,
        entry_of_item=tuple(tuple(next(entries) for _ in columns) for columns in column_of_item),
        column_of_item=column_of_item,
        pair_a=pair_a,
        pair_b=pair_b,
        pair_position=np.zeros(0, np.int64),
    )
    return replace(layout, pair_position=layout.position(*meeting))


def _pairs(entry_level: Ints, n_inner: int) -> tuple[Ints, Ints]:
    """All pairs (a >= b) of entries of one inner level, each with itself first; entries are sorted by level."""
    entries = np.arange(entry_level.size)
    per_level = np.bincount(entry_level, minlength=n_inner)
    first = np.cumsum(per_level) - per_level
    partners = entries - first[entry_level]  # entries of the same level that stand before this one
    a = np.repeat(entries, partners)
    offset = np.arange(a.size) - np.repeat(np.cumsum(partners) - partners, partners)
    return np.append(entries, a), np.append(entries, first[entry_level[a]] + offset)


def _join_stray(component: Ints) -> Ints:
    """Count small components as part of a big one, if there are few: without edges they cost nothing there."""
    n_in = np.bincount(component)
    small = n_in <= _SIZES[-1]
    if small.all() or not small.any() or n_in[small].sum() > n_in.max():
        return component
    return np.unique(np.where(small[component], np.argmax(n_in), component), return_inverse=True)[1]


@dataclass
class _Placed:
    """Where every column has its place."""

    groups: tuple[BlockGroup | SparseGroup, ...]
    block_start: Ints
    block_size: Ints
    local: Ints
    sparse: Ints


def _place(component: Ints, a: Ints, b: Ints, may_be_sparse: bool) -> _Placed:
    """Give each column a place in storage, component by component.

    ``a`` and ``b`` are pairs of columns that meet.
    """
    n_columns = component.size
    local = np.zeros(n_columns, np.int64)
    order = np.argsort(component, kind="stable")
    n_in = np.bincount(component)
    local[order] = np.arange(n_columns) - np.repeat(np.cumsum(n_in) - n_in, n_in)
    placed = _Placed((), np.zeros(n_columns, np.int64), np.zeros(n_columns, np.int64), local, np.full(n_columns, -1))

    small = np.minimum(n_in, _SIZES[-1])
    is_sparse = (n_in > _SIZES[-1]) & may_be_sparse
    padded = np.where(n_in <= _SIZES[-1], _SIZES[np.searchsorted(_SIZES, small)], n_in)
    start = 0
    for size in np.unique(padded[~is_sparse]):
        start = _place_blocks(placed, component, np.flatnonzero((padded == size) & ~is_sparse), int(size), start)
    for member in np.flatnonzero(is_sparse):
        own, meeting = np.flatnonzero(component == member), component[a] == member
        group = plan(own, start, local[a[meeting]], local[b[meeting]])
        placed.local[group.columns[0]] = np.arange(own.size)  # from here on in the order of elimination
        placed.sparse[own] = len(placed.groups)
        placed.groups += (group,)
        start = group.stop
    return placed


def _place_blocks(placed: _Placed, component: Ints, members: Ints, size: int, start: int) -> int:
    """Place the components of one padded size; returns where the next group begins."""
    rank = np.full(component.max() + 1, -1)
    rank[members] = np.arange(members.size)
    own = np.flatnonzero(rank[component] >= 0)
    columns = np.full((members.size, size), component.size)
    columns[rank[component[own]], placed.local[own]] = own
    placed.block_start[own] = start + rank[component[own]] * size * size
    placed.block_size[own] = size
    group = BlockGroup(columns, start)
    placed.groups += (group,)
    return group.stop


def _components(a: Ints, b: Ints, n_columns: int) -> Ints:
    """Component of each outer column in the graph of columns that meet in an inner level.

    Every column starts as a component of its own, named by its number; those that meet take the lower name, until
    nothing changes. (The library's routine costs more than everything else that is laid out for small data.)
    """
    name = np.arange(n_columns)
    apart = np.flatnonzero(a != b)
    a, b = a[apart], b[apart]
    while True:
        first, second = name[a], name[b]
        if (first == second).all():
            return np.unique(name, return_inverse=True)[1]
        lower = np.minimum(first, second)
        np.minimum.at(name, first, lower)
        np.minimum.at(name, second, lower)
        while (name[name] != name).any():
            name = name[name]
