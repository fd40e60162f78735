"""Estimators of the between-study variance τ², for many sets of effects at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from alliance_stats.engine.pooling.likelihood import maximise
from alliance_stats.engine.pooling.sets import Sets, Subsets, plain_sums, raw_variance
from alliance_stats.engine.pooling.sums import Effects, Solved, invert, solve

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_STEPS = 200


@dataclass(frozen=True)
class Tau2:
    """Estimates of τ² of n sets.

    Parameters
    ----------
    value : ndarray of shape (n,)
        In squared units of the effects, never negative.
    converged : ndarray of bool, shape (n,)
    """

    value: Floats
    converged: Bools


def estimate_tau2(sets: Sets, method: str, start: float | None = None) -> Tau2:
    """Estimate τ² of n sets of effects.

    Parameters
    ----------
    sets : Sets
    method : {"EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM"}
        Equal effects (τ² = 0); DerSimonian & Laird (1986); Hedges & Olkin (1985); Hunter & Schmidt (2004), plain and
        with Brannick et al.'s (2019) factor for few studies; Sidik & Jonkman (2005); maximum and restricted maximum
        likelihood; empirical Bayes (Morris, 1983), which has the same root as Paule & Mandel (1982); their
        median-unbiased variant (Viechtbauer, 2021).
    start : float, optional
        Where likelihoods are climbed from; by default the best of a grid, so that no lower peak is taken.

    Returns
    -------
    Tau2
    """
    spare = (sets.count - sets.effects.p).astype(np.float64)
    n = sets.n
    if method == "EE":
        return Tau2(np.zeros(n), np.ones(n, bool))
    if method in ("ML", "REML"):
        with np.errstate(invalid="ignore"):  # sets without degrees of freedom have no information on τ²
            value, converged = maximise(sets, method == "REML", start)
    elif method in ("EB", "PM", "PMM"):
        some = np.maximum(spare, 1.0)  # sets without degrees of freedom have no root; theirs is not used
        target = chdtri(some, 0.5) if method == "PMM" else some
        value, converged = solve_q(sets, target)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            value, converged = _MOMENTS[method](sets, spare), np.ones(n, bool)
    none = spare <= 0  # one effect (or as many as coefficients) tells nothing about τ²
    return Tau2(np.where(none, 0.0, np.maximum(value, 0.0)), converged | none)


def _dersimonian_laird(sets: Sets, spare: Floats) -> Floats:
    fixed = sets.solve(np.zeros(sets.n))
    return (fixed.q - spare) / fixed.trace_p


def _hedges(sets: Sets, spare: Floats) -> Floats:
    v = sets.effects.v
    plain, spread = plain_sums(sets, np.ones_like(v)), plain_sums(sets, v)
    inverse = invert(plain.xx)
    residual = plain.yy - np.einsum("ni,nij,nj->n", plain.xy, inverse, plain.xy)
    return np.asarray((residual - spread.one + np.einsum("nij,nji->n", inverse, spread.xx)) / spare)


def _hunter_schmidt(sets: Sets, spare: Floats) -> Floats:
    fixed = sets.solve(np.zeros(sets.n))
    return (fixed.q - sets.count) / fixed.first.one


def _hunter_schmidt_few(sets: Sets, spare: Floats) -> Floats:
    fixed = sets.solve(np.zeros(sets.n))
    return (fixed.q * sets.count / spare - sets.count) / fixed.first.one


def _sidik_jonkman(sets: Sets, spare: Floats) -> Floats:
    first = raw_variance(sets)
    return first * sets.solve(first).q / spare


_Moment = Callable[[Sets, Floats], Floats]
_MOMENTS: dict[str, _Moment] = {
    "DL": _dersimonian_laird,
    "HE": _hedges,
    "HS": _hunter_schmidt,
    "HSk": _hunter_schmidt_few,
    "SJ": _sidik_jonkman,
}


def solve_q(sets: Sets, target: Floats) -> tuple[Floats, Bools]:
    """Find the τ² at which q falls to a target; 0 where it is below it already.

    ``1/q`` is nearly linear in τ² (exactly, where all v are equal), so Newton's method is run on it, held inside a
    bracket.

    Returns
    -------
    tau2 : ndarray of shape (n,)
    converged : ndarray of bool, shape (n,)
    """
    tau2 = np.zeros(len(target))
    low, high = np.zeros_like(tau2), np.full_like(tau2, np.inf)
    done = np.zeros(len(target), bool)
    for step in range(_STEPS):
        at = sets.solve(tau2)
        if step == 0:
            done |= ~(at.q > target)  # a root at zero; NaN where the set has no estimate
        low = np.where(at.q > target, np.maximum(low, tau2), low)
        high = np.where(at.q < target, np.minimum(high, tau2), high)
        with np.errstate(divide="ignore", invalid="ignore"):
            move = at.q * (at.q / target - 1) / at.ypp_y
        new = tau2 + move
        outside = (new < low) | (new > high)
        new = np.where(outside, (low + np.where(np.isinf(high), 2 * low + 1, high)) / 2, new)
        before = done | (np.abs(at.q / target - 1) <= 1e-15)
        # a Newton step doubles the digits: after one below 1e-9, all are right
        done = before | (~outside & (np.abs(new - tau2) <= 1e-9 * tau2))
        tau2 = np.where(before, tau2, new)
        if done.all():
            break
    return tau2, done | (np.abs(sets.solve(tau2).q / target - 1) < 1e-10)


def tau2_error(effects: Effects, method: str, tau2: float) -> float:
    """Standard error of an estimate of τ², by its large-sample variance (NaN where none is known).

    References
    ----------
    Viechtbauer (2005), Journal of Educational and Behavioral Statistics, 30, 261-293.
    """
    k, spare = effects.k, effects.k - effects.p
    at: Solved = solve(effects, np.array([tau2]))
    fixed = solve(effects, np.zeros(1))
    trace_p, trace_pp = float(fixed.trace_p[0]), float(fixed.trace_pp[0])
    if method in ("DL", "HS", "HSk"):
        # each is a linear function of q at the weights 1/v, divided by its own constant
        spread = 2 * spare + 4 * tau2 * trace_p + 2 * tau2**2 * trace_pp
        weights = float(fixed.first.one[0])
        divisor = {"DL": trace_p, "HS": weights, "HSk": weights * spare / k}[method]
        return float(np.sqrt(spread) / divisor) if spread >= 0 else float("nan")  # below 0: digits are lost
    if method == "HE":
        return _hedges_error(effects, tau2)
    if method == "SJ":
        return _sidik_jonkman_error(effects, tau2)
    if method == "ML":
        return float(np.sqrt(2 / at.second.one[0]))
    if method == "REML":
        return float(np.sqrt(2 / at.trace_pp[0]))
    if method in ("EB", "PM", "PMM"):
        return float(np.sqrt(2 * k**2 / spare) / at.first.one[0])
    return float("nan")


def _hedges_error(effects: Effects, tau2: float) -> float:
    """Variance of ``y'(I − H)y/(k − p)``: ``2 tr(PVPV) + 4 τ² tr(PV) + 2 τ⁴ tr P`` with P = I − H."""
    spare = effects.k - effects.p
    whole = Subsets(effects)
    once, twice = plain_sums(whole, effects.v), plain_sums(whole, effects.v**2)
    trace = once.one - np.trace(once.xx, axis1=1, axis2=2)  # the basis is orthonormal: (X'X)⁻¹ is the identity
    square = twice.one - 2 * np.trace(twice.xx, axis1=1, axis2=2) + np.einsum("nij,nji->n", once.xx, once.xx)
    return float(np.sqrt(2 * square + 4 * tau2 * trace + 2 * tau2**2 * spare)[0] / spare)


def _sidik_jonkman_error(effects: Effects, tau2: float) -> float:
    """Variance of ``τ₀² y'Py/(k − p)`` with P at the weights 1/(v + τ₀²)."""
    spare = effects.k - effects.p
    first = raw_variance(Subsets(effects))
    at = solve(effects, first)
    # V = W⁻¹ − τ₀² I, so that products with V are products with P
    pvpv = spare - 2 * first * at.trace_p + first**2 * at.trace_pp
    pvp = at.trace_p - first * at.trace_pp
    spread = 2 * pvpv + 4 * tau2 * pvp + 2 * tau2**2 * at.trace_pp
    return float((first * np.sqrt(spread))[0] / spare)
