"""Hunter and Schmidt's moments: mean and variance of ρ, observed, by sampling error, and by artefacts.

References
----------
Schmidt & Hunter (2015), Methods of meta-analysis (3rd ed.): chapter 2 (bare-bones), 3 (individual corrections), 4
(artefact distributions). Callender & Osburn (1980), Journal of Applied Psychology, 65, 543-558 (multiplicative);
Raju & Burke (1983), Journal of Applied Psychology, 68, 382-395 (Taylor series).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.attenuation import Artefacts, attenuate, correct, slopes

Floats = NDArray[np.floating[Any]]

DISTRIBUTIONS = ("taylor", "interactive", "multiplicative")


@dataclass(frozen=True)
class Spread:
    """A weighted mean and what the variance around it is made of.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
        Correlations and their sampling variances, on the scale of the analysis.
    weights : ndarray of shape (k,)
        They add up to 1.
    mean : float
    observed : float
        Variance of the correlations, weighted.
    error : float
        Expected by sampling error.
    artefacts : float
        Expected by differences in artefacts between studies; 0 where each study was corrected by its own.
    """

    y: Floats
    v: Floats
    weights: Floats
    mean: float
    observed: float
    error: float
    artefacts: float = 0.0

    @property
    def k(self) -> int:
        """Correlations."""
        return self.y.size

    @property
    def explained(self) -> float:
        """Variance that sampling error and artefacts account for."""
        return self.error + self.artefacts

    @property
    def unexplained(self) -> float:
        """Variance that is left; below 0 where the correlations vary less than expected."""
        return self.observed - self.explained

    @property
    def residual(self) -> float:
        """The variance that is left, never below 0."""
        return max(self.unexplained, 0.0)

    @property
    def std_error(self) -> float:
        """Standard error of the mean, from the observed variance: ``SD / √k``.

        Where there is none (one correlation, or all the same), from sampling error.
        """
        if self.k == 1 or self.observed <= 1e-24 * max(self.mean**2, 1e-12):
            return float(np.sqrt(self.weights**2 @ self.v))
        return float(np.sqrt(self.observed / self.k))


def spread(y: Floats, v: Floats, weights: Floats, unbiased: bool) -> Spread:
    """Mean, observed variance and expected sampling variance of correlations.

    Parameters
    ----------
    y, v, weights : ndarray of shape (k,)
    unbiased : bool
        Multiply the observed variance by k/(k − 1).
    """
    w = weights / weights.sum()
    mean = float(w @ y)
    observed = float(w @ (y - mean) ** 2)
    if unbiased and y.size > 1:
        observed *= y.size / (y.size - 1)
    return Spread(y, v, w, mean, observed, float(w @ v))


def bare_bones(r: Floats, n: Floats, unbiased: bool = False) -> Spread:
    """Weigh correlations by n; sampling variances are those at the mean, ``(1 − r̄²)² / (n − 1)``."""
    mean = float(n @ r / n.sum())
    return spread(r, (1 - mean**2) ** 2 / (n - 1), n, unbiased)


def individual(r: Floats, n: Floats, of: Artefacts, unbiased: bool = False) -> tuple[Spread, Floats]:
    """Correct each correlation by its own artefacts, weigh by ``n A²``.

    Returns
    -------
    spread : Spread
        Of the corrected correlations.
    factor : ndarray of shape (k,)
        A of each.
    """
    plain = bare_bones(r, n)
    corrected = correct(r, of)
    return (
        spread(corrected.rho, plain.v * corrected.slope**2, n * corrected.factor**2, unbiased),
        corrected.factor,
    )


@dataclass(frozen=True)
class Distribution:
    """Values of an artefact with their shares.

    Parameters
    ----------
    points, shares : ndarray of shape (m,)
        Values and their shares, which add up to 1.
    """

    points: Floats
    shares: Floats

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.shares @ self.points)

    @property
    def variance(self) -> float:
        """Variance over the values as they are."""
        return float(self.shares @ (self.points - self.mean) ** 2)


@dataclass(frozen=True)
class FromDistributions:
    """What artefact distributions make of observed correlations.

    Parameters
    ----------
    observed : Spread
        Of the correlations as observed, with the variance by artefacts.
    rho : float
        Mean corrected by the mean artefacts.
    slope : float
        ``dρ / dr`` there: carries standard deviations of r to ρ.
    means : Artefacts
        The mean artefacts, each of shape (1,).
    factor : float
        ``r̄ / ρ̄``.
    """

    observed: Spread
    rho: float
    slope: float
    means: Artefacts
    factor: float


def distributions(
    plain: Spread, of: Mapping[str, Distribution], kind: str, indirect: bool = False, y_whole: bool = False
) -> FromDistributions:
    """Correct a mean and a variance by distributions of artefacts, taken as independent of each other and of ρ.

    Parameters
    ----------
    plain : Spread
        Bare-bones.
    of : mapping of str to Distribution
        ``"qx"``, ``"qy"``, ``"u"``, as in :class:`Artefacts`.
    kind : {"taylor", "interactive", "multiplicative"}
        First derivatives at the mean artefacts; the variance over all combinations of values; the product of three
        factors, that of direct restriction being ``√(u² + (1 − u²) r̄²)``.
    indirect, y_whole : bool
        As in :class:`Artefacts`.
    """
    if kind == "multiplicative":
        return _multiplicative(plain, of)
    qx, qy, u = (np.array([of[name].mean]) for name in ("qx", "qy", "u"))
    means = Artefacts(qx, qy, u, indirect, y_whole)
    at = correct(np.array([plain.mean]), means)
    rho = float(at.rho[0])
    slope = slopes(rho, means)
    if kind == "interactive":
        artefacts = _over_combinations(rho, of, indirect, y_whole)
    else:
        artefacts = sum(float(getattr(slope, name)[0]) ** 2 * of[name].variance for name in ("qx", "qy", "u"))
    return FromDistributions(_with(plain, artefacts), rho, float(at.slope[0]), means, float(at.factor[0]))


def _multiplicative(plain: Spread, of: Mapping[str, Distribution]) -> FromDistributions:
    u = of["u"]
    restriction = Distribution(np.sqrt(u.points**2 + (1 - u.points**2) * plain.mean**2), u.shares)
    factors = (of["qx"], of["qy"], restriction)
    compound = float(np.prod([factor.mean for factor in factors]))
    relative = sum(factor.variance / factor.mean**2 for factor in factors)
    means = Artefacts(np.array([of["qx"].mean]), np.array([of["qy"].mean]), np.array([u.mean]))
    artefacts = plain.mean**2 * float(relative)
    return FromDistributions(_with(plain, artefacts), plain.mean / compound, 1 / compound, means, compound)


def _over_combinations(rho: float, of: Mapping[str, Distribution], indirect: bool, y_whole: bool) -> float:
    """Variance of the observed correlation over all combinations of the artefacts' values."""
    qx, qy, u = (_gathered(of[name]) for name in ("qx", "qy", "u"))
    shares = np.outer(qx.shares, u.shares)

    def observed(value: float) -> Floats:
        cells = Artefacts(qx.points[:, None], np.array(value), u.points[None, :], indirect, y_whole)
        return attenuate(rho, cells)

    middle = float(observed(qy.points[0])[0, 0])  # squares around one of the values do not cancel
    mean = squares = 0.0
    for value, share in zip(qy.points, qy.shares, strict=True):
        away = observed(value) - middle
        mean += share * float((shares * away).sum())
        squares += share * float((shares * away**2).sum())
    return max(squares - mean**2, 0.0)


def _gathered(of: Distribution) -> Distribution:
    """Values that come several times, once with all their share."""
    values, place = np.unique(of.points, return_inverse=True)
    return Distribution(values, np.bincount(place, of.shares).astype(np.float64))


def _with(plain: Spread, artefacts: float) -> Spread:
    return Spread(plain.y, plain.v, plain.weights, plain.mean, plain.observed, plain.error, float(artefacts))
