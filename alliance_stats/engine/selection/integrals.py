"""Integrals of Hermite polynomials over a normal density: all derivatives of a selection probability are sums of them.

The probability that a study with mean μ and variance s² is published is ``A(μ, s²) = ∫ w(y) f(y; μ, s²) dy``. Since
``∂ᵏf/∂μᵏ = Heₖ(u) s⁻ᵏ f`` with ``u = (y − μ)/s``, and ``∂f/∂s² = ½ ∂²f/∂μ²``, integrals of ``w Heₖ f`` for k = 0, …, 4
give A with its exact gradient and Hessian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

Floats = NDArray[np.floating[Any]]

#: Highest derivative in μ that the Hessian needs.
ORDER = 4
_PANEL = 0.5
_NODES = 10
_GROWTH = 3.0
#: Beyond this the density is 0 in double precision.
_GONE = 39.0


def interval_integrals(low: Floats, high: Floats) -> Floats:
    """Integrate ``Heₖ(u) φ(u)``, k = 0, …, 4, over intervals.

    Parameters
    ----------
    low, high : ndarray
        Ends of the intervals in units of u; infinite ends are allowed.

    Returns
    -------
    ndarray of shape (5, …)
    """
    right = low > 0  # far in the right tail, differences of Φ would cancel
    mass = np.where(right, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return np.stack([mass, *(at_low - at_high for at_low, at_high in zip(_ends(low), _ends(high), strict=True))])


def _ends(u: Floats) -> list[Floats]:
    """``Heₖ(u) φ(u)`` for k = 0, …, 3; 0 at infinite ends."""
    near = np.abs(u) < _GONE
    finite = np.where(near, u, 0.0)
    density = np.where(near, np.exp(-0.5 * finite**2) / np.sqrt(2 * np.pi), 0.0)
    return [density, finite * density, (finite**2 - 1) * density, (finite**3 - 3 * finite) * density]


def tail_integrals(low: Floats) -> tuple[Floats, Floats]:
    """Integrate ``Heₖ(u) φ(u)``, k = 0, …, 4, from ``low`` to infinity, however far out.

    Returns
    -------
    scaled : ndarray of shape (5, …)
        The integrals over ``exp(log_scale)``, which does not vanish where they do.
    log_scale : ndarray
    """
    far = low > 0
    out = np.where(far, low, 0.0)
    log_scale = np.where(far, -0.5 * out**2 - 0.5 * np.log(2 * np.pi), 0.0)
    mass = np.where(far, np.sqrt(np.pi / 2) * erfcx(out / np.sqrt(2)), ndtr(-low))
    density = np.where(far, 1.0, np.exp(-0.5 * np.where(far, 0.0, low) ** 2) / np.sqrt(2 * np.pi))
    ends = [density, low * density, (low**2 - 1) * density, (low**3 - 3 * low) * density]
    return np.stack([mass, *ends]), log_scale


def node_integrals(u: Floats, mass: Floats) -> Floats:
    """``Heₖ(u) φ(u)`` times quadrature weights ``mass`` at nodes u, k = 0, …, 4; shape (5, …)."""
    square = u**2
    density = np.exp(-0.5 * square) / np.sqrt(2 * np.pi) * mass
    return np.stack(
        [
            density,
            u * density,
            (square - 1) * density,
            (square - 3) * u * density,
            (square * (square - 6) + 3) * density,
        ]
    )


def panel_nodes(end: float, near: float = 0.0) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights on (−end, end), in short panels that meet at 0.

    Parameters
    ----------
    end : float
    near : float
        Where a power of |z| begins (0 where there is none): from there panels grow by a factor, so that each sees a
        smooth function.
    """
    n = int(np.ceil(end / _PANEL))
    edges = np.linspace(0.0, end, n + 1)
    if near > 0:
        steps = int(np.ceil(np.log(edges[1] / near) / np.log(_GROWTH)))
        edges = np.concatenate([[0.0], np.geomspace(near, edges[1], steps + 1), edges[2:]])
    at, mass = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges) / 2
    nodes = ((edges[:-1] + edges[1:]) / 2)[:, None] + half[:, None] * at
    weights = (half[:, None] * mass).ravel()
    return np.concatenate([-nodes.ravel()[::-1], nodes.ravel()]), np.concatenate([weights[::-1], weights])
