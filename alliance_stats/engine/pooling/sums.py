"""Weighted sums of a meta-regression, for many sets of weights at once.

All that the estimators of τ² need of k effects are sums of w, w² and w³ times products of the columns of [1 X y], with
w = 1/(v + τ²). No k × k matrix is formed. Sets are different values of τ² for the same effects, or different effects
(one left out, the first ten, any subset), each with its own τ².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

#: Smallest eigenvalue, relative to the largest, of a set's X'WX that can be inverted.
_SINGULAR = 1e-11


@dataclass(frozen=True)
class Effects:
    """Effects of a meta-regression, in coordinates that lose no digits.

    Parameters
    ----------
    y : ndarray of shape (k,)
        Residuals of the effects from ordinary least squares: sums of their squares do not cancel.
    v : ndarray of shape (k,)
        Sampling variances.
    basis : ndarray of shape (k, p)
        Orthonormal basis of the moderators' columns.
    triangle : ndarray of shape (p, p)
        ``X = basis @ triangle``.
    start : ndarray of shape (p,)
        Least-squares coefficients on the basis; ``effects = y + basis @ start``.
    """

    y: Floats
    v: Floats
    basis: Floats
    triangle: Floats
    start: Floats

    @property
    def k(self) -> int:
        """Effects."""
        return self.y.size

    @property
    def p(self) -> int:
        """Coefficients."""
        return self.basis.shape[1]

    @lazy
    def pairs(self) -> tuple[Ints, Ints]:
        """Row and column of each product in the upper triangle of a p × p matrix."""
        return np.triu_indices(self.p)

    @lazy
    def products(self) -> Floats:
        """Columns ``1, xx' (upper triangle), x y, y²`` of shape (k, 1 + p(p + 1)/2 + p + 1)."""
        x = self.basis
        if self.p == 1:
            return np.stack([np.ones(self.k), x[:, 0] ** 2, x[:, 0] * self.y, self.y**2], axis=1)
        i, j = self.pairs
        return np.column_stack([np.ones(self.k), x[:, i] * x[:, j], x * self.y[:, None], self.y**2])

    def coefficients(self, on_basis: Floats) -> Floats:
        """Carry coefficients on the basis (…, p), relative to ``start``, back to the columns of X."""
        if self.p == 1:
            return np.asarray((on_basis + self.start) / self.triangle[0, 0])
        return np.linalg.solve(self.triangle, (on_basis + self.start)[..., None])[..., 0]

    def covariance(self, on_basis: Floats) -> Floats:
        """Carry a covariance (…, p, p) of coefficients on the basis back to the columns of X."""
        if self.p == 1:
            return np.asarray(on_basis / self.triangle[0, 0] ** 2)
        inverse = np.linalg.inv(self.triangle)
        return inverse @ on_basis @ inverse.T


def prepare(y: Floats, v: Floats, x: Floats) -> Effects:
    """Take k effects, their variances and moderators of shape (k, p) into coordinates that lose no digits."""
    if x.shape[1] == 1:
        length = np.sqrt(x[:, 0] @ x[:, 0])
        basis, triangle = x / length, np.array([[length]])
    else:
        basis, triangle = np.linalg.qr(x)
    start = basis.T @ y
    return Effects(y - basis @ start, v, basis, triangle, start)


@dataclass(frozen=True)
class Sums:
    """Sums of n sets of weights: of the weights, and X'WX, X'Wy, y'Wy."""

    one: Floats
    xx: Floats
    xy: Floats
    yy: Floats


def as_sums(effects: Effects, total: Floats) -> Sums:
    """Take summed products of shape (n, c) apart."""
    p = effects.p
    if p == 1:
        return Sums(total[:, 0], total[:, 1:2, None], total[:, 2:3], total[:, 3])
    i, j = effects.pairs
    n_pairs = i.size
    xx = np.empty((len(total), p, p))
    xx[:, i, j] = xx[:, j, i] = total[:, 1 : 1 + n_pairs]
    return Sums(total[:, 0], xx, total[:, 1 + n_pairs : 1 + n_pairs + p], total[:, -1])


class Solved:
    """Weighted least squares of n sets at their τ², and what estimators of τ² take from it.

    ``p`` in the names of traces and quadratic forms is ``P = W − W X (X'WX)⁻¹ X'W``.

    Parameters
    ----------
    effects : Effects
    power : callable
        m → summed products, with weights wᵐ, of shape (n, c).
    """

    def __init__(self, effects: Effects, power: Callable[[int], Floats]) -> None:
        self.effects, self._power = effects, power

    @lazy
    def first(self) -> Sums:
        """Sums with w."""
        return as_sums(self.effects, self._power(1))

    @lazy
    def second(self) -> Sums:
        """Sums with w²."""
        return as_sums(self.effects, self._power(2))

    @lazy
    def third(self) -> Sums:
        """Sums with w³."""
        return as_sums(self.effects, self._power(3))

    @lazy
    def inverse(self) -> Floats:
        """``(X'WX)⁻¹`` of shape (n, p, p), on the basis; NaN where a set cannot tell its coefficients apart."""
        return invert(self.first.xx)

    @lazy
    def beta(self) -> Floats:
        """Coefficients of shape (n, p), on the basis and relative to its start."""
        return (self.inverse @ self.first.xy[..., None])[..., 0]

    @lazy
    def q(self) -> Floats:
        """``y'Py``, the weighted residual sum of squares."""
        return self.first.yy - (self.beta * self.first.xy).sum(axis=1)

    @lazy
    def log_det(self) -> Floats:
        """``log|X'WX|`` on the basis."""
        if self.effects.p == 1:
            return np.log(self.first.xx[:, 0, 0])
        return np.asarray(np.linalg.slogdet(self.first.xx)[1])

    @lazy
    def _turned(self) -> Floats:
        return self.inverse @ self.second.xx

    @lazy
    def trace_p(self) -> Floats:
        """``tr P``."""
        return self.first.one - _trace(self._turned)

    @lazy
    def trace_pp(self) -> Floats:
        """``tr PP``."""
        return self.second.one - 2 * _trace(self.inverse @ self.third.xx) + _trace(self._turned @ self._turned)

    @lazy
    def ypp_y(self) -> Floats:
        """``y'PPy``: minus the slope of q over τ²."""
        return _residual_squares(self.second, self.beta)

    @lazy
    def yppp_y(self) -> Floats:
        """``y'PPPy``."""
        left = self.second.xy - (self.second.xx @ self.beta[..., None])[..., 0]
        turned = (self.inverse @ left[..., None])[..., 0]
        return _residual_squares(self.third, self.beta) - (left * turned).sum(axis=1)


def _trace(matrices: Floats) -> Floats:
    if matrices.shape[-1] == 1:
        return np.asarray(matrices[:, 0, 0])
    return np.asarray(np.trace(matrices, axis1=1, axis2=2))


def _residual_squares(sums: Sums, beta: Floats) -> Floats:
    """``Σ w (y − xβ)²`` from the sums."""
    squares = (beta * (sums.xx @ beta[..., None])[..., 0]).sum(axis=1)
    return np.asarray(sums.yy - 2 * (beta * sums.xy).sum(axis=1) + squares)


def invert(matrices: Floats) -> Floats:
    """Invert n symmetric matrices; NaN for those that are singular."""
    if matrices.shape[-1] == 1:
        if (matrices > 0).all():
            return 1 / matrices
        return np.where(matrices > 0, 1 / np.where(matrices > 0, matrices, 1.0), np.nan)
    identity = np.eye(matrices.shape[-1])
    bad = np.asarray(~np.isfinite(matrices).all(axis=(1, 2)))
    values = np.linalg.eigvalsh(np.where(bad[:, None, None], identity, matrices))
    bad |= ~(values[:, 0] > _SINGULAR * values[:, -1])
    if not bad.any():
        return np.linalg.inv(matrices)
    safe = np.where(bad[:, None, None], identity, matrices)
    return np.asarray(np.where(bad[:, None, None], np.nan, np.linalg.inv(safe)))


def solve(effects: Effects, tau2: Floats) -> Solved:
    """Weighted least squares of all effects at n values of τ²."""
    weights = 1 / (effects.v + tau2[:, None])
    return Solved(effects, lambda m: (weights if m == 1 else weights**m) @ effects.products)
