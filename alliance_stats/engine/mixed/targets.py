"""Variance parameters that a profile holds fixed, and the coordinates in which the others remain free.

A *target* is a standard deviation, a correlation, a share of the variance (intraclass correlation), or a parameter of
the residuals, in units of the data. Holding it at ``c`` leaves a search without constraints, only with bounds: each
target has coordinates of its own, in which it is one number (:mod:`effect_targets`, :mod:`residual_targets`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alliance_stats.engine.mixed.covariance import CovarianceState, state
from alliance_stats.engine.mixed.design import Floats, GroupingFactor
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.fit import MixedSolution

#: One direction of movement: the derivative of each factor's covariance that it moves.
Direction = dict[int, Floats]
#: Longest step in a logarithm: of σ², or of a residual parameter.
_LONGEST = 1.0


@dataclass(frozen=True)
class Place:
    """Where the free parameters stand.

    Parameters
    ----------
    loadings : ndarray of shape (n_beside, t)
        Of the other effects of a block on the target's own; empty where the target has no factor of its own.
    own : ndarray
        The target's own free numbers: sizes of a correlation's effects; log σ² for a standard deviation.
    residual : ndarray of shape (k,)
        Residual parameters.
    rest : CovarianceState or None
        What is left of the target's factor, and the covariances of all others; None where there are none.
    """

    loadings: Floats
    own: Floats
    residual: Floats
    rest: CovarianceState | None

    @cached_property
    def values(self) -> Floats:
        """All free numbers in one vector."""
        rest = np.zeros(0) if self.rest is None else self.rest.values
        return np.concatenate([self.loadings.ravel(), self.own, self.residual, rest])

    @property
    def own_at(self) -> slice:
        """Where the target's own numbers stand among the values."""
        return slice(self.loadings.size, self.loadings.size + self.own.size)

    @property
    def residual_at(self) -> slice:
        """Where the residual parameters stand among the values."""
        return slice(self.own_at.stop, self.own_at.stop + self.residual.size)

    def moved(self, values: Floats) -> Place:
        """Return the place at other values, with the order of pivots chosen anew."""
        rest = None if self.rest is None else self.rest.reordered(values[self.residual_at.stop :])
        return self._with(values, rest)

    def shifted(self, values: Floats) -> Place:
        """Return the place at other values, in the same order of pivots."""
        rest = None if self.rest is None else self.rest.moved(values[self.residual_at.stop :])
        return self._with(values, rest)

    def _with(self, values: Floats, rest: CovarianceState | None) -> Place:
        loadings = values[: self.loadings.size].reshape(self.loadings.shape)
        return Place(loadings, values[self.own_at], values[self.residual_at], rest)

    def same_coordinates(self, other: Place) -> bool:
        """Whether the numbers of both mean the same."""
        return self.rest is None or other.rest is None or self.rest._orders == other.rest._orders


@dataclass(frozen=True)
class Layout:
    """What a place stands for.

    Parameters
    ----------
    matrices : list of ndarray of shape (q, q)
        Relative covariance of each factor (standardised coordinates).
    directions : list of Direction
        Their derivatives with respect to each free number.
    residual : ndarray of shape (k,)
        Residual parameters.
    residual_slopes : ndarray of shape (n, k)
        Their derivatives.
    log_sigma2 : float or None
        Log residual variance (standardised), None where it is profiled out.
    log_sigma2_slopes : ndarray of shape (n,)
        Its derivatives.
    """

    matrices: list[Floats]
    directions: list[Direction]
    residual: Floats
    residual_slopes: Floats
    log_sigma2: float | None
    log_sigma2_slopes: Floats


#: A factor of ``Place.rest``: which one, the columns that its covariance spans (None: as it is), and its shape.
Shape = tuple[int, Floats | None, GroupingFactor]


@dataclass(frozen=True)
class Target(ABC):
    """A parameter to be held.

    Parameters
    ----------
    solution : MixedSolution
    """

    solution: MixedSolution

    #: Where the parameter's range ends.
    lower, upper = 0.0, np.inf

    @property
    @abstractmethod
    def estimate(self) -> float:
        """The estimate, in units of the data; NaN where it is not defined."""

    @property
    @abstractmethod
    def first_step(self) -> float:
        """A distance from the estimate at which to look first for the end of an interval."""

    @abstractmethod
    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives where the target is ``c`` and the free parameters stand at ``place``."""

    def start(self) -> Place:
        """Free parameters at the estimate."""
        return Place(np.zeros((0, 1)), np.zeros(0), self.solution.state.residual, self._rest_at_estimate)

    def anywhere(self, size: float) -> Place:
        """Another place to start from: all variances of this (relative) size, without correlations."""
        start = self.start()
        rest = self._rest([size * np.eye(shape.n_effects) for _, _, shape in self.shapes])
        return Place(np.zeros_like(start.loadings), self._own_anywhere(start.own, size), start.residual, rest)

    def _own_anywhere(self, own: Floats, size: float) -> Floats:
        return own

    def carry(self, place: Place, c: float) -> Place:
        """Return the place to start from when the target moves to ``c``."""
        return place

    def reaches(self, c: float) -> bool:
        """Whether the criterion can be computed at an end of the range."""
        return bool(np.isfinite(c))

    def limits(self, place: Place) -> tuple[Floats, Floats]:
        """Least and largest value of each free number."""
        lower, upper = np.full(place.values.size, -np.inf), np.full(place.values.size, np.inf)
        model = self.solution.state.model
        if model is not None:
            lower[place.residual_at], upper[place.residual_at] = model.limits
        if place.rest is not None:
            lower[place.residual_at.stop :][place.rest.pivots] = 0.0
        return lower, upper

    def reach(self, place: Place) -> Floats:
        """How far one step may go."""
        reach = np.full(place.values.size, np.inf)
        reach[place.residual_at] = _LONGEST
        return reach

    def alive(self, c: float, place: Place) -> np.ndarray:
        """Which free numbers have any influence."""
        alive = np.ones(place.values.size, bool)
        if place.rest is not None:
            alive[place.residual_at.stop :] = place.rest.alive
        return alive

    def added(self, evaluation: Evaluation, c: float) -> tuple[float, Floats] | None:
        """What holding the target adds to the criterion beyond what the layout says, and the derivatives of that."""
        return None

    @property
    def _matrices(self) -> tuple[Floats, ...]:
        return self.solution.state.covariance.matrices

    @cached_property
    def shapes(self) -> list[Shape]:
        """Factors of ``Place.rest``: those that have effects."""
        factors = enumerate(self.solution.state.covariance.factors)
        return [(f, None, factor) for f, factor in factors if factor.n_effects]

    @property
    def _rest_at_estimate(self) -> CovarianceState | None:
        return self._rest([self._matrices[f] for f, _, _ in self.shapes])

    def _rest(self, matrices: Sequence[Floats]) -> CovarianceState | None:
        return state([shape for _, _, shape in self.shapes], matrices) if self.shapes else None

    def _lay_rest(self, rest: CovarianceState | None) -> tuple[list[Floats], list[Direction]]:
        """Covariances and directions that the rest alone makes."""
        matrices = [np.zeros_like(matrix) for matrix in self._matrices]
        directions: list[Direction] = []
        if rest is not None:
            for (f, turn, _), matrix in zip(self.shapes, rest.matrices, strict=True):
                matrices[f] = matrix if turn is None else turn @ matrix @ turn.T
            for p in rest.parameters:
                f, turn, _ = self.shapes[p.factor]
                directions.append({f: p.derivative if turn is None else turn @ p.derivative @ turn.T})
        return matrices, directions

    def _layout(
        self,
        place: Place,
        matrices: list[Floats],
        directions: list[Direction],
        residual: Floats | None = None,
        log_sigma2: float | None = None,
    ) -> Layout:
        """Put a layout together; ``directions`` leave out the residual parameters, which move only themselves."""
        n, at = place.values.size, place.residual_at
        slopes = np.zeros((n, place.residual.size))
        slopes[at] = np.eye(place.residual.size)
        directions[at.start : at.start] = [{} for _ in place.residual]
        residual = place.residual if residual is None else residual
        return Layout(matrices, directions, residual, slopes, log_sigma2, np.zeros(n))
