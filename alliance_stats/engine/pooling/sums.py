"""Weighted sums of a meta-regression, for many sets of weights at once.

All that the estimators of τ² need of k effects are sums of w, w² and w³ times products of the columns of [1 X y], with
w = 1/(v + τ²). No k × k matrix is formed. Sets are different values of τ² for the same effects, or different effects
(one left out, the first ten, any subset), each with its own τ².
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

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

    @cached_property
    def products(self) -> Floats:
        """Columns ``1, xx' (upper triangle), x y, y²`` of shape (k, 1 + p(p + 1)/2 + p + 1)."""
        i, j = np.triu_indices(self.p)
        x = self.basis
        return np.column_stack([np.ones(self.k), x[:, i] * x[:, j], x * self.y[:, None], self.y**2])

    def coefficients(self, on_basis: Floats) -> Floats:
        """Carry coefficients on the basis (…, p), relative to ``start``, back to the columns of X."""
        return np.linalg.solve(self.triangle, (on_basis + self.start)[..., None])[..., 0]

    def covariance(self, on_basis: Floats) -> Floats:
        """Carry a covariance (…, p, p) of coefficients on the basis back to the columns of X."""
        inverse = np.linalg.inv(self.triangle)
        return inverse @ on_basis @ inverse.T


def prepare(y: Floats, v: Floats, x: Floats) -> Effects:
    """Take k effects, their variances and moderators of shape (k, p) into coordinates that lose no digits."""
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


def weighted_sums(effects: Effects, weights: Floats) -> Sums:
    """Sum the products with weights of shape (n, k)."""
    p, total = effects.p, weights @ effects.products
    n_pairs = p * (p + 1) // 2
    i, j = np.triu_indices(p)
    xx = np.empty((len(total), p, p))
    xx[:, i, j] = xx[:, j, i] = total[:, 1 : 1 + n_pairs]
    return Sums(total[:, 0], xx, total[:, 1 + n_pairs : 1 + n_pairs + p], total[:, -1])


@dataclass(frozen=True)
class Solved:
    """Weighted least squares of n sets at their τ², and what estimators of τ² take from it.

    ``p`` in the names of traces and quadratic forms is ``P = W − W X (X'WX)⁻¹ X'W``.
    """

    effects: Effects
    weights: Floats

    @cached_property
    def first(self) -> Sums:
        """Sums with w."""
        return weighted_sums(self.effects, self.weights)

    @cached_property
    def second(self) -> Sums:
        """Sums with w²."""
        return weighted_sums(self.effects, self.weights**2)

    @cached_property
    def third(self) -> Sums:
        """Sums with w³."""
        return weighted_sums(self.effects, self.weights**3)

    @cached_property
    def inverse(self) -> Floats:
        """``(X'WX)⁻¹`` of shape (n, p, p), on the basis; NaN where a set cannot tell its coefficients apart."""
        return invert(self.first.xx)

    @cached_property
    def beta(self) -> Floats:
        """Coefficients of shape (n, p), on the basis and relative to its start."""
        return np.einsum("nij,nj->ni", self.inverse, self.first.xy)

    @cached_property
    def q(self) -> Floats:
        """``y'Py``, the weighted residual sum of squares."""
        return self.first.yy - np.einsum("ni,ni->n", self.beta, self.first.xy)

    @cached_property
    def log_det(self) -> Floats:
        """``log|X'WX|`` on the basis."""
        return np.asarray(np.linalg.slogdet(self.first.xx)[1])

    @cached_property
    def trace_p(self) -> Floats:
        """``tr P``."""
        return self.first.one - np.einsum("nij,nji->n", self.inverse, self.second.xx)

    @cached_property
    def trace_pp(self) -> Floats:
        """``tr PP``."""
        turned = self.inverse @ self.second.xx
        return (
            self.second.one
            - 2 * np.einsum("nij,nji->n", self.inverse, self.third.xx)
            + np.einsum("nij,nji->n", turned, turned)
        )

    @cached_property
    def ypp_y(self) -> Floats:
        """``y'PPy``: minus the slope of q over τ²."""
        return _residual_squares(self.second, self.beta)

    @cached_property
    def yppp_y(self) -> Floats:
        """``y'PPPy``."""
        left = self.second.xy - np.einsum("nij,nj->ni", self.second.xx, self.beta)
        return _residual_squares(self.third, self.beta) - np.einsum("ni,nij,nj->n", left, self.inverse, left)


def _residual_squares(sums: Sums, beta: Floats) -> Floats:
    """``Σ w (y − xβ)²`` from the sums."""
    return sums.yy - 2 * np.einsum("ni,ni->n", beta, sums.xy) + np.einsum("ni,nij,nj->n", beta, sums.xx, beta)


def invert(matrices: Floats) -> Floats:
    """Invert n symmetric matrices; NaN for those that are singular."""
    if matrices.shape[-1] == 1:
        with np.errstate(divide="ignore"):
            return np.where(matrices > 0, 1 / matrices, np.nan)
    identity = np.eye(matrices.shape[-1])
    bad = np.asarray(~np.isfinite(matrices).all(axis=(1, 2)))
    values = np.linalg.eigvalsh(np.where(bad[:, None, None], identity, matrices))
    bad |= ~(values[:, 0] > _SINGULAR * values[:, -1])
    if not bad.any():
        return np.linalg.inv(matrices)
    safe = np.where(bad[:, None, None], identity, matrices)
    return np.asarray(np.where(bad[:, None, None], np.nan, np.linalg.inv(safe)))


def solve(effects: Effects, tau2: Floats, keep: Bools | None = None) -> Solved:
    """Weighted least squares of n sets.

    Parameters
    ----------
    effects : Effects
    tau2 : ndarray of shape (n,)
        τ² of each set.
    keep : ndarray of shape (n, k), optional
        Which effects belong to each set; all by default.
    """
    weights = 1 / (effects.v + tau2[:, None])
    return Solved(effects, weights if keep is None else weights * keep)
