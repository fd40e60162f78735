"""The sums that every evaluation of the deviance is made from.

After one pass over the rows (see :mod:`~alliance_stats.engine.mixed.cells`) no evaluation touches a row again, so its
cost grows with patients and patient–therapist pairs, not with sessions. Every statistic is linear in the products of
the cells: a change of the residual structure re-weights the cells, and the same assembly makes the statistics anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.cells import Cells, Items, items_of, sum_into_cells
from alliance_stats.engine.mixed.design import ONES, Floats, GroupingFactor, Ints, MixedDesign
from alliance_stats.engine.mixed.layout import OuterLayout, lay_out
from alliance_stats.engine.mixed.sums import sum_by

#: Rows that are stacked at a time.
_RUN = 8192


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of a design, in its (standardised) coordinates.

    ``p`` fixed effects; *inner* factor with ``m`` levels and ``q`` effects; all other factors together have
    ``M`` outer columns (level × effect). The outcome counts as the last of ``p + 1`` columns. ``Ω = R⁻¹`` is the
    inverse of the residuals' covariance relative to σ²: the identity for independent residuals of one variance.

    Parameters
    ----------
    n_obs, n_fixed : int
    total : ndarray of shape (p+1, p+1)
        ``[X y]'Ω[X y]``.
    inner_gram : ndarray of shape (q, q, m)
        ``Z1'ΩZ1`` per level.
    inner_cross : ndarray of shape (p+1, q, m)
        ``Z1'Ω[X y]`` per level.
    entry_cross : ndarray of shape (q, E)
        ``Z1'Ωz2`` for each (inner level, outer column) that occurs; see ``layout.entry_level``.
    outer_gram : ndarray of shape (layout.size,)
        ``Z2'ΩZ2`` in block storage, lower triangles.
    outer_cross : ndarray of shape (M, p+1)
        ``Z2'Ω[X y]``.
    inner_factor : int
        Which factor is the inner one.
    outer_factors : tuple of int
        The others, in the order of their columns.
    layout : OuterLayout
        Where the outer columns stand in block storage.
    log_determinant : float
        ``log|R|``.
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
    log_determinant: float = 0.0

    @lazy
    def inner_outer_product(self) -> csr_array:
        """``Z1'Z2`` as a sparse matrix (q · m, M), effect by effect."""
        return self.layout.by_level(self.entry_cross, self.inner_gram.shape[2])

    @lazy
    def outer_product(self) -> csr_array:
        """``Z2'ΩZ2`` as a sparse matrix (M, M)."""
        layout = self.layout
        place, pair = layout.distinct_pairs
        value = self.outer_gram[place]
        met = np.flatnonzero(value)
        value, pair = value[met], pair[met]
        a, b = layout.entry_column[layout.pair_a[pair]], layout.entry_column[layout.pair_b[pair]]
        apart = a != b
        rows, columns = np.append(a, b[apart]), np.append(b, a[apart])
        shape = (layout.n_columns, layout.n_columns)
        return csr_array((np.append(value, value[apart]), (rows, columns)), shape=shape)


def collect(design: MixedDesign) -> Statistics:
    """Sum the rows of a design into its sufficient statistics (independent residuals of one variance)."""
    cells = sum_into_cells(design)
    return Assembly(design, cells.left, cells.right).statistics(cells, sum_products(design))


def sum_products(design: MixedDesign) -> Floats:
    """``[X y]'[X y]``, a run of rows at a time: one that fits the processor's cache is stacked at no cost."""
    columns = [*(design.columns[k] for k in design.fixed), design.outcome]
    run = np.ones((len(columns), min(_RUN, design.n_obs)))
    total = np.zeros((len(columns), len(columns)))
    for start in range(0, design.n_obs, _RUN):
        part = run[:, : min(_RUN, design.n_obs - start)]
        for at, column in enumerate(columns):
            if column is not ONES:
                part[at] = column[start : start + _RUN]
        total += part @ part.T
    return total


def stack(design: MixedDesign) -> Floats:
    """Fixed-effect columns and outcome side by side, (n_obs, p+1)."""
    stacked = np.empty((design.n_obs, design.n_fixed + 1), order="F")
    for at, k in enumerate(design.fixed):
        column = design.columns[k]
        stacked[:, at] = 1.0 if column is ONES else column
    stacked[:, -1] = design.outcome
    return stacked


@dataclass(frozen=True)
class _Meeting:
    """Items of two effects that meet in a cell, and where in ``Z2'ΩZ2`` their product belongs."""

    pair: tuple[int, int]
    cell: Ints
    weight: Floats | None
    position: Ints


class Assembly:
    """Cells to statistics: the index arrays are found once, so that cells weighted anew cost only the sums.

    Parameters
    ----------
    design : MixedDesign
        Only its factors and column positions are read, not its rows.
    left, right : sequence of ndarray of int
        Levels of the cells (see :class:`~alliance_stats.engine.mixed.cells.Cells`). Both rows of a cell have the same
        inner level.
    """

    def __init__(self, design: MixedDesign, left: Sequence[Ints], right: Sequence[Ints]) -> None:
        self.design = design
        self.inner = design.inner
        self.outer = tuple(k for k in range(len(design.factors)) if k != self.inner)
        self.fixed_and_outcome = (*design.fixed, design.n_columns)
        self.codes = left[self.inner]
        factors = self._outer_factors
        self._left = [items_of(left[k], design.factors[k]) for k in self.outer]
        self.layout = lay_out(
            [self.codes[item.cell] for item in self._left],
            design.factors[self.inner].n_levels,
            [item.level for item in self._left],
            [other.n_levels for other in factors],
            [other.n_effects for other in factors],
        )
        alone = left is right
        self._right = self._left if alone else [items_of(right[k], design.factors[k]) for k in self.outer]
        self._columns = self.layout.column_of_item
        self._right_columns = self._columns if alone else self._columns_of(self._right)
        self._entries = self.layout.entry_of_item if alone else self._entries_of(self._right, self._right_columns)
        self._meetings = [
            meeting for f in range(len(factors)) for g in range(len(factors)) for meeting in self._meet(f, g)
        ]

    @property
    def _outer_factors(self) -> list[GroupingFactor]:
        return [self.design.factors[k] for k in self.outer]

    def _columns_of(self, items: list[Items]) -> tuple[tuple[Ints, ...], ...]:
        layout = self.layout
        return tuple(
            tuple(layout.first_column[f] + own.level * layout.n_effects[f] + k for k in range(layout.n_effects[f]))
            for f, own in enumerate(items)
        )

    def _entries_of(self, items: list[Items], columns: tuple[tuple[Ints, ...], ...]) -> tuple[tuple[Ints, ...], ...]:
        return tuple(
            tuple(self.layout.entry(self.codes[own.cell], column) for column in per_effect)
            for own, per_effect in zip(items, columns, strict=True)
        )

    def _meet(self, f: int, g: int) -> list[_Meeting]:
        """Left items of outer factor ``f`` that meet right items of ``g`` in a cell, for each pair of their effects."""
        factors = self._outer_factors
        left, right = _meetings(self._left[f], self._right[g])
        cell = self._left[f].cell[left]
        weight = _product(_weight_of(self._left[f], left), _weight_of(self._right[g], right))
        same = f == g and self._left is self._right and weight is None
        found = []
        for k, a in enumerate(factors[f].effects):
            for j, b in enumerate(factors[g].effects):
                row, column = self._columns[f][k][left], self._right_columns[g][j][right]
                # Every product of different columns comes twice, once from either side, and is stored once.
                half = None if same and k == j else np.where(row == column, 1.0, 0.5)
                found.append(_Meeting((a, b), cell, _product(weight, half), self.layout.position(row, column)))
        return found

    def statistics(self, cells: Cells, total: Floats, log_determinant: float = 0.0) -> Statistics:
        """Sum cells into statistics.

        Parameters
        ----------
        cells : Cells
            With the levels that this assembly was made for.
        total : ndarray of shape (p+1, p+1)
        log_determinant : float
            ``log|R|``.
        """
        design, layout = self.design, self.layout
        factor = design.factors[self.inner]
        m, q = factor.n_levels, factor.n_effects
        gram, cross = np.empty((q, q, m)), np.empty((len(self.fixed_and_outcome), q, m))
        for j, a in enumerate(factor.effects):
            for k, b in enumerate(factor.effects[: j + 1]):
                gram[j, k] = gram[k, j] = sum_by(self.codes, cells.product(a, b), m)
            for c, column in enumerate(self.fixed_and_outcome):
                cross[c, j] = sum_by(self.codes, cells.product(a, column), m)
        return Statistics(
            n_obs=design.n_obs,
            n_fixed=design.n_fixed,
            total=total,
            inner_gram=gram,
            inner_cross=cross,
            entry_cross=self._entry_sums(cells, factor),
            outer_gram=self._outer_gram(cells),
            outer_cross=self._outer_cross(cells),
            inner_factor=self.inner,
            outer_factors=self.outer,
            layout=layout,
            log_determinant=log_determinant,
        )

    def _entry_sums(self, cells: Cells, inner: GroupingFactor) -> Floats:
        """``Z1'Ωz2`` for each entry."""
        sums = np.zeros((inner.n_effects, self.layout.n_entries))
        for factor, items, entries in zip(self._outer_factors, self._right, self._entries, strict=True):
            for column, entry in zip(factor.effects, entries, strict=True):
                for k, own in enumerate(inner.effects):
                    sums[k] += sum_by(entry, items.of(cells.product(own, column)), self.layout.n_entries)
        return sums

    def _outer_gram(self, cells: Cells) -> Floats:
        """``Z2'ΩZ2`` in block storage."""
        gram = np.zeros(self.layout.size)
        for meeting in self._meetings:
            values = cells.product(*meeting.pair)[meeting.cell]
            if meeting.weight is not None:
                values = values * meeting.weight
            gram += sum_by(meeting.position, values, self.layout.size)
        return gram

    def _outer_cross(self, cells: Cells) -> Floats:
        """``Z2'Ω[X y]``, (M, p+1)."""
        layout = self.layout
        cross = np.zeros((layout.n_columns, len(self.fixed_and_outcome)))
        for f, (factor, items) in enumerate(zip(self._outer_factors, self._left, strict=True)):
            for k, own in enumerate(factor.effects):
                rows = layout.first_column[f] + np.arange(factor.n_levels) * factor.n_effects + k
                for c, column in enumerate(self.fixed_and_outcome):
                    values = items.of(cells.product(own, column))
                    cross[rows, c] = sum_by(items.level, values, factor.n_levels)
        return cross


def _weight_of(items: Items, which: Ints) -> Floats | None:
    return None if items.weight is None else items.weight[which]


def _product(a: Floats | None, b: Floats | None) -> Floats | None:
    """Product of weights, where None stands for ones."""
    if a is None or b is None:
        return b if a is None else a
    return a * b


def _meetings(first: Items, second: Items) -> tuple[Ints, Ints]:
    """Pairs of items of one cell."""
    if first.weight is None and second.weight is None:
        return first.cell, first.cell
    n_cells = int(max(first.cell.max(initial=-1), second.cell.max(initial=-1))) + 1
    n_second = np.bincount(second.cell, minlength=n_cells)
    start = np.cumsum(n_second) - n_second
    partners = n_second[first.cell]
    left = np.repeat(np.arange(first.cell.size), partners)
    offset = np.arange(left.size) - np.repeat(np.cumsum(partners) - partners, partners)
    return left, start[first.cell[left]] + offset
