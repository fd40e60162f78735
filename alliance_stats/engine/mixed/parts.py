"""Rows that come in parts: each part is summed by itself, and the sums are added up.

Every part is centred on its own means and moved to the common ones when it is added (Chan, Golub & LeVeque's way of
adding variances, for all products at once). A part whose values lie far from the others', or do not vary at all,
therefore costs no digits, and the sums are those that the rows would give together.

References
----------
Chan, Golub & LeVeque (1983), The American Statistician, 37, 242-247.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.engine.mixed.cells import Cells, Pair, sum_into_cells
from alliance_stats.engine.mixed.coordinates import centre
from alliance_stats.engine.mixed.design import ONES, Floats, Ints, MixedDesign
from alliance_stats.engine.mixed.statistics import sum_products
from alliance_stats.engine.mixed.sums import sum_by

#: Products of level counts beyond this do not fit a whole number of 64 bits.
_LARGEST_KEY = 2**62


@dataclass(frozen=True)
class Part:
    """What is kept of the rows of one part, or of several.

    Parameters
    ----------
    n_obs : int
    ones : tuple of bool
        Which of the centred columns are the column of ones.
    fixed : tuple of int
        Positions of the fixed-effect columns among the centred ones.
    effects : tuple of tuple of int
        Positions of each factor's columns.
    shift : ndarray of shape (n_columns + 1,)
        What was taken off each centred column, and off the outcome (last).
    least, largest : ndarray of shape (n_columns + 1,)
        Least and largest value of each column before anything was taken off, and of the outcome (last).
    squares : ndarray of shape (n_columns + 1,)
        Sum of squares of each centred column, and of the outcome (last), without weights.
    log_weights : float
        Sum of the logarithms of the prior weights.
    total : ndarray of shape (p+1, p+1)
        ``[X y]'W[X y]`` of the centred columns, ``W`` the prior weights.
    cells : Cells
        Weighted sums of the centred columns over rows that share their level of every factor.
    """

    n_obs: int
    ones: tuple[bool, ...]
    fixed: tuple[int, ...]
    effects: tuple[tuple[int, ...], ...]
    shift: Floats
    least: Floats
    largest: Floats
    squares: Floats
    log_weights: float
    total: Floats
    cells: Cells

    @property
    def size(self) -> int:
        """How many numbers the cells take."""
        return self.cells.left[0].size * (len(self.cells.left) + len(self.cells.sums))


def sum_part(design: MixedDesign) -> Part:
    """Sum the rows of a design, about their own means.

    Parameters
    ----------
    design : MixedDesign
        Rows that belong to one level of each factor, and whose residuals are independent but for prior weights.
    """
    centred = centre(design)
    columns = [np.ones(design.n_obs) if column is ONES else column for column in centred.design.columns]
    weighted, log_weights = _weighted(centred.design)
    raw = [*(design.columns[k] for k in centred.source), design.outcome]
    return Part(
        n_obs=design.n_obs,
        ones=tuple(column is ONES for column in centred.design.columns),
        fixed=centred.design.fixed,
        effects=tuple(factor.effects for factor in centred.design.factors),
        shift=centred.shift,
        least=np.array([1.0 if column is ONES else column.min() for column in raw]),
        largest=np.array([1.0 if column is ONES else column.max() for column in raw]),
        squares=np.array([float(column @ column) for column in (*columns, centred.design.outcome)]),
        log_weights=log_weights,
        total=sum_products(weighted),
        cells=sum_into_cells(weighted),
    )


def _weighted(design: MixedDesign) -> tuple[MixedDesign, float]:
    """Multiply every row by the root of its prior weight; also the sum of the weights' logarithms."""
    if design.residual is None:
        return design, 0.0
    root = design.residual.root_weight
    columns = [root if column is ONES else column * root for column in design.columns]
    return replace(design, outcome=design.outcome * root, columns=columns), 2 * float(np.log(root).sum())


def add_parts(parts: Sequence[Part], codes: Sequence[Sequence[Ints]], n_levels: Sequence[int]) -> Part:
    """Add parts up.

    Parameters
    ----------
    parts : sequence of Part
        Of one model, at least one.
    codes : sequence of (sequence of ndarray of int)
        For each part and factor the levels of its cells, numbered alike in all parts.
    n_levels : sequence of int
        Levels of each factor, over all parts.
    """
    first = parts[0]
    n_obs = sum(part.n_obs for part in parts)
    shift: Floats = np.sum([part.n_obs * part.shift for part in parts], axis=0) / n_obs
    moves = [part.shift - shift for part in parts]
    joined = tuple(np.concatenate([own[f] for own in codes]) for f in range(len(n_levels)))
    place, representative = _distinct(joined, n_levels)
    levels = tuple(code[representative] for code in joined)
    sums: dict[Pair, Floats] = {}
    for pair in first.cells.sums:
        values = np.concatenate([_moved(part, pair, move) for part, move in zip(parts, moves, strict=True)])
        sums[pair] = values if place is None else sum_by(place, values, representative.size)
    return Part(
        n_obs=n_obs,
        ones=first.ones,
        fixed=first.fixed,
        effects=first.effects,
        shift=shift,
        least=np.min([part.least for part in parts], axis=0),
        largest=np.max([part.largest for part in parts], axis=0),
        squares=np.sum([part.squares + part.n_obs * move**2 for part, move in zip(parts, moves, strict=True)], axis=0),
        log_weights=sum(part.log_weights for part in parts),
        total=np.sum([_moved_total(part, move) for part, move in zip(parts, moves, strict=True)], axis=0),
        cells=Cells(levels, levels, sums),
    )


def _distinct(codes: Sequence[Ints], n_levels: Sequence[int]) -> tuple[Ints | None, Ints]:
    """Number the distinct cells: place of each (None: all are distinct as they stand), and one cell of each place."""
    key, size = codes[0], n_levels[0]
    for code, n in zip(codes[1:], n_levels[1:], strict=True):
        if size > _LARGEST_KEY // n:
            key = np.unique(key, return_inverse=True)[1]
            size = int(key.max()) + 1
        key, size = key * n + code, size * n
    if (np.diff(key) > 0).all():
        return None, np.arange(key.size)
    _, representative, place = np.unique(key, return_index=True, return_inverse=True)
    return place, representative


def _moved(part: Part, pair: Pair, move: Floats) -> Floats:
    """Sums of a product after ``move`` was added to its columns.

    A column moves only beside an intercept, whose products with the other column are then at hand.
    """
    (a, b), product = pair, part.cells.product
    values = product(a, b)
    if move[a]:
        values = values + move[a] * product(_one(part), b)
    if move[b]:
        values = values + move[b] * product(a, _one(part))
        if move[a]:
            values += move[a] * move[b] * product(_one(part), _one(part))
    return values


def _one(part: Part) -> int:
    return part.ones.index(True)


def _moved_total(part: Part, move: Floats) -> Floats:
    own = move[[*part.fixed, move.size - 1]]
    if not own.any():
        return part.total
    intercept = [part.ones[k] for k in part.fixed].index(True)
    turned = np.outer(part.total[intercept], own)
    moved: Floats = part.total + turned + turned.T + part.total[intercept, intercept] * np.outer(own, own)
    return moved
