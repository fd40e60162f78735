"""Targets among the random effects: a standard deviation, a correlation, a share of the variance.

Around the target's effects the covariance of their factor is written as

    D = G C G' + R B R',   G = H S + R₁ W

where ``S`` (diagonal) holds the sizes of the target's own one or two effects and ``C`` their correlation, ``W`` the
loadings of the other effects of the block on them, and ``B`` what is left of the others. Every covariance has these
coordinates, also a singular one. Holding the target at ``c`` is holding a size, or ``C``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from alliance_stats.engine.mixed.design import Floats, GroupingFactor
from alliance_stats.engine.mixed.fit import MixedSolution
from alliance_stats.engine.mixed.targets import _LONGEST, Direction, Layout, Place, Shape, Target

#: A standard deviation this small beside the residual's (in standardised columns) is zero, but for rounding.
_ZERO = 1e-7


@dataclass(frozen=True)
class Chart:
    """Coordinates of one factor around ``t`` effects of one of its blocks.

    Parameters
    ----------
    factor : int
    held : ndarray of shape (q, t)
        ``H``.
    rest : ndarray of shape (q, q − t)
        ``R``, the other effects of the block first.
    n_beside : int
        How many those are.
    sizes : ndarray of shape (t,)
        Raw effect = size × coordinate.
    """

    factor: int
    held: Floats
    rest: Floats
    n_beside: int
    sizes: Floats

    def split(self, matrix: Floats) -> tuple[Floats, Floats, Floats]:
        """Sizes, ``W`` and ``B`` of a covariance."""
        t = self.held.shape[1]
        turn = np.linalg.inv(np.hstack([self.held, self.rest]))
        turned = turn @ matrix @ turn.T
        sizes = np.sqrt(np.maximum(np.diag(turned)[:t], 0.0))
        own = np.where(sizes > 0, sizes, 1.0)
        inverse = np.linalg.pinv(turned[:t, :t] / np.outer(own, own), rcond=1e-12, hermitian=True)
        beside = turned[t:, :t] / own
        left = turned[t:, t:] - beside @ inverse @ beside.T
        return sizes, (beside @ inverse)[: self.n_beside], 0.5 * (left + left.T)

    def root(self, sizes: Floats, loadings: Floats) -> Floats:
        """``G``, (q, t)."""
        return self.held * sizes + self.rest[:, : self.n_beside] @ loadings

    def loading_slopes(self, turned: Floats) -> list[Floats]:
        """Derivatives of ``D`` with respect to the entries of ``W``, where ``turned`` is ``C G'``."""
        return [_both(self.rest[:, i], row) for i in range(self.n_beside) for row in turned]


def _both(a: Floats, b: Floats) -> Floats:
    """``a b' + b a'``."""
    half = np.outer(a, b)
    return half + half.T


def chart_of(solution: MixedSolution, factor: int, effects: Sequence[int]) -> Chart:
    """Lay coordinates around raw effects of one block of a factor."""
    grouping = solution.state.covariance.factors[factor]
    block = next(list(block) for block in grouping.blocks if effects[0] in block)
    rows = solution._coordinates.random_maps[factor][np.ix_(list(effects), block)]
    sizes = np.linalg.norm(rows, axis=1)
    rows = rows / sizes[:, None]
    q, t = grouping.n_effects, len(effects)
    held, rest = np.zeros((q, t)), np.zeros((q, q - t))
    held[block] = np.linalg.pinv(rows)
    n_beside = len(block) - t
    rest[block, :n_beside] = np.linalg.svd(rows)[2][t:].T
    elsewhere = [k for other in grouping.blocks if list(other) != block for k in other]
    rest[elsewhere, range(n_beside, q - t)] = 1.0
    return Chart(factor, held, rest, n_beside, sizes)


def _reduced(factor: GroupingFactor, n_beside: int, effect: int) -> GroupingFactor:
    """Return the shape of ``B``: the factor without the effects that are held."""
    blocks = [range(n_beside)] if n_beside else []
    at = n_beside
    for block in factor.blocks:
        if effect not in block:
            blocks.append(range(at, at + len(block)))
            at += len(block)
    no_rows = np.zeros(0, dtype=np.int64)
    shape = tuple(tuple(block) for block in blocks)
    return GroupingFactor(factor.name, no_rows, factor.n_levels, tuple(range(at)), shape)


@dataclass(frozen=True)
class _EffectTarget(Target):
    """A target that concerns effects of one factor.

    Parameters
    ----------
    factor : int
    effects : tuple of int
        Their positions among the factor's effects.
    """

    factor: int
    effects: tuple[int, ...]

    @cached_property
    def chart(self) -> Chart:
        """Coordinates around the effects."""
        return chart_of(self.solution, self.factor, self.effects)

    @cached_property
    def shapes(self) -> list[Shape]:
        """Factors of ``Place.rest``."""
        shapes: list[Shape] = []
        for f, factor in enumerate(self.solution.state.covariance.factors):
            if f != self.factor and factor.n_effects:
                shapes.append((f, None, factor))
            elif f == self.factor and self.chart.rest.shape[1]:
                shapes.append((f, self.chart.rest, _reduced(factor, self.chart.n_beside, self.effects[0])))
        return shapes

    def start(self) -> Place:
        """Free parameters at the estimate."""
        sizes, loadings, left = self.chart.split(self._matrices[self.factor])
        matrices = [left if f == self.factor else self._matrices[f] for f, _, _ in self.shapes]
        return Place(loadings, self._own(sizes), self.solution.state.residual, self._rest(matrices))

    @abstractmethod
    def _own(self, sizes: Floats) -> Floats:
        """Return the target's own free numbers at the estimate."""

    def _lay_out(
        self, sizes: Floats, correlation: Floats, place: Place
    ) -> tuple[list[Floats], list[Direction], list[Direction], Floats]:
        """Covariances; directions of the loadings and of the rest; and ``C G'``."""
        matrices, of_rest = self._lay_rest(place.rest)
        root = self.chart.root(sizes, place.loadings)
        turned = correlation @ root.T
        matrices[self.factor] = matrices[self.factor] + root @ turned
        of_loadings: list[Direction] = [{self.factor: slope} for slope in self.chart.loading_slopes(turned)]
        return matrices, of_loadings, of_rest, turned


@dataclass(frozen=True)
class _Single(_EffectTarget):
    """A target that is the size of one effect."""

    @abstractmethod
    def _size(self, c: float, place: Place) -> float:
        """Size of the effect (relative to the residual) where the target is ``c``."""

    def alive(self, c: float, place: Place) -> np.ndarray:
        """Which free numbers have any influence: no loadings on an effect that is zero."""
        alive = super().alive(c, place)
        alive[: place.loadings.size] = c > 0
        return alive

    def carry(self, place: Place, c: float) -> Place:
        """Keep the covariance of the other effects where the held one vanishes."""
        n = self.chart.n_beside
        if n == 0 or c > 0:
            return place
        assert place.rest is not None
        at = next(k for k, (_, turn, _) in enumerate(self.shapes) if turn is not None)
        matrices = [matrix.copy() for matrix in place.rest.matrices]
        matrices[at][:n, :n] += place.loadings @ place.loadings.T
        return replace(place, loadings=np.zeros_like(place.loadings), rest=self._rest(matrices))


@dataclass(frozen=True)
class EffectDeviation(_Single):
    """The standard deviation of one random effect. Its own free number is log σ²."""

    @property
    def estimate(self) -> float:
        """The estimate, in units of the outcome per unit of the predictor."""
        at = self.effects[0]
        return float(np.sqrt(self.solution.random_covariances[self.factor][at, at]))

    @property
    def first_step(self) -> float:
        """Two standard errors with levels seen without error; more for a small estimate."""
        levels = self.solution.state.covariance.factors[self.factor].n_levels
        own = self.solution._evaluation.sigma2
        unit = self.solution._coordinates.outcome_scale * np.sqrt(own) * self.chart.sizes[0]
        return max(2.0 * self.estimate / np.sqrt(2 * levels), 0.1 * unit)

    def _own(self, sizes: Floats) -> Floats:
        return np.array([np.log(self.solution._evaluation.sigma2)])

    def _size(self, c: float, place: Place) -> float:
        standardised = c / (self.solution._coordinates.outcome_scale * self.chart.sizes[0])
        return float(standardised * np.exp(-place.own[0] / 2))

    def reach(self, place: Place) -> Floats:
        """How far one step may go."""
        reach = super().reach(place)
        reach[place.own_at] = _LONGEST
        return reach

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        sizes = np.array([self._size(c, place)])
        matrices, of_loadings, of_rest, turned = self._lay_out(sizes, np.eye(1), place)
        of_sigma2 = {self.factor: -0.5 * sizes[0] * _both(self.chart.held[:, 0], turned[0])}
        layout = self._layout(place, matrices, [*of_loadings, of_sigma2, *of_rest], log_sigma2=float(place.own[0]))
        layout.log_sigma2_slopes[place.own_at] = 1.0
        return layout


@dataclass(frozen=True)
class Share(_Single):
    """The share of one intercept's variance in the sum of all intercepts' and the (mean) residual variance.

    Parameters
    ----------
    intercepts : tuple of int or None
        Position of the intercept among each factor's effects; None where it has none.
    noise : tuple of float
        Per residual stratum, the sum of 1 / prior weight over its rows, divided by the number of all rows.
    """

    intercepts: tuple[int | None, ...]
    noise: tuple[float, ...] = (1.0,)
    upper = 1.0

    @property
    def estimate(self) -> float:
        """The estimate."""
        variances = [
            0.0 if at is None else matrix[at, at]
            for at, matrix in zip(self.intercepts, self.solution.random_covariances, strict=True)
        ]
        noise = self._noise(self.solution.state.residual).sum()
        unit = self.solution._coordinates.outcome_scale**2 * self.solution._evaluation.sigma2
        return float(variances[self.factor] / (sum(variances) + noise * unit))

    def _noise(self, residual: Floats) -> Floats:
        """Mean residual variance relative to σ² (standardised weights), stratum by stratum."""
        model = self.solution.state.model
        ratios = np.zeros(len(self.noise)) if model is None else model.log_ratios(residual)
        return self.solution._coordinates.weight_scale * np.array(self.noise) * np.exp(2 * ratios)

    @property
    def first_step(self) -> float:
        """Twice the estimate's standard error with levels seen without error; more for a small estimate."""
        levels = self.solution.state.covariance.factors[self.factor].n_levels
        return max(2.0 * self.estimate * (1 - self.estimate) * np.sqrt(2 / levels), 0.02 * (1 - self.estimate))

    def reaches(self, c: float) -> bool:
        """A share of one leaves no residual variance."""
        return c < 1

    def _own(self, sizes: Floats) -> Floats:
        return np.zeros(0)

    @cached_property
    def _weights(self) -> dict[int, Floats]:
        """``w w'`` of the other factors: the variance of their intercept is its product with ``D``."""
        rows = {
            f: self.solution._coordinates.random_maps[f][at]
            for f, at in enumerate(self.intercepts)
            if at is not None and f != self.factor
        }
        return {f: np.outer(row, row) for f, row in rows.items()}

    def _size(self, c: float, place: Place) -> float:
        others = float(self._noise(place.residual).sum())
        if place.rest is not None:
            for (f, _, _), matrix in zip(self.shapes, place.rest.matrices, strict=True):
                if f in self._weights:
                    others += float(np.sum(self._weights[f] * matrix))
        return float(np.sqrt(c / (1.0 - c) * others) / self.chart.sizes[0])

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        sizes = np.array([self._size(c, place)])
        matrices, of_loadings, of_rest, turned = self._lay_out(sizes, np.eye(1), place)
        layout = self._layout(place, matrices, [*of_loadings, *of_rest])
        if c > 0:  # the size grows with the variance of the others
            unit = c / (1.0 - c) / self.chart.sizes[0] ** 2 / (2 * sizes[0]) * _both(self.chart.held[:, 0], turned[0])
            for direction in of_rest:
                f, derivative = next(iter(direction.items()))
                if f in self._weights:
                    direction[self.factor] = float(np.sum(self._weights[f] * derivative)) * unit
            model = self.solution.state.model
            if model is not None:
                of_residual = layout.directions[place.residual_at][int(model.has_correlation) :]
                for direction, noise in zip(of_residual, self._noise(place.residual)[1:], strict=True):
                    direction[self.factor] = 2 * noise * unit
        return layout


@dataclass(frozen=True)
class Correlation(_EffectTarget):
    """The correlation of two effects of one block. Its own free numbers are their sizes (relative, ≥ 0)."""

    lower, upper = -1.0, 1.0

    @property
    def estimate(self) -> float:
        """The estimate; NaN where one of the effects does not vary."""
        matrix = self.solution.random_covariances[self.factor][np.ix_(self.effects, self.effects)]
        if self.chart.split(self._matrices[self.factor])[0].min() < _ZERO:
            return float("nan")
        return float(np.clip(matrix[0, 1] / np.sqrt(matrix[0, 0] * matrix[1, 1]), -1, 1))

    @property
    def first_step(self) -> float:
        """Twice the estimate's standard error with levels seen without error."""
        levels = self.solution.state.covariance.factors[self.factor].n_levels
        return max(2.0 * (1 - self.estimate**2) / np.sqrt(levels), 0.02)

    def _own(self, sizes: Floats) -> Floats:
        return sizes

    def _own_anywhere(self, own: Floats, size: float) -> Floats:
        return np.full(2, np.sqrt(size))

    def limits(self, place: Place) -> tuple[Floats, Floats]:
        """Least and largest value of each free number."""
        lower, upper = super().limits(place)
        lower[place.own_at] = 0.0
        return lower, upper

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        correlation = np.array([[1.0, c], [c, 1.0]])
        matrices, of_loadings, of_rest, turned = self._lay_out(place.own, correlation, place)
        of_sizes: list[Direction] = [{self.factor: _both(self.chart.held[:, k], turned[k])} for k in range(2)]
        return self._layout(place, matrices, [*of_loadings, *of_sizes, *of_rest])
