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
    layout = lay_out(
        codes, factor.n_levels, [cells.codes[k] for k in outer], [design.factors[k].n_levels for k in outer],
        [design.factors[k].n_effects for k in outer],
    )  # fmt: skip
    outer_factors = [design.factors[k] for k in outer]
    return Statistics(
        n_obs=design.n_obs,
        n_fixed=design.n_fixed,
        total=stacked.T @ stacked,
        inner_gram=gram,
        inner_cross=cross,
        entry_cross=_entry_sums(cells, factor, outer_factors, layout),
        outer_gram=_outer_gram(cells, outer_factors, layout),
        outer_cross=_outer_cross(cells, outer_factors, [cells.codes[k] for k in outer], fixed_and_outcome, layout),
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


def _entry_sums(cells: _Cells, inner: GroupingFactor, outer: list[GroupingFactor], layout: OuterLayout) -> Floats:
    """``Z1'z2`` for each entry."""
    sums = np.zeros((inner.n_effects, layout.n_entries))
    for at, factor in enumerate(outer):
        for effect, column in enumerate(factor.effects):
            entry = layout.entry_of_cell[at][effect]
            for k, own in enumerate(inner.effects):
                sums[k] += sum_by(entry, cells.product(own, column), layout.n_entries)
    return sums


def _outer_gram(cells: _Cells, outer: list[GroupingFactor], layout: OuterLayout) -> Floats:
    """``Z2'Z2`` in block storage."""
    gram = np.zeros(layout.size)
    columns = [(f, k, column) for f, factor in enumerate(outer) for k, column in enumerate(factor.effects)]
    for i, (f, k, a) in enumerate(columns):
        for g, j, b in columns[: i + 1]:
            place = layout.position(layout.column_of_cell[f][k], layout.column_of_cell[g][j])
            gram += sum_by(place, cells.product(a, b), layout.size)
    return gram


def _outer_cross(
    cells: _Cells, outer: list[GroupingFactor], codes: list[Ints], columns: tuple[int, ...], layout: OuterLayout
) -> Floats:
    """``Z2'[X y]``, (M, p+1)."""
    cross = np.zeros((layout.n_columns, len(columns)))
    for f, factor in enumerate(outer):
        for k, own in enumerate(factor.effects):
            rows = layout.first_column[f] + np.arange(factor.n_levels) * factor.n_effects + k
            for c, column in enumerate(columns):
                cross[rows, c] = sum_by(codes[f], cells.product(own, column), factor.n_levels)
    return cross
