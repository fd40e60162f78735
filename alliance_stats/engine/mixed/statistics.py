"""One pass over the rows: the sums that every evaluation of the deviance is made from.

Rows are first summed into *cells* (runs of rows that share their level of every factor), and everything else
is summed from cells. After this pass no evaluation touches a row again, so its cost grows with patients and
patient–therapist pairs, not with sessions. The pass is a sum over patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from alliance_stats.engine.mixed.design import ONES, Floats, GroupingFactor, Ints, MixedDesign
from alliance_stats.engine.mixed.layout import OuterLayout, lay_out
from alliance_stats.engine.mixed.sums import sum_by


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of a design, in its (standardised) coordinates.

    ``p`` fixed effects; *inner* factor with ``m`` levels and ``q`` effects; all other factors together have
    ``M`` outer columns (level × effect). The outcome counts as the last of ``p + 1`` columns.

    Parameters
    ----------
    n_obs, n_fixed : int
    total : ndarray of shape (p+1, p+1)
        ``[X y]'[X y]``.
    inner_gram : ndarray of shape (q, q, m)
        ``Z1'Z1`` per level.
    inner_cross : ndarray of shape (p+1, q, m)
        ``Z1'[X y]`` per level.
    entry_cross : ndarray of shape (q, E)
        ``Z1'z2`` for each (inner level, outer column) that occurs; see ``layout.entry_level``.
    outer_gram : ndarray of shape (layout.size,)
        ``Z2'Z2`` in block storage, lower triangles.
    outer_cross : ndarray of shape (M, p+1)
        ``Z2'[X y]``.
    inner_factor : int
        Which factor is the inner one.
    outer_factors : tuple of int
        The others, in the order of their columns.
    layout : OuterLayout
        Where the outer columns stand in block storage.
    """

    n_obs: int
    n_fixed: int
    total: Floats
    inner_gram: Floats
    inner_cross: Floats
    entry_cross: Floats
    outer_gram: Floats
    outer_cross: Floats
    inner_factor: int
    outer_factors: tuple[int, ...]
    layout: OuterLayout

    @cached_property
    def outer_product(self) -> csr_array:
        """``Z2'Z2`` as a sparse matrix (M, M)."""
        layout = self.layout
        met = np.flatnonzero(self.outer_gram[layout.pair_position])
        a, b = layout.entry_column[layout.pair_a[met]], layout.entry_column[layout.pair_b[met]]
        place, first = np.unique(layout.pair_position[met], return_index=True)
        a, b, value = a[first], b[first], self.outer_gram[place]
        apart = a != b
        rows, columns = np.append(a, b[apart]), np.append(b, a[apart])
        shape = (layout.n_columns, layout.n_columns)
        return csr_array((np.append(value, value[apart]), (rows, columns)), shape=shape)


@dataclass(frozen=True)
class _Cells:
    """Sums over the rows of each cell."""

    codes: tuple[Ints, ...]
    sums: dict[tuple[int, int], Floats]

    def product(self, a: int, b: int) -> Floats:
        return self.sums[min(a, b), max(a, b)]

    def items(self, at: int, factor: GroupingFactor) -> _Items:
        """Return the levels that each cell belongs to."""
        codes = self.codes[at]
        if factor.membership is None:
            return _Items(np.arange(codes.size), codes, None)
        return _Items(*factor.membership.items(codes))


@dataclass(frozen=True)
class _Items:
    """Cells and the levels of one factor that they belong to, by cell; ``weight`` is None where all weights are 1."""

    cell: Ints
    level: Ints
    weight: Floats | None

    def of(self, per_cell: Floats) -> Floats:
        """Weighted values of the cells."""
        return per_cell if self.weight is None else per_cell[self.cell] * self.weight


def collect(design: MixedDesign) -> Statistics:
    """Sum the rows of a design into its sufficient statistics."""
    inner = design.inner
    outer = tuple(k for k in range(len(design.factors)) if k != inner)
    stacked = _stack(design)
    cells = _sum_into_cells(design)
    fixed_and_outcome = (*design.fixed, len(design.columns))

    factor = design.factors[inner]
    codes = cells.codes[inner]
    gram = np.array(
        [[sum_by(codes, cells.product(a, b), factor.n_levels) for b in factor.effects] for a in factor.effects]
    )
    cross = np.array(
        [[sum_by(codes, cells.product(a, c), factor.n_levels) for a in factor.effects] for c in fixed_and_outcome]
    )
    outer_factors = [design.factors[k] for k in outer]
    items = [cells.items(k, design.factors[k]) for k in outer]
    layout = lay_out(
        [codes[item.cell] for item in items],
        factor.n_levels,
        [item.level for item in items],
        [other.n_levels for other in outer_factors],
        [other.n_effects for other in outer_factors],
    )
    return Statistics(
        n_obs=design.n_obs,
        n_fixed=design.n_fixed,
        total=stacked.T @ stacked,
        inner_gram=gram,
        inner_cross=cross,
        entry_cross=_entry_sums(cells, items, factor, outer_factors, layout),
        outer_gram=_outer_gram(cells, items, outer_factors, layout),
        outer_cross=_outer_cross(cells, items, outer_factors, fixed_and_outcome, layout),
        inner_factor=inner,
        outer_factors=outer,
        layout=layout,
    )


def _stack(design: MixedDesign) -> Floats:
    """Fixed-effect columns and outcome side by side, (n_obs, p+1)."""
    stacked = np.empty((design.n_obs, design.n_fixed + 1), order="F")
    for at, k in enumerate(design.fixed):
        column = design.columns[k]
        stacked[:, at] = 1.0 if column is ONES else column
    stacked[:, -1] = design.outcome
    return stacked


def _sum_into_cells(design: MixedDesign) -> _Cells:
    """Sum the products of every random-effect column with every column, per cell."""
    codes = [factor.codes for factor in design.factors]
    columns: list[Floats | None] = [*design.columns, design.outcome]
    starts = _run_starts(codes)
    if starts.size > 0.5 * design.n_obs and design.n_obs > 2:
        order = np.lexsort(codes)  # rows in no useful order: bring those of one cell together first
        codes = [code[order] for code in codes]
        columns = [column if column is ONES else column[order] for column in columns]
        starts = _run_starts(codes)

    random = sorted({k for factor in design.factors for k in factor.effects})
    wanted = {(min(a, b), max(a, b)) for a in random for b in (*random, *design.fixed, len(design.columns))}
    lengths = np.diff(starts, append=design.n_obs).astype(float)
    sums = {pair: _run_sums(columns[pair[0]], columns[pair[1]], starts, lengths) for pair in wanted}
    return _Cells(tuple(code[starts] for code in codes), sums)


def _run_starts(codes: list[Ints]) -> Ints:
    changes = np.zeros(codes[0].size, dtype=bool)
    changes[0] = True
    for code in codes:
        changes[1:] |= code[1:] != code[:-1]
    return np.flatnonzero(changes)


def _run_sums(a: Floats | None, b: Floats | None, starts: Ints, lengths: Floats) -> Floats:
    """Sum the product of two columns (None: ones) over each run."""
    if a is None:
        return lengths if b is None else np.add.reduceat(b, starts)
    return np.add.reduceat(a if b is None else a * b, starts)


def _entry_sums(
    cells: _Cells, items: list[_Items], inner: GroupingFactor, outer: list[GroupingFactor], layout: OuterLayout
) -> Floats:
    """``Z1'z2`` for each entry."""
    sums = np.zeros((inner.n_effects, layout.n_entries))
    for at, (factor, own_items) in enumerate(zip(outer, items, strict=True)):
        for effect, column in enumerate(factor.effects):
            entry = layout.entry_of_item[at][effect]
            for k, own in enumerate(inner.effects):
                sums[k] += sum_by(entry, own_items.of(cells.product(own, column)), layout.n_entries)
    return sums


def _outer_gram(cells: _Cells, items: list[_Items], outer: list[GroupingFactor], layout: OuterLayout) -> Floats:
    """``Z2'Z2`` in block storage."""
    gram = np.zeros(layout.size)
    for f, first in enumerate(outer):
        for g, second in enumerate(outer[: f + 1]):
            left, right = _meetings(items[f], items[g], same=f == g)
            cell = items[f].cell[left]
            weight = _weight_of(items[f], left) * _weight_of(items[g], right)
            for k, a in enumerate(first.effects):
                for j, b in enumerate(second.effects):
                    # Within a factor, (a, b) of one level and (b, a) of the same are one entry.
                    once = left != right if f == g and j > k else slice(None)
                    columns = layout.column_of_item[f][k][left][once], layout.column_of_item[g][j][right][once]
                    if columns[0].size:
                        values = (weight * cells.product(a, b)[cell])[once]
                        gram += sum_by(layout.position(*columns), values, layout.size)
    return gram


def _weight_of(items: _Items, which: Ints) -> Floats | float:
    return 1.0 if items.weight is None else items.weight[which]


def _meetings(first: _Items, second: _Items, same: bool) -> tuple[Ints, Ints]:
    """Pairs of items of one cell; within one factor each pair once."""
    if first.weight is None and second.weight is None:
        return first.cell, second.cell
    n_cells = int(max(first.cell.max(initial=-1), second.cell.max(initial=-1))) + 1
    n_second = np.bincount(second.cell, minlength=n_cells)
    start = np.cumsum(n_second) - n_second
    partners = n_second[first.cell]
    left = np.repeat(np.arange(first.cell.size), partners)
    offset = np.arange(left.size) - np.repeat(np.cumsum(partners) - partners, partners)
    right = start[first.cell[left]] + offset
    if same:
        kept = left >= right
        left, right = left[kept], right[kept]
    return left, right


def _outer_cross(
    cells: _Cells, items: list[_Items], outer: list[GroupingFactor], columns: tuple[int, ...], layout: OuterLayout
) -> Floats:
    """``Z2'[X y]``, (M, p+1)."""
    cross = np.zeros((layout.n_columns, len(columns)))
    for f, (factor, own_items) in enumerate(zip(outer, items, strict=True)):
        for k, own in enumerate(factor.effects):
            rows = layout.first_column[f] + np.arange(factor.n_levels) * factor.n_effects + k
            for c, column in enumerate(columns):
                values = own_items.of(cells.product(own, column))
                cross[rows, c] = sum_by(own_items.level, values, factor.n_levels)
    return cross
