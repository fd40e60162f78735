"""Location–scale models: what predicts the effects, and what predicts how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_STEPS = 200


@dataclass(frozen=True)
class LocationScale:
    """Estimates of a location–scale model, ``log τ²_i = z_i'α``.

    Parameters
    ----------
    beta, alpha : ndarray of shape (p,), (q,)
        Of the effects, and of the logarithm of τ².
    beta_covariance, alpha_covariance : ndarray
        From the inverse information; of α the observed one.
    tau2 : ndarray of shape (k,)
        τ² of each effect.
    log_likelihood : float
    converged : bool
    """

    beta: Floats
    alpha: Floats
    beta_covariance: Floats
    alpha_covariance: Floats
    tau2: Floats
    log_likelihood: float
    converged: bool


@dataclass(frozen=True)
class _Point:
    """The likelihood at one α."""

    value: float
    slope: Floats
    information: Floats
    beta: Floats
    covariance: Floats
    tau2: Floats


def fit_location_scale(y: Floats, v: Floats, x: Floats, z: Floats, restricted: bool = True) -> LocationScale:
    """Fit ``y_i ~ N(x_i'β, v_i + exp(z_i'α))``.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
    x : ndarray of shape (k, p)
    z : ndarray of shape (k, q)
        Predictors of log τ², with a column of ones.
    restricted : bool
        REML or ML.

    Notes
    -----
    Newton's method with the observed information, or the expected one where it is not positive definite; steps are
    halved until the likelihood rises.

    References
    ----------
    Viechtbauer & López-López (2022), Research Synthesis Methods, 13, 697-715.
    """
    basis, triangle = np.linalg.qr(z)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    first = max(float(np.mean(residual**2) - np.mean(v)), 0.1 * float(np.mean(residual**2)))
    target = np.full(len(y), np.log(max(first, 1e-3 * float(v.min()))))
    alpha = basis.T @ target
    at = _evaluate(y, v, x, basis, alpha, restricted)
    converged = False
    for _ in range(_STEPS):
        step = _newton_step(at)
        # beyond e^10 in one step the logarithm says nothing
        step *= min(1.0, 10.0 / max(float(np.abs(basis @ step).max()), 1e-300))
        if float(np.abs(at.slope @ step)) < 1e-16 * max(1.0, abs(at.value)):
            converged = True
            break
        size, tried = 1.0, _evaluate(y, v, x, basis, alpha + step, restricted)
        while not tried.value >= at.value - 1e-13 * abs(at.value) and size > 1e-6:
            size /= 2
            tried = _evaluate(y, v, x, basis, alpha + size * step, restricted)
        alpha, at = alpha + size * step, tried
    # where τ² runs to 0 the likelihood is flat in α and has no peak
    converged = converged and float(at.tau2.max()) > 1e-10 * float(v.min())
    back = np.linalg.inv(triangle)
    return LocationScale(
        at.beta,
        back @ alpha,
        at.covariance,
        back @ np.linalg.pinv(at.information) @ back.T,
        at.tau2,
        at.value,
        converged,
    )


def _newton_step(at: _Point) -> Floats:
    values, vectors = np.linalg.eigh(at.information)
    # a direction in which the likelihood bends upwards is climbed, not descended
    safe = np.maximum(np.abs(values), 1e-8 * np.abs(values).max() + 1e-300)
    return np.asarray(vectors @ ((vectors.T @ at.slope) / safe))


def _evaluate(y: Floats, v: Floats, x: Floats, z: Floats, alpha: Floats, restricted: bool) -> _Point:
    """Value, slope and observed information over α, from sums over effects."""
    k, p = x.shape
    tau2 = np.exp(np.clip(z @ alpha, -700, 300))
    w = 1 / (v + tau2)
    gram = np.linalg.inv((x * w[:, None]).T @ x)
    beta = gram @ (x.T @ (w * y))
    residual = y - x @ beta
    e = w * residual  # Py
    value = -0.5 * ((k - p * restricted) * np.log(2 * np.pi) - np.log(w).sum() + residual @ e)
    hat = np.einsum("ij,jk,ik->i", x, gram, x)
    trace = w - w**2 * hat if restricted else w  # diagonal of P, or of W
    if restricted:
        value += 0.5 * (np.linalg.slogdet(x.T @ x)[1] + np.linalg.slogdet(gram)[1])
    # dV/dα_a = diag(d z_a) with d = τ²; the second derivative is diag(d z_a z_b)
    d = tau2
    slope = 0.5 * z.T @ (d * (e**2 - trace))
    turned = z * (d * e)[:, None]  # V_a Py
    weighted = w[:, None] * turned
    projected = weighted - (w[:, None] * x) @ gram @ (x.T @ weighted)  # P V_a P y
    information = turned.T @ projected - 0.5 * (z * (d * (e**2 - trace))[:, None]).T @ z
    scaled = z * (d * w)[:, None]
    square = scaled.T @ scaled
    if restricted:
        inner = np.einsum("ia,ij,ik->ajk", z * (d * w**2)[:, None], x, x) @ gram
        twice = np.einsum(
            "ia,ib,ij,jk,ik->ab", z * (d * w)[:, None], z * (d * w**2)[:, None], x, gram, x, optimize=True
        )
        square = square - 2 * twice + np.einsum("ajk,bkj->ab", inner, inner)
    return _Point(float(value), slope, information - 0.5 * square, beta, gram, tau2)
