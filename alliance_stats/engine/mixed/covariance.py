"""Covariances of random effects as unconstrained numbers and squared pivots.

Each block of correlated effects has ``D = P U diag(d) U' P'`` with ``U`` unit lower triangular and ``P`` the order in
which the largest remaining variance comes first. The boundary of the parameter space is then ``d ≥ 0``, a bound
where the gradient does not vanish (in Cholesky coordinates it does, and Newton's method stalls). The order is chosen
anew at every step, so a pivot that collapses moves to the end and the numbers before it stay identified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from alliance_stats.engine.mixed.design import Floats, GroupingFactor

#: Order of pivots in each block of one factor.
_Orders = tuple[tuple[int, ...], ...]

#: A pivot this small beside the block's largest is zero.
PIVOT_ZERO = 1e-12


@dataclass(frozen=True)
class Parameter:
    """One number of the parameter vector.

    Parameters
    ----------
    factor : int
        Factor it belongs to.
    pivot : bool
        True for a squared pivot (bounded below by 0), False for an entry of ``U``.
    alive : bool
        False where it has no influence: an entry of ``U`` below a pivot of zero.
    derivative : ndarray of shape (q, q)
        Derivative of the factor's covariance.
    """

    factor: int
    pivot: bool
    alive: bool
    derivative: Floats


@dataclass(frozen=True)
class CovarianceState:
    """The covariances of all factors at one point, with their roots, parameters and derivatives.

    Parameters
    ----------
    matrices : tuple of ndarray of shape (q, q)
        Relative covariance per factor.
    roots : tuple of ndarray of shape (q, q)
        Square root of each.
    values : ndarray
        Parameter vector.
    parameters : tuple of Parameter
        What each entry of ``values`` is.
    """

    matrices: tuple[Floats, ...]
    roots: tuple[Floats, ...]
    values: Floats
    parameters: tuple[Parameter, ...]
    _orders: tuple[_Orders, ...]
    factors: tuple[GroupingFactor, ...]

    @cached_property
    def pivots(self) -> np.ndarray:
        """Which entries of ``values`` are squared pivots."""
        return np.array([parameter.pivot for parameter in self.parameters])

    @cached_property
    def alive(self) -> np.ndarray:
        """Which entries of ``values`` have any influence."""
        return np.array([parameter.alive for parameter in self.parameters])

    def moved(self, values: Floats) -> CovarianceState:
        """Return the state at other values of the same parameters, in the same order of pivots.

        Pivots below zero count as zero.
        """
        return _assemble(self.factors, self._orders, values)

    def clamped(self, values: Floats) -> Floats:
        """Return the values with pivots below zero set to zero."""
        return np.where(self.pivots, np.maximum(values, 0.0), values)

    def reordered(self, values: Floats | None = None) -> CovarianceState:
        """Return the state (at other values, if given) with the order of pivots chosen anew."""
        values = self.values if values is None else values
        matrices, at = [], 0
        for factor, orders in zip(self.factors, self._orders, strict=True):
            matrix = np.zeros((factor.n_effects, factor.n_effects))
            for places in orders:
                unit, d, at = _unpack(values, len(places), at)
                matrix[_grid(places)] = (unit * d) @ unit.T
            matrices.append(matrix)
        return state(self.factors, matrices)


def state(factors: Sequence[GroupingFactor], matrices: Sequence[Floats]) -> CovarianceState:
    """Describe covariances by their pivots, the largest first.

    Parameters
    ----------
    factors : sequence of GroupingFactor
    matrices : sequence of ndarray of shape (q, q)
        Positive semi-definite, zero outside the factor's blocks.
    """
    values, orders = [], []
    for factor, matrix in zip(factors, matrices, strict=True):
        own = []
        for block in factor.blocks:
            order, unit, d = _pivoted(matrix[_grid(block)])
            own.append(tuple(block[k] for k in order))
            values.append(np.concatenate([d, unit[_below(len(block))]]))
        orders.append(tuple(own))
    return _assemble(tuple(factors), tuple(orders), np.concatenate(values))


def _assemble(factors: tuple[GroupingFactor, ...], orders: tuple[_Orders, ...], values: Floats) -> CovarianceState:
    """Build the state from parameter values."""
    values = values.astype(float)
    matrices, roots, parameters = [], [], []
    at = 0
    for f, (factor, own) in enumerate(zip(factors, orders, strict=True)):
        root = np.zeros((factor.n_effects, factor.n_effects))
        for places in own:
            first, size = at, len(places)
            values[first : first + size] = np.maximum(values[first : first + size], 0.0)
            unit, d, at = _unpack(values, size, first)
            root[_grid(places)] = unit * np.sqrt(d)
            parameters += _parameters(f, factor.n_effects, places, unit, d)
        roots.append(root)
        matrices.append(root @ root.T)
    return CovarianceState(tuple(matrices), tuple(roots), values, tuple(parameters), orders, factors)


@cache
def _grid(places: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Index of the rows and columns of a block."""
    return np.ix_(places, places)


@cache
def _below(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices below the diagonal."""
    return np.tril_indices(size, -1)


def _unpack(values: Floats, size: int, at: int) -> tuple[Floats, Floats, int]:
    """Unit lower triangle, pivots, and where the next block's values begin."""
    unit = np.eye(size)
    end = at + size * (size + 1) // 2
    if size > 1:
        unit[_below(size)] = values[at + size : end]
    return unit, values[at : at + size], end


def _pivoted(matrix: Floats) -> tuple[tuple[int, ...], Floats, Floats]:
    """Pivoted ``L D L'``: order, unit lower triangle, squared pivots."""
    size = matrix.shape[0]
    if size == 1:
        return (0,), np.eye(1), np.maximum(matrix[0], 0.0)
    if size == 2:
        return _pivoted_pair(matrix)
    rest = matrix.astype(float)
    order = list(range(size))
    unit, d = np.eye(size), np.zeros(size)
    floor = PIVOT_ZERO * max(float(np.diag(matrix).max()), 0.0)
    for k in range(size):
        best = k + int(np.argmax(np.diag(rest)[k:]))
        for swap in (rest, rest.T):
            swap[[k, best]] = swap[[best, k]]
        unit[[k, best], :k] = unit[[best, k], :k]
        order[k], order[best] = order[best], order[k]
        if rest[k, k] <= floor:
            break
        d[k] = rest[k, k]
        unit[k + 1 :, k] = rest[k + 1 :, k] / d[k]
        rest[k + 1 :, k + 1 :] -= d[k] * np.outer(unit[k + 1 :, k], unit[k + 1 :, k])
    return tuple(order), unit, d


def _pivoted_pair(matrix: Floats) -> tuple[tuple[int, ...], Floats, Floats]:
    """Pivoted ``L D L'`` of two effects, the usual case."""
    first = 0 if matrix[0, 0] >= matrix[1, 1] else 1
    large, small, both = float(matrix[first, first]), float(matrix[1 - first, 1 - first]), float(matrix[0, 1])
    unit, d = np.eye(2), np.zeros(2)
    if large > 0:
        rest = small - both * both / large
        unit[1, 0] = both / large
        d[:] = large, rest if rest > PIVOT_ZERO * large else 0.0
    return (first, 1 - first), unit, d


def _parameters(factor: int, q: int, places: tuple[int, ...], unit: Floats, d: Floats) -> list[Parameter]:
    size = len(places)
    if size == q == 1:
        return [Parameter(factor, True, True, np.ones((1, 1)))]
    grid = _grid(places)
    parameters = []
    for k in range(size):
        derivative = np.zeros((q, q))
        derivative[grid] = np.outer(unit[:, k], unit[:, k])
        parameters.append(Parameter(factor, True, True, derivative))
    for row, column in zip(*_below(size), strict=True):
        derivative = np.zeros((q, q))
        half = np.zeros((size, size))
        half[row] = d[column] * unit[:, column]
        derivative[grid] = half + half.T
        parameters.append(Parameter(factor, False, bool(d[column] > 0), derivative))
    return parameters
