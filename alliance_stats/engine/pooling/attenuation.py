"""How measurement error and range restriction shrink a correlation, and the way back.

All of it is made of one function, ``f(R, u) = u R / √(1 + (u² − 1) R²)``: the correlation R of a whole population in a
group whose standard deviation of x is u times that of the population (Thorndike's Case II). ``f(·, 1/u)`` is the way
back, and ``f(q, u)`` also carries q = √reliability from the whole population to the group.

With direct restriction, people are selected on the observed x: ``r = q_y f(ρ q_x, u)``. With indirect restriction they
are selected on the true x or what goes with it (Case IV): ``r = q_y f(q_x, u) f(ρ, u)``. q_x is that of the whole
population. Where q_y is that of the whole population too, it stands inside f, beside ρ. Without restriction u = 1.

References
----------
Hunter, Schmidt & Le (2006), Journal of Applied Psychology, 91, 594-612; Schmidt & Hunter (2015), Methods of
meta-analysis (3rd ed.), chapters 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Artefacts:
    """Artefacts of studies, or one of each.

    Parameters
    ----------
    qx : ndarray of shape (k,)
        Square root of the reliability of x in the whole population.
    qy : ndarray of shape (k,)
        Square root of the reliability of y.
    u : ndarray of shape (k,)
        Standard deviation of x in the study over that of the whole population: of observed scores where ``indirect`` is
        False, of true scores where it is True.
    indirect : bool
    y_whole : bool
        ``qy`` is that of the whole population, not of the restricted group.
    """

    qx: Floats
    qy: Floats
    u: Floats
    indirect: bool = False
    y_whole: bool = False


def restrict(r: Floats, u: Floats) -> Floats:
    """Carry a correlation of the whole population to a group with u times its standard deviation of x."""
    return np.asarray(u * r / np.sqrt(1 + (u**2 - 1) * r**2))


def attenuate(rho: Floats | float, of: Artefacts) -> Floats:
    """Correlation that is observed where the true scores of the whole population correlate by ρ."""
    inside = rho * of.qy if of.y_whole else np.asarray(rho)
    outside = 1.0 if of.y_whole else of.qy
    if of.indirect:
        return outside * restrict(of.qx, of.u) * restrict(inside, of.u)
    return outside * restrict(inside * of.qx, of.u)


@dataclass(frozen=True)
class Slopes:
    """Derivatives of the observed correlation, at ρ and artefacts."""

    rho: Floats
    qx: Floats
    qy: Floats
    u: Floats


def slopes(rho: Floats | float, of: Artefacts) -> Slopes:
    """Derivatives of :func:`attenuate`."""
    inside: Floats = rho * of.qy if of.y_whole else np.asarray(rho, float)
    outside: Floats = np.ones_like(of.qy) if of.y_whole else of.qy
    plain: Floats
    by: Floats
    by_u: Floats
    if of.indirect:
        q, q_q, q_u = _restricted(of.qx, of.u)
        t, t_t, t_u = _restricted(inside, of.u)
        by_inside, by_qx = outside * q * t_t, outside * q_q * t
        by_u, plain = outside * (q_u * t + q * t_u), q * t
    else:
        plain, by, by_u = _restricted(inside * of.qx, of.u)
        by_inside, by_qx, by_u = outside * by * of.qx, outside * by * inside, outside * by_u
    if of.y_whole:
        return Slopes(by_inside * of.qy, by_qx, by_inside * rho, by_u)
    return Slopes(by_inside, by_qx, plain, by_u)


def _restricted(r: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
    """``f(R, u)`` and its derivatives over R and u."""
    root = np.sqrt(1 + (u**2 - 1) * r**2)
    return u * r / root, u / root**3, r * (1 - r**2) / root**3


@dataclass(frozen=True)
class Corrected:
    """Corrected correlations.

    Parameters
    ----------
    rho : ndarray of shape (k,)
        NaN where no correlation of the whole population could have led to what was observed.
    factor : ndarray of shape (k,)
        Compound attenuation ``A = r / ρ`` (its limit where r = 0).
    slope : ndarray of shape (k,)
        ``dρ / dr``. Without range restriction it is 1/A; with it the correction is no straight line.
    """

    rho: Floats
    factor: Floats
    slope: Floats


def correct(r: Floats | float, of: Artefacts) -> Corrected:
    """Correct correlations for artefacts: the inverse of :func:`attenuate`.

    Parameters
    ----------
    r : ndarray of shape (k,)
    of : Artefacts

    Returns
    -------
    Corrected
    """
    # what shrinks the correlation after the restriction is undone before it
    after = np.ones_like(of.qy) if of.y_whole else of.qy
    before = of.qy if of.y_whole else np.ones_like(of.qy)
    if of.indirect:
        after = after * restrict(of.qx, of.u)
    else:
        before = before * of.qx
    within = r / after
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(1 + (1 / of.u**2 - 1) * within**2)
        factor = after * before * of.u * root
        slope = 1 / (factor * root**2)
        return Corrected(within / (of.u * root * before), factor, slope)


def whole_reliability(restricted: Floats, u: Floats) -> Floats:
    """Reliability of x in the whole population from that in the restricted group.

    The error variance is the same in both, so ``r_a = 1 − u² (1 − r_i)`` with u of observed scores.
    """
    return np.asarray(1 - u**2 * (1 - restricted))


def true_ratio(u: Floats, reliability: Floats) -> Floats:
    """Ratio of the standard deviations of true scores from that of observed ones and the reliability in the whole.

    Returns
    -------
    ndarray
        NaN where the restricted group would have less variance than error alone.
    """
    with np.errstate(invalid="ignore"):
        return np.sqrt((u**2 - (1 - reliability)) / reliability)
