"""Shift and scale columns before squaring them, and carry the results back.

Sums of squares of a raw year, or of a score in the millions, lose half of the digits. Columns are therefore
centred (where the model holds the intercept that absorbs the shift) and scaled to unit root mean square,
and so is the outcome. The model is the same; only its coordinates differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.engine.mixed.design import ONES, Floats, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.residual import ResidualStructure
from alliance_stats.errors import DesignError

#: Scales beyond this (or below its inverse) are refused: variances are squares, and their precision squares of those.
_EXTREME = 1e50


@dataclass(frozen=True)
class Coordinates:
    """The linear maps from standardised coordinates back to those of the data.

    Parameters
    ----------
    fixed_map : ndarray of shape (p, p)
        Raw coefficients = ``outcome_scale * fixed_map @ standardised`` (plus the outcome's shift in the intercept).
    random_maps : tuple of ndarray of shape (q, q)
        The same for the random effects of each factor.
    outcome_shift, outcome_scale : float
        Standardised outcome = (raw − shift) / scale.
    intercept : int or None
        Position of the intercept among the fixed effects.
    weight_scale : float
        Standardised prior weights = raw weights / this: their geometric mean, 1 where there are none. Variances of
        random effects relative to the residual one are then of ordinary size, whatever the weights' unit.
    """

    fixed_map: Floats
    random_maps: tuple[Floats, ...]
    outcome_shift: float
    outcome_scale: float
    intercept: int | None
    weight_scale: float = 1.0

    def fixed_to_raw(self, standardised: Floats) -> Floats:
        """Coefficients of the raw columns, in units of the outcome."""
        raw = self.outcome_scale * (self.fixed_map @ standardised)
        if self.intercept is not None:
            raw[self.intercept] += self.outcome_shift
        return raw

    def fixed_covariance_to_raw(self, standardised: Floats) -> Floats:
        """Covariance of the coefficients, shape (…, p, p), in squared units of the outcome."""
        return self.outcome_scale**2 * (self.fixed_map @ standardised @ self.fixed_map.T)

    def random_covariance_to_raw(self, factor: int, standardised: Floats) -> Floats:
        """Covariance of the factor's effects relative to the residual variance, shape (…, q, q)."""
        turn = self.random_maps[factor]
        return turn @ standardised @ turn.T

    def residual_variance_to_raw(self, standardised: float) -> float:
        """σ² in squared units of the outcome: the residual variance of a row whose raw weight is 1."""
        return self.outcome_scale**2 * self.weight_scale * standardised

    def criterion_to_raw(self, n_obs: int, reml: bool) -> float:
        """What to add to −2 log-likelihood (or the REML criterion) of the standardised model."""
        n_free = n_obs - self.fixed_map.shape[0] if reml else n_obs
        added = 2 * n_free * np.log(self.outcome_scale)
        if reml:
            added -= 2 * np.log(np.abs(np.diag(self.fixed_map))).sum()
        return float(added)


@dataclass(frozen=True)
class Centred:
    """A design in centred columns, each (column, shifted?) made once.

    Parameters
    ----------
    design : MixedDesign
    shift : ndarray of shape (n_columns + 1,)
        What was taken off each of its columns, and off the outcome (last).
    source : tuple of int
        The raw column behind each of its columns.
    """

    design: MixedDesign
    shift: Floats
    source: tuple[int, ...]


def centre(design: MixedDesign) -> Centred:
    """Take its mean off every column that an intercept pays for, and off the outcome.

    A column is shifted only beside an intercept: among the fixed effects, or in the same block of correlated random
    effects. One that stands in both kinds of places becomes two columns.
    """
    pool = _Pool(design)
    has_intercept = any(design.columns[k] is ONES for k in design.fixed)
    fixed = tuple(pool.add(k, has_intercept) for k in design.fixed)
    factors = tuple(_centred_factor(factor, design, pool) for factor in design.factors)
    y = design.outcome
    shift = float(y.mean()) if has_intercept else 0.0
    centred = MixedDesign(y - shift, pool.columns, fixed, factors, design.residual)
    return Centred(centred, np.array([*pool.shift, shift]), tuple(column for column, _ in pool.known))


class _Pool:
    """Centred columns, each (column, shifted?) made once."""

    def __init__(self, design: MixedDesign) -> None:
        self.source = design.columns
        self.columns: list[Floats | None] = []
        self.shift: list[float] = []
        self.known: dict[tuple[int, bool], int] = {}

    def add(self, column: int, shifted: bool) -> int:
        raw = self.source[column]
        key = (column, shifted and raw is not ONES)
        if key not in self.known:
            self.known[key] = len(self.columns)
            shift = float(raw.mean()) if raw is not ONES and shifted else 0.0
            self.columns.append(raw - shift if raw is not ONES and shift else raw)
            self.shift.append(shift)
        return self.known[key]


def _centred_factor(factor: GroupingFactor, design: MixedDesign, pool: _Pool) -> GroupingFactor:
    effects = list(factor.effects)
    for block in factor.blocks:
        shifted = any(design.columns[factor.effects[k]] is ONES for k in block)
        for k in block:
            effects[k] = pool.add(factor.effects[k], shifted)
    return replace(factor, effects=tuple(effects))


def coordinates_of(
    ones: Sequence[bool],
    fixed: tuple[int, ...],
    effects: Sequence[tuple[int, ...]],
    shift: Floats,
    scale: Floats,
    weight_scale: float,
) -> Coordinates:
    """Coordinates of columns that were shifted, then divided by their scale.

    Parameters
    ----------
    ones : sequence of bool
        Which columns are the column of ones.
    fixed : tuple of int
        Positions of the fixed-effect columns.
    effects : sequence of tuple of int
        Positions of each factor's columns.
    shift, scale : ndarray of shape (n_columns + 1,)
        Of the columns and, last, of the outcome.
    weight_scale : float
        What prior weights were divided by.
    """

    def map_to_raw(members: tuple[int, ...]) -> Floats:
        """Matrix from standardised to raw coefficients: divide by the scale, pay the shift into the intercept."""
        own = list(members)
        turn = np.diag(1.0 / scale[own])
        for at, member in enumerate(members):
            if ones[member]:
                turn[at] -= shift[own] / scale[own]
        return turn

    return Coordinates(
        fixed_map=map_to_raw(fixed),
        random_maps=tuple(map_to_raw(members) for members in effects),
        outcome_shift=float(shift[-1]),
        outcome_scale=float(scale[-1]),
        intercept=next((at for at, k in enumerate(fixed) if ones[k]), None),
        weight_scale=weight_scale,
    )


def standardise(design: MixedDesign) -> tuple[MixedDesign, Coordinates]:
    """Return the design in standardised columns (see :func:`centre`) and weights, and the way back.

    A column of zeros keeps scale 1.
    """
    centred = centre(design)
    columns, outcome = list(centred.design.columns), centred.design.outcome
    shift, scale = centred.shift, np.ones(len(columns) + 1)
    for at, column in enumerate(columns):
        if column is not ONES:
            scale[at] = _scale_of(column)
            # a column that was shifted is our own copy, and need not be copied again
            columns[at] = np.divide(column, scale[at], out=column if shift[at] else None)
    scale[-1] = _scale_of(outcome)
    outcome /= scale[-1]
    fixed, factors = centred.design.fixed, centred.design.factors
    residual, weight_scale = _standardise_weights(design.residual)
    ones = [column is ONES for column in columns]
    effects = [factor.effects for factor in factors]
    coordinates = coordinates_of(ones, fixed, effects, shift, scale, weight_scale)
    return MixedDesign(outcome, columns, fixed, factors, residual), coordinates


def _standardise_weights(residual: ResidualStructure | None) -> tuple[ResidualStructure | None, float]:
    """Divide prior weights by their geometric mean; return it, too. σ² takes the factor, the criterion stays."""
    if residual is None or residual.weight is None:
        return residual, 1.0
    size = float(np.exp(np.log(residual.weight).mean()))
    return replace(residual, weight=residual.weight / size), size


def _scale_of(values: Floats) -> float:
    return root_mean_square(float(values @ values), values.size, lambda: float(np.abs(values).max(initial=0.0)))


def root_mean_square(sum_of_squares: float, n: int, largest: Callable[[], float]) -> float:
    """Root mean square; 1 for zeros.

    Parameters
    ----------
    sum_of_squares : float
    n : int
        Number of values.
    largest : callable
        Gives the largest magnitude; asked for only where the squares leave the range of floats.

    Raises
    ------
    DesignError
        If it is so large or small that its powers leave the range of floats.
    """
    size = float(np.sqrt(sum_of_squares / n))
    if 1 / _EXTREME < size < _EXTREME:
        return size
    magnitude = largest()
    if magnitude == 0.0:
        return 1.0
    raise DesignError(
        f"A column varies on a scale of {magnitude:.0e}. Choose units in which its values are nearer to 1."
    )
