"""Fit one selection model with one-sided steps to many draws of the effects, all at once.

A draw repeats some effects and lacks others. Newton's method climbs in all draws in step, by the rules of
:mod:`climb`, over one long list of the pairs of a draw and an effect that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from alliance_stats.engine.selection import climb
from alliance_stats.engine.selection.fit import box, sizes
from alliance_stats.engine.selection.likelihood import Problem
from alliance_stats.engine.selection.weight_functions import StepWeights, z_limits

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

#: Pairs times cells that are worked on at once: what the processor's cache holds.
_PIECE = 100_000


def can_fit(of: Problem) -> bool:
    """Whether the weights are steps of one-sided p values."""
    return isinstance(of.weights, StepWeights) and not of.weights.two_sided


def draws_at_once(of: Problem) -> int:
    """How many draws to hand in together."""
    assert isinstance(of.weights, StepWeights)
    return max(1, _PIECE // (of.y.size * of.weights.steps.size))


def fit_draws(of: Problem, counts: Floats, start: Floats, equal: bool = False) -> tuple[Floats, Bools]:
    """Maximise the likelihood of every draw.

    Parameters
    ----------
    of : Problem
        With one-sided steps.
    counts : ndarray of shape (n, k)
        How often each draw holds each effect; every interval of p with an unknown weight has one.
    start : ndarray of shape (p + 1 + d,)
        Where every climb begins, inside the bounds.
    equal : bool
        Hold τ² at 0.

    Returns
    -------
    theta : ndarray of shape (n, p + 1 + d)
        Coefficients, τ², weights.
    converged : ndarray of bool, shape (n,)
    """
    low, high = box(of, equal)
    climbs = _Climbs(_Draws.of(of, counts), np.clip(start, low, high), low, high, sizes(of))
    for _ in climbs.steps():
        pass
    return climbs.theta, climbs.converged


@dataclass(frozen=True)
class _Draws:
    """Pairs of a draw and an effect that it holds, draw by draw.

    Parameters
    ----------
    problem : Problem
    counts : ndarray of shape (N,)
        How often.
    effect : ndarray of int, shape (N,)
    sizes : ndarray of int, shape (n,)
        Pairs of each draw.
    """

    problem: Problem
    counts: Floats
    effect: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, problem: Problem, counts: Floats) -> _Draws:
        held = counts > 0
        effect = np.broadcast_to(np.arange(counts.shape[1]), counts.shape)[held]
        return cls(problem, counts[held], effect, held.sum(axis=1))

    def only(self, chosen: Bools) -> _Draws:
        """Some of the draws."""
        pairs = np.repeat(chosen, self.sizes)
        return _Draws(self.problem, self.counts[pairs], self.effect[pairs], self.sizes[chosen])

    def evaluate(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Log-likelihood of each draw (n,) at its own parameters (n, m), with gradient and Hessian."""
        own = self._of_pairs(theta)
        of, p = self.problem, self.problem.p
        q = theta.shape[1] - p + 1
        value, slope, bend = own
        # each parameter of θ moves one inner parameter: the mean by its column of x, all others one for one
        inner = np.r_[np.zeros(p, dtype=np.intp), np.arange(1, q)]
        factor = np.column_stack([of.x[self.effect], np.ones((self.effect.size, q - 1))])
        weighted = factor * self.counts[:, None]
        starts = np.r_[0, np.cumsum(self.sizes)[:-1]]
        total = np.add.reduceat(self.counts * value, starts)
        gradient = np.add.reduceat(weighted * slope[:, inner], starts)
        # (N, m, m) at once would be large: row by row
        hessian = np.stack(
            [
                np.add.reduceat(weighted[:, [at]] * factor * bend[:, inner[at]][:, inner], starts)
                for at in range(theta.shape[1])
            ],
            axis=1,
        )
        usable = np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2)) & ~np.isnan(total)
        return np.where(usable, total, -np.inf), gradient, hessian

    def _of_pairs(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Log-likelihood of each pair, with derivatives in (μ, s², δ)."""
        of, p = self.problem, self.problem.p
        weights = of.weights
        assert isinstance(weights, StepWeights)
        mean = np.repeat(theta[:, :p], self.sizes, axis=0)
        mu = np.einsum("ip,ip->i", of.x[self.effect], mean)
        spread = of.v[self.effect] + np.repeat(theta[:, p], self.sizes)
        s = np.sqrt(spread)
        cells = _cell_weights(weights, np.repeat(theta[:, p + 1 :], self.sizes, axis=0))
        log_a, slope, bend = _log_probability(weights, np.sqrt(of.v[self.effect]), mu, s, cells)
        r = of.y[self.effect] - mu
        value = -0.5 * np.log(2 * np.pi * spread) - 0.5 * r**2 / spread - log_a
        slope, bend = -slope, -bend
        slope[:, 0] += r / spread
        slope[:, 1] += 0.5 * (r**2 / spread - 1) / spread
        bend[:, 0, 0] -= 1 / spread
        bend[:, 0, 1] -= r / spread**2
        bend[:, 1, 0] -= r / spread**2
        bend[:, 1, 1] += (0.5 - r**2 / spread) / spread**2
        pair, interval = np.arange(r.size), weights.interval[self.effect]
        with np.errstate(divide="ignore"):
            value += np.log(cells[pair, interval])
        d = weights.lower.size
        if d:
            moved = interval - (weights.steps.size - d)  # the parameter that is the pair's own weight
            at = np.flatnonzero(moved >= 0)
            place = 2 + moved[at]
            one_over = 1 / np.where(cells[at, interval[at]] > 0, cells[at, interval[at]], 1.0)
            slope[at, place] += one_over
            bend[at, place, place] -= one_over**2
        return value, slope, bend


def _cell_weights(weights: StepWeights, delta: Floats) -> Floats:
    """Weight of each interval of p, for each pair: (N, n)."""
    if weights.given is not None:
        return np.broadcast_to(weights.given, (len(delta), weights.given.size))
    return np.column_stack([np.ones(len(delta)), delta])


def _log_probability(
    weights: StepWeights, root: Floats, mu: Floats, s: Floats, cells: Floats
) -> tuple[Floats, Floats, Floats]:
    """``log A`` of each pair with its gradient and Hessian in (μ, s², δ), as :func:`likelihood._log_probability`."""
    d = weights.lower.size
    u = (z_limits(weights.steps)[:-1] * root[:, None] - mu[:, None]) / s[:, None]
    density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    mass = _masses(u)
    a0 = np.einsum("ij,ij->i", mass, cells)
    # the integral of Heₖφ over a cell is Heₖ₋₁φ at its lower edge minus that at its upper one
    steps = (cells[:, :-1] - cells[:, 1:]) * density
    square = u**2
    ends = (steps, steps * u, steps * (square - 1), steps * (square - 3) * u)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = [one.sum(axis=1) / a0 / s ** (k + 1) for k, one in enumerate(ends)]
        log_a = np.log(a0)
        slope = np.empty((mu.size, 2 + d))
        slope[:, 0], slope[:, 1] = ratio[0], ratio[1] / 2
        second = np.zeros((mu.size, 2 + d, 2 + d))
        second[:, 0, 0], second[:, 1, 1] = ratio[1], ratio[3] / 4
        second[:, 0, 1] = second[:, 1, 0] = ratio[2] / 2
        if d:
            slope[:, 2:] = mass[:, -d:] / a0[:, None]
            mixed = [_over_cells(density, d), _over_cells(density * u, d) / 2]
            for row, one in enumerate(mixed):
                second[:, row, 2:] = second[:, 2:, row] = one / (a0 * s ** (row + 1))[:, None]
        return log_a, slope, second - slope[:, :, None] * slope[:, None, :]


def _masses(u: Floats) -> Floats:
    """Probability of each cell between edges that fall; far in the right tail, differences of Φ would cancel."""
    below, above = ndtr(u), ndtr(-u)
    low_below, low_above = _beside(below, 0.0, last=True), _beside(above, 1.0, last=True)
    high_below, high_above = _beside(below, 1.0, last=False), _beside(above, 0.0, last=False)
    right = _beside(u, -np.inf, last=True) > 0
    return np.where(right, low_above - high_above, high_below - low_below)


def _beside(values: Floats, end: float, *, last: bool) -> Floats:
    """Values at the lower (the last is −∞) or the upper (the first is ∞) edge of each cell."""
    column = np.full((len(values), 1), end)
    return np.concatenate([values, column] if last else [column, values], axis=1)


def _over_cells(ends: Floats, d: int) -> Floats:
    """Integrals over the last d cells, from the values at the edges."""
    return (_beside(ends, 0.0, last=True) - _beside(ends, 0.0, last=False))[:, -d:]


class _Climbs:
    """Climbs in all draws, in step.

    Each follows :func:`climb.climb`: Newton's step over the parameters that do not rest on a bound, halved until the
    likelihood rises.
    """

    def __init__(self, draws: _Draws, start: Floats, low: Floats, high: Floats, scale: Floats) -> None:
        n = draws.sizes.size
        self.draws, self.low, self.high, self.scale = draws, low, high, scale
        self.theta = np.tile(start, (n, 1))
        self.value, self.gradient, self.hessian = draws.evaluate(self.theta)
        self.converged = np.zeros(n, dtype=bool)
        self.share = np.ones(n)
        self.step = np.zeros_like(self.theta)
        self.sure = np.zeros(
            n, dtype=bool
        )  # whether the step is Newton's, from a point where the likelihood is concave
        self.rise = np.zeros(n)
        self.going = np.isfinite(self.value)
        self._aim(self.going.copy())

    def steps(self) -> Iterator[int]:
        """Move until no draw moves."""
        most = climb.STEPS * 50  # as many points as a single climb might try
        for at in range(most):
            if not self.going.any():
                return
            self._move()
            yield at

    def _move(self) -> None:
        own = np.flatnonzero(self.going)
        new = np.clip(self.theta[own] + self.share[own, None] * self.step[own], self.low, self.high)
        moved = new - self.theta[own]
        value, gradient, hessian = self.draws.only(self.going).evaluate(new)
        promised = np.maximum(np.einsum("ij,ij->i", self.gradient[own], moved), 0.0)
        up = value > self.value[own] + climb.ENOUGH * promised
        risen, same = own[up], own[~up]
        self.theta[risen], self.value[risen] = new[up], value[up]
        self.gradient[risen], self.hessian[risen] = gradient[up], hessian[up]
        self.share[same] /= 2
        stuck = (~moved.any(axis=1) | (self.share[own] < 2.0**-49)) & ~up
        ended = own[stuck]
        self.converged[ended] = self.sure[ended] & (self.rise[ended] < 1e-8)
        self.going[ended] = False
        aimed = np.zeros_like(self.going)
        aimed[risen] = True
        self._aim(aimed)

    def _aim(self, chosen: Bools) -> None:
        """Take Newton's step at new points, and end where it promises nothing."""
        own = np.flatnonzero(chosen)
        theta, gradient = self.theta[own], self.gradient[own]
        free = (
            (self.low < self.high)
            & ~((theta <= self.low) & (gradient <= 0))
            & ~((theta >= self.high) & (gradient >= 0))
        )
        step, concave = climb.newton_steps(gradient, self.hessian[own], free, self.scale)
        self.step[own], self.share[own], self.sure[own] = step, 1.0, concave
        self.rise[own] = np.einsum("ij,ij->i", gradient, step)
        there = concave & (self.rise[own] < climb.RISE * np.maximum(1.0, np.abs(self.value[own])))
        # the last step brings no rise any more, but the digits that rounding of the likelihood hides, as for one sample
        last = theta + step
        inside = ((step == 0) | ((last > self.low) & (last < self.high))).all(axis=1)
        near = there & inside & (np.abs(step) <= 1e-5 * self.scale).all(axis=1)
        self.theta[own[near]] = last[near]
        there |= ~free.any(axis=1)
        self.converged[own[there]] = True
        self.going[own[there]] = False
