"""A design whose rows were summed and let go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from alliance_stats.engine.mixed.cells import Cells
from alliance_stats.engine.mixed.coordinates import Coordinates, coordinates_of, root_mean_square
from alliance_stats.engine.mixed.design import Floats, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.parts import Part
from alliance_stats.engine.mixed.residual import ResidualStructure
from alliance_stats.engine.mixed.statistics import Assembly, Statistics
from alliance_stats.errors import rows_not_kept


class SummedFactor(GroupingFactor):
    """A grouping whose rows were let go: asking for their codes is an error.

    Parameters
    ----------
    name, n_levels, effects, blocks
        As of a ``GroupingFactor``.
    """

    codes = property(rows_not_kept)

    def __init__(self, name: str, n_levels: int, effects: tuple[int, ...], blocks: tuple[tuple[int, ...], ...]) -> None:
        vars(self).update(name=name, n_levels=n_levels, effects=effects, blocks=blocks, membership=None)


class SummedWeights(ResidualStructure):
    """Independent residuals with prior weights that were let go: asking for the rows' weights is an error."""

    previous = property(rows_not_kept)
    gap = property(rows_not_kept)
    stratum = property(rows_not_kept)
    weight = property(rows_not_kept)

    def __init__(self) -> None:
        vars(self).update(correlation="none", n_strata=1)


class RowlessDesign(MixedDesign):
    """The shape of a design without its rows: asking for an outcome or a column is an error.

    Parameters
    ----------
    n_obs, n_columns : int
        Rows that there were, and predictor columns.
    fixed, factors
        As of a ``MixedDesign``.
    weighted : bool
        Whether rows had prior weights.
    """

    outcome = property(rows_not_kept)
    columns = property(rows_not_kept)

    def __init__(
        self,
        n_obs: int,
        n_columns: int,
        fixed: tuple[int, ...],
        factors: tuple[GroupingFactor, ...],
        weighted: bool = False,
    ) -> None:
        residual = SummedWeights() if weighted else None
        vars(self).update(_n_obs=n_obs, _n_columns=n_columns, fixed=fixed, factors=factors, residual=residual)

    @property
    def n_obs(self) -> int:
        """Number of rows that were summed."""
        return int(vars(self)["_n_obs"])

    @property
    def n_columns(self) -> int:
        """Number of predictor columns."""
        return int(vars(self)["_n_columns"])

    def _may_be_inner(self, factor: GroupingFactor) -> bool:
        return factor.membership is None


class SummedDesign(RowlessDesign):
    """A design whose rows were summed and let go, with its statistics.

    Parameters
    ----------
    shape : RowlessDesign
        In the columns of the data.
    standard : RowlessDesign
        In standardised columns.
    statistics : Statistics
        Of the standardised columns.
    coordinates : Coordinates
        The way back from them.
    """

    def __init__(
        self, shape: RowlessDesign, standard: RowlessDesign, statistics: Statistics, coordinates: Coordinates
    ) -> None:
        super().__init__(shape.n_obs, shape.n_columns, shape.fixed, shape.factors, shape.residual is not None)
        vars(self).update(standard=standard, statistics=statistics, coordinates=coordinates)

    standard: RowlessDesign
    statistics: Statistics
    coordinates: Coordinates


@dataclass(frozen=True)
class _ScaledCells(Cells):
    """Cells whose columns and weights are divided by their scales when they are asked for."""

    scale: Floats
    weight_scale: float

    def product(self, a: int, b: int) -> Floats:
        return super().product(a, b) / (self.scale[a] * self.scale[b] * self.weight_scale)


def finish(part: Part, shape: RowlessDesign) -> SummedDesign:
    """Standardise the sums of all rows, and assemble their statistics.

    Parameters
    ----------
    part : Part
        All rows.
    shape : RowlessDesign
        Their design in the columns of the data.

    Raises
    ------
    DesignError
        If a column varies on a scale whose squares leave the range of floats.
    """
    scale = _scales(part)
    factors = tuple(
        SummedFactor(factor.name, factor.n_levels, effects, factor.blocks)
        for factor, effects in zip(shape.factors, part.effects, strict=True)
    )
    standard = RowlessDesign(part.n_obs, len(part.ones), part.fixed, factors)
    cells = part.cells
    own = scale[[*part.fixed, scale.size - 1]]
    assembly = Assembly(standard, cells.left, cells.left)
    weight_scale = float(np.exp(part.log_weights / part.n_obs))  # log|R| of weights whose geometric mean is 1 is 0
    scaled = _ScaledCells(cells.left, cells.right, cells.sums, scale, weight_scale)
    statistics = assembly.statistics(scaled, part.total / (np.outer(own, own) * weight_scale))
    coordinates = coordinates_of(part.ones, part.fixed, part.effects, part.shift, scale, weight_scale)
    return SummedDesign(shape, standard, statistics, coordinates)


def _scales(part: Part) -> Floats:
    """Root mean square of each centred column and of the outcome (last); 1 for the column of ones."""
    magnitude = np.maximum(np.abs(part.least), np.abs(part.largest))
    pairs = zip(part.squares.tolist(), magnitude.tolist(), strict=True)
    return np.array([root_mean_square(square, part.n_obs, partial(float, largest)) for square, largest in pairs])
