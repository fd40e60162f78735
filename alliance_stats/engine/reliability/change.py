"""Reliable change and cutoffs: which differences are more than noise, and on which side they end.

Every method asks where the post score would be expected without change, ``intercept + slope × pre``, and divides the
distance from there by a standard error.

References
----------
Jacobson & Truax (1991), Journal of Consulting and Clinical Psychology, 59, 12-19. Hsu (1989), Behavioral Assessment,
11, 459-467 (after Gulliksen, Lord and Novick). Speer (1992), Journal of Consulting and Clinical Psychology, 60,
402-408 (after Edwards and Nunnally). Hageman & Arrindell (1999), Behaviour Research and Therapy, 37, 1169-1193.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alliance_stats.errors import DesignError

Floats = NDArray[np.float64]
Method = Literal["jacobson-truax", "gulliksen-lord-novick", "edwards-nunnally", "hageman-arrindell"]
CutoffKind = Literal["a", "b", "c"]

#: Quantiles of the standard normal distribution: change in either direction, and in one.
_TWO_SIDED, _ONE_SIDED = 0.975, 0.95


@dataclass(frozen=True)
class ChangeRule:
    """Where the post score lies without change, and its standard error.

    Parameters
    ----------
    intercept, slope : float
        Of the expected post score over the pre score.
    error : float
        Standard error that the distance is divided by, in points.
    criterion : float
        Beyond it (in absolute value) a change is reliable.
    inclusive : bool
        Whether a change that equals the criterion is reliable.
    """

    intercept: float
    slope: float
    error: float
    criterion: float
    inclusive: bool = False

    def index(self, pre: Floats, post: Floats) -> Floats:
        """The reliable-change index of each pair of scores."""
        return (post - self.expected(pre)) / self.error

    def expected(self, pre: Floats) -> Floats:
        """Post score expected without change."""
        return self.intercept + self.slope * pre

    @property
    def half_width(self) -> float:
        """Points around the expected score within which a change is not reliable."""
        return self.criterion * self.error

    def beyond(self, index: Floats) -> NDArray[np.bool_]:
        """Which changes are reliable."""
        size = np.abs(index)
        return size >= self.criterion if self.inclusive else size > self.criterion


def two_sided_criterion() -> float:
    """1.96: change in either direction at 5 %."""
    from scipy.special import ndtri

    return float(ndtri(_TWO_SIDED))


def one_sided_criterion() -> float:
    """1.645: change in one direction at 5 %."""
    from scipy.special import ndtri

    return float(ndtri(_ONE_SIDED))


def points_rule(points: float) -> ChangeRule:
    """Rule of a measure that publishes how many points are a reliable change."""
    return ChangeRule(0.0, 1.0, points, 1.0, inclusive=True)


def change_rule(
    method: Method, reliability: float, sd: float, pre: Floats, post: Floats, criterion: float | None = None
) -> ChangeRule:
    """Make the rule of a method.

    Parameters
    ----------
    method : str
    reliability : float
        Of the score, between 0 and 1.
    sd : float
        Standard deviation of the scores that the reliability belongs to, in points.
    pre, post : ndarray of shape (n,)
        Scores; their means serve the methods that allow for regression to the mean.
    criterion : float, optional
        Of the index; 1.96 by default, and 1.645 for Hageman and Arrindell.

    Raises
    ------
    DesignError
        Where Hageman and Arrindell's reliability of the difference is not positive.
    """
    noise = sd * math.sqrt(1 - reliability)
    two_sided = two_sided_criterion() if criterion is None else criterion
    if method == "jacobson-truax":
        return ChangeRule(0.0, 1.0, math.sqrt(2) * noise, two_sided)
    mean = float(pre.mean())
    if method == "gulliksen-lord-novick":
        return ChangeRule(mean * (1 - reliability), reliability, sd * math.sqrt(1 - reliability**2), two_sided)
    if method == "edwards-nunnally":
        return ChangeRule(mean * (1 - reliability), reliability, noise, two_sided)
    own = difference_reliability(noise, pre, post)
    drift = (float(post.mean()) - mean) * (1 - own) / own
    one_sided = one_sided_criterion() if criterion is None else criterion
    return ChangeRule(-drift, 1.0, math.sqrt(2) * noise / math.sqrt(own), one_sided)


def difference_reliability(noise: float, pre: Floats, post: Floats) -> float:
    """Share of the variance of the differences that is not noise (both scores have the same).

    Parameters
    ----------
    noise : float
        Standard error of measurement, in points.
    pre, post : ndarray of shape (n,)
    """
    variance = float(np.var(post - pre, ddof=1))
    own = 1 - 2 * noise**2 / variance if variance > 0 else 0.0
    if own <= 0:
        raise DesignError(
            f"The changes of {pre.size} patients vary no more than noise does (variance {variance:.3g}, noise "
            f"{2 * noise**2:.3g}), so their reliability is not positive. Use another method, or check the reliability."
        )
    return own


def cutoff_between(
    kind: CutoffKind, clinical: tuple[float, float], functional: tuple[float, float] | None, worse: int
) -> float:
    """Cutoff between a clinical and a functional population.

    Parameters
    ----------
    kind : {"a", "b", "c"}
        Two standard deviations from the clinical mean; within two of the functional mean; between both.
    clinical, functional : tuple of float
        Mean and standard deviation.
    worse : {-1, 1}
        1 where a higher score is worse.
    """
    mean, sd = clinical
    if kind == "a":
        return mean - 2 * worse * sd
    assert functional is not None
    if kind == "b":
        return functional[0] + 2 * worse * functional[1]
    return (sd * functional[0] + functional[1] * mean) / (sd + functional[1])


def wilson_interval(n: int, total: int, quantile: float) -> tuple[float, float]:
    """Interval of a proportion (Wilson, 1927, Journal of the American Statistical Association, 22, 209-212)."""
    share, z2 = n / total, quantile**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = quantile / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)
