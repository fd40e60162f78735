"""Statistics of a design whose residuals are correlated or of unequal variance, at any value of their parameters.

Products of rows with themselves and with the row before are summed once, by cell and by residual class
(see :mod:`~alliance_stats.engine.mixed.residual`). New parameters re-weight these sums; no row is touched again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from alliance_stats.engine.mixed.cells import Cells, Pair, random_pairs
from alliance_stats.engine.mixed.design import ONES, Floats, Ints, MixedDesign
from alliance_stats.engine.mixed.residual import ResidualClasses, classify
from alliance_stats.engine.mixed.statistics import Assembly, Statistics


@dataclass(frozen=True)
class ResidualPoint:
    """The statistics at one value of the residual parameters, and their derivatives."""

    basis: ResidualBasis
    parameters: Floats

    @cached_property
    def coefficients(self) -> tuple[Floats, Floats]:
        """Entries of ``Ω`` per class (without prior weights), and their derivatives."""
        return self.basis.classes.coefficients(self.parameters)

    @cached_property
    def _log_determinant(self) -> tuple[float, Floats]:
        return self.basis.classes.log_determinant(self.parameters)

    @cached_property
    def statistics(self) -> Statistics:
        """``Z'ΩZ``, ``Z'Ω[X y]``, …, and ``log|R|``."""
        return self.basis.weighted(self.coefficients[0], self._log_determinant[0])

    @cached_property
    def derivatives(self) -> list[Statistics]:
        """The same for the derivative of ``Ω`` (and of ``log|R|``) with respect to each parameter."""
        slopes, of_log = self.coefficients[1], self._log_determinant[1]
        return [self.basis.weighted(own, float(value)) for own, value in zip(slopes, of_log, strict=True)]


class ResidualBasis:
    """Sums by cell and class.

    Parameters
    ----------
    design : MixedDesign
        With a residual structure.
    """

    def __init__(self, design: MixedDesign) -> None:
        structure = design.residual
        assert structure is not None
        self.design = design
        self.classes: ResidualClasses
        self.classes, self.row_class, self.pair_class = classify(structure)
        linked, previous = structure.linked, structure.previous[structure.linked]
        codes = [factor.codes for factor in design.factors]
        together = np.logical_and.reduce([code[linked] == code[previous] for code in codes])
        once, apart = linked[together], linked[~together]
        own = np.arange(design.n_obs)
        # Rows by themselves; neighbours of one cell, both orders as one; neighbours of different cells, either order.
        self._left = np.concatenate([own, once, apart, previous[~together]])
        self._right = np.concatenate([own, previous[together], previous[~together], apart])
        between = self.pair_class[~together]
        class_of_item = np.concatenate([self.row_class, self.pair_class[together], between, between])
        self._both = slice(design.n_obs, design.n_obs + once.size)
        self._columns = [_weighted(column, structure.root_weight) for column in [*design.columns, design.outcome]]
        self._sum(codes, class_of_item)
        self._total = self._sum_totals(structure.linked, structure.previous[structure.linked])
        del self._left, self._right, self._columns

    def point(self, parameters: Floats) -> ResidualPoint:
        """The statistics at these parameters."""
        return ResidualPoint(self, parameters)

    def weighted(self, coefficients: Floats, log_determinant: float) -> Statistics:
        """Statistics with a coefficient per class in the place of ``Ω``."""
        sums = (self._by_cell(coefficients) @ self._products).T.copy()
        cells = Cells(self._left_codes, self._right_codes, dict(zip(self._pairs, sums, strict=True)))
        size = self.design.n_fixed + 1
        total = np.zeros((size, size))
        total[np.tril_indices(size)] = coefficients @ self._total
        total = total + np.tril(total, -1).T
        return self._assembly.statistics(cells, total, log_determinant)

    def log_ratios(self) -> Floats:
        """Log of the strata's standard deviations in ordinary least squares, relative to the first, (n_strata,)."""
        size, strata = self.design.n_fixed + 1, self.classes.row_stratum
        rows, columns = np.tril_indices(size)
        by_row_class = self._total[: strata.size]
        total = np.zeros((size, size))
        total[rows, columns] = total[columns, rows] = by_row_class.sum(axis=0)
        residual = np.append(-np.linalg.lstsq(total[:-1, :-1], total[:-1, -1], rcond=1e-12)[0], 1.0)
        twice = np.where(rows == columns, 1.0, 2.0) * residual[rows] * residual[columns]
        squares = np.bincount(strata, by_row_class @ twice, self.classes.n_in_stratum.size) / self.classes.n_in_stratum
        squares = np.maximum(squares, 1e-4 * squares.max())
        return 0.5 * np.log(squares / squares[0])

    def _by_cell(self, coefficients: Floats) -> csr_array:
        """The matrix that adds weighted items up to cells."""
        n = self._item_class.size
        shape = (self._starts.size - 1, n)
        return csr_array((coefficients[self._item_class], np.arange(n), self._starts), shape=shape)

    def _sum(self, codes: list[Ints], class_of_item: Ints) -> None:
        """Sum the products of items that share cell and class."""
        left, right = ([code[rows] for code in codes] for rows in (self._left, self._right))
        order = np.lexsort([class_of_item, *right, *left])
        keys = [key[order] for key in (*left, *right)]
        new_cell = _changes(keys)
        starts = np.flatnonzero(new_cell | _changes([class_of_item[order]]))
        self._pairs: list[Pair] = sorted(random_pairs(self.design))
        products = np.empty((starts.size, len(self._pairs)))
        for at, (a, b) in enumerate(self._pairs):
            products[:, at] = np.add.reduceat(self._product(a, b)[order], starts)
        self._products = products
        self._item_class = class_of_item[order][starts]
        first_of_cell = np.flatnonzero(new_cell[starts])
        self._starts = np.append(first_of_cell, starts.size)
        at_cells = order[starts[first_of_cell]]
        self._left_codes = tuple(code[at_cells] for code in left)
        self._right_codes = tuple(code[at_cells] for code in right)
        self._assembly = Assembly(self.design, self._left_codes, self._right_codes)

    def _product(self, a: int, b: int) -> Floats:
        left, right, both = self._left, self._right, self._both
        values = self._columns[a][left] * self._columns[b][right]
        values[both] += self._columns[a][right[both]] * self._columns[b][left[both]]
        return values

    def _sum_totals(self, linked: Ints, previous: Ints) -> Floats:
        """``[X y]'[X y]`` of each class, lower triangles, (K, (p+1)(p+2)/2)."""
        columns = [self._columns[k] for k in (*self.design.fixed, len(self.design.columns))]
        n_classes = self.classes.row_stratum.size + self.classes.gap.size
        sums = []
        for j, k in zip(*np.tril_indices(len(columns)), strict=True):
            a, b = columns[j], columns[k]
            both = np.bincount(self.pair_class, a[linked] * b[previous] + a[previous] * b[linked], n_classes)
            sums.append(np.bincount(self.row_class, a * b, n_classes) + both)
        return np.column_stack(sums)


def _weighted(column: Floats | None, root_weight: Floats) -> Floats:
    return root_weight if column is ONES else column * root_weight


def _changes(keys: list[Ints]) -> np.ndarray:
    """Where any key differs from the one before; the first place counts as a change."""
    changed = np.zeros(keys[0].size, dtype=bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return changed
