"""Covariances of random effects as unconstrained numbers and squared pivots.

Each block of correlated effects has ``D = P U diag(d) U' P'`` with ``U`` unit lower triangular and ``P`` the order in
which the largest remaining variance comes first. The boundary of the parameter space is then ``d ≥ 0``, a bound
where the gradient does not vanish (in Cholesky coordinates it does, and Newton's method stalls). The order is chosen
anew at every step, so a pivot that collapses moves to the end and the numbers before it stay identified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.design import Floats, GroupingFactor

#: Order of pivots in each block of one factor.
_Orders = tuple[tuple[int, ...], ...]

#: Derivative of a single variance.
_ONE = np.ones((1, 1, 1))

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
        Parameter vector: factor by factor and block by block the squared pivots, then the entries of ``U``.
    """

    matrices: tuple[Floats, ...]
    roots: tuple[Floats, ...]
    values: Floats
    _orders: tuple[_Orders, ...]
    factors: tuple[GroupingFactor, ...]

    @property
    def order(self) -> tuple[_Orders, ...]:
        """Order of pivots in each block of each factor: what the entries of ``values`` mean depends on it."""
        return self._orders

    @property
    def pivots(self) -> np.ndarray:
        """Which entries of ``values`` are squared pivots."""
        return _pivot_mask(self._orders)

    @lazy
    def alive(self) -> np.ndarray:
        """Which entries of ``values`` have any influence."""
        if self.values[self.pivots].min(initial=1.0) > 0:
            return np.ones(self.values.size, dtype=bool)
        return np.array([parameter.alive for parameter in self.parameters])

    @lazy
    def parameters(self) -> tuple[Parameter, ...]:
        """What each entry of ``values`` is."""
        derivatives = [derivative for _, own in self.directions for derivative in own]
        found, at = [], 0
        for f, orders in enumerate(self._orders):
            for places in orders:
                d, size = self.values[at : at + len(places)], len(places)
                alive = [True] * size + [bool(d[column] > 0) for column in _below(size)[1]]
                for k, is_alive in enumerate(alive):
                    found.append(Parameter(f, k < size, is_alive, derivatives[at + k]))
                at += len(alive)
        return tuple(found)

    @lazy
    def directions(self) -> tuple[tuple[slice, Floats], ...]:
        """Per factor, where its parameters stand and their derivatives, (k, q, q)."""
        found, at = [], 0
        for factor, orders in zip(self.factors, self._orders, strict=True):
            first, own = at, [np.zeros((0, factor.n_effects, factor.n_effects))]  # a factor may have no effects
            for places in orders:
                unit, d, at = _unpack(self.values, len(places), at)
                own.append(_derivatives(factor.n_effects, places, unit, d))
            found.append((slice(first, at), own[1] if len(own) == 2 else np.concatenate(own)))
        return tuple(found)

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
        if all(_in_order(d, below) for d, below in _split(self._orders, values)):
            return self.moved(values)
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
    values = np.where(_pivot_mask(orders), np.maximum(values, 0.0), values)
    roots, at = [], 0
    for factor, own in zip(factors, orders, strict=True):
        root = np.zeros((factor.n_effects, factor.n_effects))
        for places in own:
            unit, d, at = _unpack(values, len(places), at)
            root[_grid(places)] = unit * np.sqrt(d)
        roots.append(root)
    return CovarianceState(tuple(root @ root.T for root in roots), tuple(roots), values, orders, factors)


@cache
def _pivot_mask(orders: tuple[_Orders, ...]) -> np.ndarray:
    """Which parameters are squared pivots."""
    sizes = [len(places) for own in orders for places in own]
    mask = np.concatenate([np.arange(size * (size + 1) // 2) < size for size in sizes])
    mask.setflags(write=False)
    return mask


def _split(orders: tuple[_Orders, ...], values: Floats) -> Iterator[tuple[list[float], list[float]]]:
    """Squared pivots, and entries of ``U`` row by row, of each block."""
    listed, at = values.tolist(), 0
    for own in orders:
        for places in own:
            size = len(places)
            end = at + size * (size + 1) // 2
            yield listed[at : at + size], listed[at + size : end]
            at = end


def _in_order(d: list[float], below: list[float]) -> bool:
    """Whether the pivots of a block are positive and each the largest that remains, as :func:`_pivoted` has them."""
    if len(d) > 1 and min(d) <= PIVOT_ZERO * d[0]:
        return False
    rows = [[*below[j * (j - 1) // 2 : j * (j + 1) // 2], 1.0] for j in range(len(d))]
    return all(
        d[k] >= sum(row[i] ** 2 * d[i] for i in range(k, len(row))) for k in range(len(d)) for row in rows[k + 1 :]
    )


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
    end = at + size * (size + 1) // 2
    if size == 1:
        return _ONE[0], values[at:end], end
    unit = np.eye(size)
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


def _derivatives(q: int, places: tuple[int, ...], unit: Floats, d: Floats) -> Floats:
    """Derivatives of a factor's covariance with respect to the parameters of one block, (k, q, q)."""
    size = len(places)
    if size == q == 1:
        return _ONE
    if size == q == 2:
        own = _pair_derivatives(float(unit[1, 0]), float(d[0]))
        return own if places == (0, 1) else own[:, ::-1, ::-1]
    own = np.zeros((size * (size + 1) // 2, size, size))
    own[:size] = unit.T[:, :, None] * unit.T[:, None, :]
    for at, (row, column) in enumerate(zip(*_below(size), strict=True), size):
        own[at, row] = d[column] * unit[:, column]
        own[at] += own[at].T.copy()
    derivatives = np.zeros((len(own), q, q))
    rows, columns = _grid(places)
    derivatives[:, rows, columns] = own
    return derivatives


def _pair_derivatives(below: float, first: float) -> Floats:
    """The same for two effects in their order of pivots, the usual case."""
    square = below * below
    return np.array(
        [[[1.0, below], [below, square]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, first], [first, 2 * below * first]]]
    )
