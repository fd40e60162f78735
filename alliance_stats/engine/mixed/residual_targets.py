"""Targets among the residuals: a standard deviation, the correlation over time, a ratio of standard deviations."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.residual import ResidualModel
from alliance_stats.engine.mixed.targets import _LONGEST, Layout, Place, Target


@dataclass(frozen=True)
class _ResidualParameter(Target):
    """A target that is one of the residual parameters."""

    @property
    def _model(self) -> ResidualModel:
        model = self.solution.state.model
        assert model is not None
        return model

    @property
    @abstractmethod
    def _at(self) -> int:
        """Its place among the residual parameters."""

    @abstractmethod
    def _parameter(self, c: float) -> float:
        """The parameter's value where the target is ``c``."""

    def alive(self, c: float, place: Place) -> np.ndarray:
        """Which free numbers have any influence: the parameter itself is not free."""
        alive = super().alive(c, place)
        alive[place.residual_at.start + self._at] = False
        return alive

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        residual = place.residual.copy()
        low, high = self._model.limits
        residual[self._at] = np.clip(self._parameter(c), low[self._at], high[self._at])
        return self._layout(place, *self._lay_rest(place.rest), residual=residual)


@dataclass(frozen=True)
class ResidualCorrelation(_ResidualParameter):
    """ρ, the correlation of residuals one unit of time apart."""

    upper = 1.0

    @property
    def lower(self) -> float:  # type: ignore[override]
        """AR(1) may be negative; in continuous time no negative correlation exists."""
        return -1.0 if self._model.correlation == "ar1" else 0.0

    @property
    def estimate(self) -> float:
        """The estimate."""
        return self._model.rho(self.solution.state.residual)

    @property
    def first_step(self) -> float:
        """Twice the standard error of a plain autocorrelation."""
        return max(2 * (1 - self.estimate**2) / np.sqrt(self.solution.n_obs), 1e-3)

    def reaches(self, c: float) -> bool:
        """A perfect correlation has no likelihood."""
        return c == 0

    @property
    def _at(self) -> int:
        return 0

    def _parameter(self, c: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.arctanh(c) if self._model.correlation == "ar1" else -np.log(-np.log(c) * self._model.unit))


@dataclass(frozen=True)
class DeviationRatio(_ResidualParameter):
    """Residual standard deviation of a stratum relative to the first one's.

    Parameters
    ----------
    stratum : int
        From 1.
    """

    stratum: int

    @property
    def estimate(self) -> float:
        """The estimate."""
        return float(np.exp(self._model.log_ratios(self.solution.state.residual)[self.stratum]))

    @property
    def first_step(self) -> float:
        """Twice the standard error in samples of half the rows each."""
        return self.estimate * min(0.5, 2 * np.sqrt(2 / self.solution.n_obs))

    def reaches(self, c: float) -> bool:
        """Neither a ratio of zero nor an infinite one has a likelihood."""
        return False

    @property
    def _at(self) -> int:
        return int(self._model.has_correlation) + self.stratum - 1

    def _parameter(self, c: float) -> float:
        return float(np.log(c))


@dataclass(frozen=True)
class ResidualDeviation(Target):
    """The residual standard deviation, or that of one stratum; its own free number is then log σ² of the first.

    Parameters
    ----------
    stratum : int
    """

    stratum: int = 0

    @property
    def _ratio_at(self) -> int:
        """Place of the stratum's log ratio among the residual parameters."""
        model = self.solution.state.model
        assert model is not None
        return int(model.has_correlation) + self.stratum - 1

    @property
    def estimate(self) -> float:
        """The estimate, in units of the outcome."""
        own = float(np.sqrt(self.solution.sigma2))
        return own * float(np.exp(self.solution.state.residual[self._ratio_at])) if self.stratum else own

    @property
    def first_step(self) -> float:
        """Two standard errors where nothing else is estimated."""
        return self.estimate * min(0.5, 2.0 / np.sqrt(2 * self.solution.n_obs))

    def reaches(self, c: float) -> bool:
        """A residual standard deviation of zero has no likelihood."""
        return False

    def start(self) -> Place:
        """Free parameters at the estimate."""
        place = super().start()
        own = np.array([np.log(self.solution._evaluation.sigma2)] if self.stratum else [])
        return Place(place.loadings, own, place.residual, place.rest)

    def reach(self, place: Place) -> Floats:
        """How far one step may go."""
        reach = super().reach(place)
        reach[place.own_at] = _LONGEST
        return reach

    def alive(self, c: float, place: Place) -> np.ndarray:
        """Which free numbers have any influence."""
        alive = super().alive(c, place)
        if self.stratum:
            alive[place.residual_at.start + self._ratio_at] = False
        return alive

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        log_variance = np.log(c**2 / self.solution._coordinates.residual_variance_to_raw(1.0))
        matrices, of_rest = self._lay_rest(place.rest)
        if not self.stratum:
            return self._layout(place, matrices, of_rest, log_sigma2=float(log_variance))
        residual = place.residual.copy()
        residual[self._ratio_at] = 0.5 * (log_variance - place.own[0])
        layout = self._layout(place, matrices, [{}, *of_rest], residual, float(place.own[0]))
        layout.log_sigma2_slopes[place.own_at] = 1.0
        layout.residual_slopes[place.own_at, self._ratio_at] = -0.5
        return layout
