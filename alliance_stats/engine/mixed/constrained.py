"""Minimise the criterion over everything but one parameter that is held.

Newton's method in the coordinates of :mod:`targets`, with pivots and sizes bounded at zero. The Hessian starts as the
average information and is then corrected by what the gradients show (BFGS); neighbouring values of the held parameter
hand it on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.linalg import LinAlgError

from alliance_stats.engine.mixed.covariance import CovarianceState, Parameter, state
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.optimise import _positive, _step
from alliance_stats.engine.mixed.targets import Layout, Place, Target

#: A held fit has converged when a Newton step promises less than this in the criterion.
TOLERANCE = 1e-9
#: Where the numbers are too coarse for that, or the minimum lies at infinity, this much is let pass.
COARSE = 1e-6
#: Less than this is not worth leaving a boundary for.
_GAIN = 1e-8
_MAX_STEPS = 60
#: Stands for no free number.
_NOTHING = -1
#: After this many steps the Hessian is taken exactly at every step.
_PATIENCE = 12


@dataclass(frozen=True, eq=False)
class Held:
    """The criterion with one parameter held, at one place of the others.

    Parameters
    ----------
    target : Target
    c : float
        Value at which it is held.
    place : Place
        The others.
    """

    target: Target
    c: float
    place: Place

    @cached_property
    def layout(self) -> Layout:
        """Covariances and their derivatives."""
        return self.target.lay_out(self.c, self.place)

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        """(factor, free number) of every covariance that a free number moves, factor by factor."""
        moved = [(f, r) for r, own in enumerate(self.layout.directions) for f in own]
        return sorted(moved) or [(0, _NOTHING)]  # an evaluation has one direction at least

    @cached_property
    def _jacobian(self) -> Floats:
        """From free numbers to the evaluation's parameters: those pairs, then the residual parameters."""
        n_pairs, slopes = len(self._pairs), self.layout.residual_slopes
        jacobian = np.zeros((n_pairs + slopes.shape[1], len(slopes)))
        for pair, (_, r) in enumerate(self._pairs):
            if r != _NOTHING:
                jacobian[pair, r] = 1.0
        jacobian[n_pairs:] = slopes.T
        return jacobian

    @cached_property
    def evaluation(self) -> Evaluation:
        """The full evaluation, its parameters the pairs and the residual parameters."""
        point = self.target.solution.state
        covariance = state(point.covariance.factors, self.layout.matrices)
        given, at = [], 0
        for f, matrix in enumerate(covariance.matrices):
            zero = np.zeros_like(matrix)
            own = [zero if r == _NOTHING else self.layout.directions[r][f] for g, r in self._pairs if g == f]
            given.append((slice(at, at + len(own)), np.array(own).reshape(len(own), *matrix.shape)))
            at += len(own)
        directed = _Directed(covariance.matrices, covariance.roots, np.zeros(at), (), covariance.factors, tuple(given))
        return self.target.solution._evaluation.at(replace(point, covariance=directed, residual=self.layout.residual))

    @property
    def _scale(self) -> float:
        """Weight of the residual sum of squares: ``r² / σ²``, or ``n − p`` where σ² is profiled out."""
        if self.layout.log_sigma2 is None:
            return float(self.evaluation.n_free)
        return float(self.evaluation.triangle[-1, -1] ** 2 * np.exp(-self.layout.log_sigma2))

    @cached_property
    def _added(self) -> tuple[float, Floats] | None:
        return self.target.added(self.evaluation, self.c)

    @cached_property
    def value(self) -> float:
        """−2 log-likelihood or REML criterion (standardised coordinates)."""
        value, n_free = self.evaluation.value, self.evaluation.n_free
        if self._added is not None:
            value += self._added[0]
        if self.layout.log_sigma2 is None:
            return value
        excess = self._scale / n_free
        return float(value + n_free * (excess - 1.0 - np.log(excess)))

    @cached_property
    def gradient(self) -> Floats:
        """Derivatives of the value with respect to the free numbers."""
        short = self.evaluation.n_free - self._scale
        gradient = self.evaluation.gradient
        if self.layout.log_sigma2 is not None:
            gradient = gradient + short * self.evaluation.score_sums
        if self._added is not None:
            gradient = gradient + self._added[1]
        return gradient @ self._jacobian + short * self.layout.log_sigma2_slopes

    @cached_property
    def information(self) -> Floats:
        """Average-information approximation to the Hessian."""
        evaluation, jacobian = self.evaluation, self._jacobian
        if self.layout.log_sigma2 is None:
            return jacobian.T @ evaluation.average_information @ jacobian
        sums = evaluation.score_sums @ jacobian
        matrix = jacobian.T @ evaluation.average_information @ jacobian / evaluation.n_free
        both = sums + self.layout.log_sigma2_slopes
        return self._scale * (matrix + np.outer(both, both))

    def cone(self, at: int) -> Floats:
        """Derivative of the value with respect to the covariance at position ``at`` of ``Place.rest``."""
        evaluation = self.evaluation
        f, turn, _ = self.target.shapes[at]
        gamma = evaluation.gradient_matrices[f]
        if self.layout.log_sigma2 is not None:
            gamma = gamma + (evaluation.n_free - self._scale) * _outcome_products(evaluation, f)
        return gamma if turn is None else turn.T @ gamma @ turn

    @cached_property
    def limits(self) -> tuple[Floats, Floats]:
        """Least and largest value of each free number."""
        return self.target.limits(self.place)

    @property
    def free(self) -> np.ndarray:
        """Which free numbers may move: alive, and not at a limit where the gradient holds them."""
        values, (lower, upper) = self.place.values, self.limits
        held = (values <= lower) & (self.gradient >= 0) | (values >= upper) & (self.gradient <= 0)
        return self.target.alive(self.c, self.place) & ~held

    def stepped(self, step: Floats) -> Floats:
        """Values after a step, as far as it may go."""
        reach = self.target.reach(self.place)
        return np.clip(self.place.values + np.clip(step, -reach, reach), *self.limits)


@dataclass(frozen=True)
class _Directed(CovarianceState):
    """Covariances with directions of movement of their own."""

    given: tuple[tuple[slice, Floats], ...]

    @property
    def directions(self) -> tuple[tuple[slice, Floats], ...]:
        """Per factor, where its parameters stand and their derivatives."""
        return self.given

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What each entry of ``values`` is."""
        return tuple(Parameter(f, False, True, slope) for f, (_, own) in enumerate(self.given) for slope in own)


def _outcome_products(evaluation: Evaluation, factor: int) -> Floats:
    """``Z'V⁻¹e e'V⁻¹Z`` summed over a factor's levels, ``e`` the residual of unit length, (q, q)."""
    s = evaluation.statistics
    inner, outer = evaluation.scores
    if factor == s.inner_factor:
        return inner[-1] @ inner[-1].T
    at = s.outer_factors.index(factor)
    own = outer[s.layout.columns_of(at), -1].reshape(s.layout.n_levels[at], s.layout.n_effects[at])
    products: Floats = own.T @ own
    return products


@dataclass
class Minimiser:
    """Minimises the criterion with a target held; remembers the Hessian for the next value.

    Parameters
    ----------
    target : Target
    n_evaluations : int
        How often the criterion was evaluated so far.
    """

    target: Target
    n_evaluations: int = 0
    _hessian: Floats | None = None
    _place: Place | None = None

    def __call__(self, c: float, start: Place) -> Held:
        """Minimise where the target is ``c``.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the criterion cannot be computed at the start, or the minimum is not reached.
        """
        current = self._evaluate(c, start)
        if current is None:
            raise LinAlgError("the criterion cannot be computed where the held parameter starts")
        if not current.place.values.size:
            return current
        damping, hessian = 0.0, self._remembered(current)
        for step_number in range(_MAX_STEPS):
            if step_number >= _PATIENCE:
                hessian = self._exact(current)
            free = current.free
            newton = _step(hessian, current.gradient, free, 0.0)
            decrement = float(-current.gradient @ newton)
            moved = None
            if not 0 <= decrement < TOLERANCE:
                moved, damping = self._search(current, hessian, free, newton, damping)
                if moved is None and step_number < _PATIENCE and hessian is not current.information:
                    hessian, damping = current.information, 0.0
                    continue
            if moved is not None:
                current, hessian = moved, _corrected(hessian, current, moved)
                continue
            moved = self._escape(current)
            if moved is None:
                break
            current, hessian = moved, moved.information
        if abs(decrement) < COARSE:
            self._hessian, self._place = hessian, current.place
            return current
        raise LinAlgError("the criterion with a parameter held was not minimised")

    def _remembered(self, current: Held) -> Floats:
        if self._hessian is None or self._place is None or not self._place.same_coordinates(current.place):
            return current.information
        return self._hessian

    def _exact(self, current: Held) -> Floats:
        """Hessian in the free numbers by differences of the gradient, negative curvature turned around."""
        values, place = current.place.values, current.place
        at = np.flatnonzero(current.free)
        rows = np.empty((at.size, at.size))
        for row, r in enumerate(at):
            step = 1e-4 * max(abs(values[r]), 1e-2)
            shift = np.zeros(values.size)
            shift[r] = step
            ahead = self._evaluate(current.c, place.shifted(values + shift))
            behind = current if values[r] - step < current.limits[0][r] else None
            behind = behind or self._evaluate(current.c, place.shifted(values - shift))
            if ahead is None or behind is None:
                return current.information
            rows[row] = (ahead.gradient - behind.gradient)[at] / (step if behind is current else 2 * step)
        hessian = current.information.copy()
        hessian[np.ix_(at, at)] = _positive(0.5 * (rows + rows.T))
        return hessian

    def _evaluate(self, c: float, place: Place) -> Held | None:
        self.n_evaluations += 1
        held = Held(self.target, c, place)
        try:
            return held if np.isfinite(held.value) else None
        except LinAlgError:
            return None

    def _search(
        self, current: Held, hessian: Floats, free: np.ndarray, newton: Floats, damping: float
    ) -> tuple[Held | None, float]:
        """Raise the damping until a step goes down."""
        values = current.place.values
        noise = 1e-14 * (abs(current.value) + current.evaluation.statistics.n_obs)
        for _ in range(12):
            step = _step(hessian, current.gradient, free, damping) if damping else newton
            moved_values = current.stepped(step)
            promised = float(current.gradient @ (moved_values - values))
            moved = self._evaluate(current.c, current.place.moved(moved_values))
            if moved is not None and promised < 0 and moved.value <= current.value + 1e-4 * promised + noise:
                return moved, damping / 10 if damping > 1e-4 else 0.0
            damping = max(10 * damping, 1e-3)
        return None, 0.0

    def _escape(self, current: Held) -> Held | None:
        """Leave a point where variance added in some direction would fit better; None where there is none."""
        rest, best = current.place.rest, None
        if rest is None:
            return None
        at_zero = {p.factor for p, value in zip(rest.parameters, rest.values, strict=True) if p.pivot and value <= 0}
        for at in sorted(at_zero):
            gamma = current.cone(at)
            for block in rest.factors[at].blocks:
                values, vectors = np.linalg.eigh(gamma[np.ix_(block, block)])
                if values[0] >= -1e-6 * np.sqrt(current.evaluation.statistics.n_obs):
                    continue
                direction = np.zeros(len(gamma))
                direction[list(block)] = vectors[:, 0]
                for size in (1.0, 0.1, 0.01, 1e-3, 1e-4):
                    matrices = list(rest.matrices)
                    matrices[at] = matrices[at] + size * np.outer(direction, direction)
                    moved = self._evaluate(current.c, replace(current.place, rest=state(rest.factors, matrices)))
                    if moved is not None and moved.value < (best or current).value - _GAIN:
                        best = moved
        return best


def _corrected(hessian: Floats, before: Held, after: Held) -> Floats:
    """Hessian after a step, corrected by the change of the gradient (BFGS); afresh where the coordinates changed."""
    if not before.place.same_coordinates(after.place):
        return after.information
    step = after.place.values - before.place.values
    change = after.gradient - before.gradient
    along, bent = float(step @ change), hessian @ step
    length = float(step @ bent)
    if along <= 1e-12 * abs(length) or length <= 0:
        return after.information
    return hessian - np.outer(bent, bent) / length + np.outer(change, change) / along
