"""Profile-likelihood intervals of the covariance between studies: of its variances and correlations.

A variance or a correlation is held at one value after the other, and the likelihood is raised over all else. With its
terms first in order, T = L L' has ``T_aa = L₁₁²``, and a correlation is the direction of L's second row: what is held
is linear in the entries of L. The two lengths of a correlation are squares of what is free, since a length below zero
would turn the correlation round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from alliance_stats.engine.pooling.multivariate import At, Climb, MultivariatePeak, Vectors, spread_of

Floats = NDArray[np.floating[Any]]

#: How far beyond the spread of effects an upper end is looked for.
_FARTHEST = 1e8
#: Climbs begin where the last one ended, and at this share of the spread besides.
_ASIDE = 0.3
#: The shortest length, as a share of the spread, that a climb begins with.
_SHORTEST = 0.02


def variance_interval(
    of: Vectors, peak: MultivariatePeak, term: int, diagonal: bool = False, level: float = 0.95
) -> tuple[float, float]:
    """Find the values of one term's variance at which the highest likelihood has fallen by χ²₁/2.

    Parameters
    ----------
    of : Vectors
    peak : MultivariatePeak
        Of the same effects.
    term : int
    diagonal : bool
        Terms vary between studies independently of each other.
    level : float

    Returns
    -------
    low, high : float
        ``low`` is 0 where the likelihood does not fall so far; ``high`` is infinite where it never does.
    """
    scaled, between, unit = _scaled(of, peak, [term])
    estimate = float(between[0, 0])
    profile = _Profile(scaled, between, _hold_variance(len(between), diagonal), diagonal)
    goal = At(scaled, between).value - _drop(level)

    def excess(value: float) -> float:
        return profile.highest(value) - goal

    low = 0.0
    if estimate > 0 and excess(0.0) < 0:
        profile.again()
        low = float(brentq(excess, 0.0, estimate, xtol=1e-14, rtol=1e-11))
    profile.again()
    far = max(2 * estimate, 0.1)
    while excess(far) > 0:
        far *= 2
        if far > _FARTHEST:
            return low * unit[0] ** 2, float("inf")
    profile.again()
    high = float(brentq(excess, estimate, far, xtol=1e-14, rtol=1e-11))
    return low * float(unit[0]) ** 2, high * float(unit[0]) ** 2


def correlation_interval(
    of: Vectors, peak: MultivariatePeak, pair: tuple[int, int], level: float = 0.95
) -> tuple[float, float]:
    """Find the correlations of two terms at which the highest likelihood has fallen by χ²₁/2.

    Returns
    -------
    low, high : float
        −1 or 1 where the likelihood does not fall so far; both missing where a variance is estimated at zero, so that
        there is no correlation.
    """
    scaled, between, _ = _scaled(of, peak, list(pair))
    if min(between[0, 0], between[1, 1]) <= 0:
        return float("nan"), float("nan")
    estimate = float(np.clip(between[0, 1] / np.sqrt(between[0, 0] * between[1, 1]), -1, 1))
    profile = _Profile(scaled, between, _hold_correlation(len(between)), False)
    goal = At(scaled, between).value - _drop(level)

    def end(edge: float) -> float:
        profile.again()
        if abs(estimate - edge) < 1e-9 or profile.highest(edge) >= goal:
            return edge
        profile.again()
        return float(brentq(lambda value: profile.highest(value) - goal, edge, estimate, xtol=1e-13, rtol=1e-11))

    return end(-1.0), end(1.0)


def _drop(level: float) -> float:
    return 0.5 * float(chdtri(1, 1 - level))


def _scaled(of: Vectors, peak: MultivariatePeak, first: list[int]) -> tuple[Vectors, Floats, Floats]:
    """Effects in units of their spread, some terms first; the covariance in these units; the units."""
    order = [*first, *(at for at in range(of.y.shape[1]) if at not in first)]
    unit = np.sqrt(spread_of(of))[order]
    squares = np.multiply.outer(unit, unit)
    v = of.v[:, order][:, :, order]
    scaled = Vectors(of.y[:, order] / unit, v / squares, of.there[:, order], of.restricted)
    return scaled, peak.at.between[np.ix_(order, order)] / squares, unit


@dataclass(frozen=True)
class _Held:
    """Entries of L (its lower triangle, row by row, or its diagonal) as ``offset + matrix @ free``.

    The first ``n_lengths`` of what is free enter as squares.
    """

    offset: Floats
    matrix: Floats
    n_lengths: int = 0


def _hold_variance(size: int, diagonal: bool) -> Callable[[float], _Held]:
    n = size if diagonal else size * (size + 1) // 2
    matrix = np.eye(n)[:, 1:]
    return lambda value: _Held(np.sqrt(value) * np.eye(n)[0], matrix)


def _hold_correlation(size: int) -> Callable[[float], _Held]:
    n = size * (size + 1) // 2

    def held(value: float) -> _Held:
        # entries (2, 1) and (2, 2) become one length times the correlation and its complement
        matrix = np.delete(np.eye(n), 2, axis=1)
        matrix[1, 1], matrix[2, 1] = value, np.sqrt(max(1 - value**2, 0.0))
        return _Held(np.zeros(n), matrix, n_lengths=2)

    return held


class _Profile:
    """The highest likelihood at one value of what is held, each climb beginning where the last one ended."""

    def __init__(self, of: Vectors, between: Floats, hold: Callable[[float], _Held], diagonal: bool) -> None:
        self._of, self._hold = of, hold
        size = len(between)
        self._places = np.diag_indices(size) if diagonal else np.tril_indices(size)
        self._peak = _factor(between)
        self._last = self._peak

    def again(self) -> None:
        """Begin at the peak."""
        self._last = self._peak

    def highest(self, value: float) -> float:
        """The log-likelihood."""
        held = self._hold(value)
        rows, columns = self._places
        climb = _HeldClimb(self._of, rows, columns, held)
        aside = self._last + _ASIDE * np.eye(len(self._last))
        found = [climb.run(start) for start in (self._last, aside)]
        best = max(found, key=lambda at: at.value)
        self._last = _factor(best.between)
        return best.value


def _factor(between: Floats) -> Floats:
    """A lower triangular root, also of a singular covariance."""
    values, vectors = np.linalg.eigh(between)
    upper = np.asarray(np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r"))
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    return (upper * signs[:, None]).T


@dataclass(frozen=True)
class _HeldClimb(Climb):
    """A climb over the entries that are free."""

    held: _Held

    def begin(self, factor: Floats) -> Floats:
        """What is free, nearest to a factor."""
        entries = factor[self.rows, self.columns] - self.held.offset
        free = np.asarray(np.linalg.lstsq(self.held.matrix, entries, rcond=None)[0])
        if self.held.n_lengths:
            # a square at 0 has no slope, and the climb would not leave it
            free[:2] = np.sqrt(np.maximum([abs(factor[0, 0]), np.hypot(factor[1, 0], factor[1, 1])], _SHORTEST))
        return free

    def factor(self, free: Floats) -> Floats:
        """The factor."""
        linear = free.copy()
        linear[: self.held.n_lengths] **= 2
        return super().factor(self.held.offset + self.held.matrix @ linear)

    def slope(self, free: Floats, at: At | None = None) -> Floats:
        """Derivatives with respect to what is free."""
        at = self.at(free) if at is None else at
        slope = self.held.matrix.T @ (2 * at.slope @ self.factor(free))[self.rows, self.columns]
        lengths = slice(self.held.n_lengths)
        slope[lengths] *= 2 * free[lengths]
        return np.asarray(slope)
