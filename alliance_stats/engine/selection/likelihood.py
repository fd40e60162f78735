"""Log-likelihood of a selection model, with its exact gradient and Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.selection.weight_functions import WeightFunction

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Problem:
    """Effects of published studies.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
    x : ndarray of shape (k, p)
    weights : WeightFunction
        How likely a result is to be published.
    counts : ndarray of shape (k,), optional
        How often each effect counts (for the bootstrap); once by default.
    """

    y: Floats
    v: Floats
    x: Floats
    weights: WeightFunction
    counts: Floats | None = None

    @property
    def p(self) -> int:
        """Coefficients."""
        return self.x.shape[1]


@dataclass(frozen=True)
class Point:
    """Value, gradient and Hessian at parameters (β, τ², δ)."""

    theta: Floats
    value: float
    gradient: Floats
    hessian: Floats


# far off, densities and probabilities vanish together: such points have no likelihood, and no climb ends there
@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def evaluate(of: Problem, theta: Floats) -> Point:
    """Evaluate the log-likelihood ``Σ log w(pᵢ) + log f(yᵢ; xᵢβ, vᵢ + τ²) − log Aᵢ``.

    Parameters
    ----------
    of : Problem
    theta : ndarray of shape (p + 1 + d,)
        Coefficients, τ², parameters of the weight function.

    References
    ----------
    Hedges (1992), Statistical Science, 7, 246-255; Vevea & Hedges (1995), Psychometrika, 60, 419-435.
    """
    p = of.p
    beta, tau2, delta = theta[:p], theta[p], theta[p + 1 :]
    spread = of.v + tau2
    mu, s = of.x @ beta, np.sqrt(spread)
    own = of.weights.log_own(delta)
    log_a, slope_a, bend_a = _log_probability(of.weights, mu, s, delta)
    r = of.y - mu
    log_f = -0.5 * np.log(2 * np.pi * spread) - 0.5 * r**2 / spread
    counts = np.ones(r.size) if of.counts is None else of.counts
    taken = counts > 0
    value = float(counts[taken] @ (own.value + log_f - log_a)[taken])
    # inner parameters of each effect: its mean, its variance, δ
    inner = np.empty((r.size, 2 + delta.size))
    inner[:, 0] = r / spread
    inner[:, 1] = 0.5 * (r**2 / spread - 1) / spread
    inner[:, 2:] = own.gradient
    bend = np.zeros((r.size, 2 + delta.size, 2 + delta.size))
    bend[:, 0, 0] = -1 / spread
    bend[:, 0, 1] = bend[:, 1, 0] = -r / spread**2
    bend[:, 1, 1] = (0.5 - r**2 / spread) / spread**2
    bend[:, 2:, 2:] = own.hessian
    inner, bend = (inner - slope_a)[taken], (bend - bend_a)[taken]
    c, x = counts[taken], of.x[taken]
    gradient = np.concatenate([x.T @ (c * inner[:, 0]), c @ inner[:, 1:]])
    hessian = np.empty((theta.size, theta.size))
    hessian[:p, :p] = (x * (c * bend[:, 0, 0])[:, None]).T @ x
    hessian[:p, p:] = x.T @ (c[:, None] * bend[:, 0, 1:])
    hessian[p:, :p] = hessian[:p, p:].T
    hessian[p:, p:] = np.einsum("k,kij->ij", c, bend[:, 1:, 1:])
    usable = np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()
    return Point(theta, value if usable else -np.inf, gradient, hessian)


def _log_probability(weights: WeightFunction, mu: Floats, s: Floats, delta: Floats) -> tuple[Floats, Floats, Floats]:
    """``log Aᵢ`` with its gradient (k, 2 + d) and Hessian in (μ, s², δ)."""
    cells = weights.at_cells(delta)
    raw, log_scale = weights.integrals(mu, s)
    integrals = raw / (s ** np.arange(5)[:, None])[:, :, None]
    a = integrals @ cells.value  # (5, k): derivatives in μ
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = a[1:] / a[0]
        by_delta = (integrals[:3] @ cells.gradient) / a[0][None, :, None]  # (3, k, d)
        twice = np.tensordot(integrals[0], cells.hessian, axes=1) / a[0][:, None, None]
        log_a = np.log(a[0]) + log_scale
    d = delta.size
    slope = np.empty((mu.size, 2 + d))
    slope[:, 0], slope[:, 1], slope[:, 2:] = ratio[0], ratio[1] / 2, by_delta[0]
    second = np.empty((mu.size, 2 + d, 2 + d))
    second[:, 0, 0], second[:, 1, 1] = ratio[1], ratio[3] / 4
    second[:, 0, 1] = second[:, 1, 0] = ratio[2] / 2
    second[:, 0, 2:] = second[:, 2:, 0] = by_delta[1]
    second[:, 1, 2:] = second[:, 2:, 1] = by_delta[2] / 2
    second[:, 2:, 2:] = twice
    with np.errstate(invalid="ignore", over="ignore"):
        return log_a, slope, second - slope[:, :, None] * slope[:, None, :]
