"""Shift and scale columns before squaring them, and carry the results back.

Sums of squares of a raw year, or of a score in the millions, lose half of the digits. Columns are therefore
centred (where the model holds the intercept that absorbs the shift) and scaled to unit root mean square,
and so is the outcome. The model is the same; only its coordinates differ.
"""

from __future__ import annotations

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


class _Pool:
    """Standardised columns, each (column, shifted?) made once."""

    def __init__(self, design: MixedDesign) -> None:
        self.source = design.columns
        self.columns: list[Floats | None] = []
        self.shift: list[float] = []
        self.scale: list[float] = []
        self._known: dict[tuple[int, bool], int] = {}

    def add(self, column: int, shifted: bool) -> int:
        raw = self.source[column]
        key = (column, shifted and raw is not ONES)
        if key not in self._known:
            self._known[key] = len(self.columns)
            shift = float(raw.mean()) if raw is not ONES and shifted else 0.0
            centred = raw - shift if raw is not ONES and shift else raw
            scale = 1.0 if centred is ONES else _root_mean_square(centred)
            self.columns.append(ONES if centred is ONES else centred / scale)
            self.shift.append(shift)
            self.scale.append(scale)
        return self._known[key]

    def map_to_raw(self, members: tuple[int, ...]) -> Floats:
        """Matrix from standardised to raw coefficients: divide by the scale, pay the shift into the intercept."""
        shift = np.array([self.shift[k] for k in members])
        scale = np.array([self.scale[k] for k in members])
        turn = np.diag(1.0 / scale)
        for at, member in enumerate(members):
            if self.columns[member] is ONES:
                turn[at] -= shift / scale
        return turn


def standardise(design: MixedDesign) -> tuple[MixedDesign, Coordinates]:
    """Return the design in standardised columns, and the way back.

    A column is shifted by its mean only beside an intercept: among the fixed effects, or in the same
    block of correlated random effects. A column of zeros keeps scale 1.
    """
    pool = _Pool(design)
    has_intercept = any(design.columns[k] is ONES for k in design.fixed)
    fixed = tuple(pool.add(k, has_intercept) for k in design.fixed)
    factors = tuple(_standardise_factor(factor, design, pool) for factor in design.factors)

    y = design.outcome
    shift = float(y.mean()) if has_intercept else 0.0
    outcome = y - shift
    scale = _root_mean_square(outcome)
    residual, weight_scale = _standardise_weights(design.residual)
    coordinates = Coordinates(
        fixed_map=pool.map_to_raw(fixed),
        random_maps=tuple(pool.map_to_raw(factor.effects) for factor in factors),
        outcome_shift=shift,
        outcome_scale=scale,
        intercept=next((at for at, k in enumerate(design.fixed) if design.columns[k] is ONES), None),
        weight_scale=weight_scale,
    )
    return MixedDesign(outcome / scale, pool.columns, fixed, factors, residual), coordinates


def _standardise_weights(residual: ResidualStructure | None) -> tuple[ResidualStructure | None, float]:
    """Divide prior weights by their geometric mean; return it, too. σ² takes the factor, the criterion stays."""
    if residual is None or residual.weight is None:
        return residual, 1.0
    size = float(np.exp(np.log(residual.weight).mean()))
    return replace(residual, weight=residual.weight / size), size


def _root_mean_square(values: Floats) -> float:
    """Root mean square; 1 for zeros.

    Raises
    ------
    DesignError
        If it is so large or small that its powers leave the range of floats.
    """
    size = float(np.sqrt(values @ values / values.size))
    if 1 / _EXTREME < size < _EXTREME:
        return size
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return 1.0
    raise DesignError(f"A column varies on a scale of {largest:.0e}. Choose units in which its values are nearer to 1.")


def _standardise_factor(factor: GroupingFactor, design: MixedDesign, pool: _Pool) -> GroupingFactor:
    effects = list(factor.effects)
    for block in factor.blocks:
        shifted = any(design.columns[factor.effects[k]] is ONES for k in block)
        for k in block:
            effects[k] = pool.add(factor.effects[k], shifted)
    return replace(factor, effects=tuple(effects))
