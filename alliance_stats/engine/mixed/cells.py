"""Rows summed into cells: runs of rows that share their level of every factor.

Cells are what is left of the rows. Everything that the engine needs is a sum over cells, so data that come in
parts can be summed part by part, and cells with the same levels added up.

Where residuals are correlated, products of *two* rows occur as well (a session and the one before it). A cell then has
the levels of the left row and of the right row, which differ where the therapist changed in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import ONES, Floats, GroupingFactor, Ints, MixedDesign

#: Positions of two columns; the outcome counts as the column after the last.
Pair = tuple[int, int]


@dataclass(frozen=True)
class Cells:
    """Sums over cells.

    Parameters
    ----------
    left, right : tuple of ndarray of int, shape (n_cells,)
        Per factor, the level (with multiple membership, the pattern) of the left and of the right row. The same object
        where every row meets only itself.
    sums : mapping of (int, int) to ndarray of shape (n_cells,)
        Sum of left column × right column. Where ``left is right`` each pair of columns stands once, in either order.
    """

    left: tuple[Ints, ...]
    right: tuple[Ints, ...]
    sums: Mapping[Pair, Floats]

    def product(self, a: int, b: int) -> Floats:
        """Sums of left column ``a`` times right column ``b``, (n_cells,)."""
        found = self.sums.get((a, b))
        return self.sums[b, a] if found is None else found


@dataclass(frozen=True)
class Items:
    """Cells and the levels of one factor that they belong to, by cell; ``weight`` is None where all weights are 1."""

    cell: Ints
    level: Ints
    weight: Floats | None

    def of(self, per_cell: Floats) -> Floats:
        """Weighted values of the cells."""
        return per_cell if self.weight is None else per_cell[self.cell] * self.weight


def items_of(codes: Ints, factor: GroupingFactor) -> Items:
    """List the levels that each cell belongs to."""
    if factor.membership is None:
        return Items(np.arange(codes.size), codes, None)
    return Items(*factor.membership.items(codes))


def random_pairs(design: MixedDesign) -> set[Pair]:
    """Pairs of columns whose products the cells hold: random-effect columns with every column that is used."""
    random = {k for factor in design.factors for k in factor.effects}
    return {(a, b) for a in random for b in (*random, *design.fixed, design.n_columns)}


def sum_into_cells(design: MixedDesign) -> Cells:
    """Sum the products of every random-effect column with every column, per cell, each row by itself."""
    codes = [factor.codes for factor in design.factors]
    columns: list[Floats | None] = [*design.columns, design.outcome]
    starts = _run_starts(codes)
    if starts.size > 0.5 * design.n_obs and design.n_obs > 2:
        order = np.lexsort(codes)  # rows in no useful order: bring those of one cell together first
        codes = [code[order] for code in codes]
        columns = [column if column is ONES else column[order] for column in columns]
        starts = _run_starts(codes)
    wanted = {(min(pair), max(pair)) for pair in random_pairs(design)}
    lengths = np.diff(starts, append=design.n_obs).astype(float)
    sums = {pair: _run_sums(columns[pair[0]], columns[pair[1]], starts, lengths) for pair in wanted}
    own = tuple(code[starts] for code in codes)
    return Cells(own, own, sums)


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
