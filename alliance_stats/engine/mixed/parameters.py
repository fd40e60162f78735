"""Everything that the criterion is a function of: covariances of random effects, then residual parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.covariance import CovarianceState
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.residual import ResidualModel

#: Longest step of a residual parameter.
_LONGEST = 1.5


@dataclass(frozen=True)
class State:
    """A point in the space of parameters.

    Parameters
    ----------
    covariance : CovarianceState
        Relative covariances of the random effects.
    residual : ndarray of shape (k,)
        Residual parameters (see :class:`~alliance_stats.engine.mixed.residual.ResidualModel`); none for independent
        residuals of one variance.
    model : ResidualModel or None
        What they mean.
    """

    covariance: CovarianceState
    residual: Floats = field(default_factory=lambda: np.zeros(0))
    model: ResidualModel | None = None

    @property
    def n_covariance(self) -> int:
        """How many of the values describe covariances of random effects."""
        return int(self.covariance.values.size)

    @lazy
    def values(self) -> Floats:
        """All parameters, covariances first."""
        return np.concatenate([self.covariance.values, self.residual]) if self.residual.size else self.covariance.values

    @lazy
    def pivots(self) -> np.ndarray:
        """Which values are squared pivots of a covariance, bounded by 0."""
        own = self.covariance.pivots
        return np.concatenate([own, np.zeros(self.residual.size, dtype=bool)]) if self.residual.size else own

    @lazy
    def alive(self) -> np.ndarray:
        """Which values have any influence."""
        own = self.covariance.alive
        return np.concatenate([own, np.ones(self.residual.size, dtype=bool)]) if self.residual.size else own

    @lazy
    def limits(self) -> tuple[Floats, Floats]:
        """Least and largest value of each parameter."""
        lower = np.where(self.covariance.pivots, 0.0, -np.inf)
        upper = np.full(lower.size, np.inf)
        if self.model is None:
            return lower, upper
        low, high = self.model.limits
        return np.append(lower, low), np.append(upper, high)

    @property
    def on_boundary(self) -> np.ndarray:
        """Which values stand at a limit."""
        lower, upper = self.limits
        return (self.values <= lower) | (self.values >= upper)

    @lazy
    def reach(self) -> Floats:
        """How far one step may go: residual parameters are on logarithmic scales, where a Newton step can overshoot."""
        return np.concatenate([np.full(self.n_covariance, np.inf), np.full(self.residual.size, _LONGEST)])

    def after(self, step: Floats) -> Floats:
        """Return the values after a step, which is cut where it goes too far or beyond a limit.

        A squared pivot that changes by less than half is multiplied instead: what the criterion says about a variance
        is nearly quadratic in its logarithm, so that the step leads closer to the optimum.
        """
        near = self.pivots & (np.abs(step) < 0.5 * self.values)
        factor = np.exp(np.divide(step, self.values, out=np.zeros_like(step), where=near))
        if self.residual.size == 0:
            return np.where(near, self.values * factor, np.maximum(self.values + step, self.limits[0]))
        cut = self.clamped(self.values + np.clip(step, -self.reach, self.reach))
        return np.where(near, self.values * factor, cut)

    def moved(self, values: Floats) -> State:
        """Return the state at other values of the same parameters, in the same order of pivots."""
        n = self.n_covariance
        return State(self.covariance.moved(values[:n]), values[n:], self.model)

    def reordered(self, values: Floats) -> State:
        """Return the state at other values, with the order of pivots chosen anew."""
        n = self.n_covariance
        return State(self.covariance.reordered(values[:n]), values[n:], self.model)

    def with_covariance(self, covariance: CovarianceState) -> State:
        """Return the state with other covariances of random effects."""
        return State(covariance, self.residual, self.model)

    def clamped(self, values: Floats) -> Floats:
        """Return the values, those beyond a limit set to it."""
        return np.clip(values, *self.limits)
