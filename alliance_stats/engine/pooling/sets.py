"""Sets of effects that are fitted together: all of them, subsets, or all but one group."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.pooling.sums import Effects, Solved, Sums, as_sums

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


class Sets(Protocol):
    """n sets of the same effects."""

    effects: Effects

    @property
    def n(self) -> int:
        """Sets."""
        ...

    @property
    def count(self) -> Ints:
        """Effects in each set."""
        ...

    def solve(self, tau2: Floats) -> Solved:
        """Weighted least squares of each set at its own τ² (n,)."""
        ...

    def total(self, values: Floats) -> Floats:
        """Sum values (k, c) over the effects of each set: (n, c)."""
        ...


class Subsets:
    """Sets given one by one.

    Parameters
    ----------
    effects : Effects
    keep : ndarray of bool, shape (n, k), optional
        Which effects belong to each set; one set of all by default.
    """

    def __init__(self, effects: Effects, keep: Bools | None = None) -> None:
        self.effects, self.keep = effects, keep

    @property
    def n(self) -> int:
        """Sets."""
        return 1 if self.keep is None else len(self.keep)

    @lazy
    def count(self) -> Ints:
        """Effects in each set."""
        return np.array([self.effects.k]) if self.keep is None else self.keep.sum(axis=1)

    def solve(self, tau2: Floats) -> Solved:
        """Weighted least squares of each set at its own τ² (n,)."""
        weights = 1 / (self.effects.v + tau2[:, None])
        if self.keep is not None:
            weights = weights * self.keep
        return Solved(self.effects, lambda m: (weights if m == 1 else weights**m) @ self.effects.products)

    def total(self, values: Floats) -> Floats:
        """Sum values (k, c) over the effects of each set: (n, c)."""
        return values.sum(axis=0)[None] if self.keep is None else self.keep @ values


class LeftOut:
    """All effects but one group, for every group.

    The sums of all effects are smooth functions of τ²: they are taken from a table of Chebyshev's points, exact to the
    last digits, and the group's own part is taken off. Work grows with effects plus groups, not with their product.

    Parameters
    ----------
    effects : Effects
    codes : ndarray of int, shape (k,)
        Group of each effect, from 0.
    """

    def __init__(self, effects: Effects, codes: Ints) -> None:
        self.effects, self.codes = effects, codes
        self._order = np.argsort(codes, kind="stable")
        self._starts = np.flatnonzero(np.r_[True, np.diff(codes[self._order]) > 0])

    @property
    def n(self) -> int:
        """Groups."""
        return self._starts.size

    @lazy
    def count(self) -> Ints:
        """Effects that are left."""
        return self.effects.k - np.bincount(self.codes)

    def _own(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values[self._order], self._starts, axis=0))

    def total(self, values: Floats) -> Floats:
        """Sum values (k, c) over the effects that are left: (n, c)."""
        return values.sum(axis=0) - self._own(values)

    @lazy
    def _table(self) -> _Table:
        return _Table(self.effects)

    def solve(self, tau2: Floats) -> Solved:
        """Weighted least squares without each group, at its own τ² (n,)."""
        weights = 1 / (self.effects.v + tau2[self.codes])
        whole = self._table.at(tau2)
        products = self.effects.products
        return Solved(self.effects, lambda m: whole(m) - self._own((weights**m)[:, None] * products))


class _Table:
    """``(τ² + v₀)ᵐ Σ wᵐ products`` at Chebyshev's points of log(τ² + v₀), v₀ the smallest sampling variance.

    The factor keeps the functions within a few orders of magnitude; their nearest singularity lies π off the real axis.
    """

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._least = float(effects.v.min())
        self._most = 4 * float(np.mean(effects.y**2)) + float(effects.v.mean())
        length = np.log1p(self._most / self._least)
        # the error falls by this factor with every point
        fall = np.arcsinh(2 * np.pi / length)
        n = int(np.ceil(40 / fall)) + 8
        angle = (np.arange(n) + 0.5) * np.pi / n
        self._points = 0.5 * length * (1 - np.cos(angle))
        self._signs = np.where(np.arange(n) % 2 == 0, 1.0, -1.0) * np.sin(angle)
        shifted = self._least * np.exp(self._points)
        weights = shifted[:, None] / (effects.v - self._least + shifted[:, None])
        self._values = {m: weights**m @ effects.products for m in (1, 2, 3)}

    def at(self, tau2: Floats):  # type: ignore[no-untyped-def]
        """Return a function m → sums with wᵐ, of shape (n, c)."""
        inside = tau2 <= self._most
        place = np.log1p(np.where(inside, tau2, 0.0) / self._least)
        gap = place[:, None] - self._points
        hit = gap == 0
        share = self._signs / np.where(hit, 1.0, gap)
        share = np.where(hit.any(axis=1)[:, None], hit, share)
        share /= share.sum(axis=1, keepdims=True)
        shifted = np.where(inside, tau2, 0.0) + self._least
        beyond = ~inside
        direct = 1 / (self._effects.v + tau2[beyond][:, None])

        def power(m: int) -> Floats:
            sums = share @ self._values[m] / shifted[:, None] ** m
            if beyond.any():
                sums[beyond] = direct**m @ self._effects.products
            return np.asarray(sums)

        return power


def raw_variance(sets: Sets) -> Floats:
    """Mean squared deviation of each set's effects from their mean, moderators apart."""
    effects = sets.effects
    whole = effects.y + effects.basis @ effects.start
    whole = whole - whole.mean()
    total = sets.total(np.column_stack([whole, whole**2])) / sets.count[:, None]
    return np.maximum(total[:, 1] - total[:, 0] ** 2, 0.0)


def plain_sums(sets: Sets, values: Floats) -> Sums:
    """Sums of the products with one weight per effect (k,), over each set."""
    return as_sums(sets.effects, sets.total(values[:, None] * sets.effects.products))
