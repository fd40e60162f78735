"""Weight functions: how likely a result is to be published, given its p value.

Each function answers two questions: the integrals over what might have been observed (with the function's value and
derivatives at cells or nodes), and the weight of what was observed. p values are ``Φ(−z)`` with z = y/√v, or two-sided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, log_expit, log_ndtr, ndtri

from alliance_stats.engine.selection.integrals import interval_integrals, node_integrals, panel_nodes, tail_integrals

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

#: Parameters of weight functions stay below this; a weight there is not identified.
LARGEST = 100.0
#: p values are held inside (this, 1 − this). Beta weights are infinite at the ends, and power weights 0, so that single
#: extreme results would decide without a coarser limit.
_CLAMP, _CLAMP_COARSE = 1e-16, 1e-5


class Weighted(NamedTuple):
    """A function of d parameters at n places: value (n,), gradient (n, d) and Hessian (n, d, d)."""

    value: Floats
    gradient: Floats
    hessian: Floats


class WeightFunction(Protocol):
    """What the likelihood needs of a weight function."""

    @property
    def lower(self) -> Floats:
        """Lower bounds of the parameters (d,)."""

    @property
    def starts(self) -> tuple[Floats, ...]:
        """Where to climb from."""

    def integrals(self, mu: Floats, s: Floats) -> tuple[Floats, Floats | float]:
        """Integrals of Heₖ over each effect's density, (5, k, n), n cells or nodes, and the log of their scale (k,)."""

    def at_cells(self, delta: Floats) -> Weighted:
        """Weights at cells or nodes."""

    def log_own(self, delta: Floats) -> Weighted:
        """Logarithms of the weights of the observed effects."""


def z_limits(steps: Floats) -> Floats:
    """Where one-sided p values fall to each step: z decreasing as p grows; the last step is 1."""
    return np.append(-ndtri(steps[:-1]), -np.inf)


@dataclass(frozen=True)
class StepWeights:
    """Constant weights between steps of the p value; the first interval weighs 1 unless all weights are given.

    Parameters
    ----------
    z, v : ndarray of shape (k,)
        ``y/√v`` and sampling variances.
    steps : ndarray of shape (J,)
        Upper ends of the intervals of p, rising, the last 1.
    two_sided : bool
    given : ndarray of shape (J,), optional
        Weights, where they are not estimated.
    """

    z: Floats
    v: Floats
    steps: Floats
    two_sided: bool = False
    given: Floats | None = None

    @property
    def lower(self) -> Floats:
        """Weights are not negative."""
        return np.zeros(0 if self.given is not None else self.steps.size - 1)

    @property
    def starts(self) -> tuple[Floats, ...]:
        """No selection, and strong selection."""
        n = self.lower.size
        return (np.ones(n), np.full(n, 0.2)) if n else (np.ones(0),)

    @cached_property
    def interval(self) -> Ints:
        """Interval of each effect."""
        p = p_values(self.z, self.two_sided)
        return np.minimum(np.searchsorted(self.steps, p, side="left"), self.steps.size - 1)

    @property
    def counts(self) -> Ints:
        """Effects in each interval."""
        return np.bincount(self.interval, minlength=self.steps.size)

    def integrals(self, mu: Floats, s: Floats) -> tuple[Floats, float]:
        """Integrals over each interval."""
        root = np.sqrt(self.v)[:, None]
        if self.two_sided:
            edges = np.append(np.inf, z_limits(np.append(self.steps[:-1] / 2, 1.0)))
            edges[-1] = 0.0  # p = 1 at z = 0
            right = _over(edges[None, 1:], edges[None, :-1], root, mu, s)
            return right + _over(-edges[None, :-1], -edges[None, 1:], root, mu, s), 0.0
        edges = np.append(np.inf, z_limits(self.steps))
        return _over(edges[None, 1:], edges[None, :-1], root, mu, s), 0.0

    def at_cells(self, delta: Floats) -> Weighted:
        """Weights of the intervals."""
        n, d = self.steps.size, self.lower.size
        value = self.given if self.given is not None else np.append(1.0, delta)
        return Weighted(value, np.eye(n)[:, n - d :], np.zeros((n, d, d)))

    def log_own(self, delta: Floats) -> Weighted:
        """Logarithms of the effects' own weights."""
        cells = self.at_cells(delta)
        own = cells.value[self.interval]
        gradient = cells.gradient[self.interval] / np.where(own > 0, own, 1.0)[:, None]
        with np.errstate(divide="ignore"):
            value = np.log(own)
        return Weighted(value, gradient, -gradient[:, :, None] * gradient[:, None, :])


@dataclass(frozen=True)
class OwnSide:
    """Condition each effect on its own side of the level of significance: p-uniform* estimates no weights.

    Parameters
    ----------
    z, v : ndarray of shape (k,)
    alpha : float
        One-sided level.

    References
    ----------
    van Aert & van Assen (2018), MetaArXiv, doi:10.31222/osf.io/zqjr9.
    """

    z: Floats
    v: Floats
    alpha: float

    @property
    def lower(self) -> Floats:
        """No parameters."""
        return np.zeros(0)

    @property
    def starts(self) -> tuple[Floats, ...]:
        """One, of no parameters."""
        return (np.zeros(0),)

    @cached_property
    def significant(self) -> NDArray[np.bool_]:
        """On which side each effect is."""
        return np.asarray(self.z >= -ndtri(self.alpha))

    def integrals(self, mu: Floats, s: Floats) -> tuple[Floats, Floats]:
        """Integrals over the side on which each effect fell; they may be far out in the tail."""
        side = np.where(self.significant, 1.0, -1.0)
        scaled, log_scale = tail_integrals(side * (-ndtri(self.alpha) * np.sqrt(self.v) - mu) / s)
        # the left tail is the right one mirrored, and Heₖ is odd for odd k
        return (scaled * side ** np.arange(5)[:, None])[:, :, None], log_scale

    def at_cells(self, delta: Floats) -> Weighted:
        """Weight 1."""
        return Weighted(np.ones(1), np.zeros((1, 0)), np.zeros((1, 0, 0)))

    def log_own(self, delta: Floats) -> Weighted:
        """Weight 1."""
        k = self.z.size
        return Weighted(np.zeros(k), np.zeros((k, 0)), np.zeros((k, 0, 0)))


@dataclass(frozen=True)
class SmoothWeights:
    """Weights that fall smoothly with p.

    Parameters
    ----------
    z, v : ndarray of shape (k,)
    kind : {"beta", "halfnorm", "negexp", "logistic", "power"}
        ``p^(δ₁−1) (1−p)^(δ₂−1)``; ``exp(−δp²)``; ``exp(−δp)``; ``2 exp(−δp)/(1 + exp(−δp))``; ``(1−p)^δ``.
    two_sided : bool

    References
    ----------
    Citkowicz & Vevea (2017), Psychological Methods, 22, 28-41 (beta); Preston, Ashby & Smyth (2004), Journal of
    Evaluation in Clinical Practice, 10, 313-322 (half-normal, negative exponential, logistic).
    """

    z: Floats
    v: Floats
    kind: str
    two_sided: bool = False

    @property
    def lower(self) -> Floats:
        """Lower bounds of the parameters."""
        return np.full(2, 1e-5) if self.kind == "beta" else np.zeros(1)

    @property
    def starts(self) -> tuple[Floats, ...]:
        """Weak and strong selection."""
        if self.kind == "beta":
            return np.array([1.0, 1.0]), np.array([0.4, 1.0]), np.array([1.0, 3.0])
        return np.array([0.2]), np.array([2.0]), np.array([8.0])

    @property
    def clamp(self) -> float:
        """P values are held inside (clamp, 1 − clamp)."""
        return _CLAMP_COARSE if self.kind in ("beta", "power") else _CLAMP

    @cached_property
    def _end(self) -> float:
        return float(-ndtri(self.clamp / 2 if self.two_sided else self.clamp))

    @cached_property
    def _nodes(self) -> tuple[Floats, Floats]:
        # two-sided, 1 − p is proportional to |z| near 0: powers of it have no derivative there
        near = self.clamp * np.sqrt(np.pi / 2) if self.two_sided and self.clamp == _CLAMP_COARSE else 0.0
        return panel_nodes(self._end, float(near))

    def integrals(self, mu: Floats, s: Floats) -> tuple[Floats, float]:
        """Integrals at quadrature nodes, and over the two tails in which the weight is constant."""
        nodes, mass = self._nodes
        ratio = np.sqrt(self.v) / s
        inner = node_integrals(nodes * ratio[:, None] - (mu / s)[:, None], mass * ratio[:, None])
        low, high = np.array([[-np.inf, self._end]]), np.array([[-self._end, np.inf]])
        tails = _over(low, high, np.sqrt(self.v)[:, None], mu, s)
        return np.concatenate([tails, inner], axis=2), 0.0

    def at_cells(self, delta: Floats) -> Weighted:
        """Weights in the tails and at the nodes."""
        places = np.concatenate([[-self._end, self._end], self._nodes[0]])
        log, slope, bend = self._log(places, delta)
        value = np.exp(log)
        gradient = value[:, None] * slope
        hessian = value[:, None, None] * (slope[:, :, None] * slope[:, None, :] + bend)
        return Weighted(value, gradient, hessian)

    def log_own(self, delta: Floats) -> Weighted:
        """Logarithms of the effects' own weights."""
        return self._log(np.clip(self.z, -self._end, self._end), delta)

    def _log(self, z: Floats, delta: Floats) -> Weighted:
        return Weighted(*_KINDS[self.kind](*_log_p(z, self.two_sided, self.clamp), delta))


def _over(low: Floats, high: Floats, root: Floats, mu: Floats, s: Floats) -> Floats:
    """Integrals over intervals of z, carried to units of u."""
    carry = lambda z: (z * root - mu[:, None]) / s[:, None]  # noqa: E731
    return interval_integrals(carry(low), carry(high))


def p_values(z: Floats, two_sided: bool) -> Floats:
    """P values of z, one- or two-sided."""
    return np.exp(log_ndtr(-np.abs(z))) * 2 if two_sided else np.exp(log_ndtr(-z))


def _log_p(z: Floats, two_sided: bool, clamp: float) -> tuple[Floats, Floats]:
    """``log p`` and ``log(1 − p)``, not below log of the clamp."""
    if two_sided:
        with np.errstate(divide="ignore"):
            pair = np.log(2) + log_ndtr(-np.abs(z)), np.log(erf(np.abs(z) / np.sqrt(2)))
    else:
        pair = log_ndtr(-z), log_ndtr(z)
    return np.maximum(pair[0], np.log(clamp)), np.maximum(pair[1], np.log(clamp))


def _linear(basis: Sequence[Floats], value: Floats) -> tuple[Floats, Floats, Floats]:
    """A logarithm that is linear in the parameters: its gradient is the basis."""
    gradient = np.stack(basis, axis=1)
    return value, gradient, np.zeros((*gradient.shape, len(basis)))


_Logs = tuple[Floats, Floats, Floats]


def _beta(log_p: Floats, log_q: Floats, delta: Floats) -> _Logs:
    return _linear([log_p, log_q], (delta[0] - 1) * log_p + (delta[1] - 1) * log_q)


def _halfnorm(log_p: Floats, log_q: Floats, delta: Floats) -> _Logs:
    square = np.exp(2 * log_p)
    return _linear([-square], -delta[0] * square)


def _negexp(log_p: Floats, log_q: Floats, delta: Floats) -> _Logs:
    p = np.exp(log_p)
    return _linear([-p], -delta[0] * p)


def _power(log_p: Floats, log_q: Floats, delta: Floats) -> _Logs:
    return _linear([log_q], delta[0] * log_q)


def _logistic(log_p: Floats, log_q: Floats, delta: Floats) -> _Logs:
    p = np.exp(log_p)
    share = expit(delta[0] * p)
    value = np.log(2) + log_expit(-delta[0] * p)
    return value, (-p * share)[:, None], (-(p**2) * share * (1 - share))[:, None, None]


_KINDS: dict[str, Callable[[Floats, Floats, Floats], _Logs]] = {
    "beta": _beta,
    "halfnorm": _halfnorm,
    "negexp": _negexp,
    "logistic": _logistic,
    "power": _power,
}
KINDS = tuple(_KINDS)


def weight_curve(function: WeightFunction, p: Floats, delta: Floats) -> Floats:
    """Weights at p values (two-sided ones, where the function is of these)."""
    from dataclasses import replace

    if isinstance(function, OwnSide):
        return np.ones_like(p)
    assert isinstance(function, StepWeights | SmoothWeights)
    z = -ndtri(p / 2) if function.two_sided else -ndtri(p)
    return np.exp(replace(function, z=z, v=np.ones_like(p)).log_own(delta).value)
