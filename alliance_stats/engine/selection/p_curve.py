"""p-curve: the shape of significant p values (evidential value, power, and the effect behind them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, bdtrc, log_ndtr, ndtr, ndtri, ndtri_exp

Floats = NDArray[np.floating[Any]]

#: z of two-sided p = .05, and of p = .025 (the half curve).
CRITICAL, CRITICAL_HALF = float(-ndtri(0.025)), float(-ndtri(0.0125))
_THIRD = 1 / 3
_POWERS = (0.05, 0.99)


@dataclass(frozen=True)
class StoufferTest:
    """Sum of probits of conditional p values ("pp values") over √k.

    Parameters
    ----------
    n : int
        Significant effects that took part.
    z, p_value : float
        Missing where none did.
    """

    n: int
    z: float
    p_value: float


def tail_ratio(z: Floats, ncp: float, critical: float) -> Floats:
    """``log P(Z > z | Z > critical)`` for Z ~ N(ncp, 1)."""
    return np.asarray(log_ndtr(ncp - z) - log_ndtr(ncp - critical))


def noncentrality(power: float, critical: float = CRITICAL) -> float:
    """Mean of Z that is significant in the expected direction with a given probability."""
    return float(critical + ndtri(power))


def stouffer(log_pp: Floats) -> StoufferTest:
    """Combine logarithms of pp values; small pp give a negative z."""
    if not log_pp.size:
        return StoufferTest(0, float("nan"), float("nan"))
    z = float(ndtri_exp(log_pp).sum() / np.sqrt(log_pp.size))
    return StoufferTest(log_pp.size, z, float(ndtr(z)))


def right_skew(z: Floats, half: bool = False) -> StoufferTest:
    """Test that p values are not uniform but pile up near 0, as real effects make them."""
    critical = CRITICAL_HALF if half else CRITICAL
    z = z[z > critical]
    return stouffer(np.minimum(np.log(2) + log_ndtr(-z) - np.log(0.025 if half else 0.05), -1e-300))


def flatness(z: Floats, half: bool = False) -> StoufferTest:
    """Test that p values are flatter than studies with a power of 1/3 would give."""
    ncp = noncentrality(_THIRD)
    critical = CRITICAL_HALF if half else CRITICAL
    z = z[z > critical]
    log_pp = tail_ratio(z, ncp, critical)
    # flat curves have large pp under 33% power: their complement is small
    complement = np.log(-np.expm1(np.minimum(log_pp, -1e-300)))
    return stouffer(np.minimum(complement, -1e-300))


def binomial_tests(z: Floats) -> tuple[int, float, float]:
    """Effects with p < .025 among the significant; tail probabilities under no effect, and under a power of 1/3."""
    n, low = int((z > CRITICAL).sum()), int((z > CRITICAL_HALF).sum())
    if n == 0:
        return 0, float("nan"), float("nan")
    share = float(np.exp(tail_ratio(np.array([CRITICAL_HALF]), noncentrality(_THIRD), CRITICAL)[0]))
    return low, float(bdtrc(low - 1, n, 0.5)) if low else 1.0, float(bdtr(low, n, share))


def expected_shares(power: float, edges: Floats) -> Floats:
    """Shares of significant p values between edges (two-sided p, rising, the last .05) under a given power."""
    below = np.exp(tail_ratio(-ndtri(edges / 2), noncentrality(power), CRITICAL))
    return np.diff(below, prepend=0.0)


def estimated_power(z: Floats, level: float = 0.90) -> tuple[float, float, float]:
    """Mean power of the significant studies: where Stouffer's z is 0, and where it meets its quantiles.

    Bounded by 5% and 99%, as one-dimensional searches end there.
    """
    z = z[z > CRITICAL]
    if not z.size:
        return float("nan"), float("nan"), float("nan")
    bend = float(-ndtri(0.5 - level / 2))
    value = lambda power: stouffer(tail_ratio(z, noncentrality(power), CRITICAL)).z  # noqa: E731
    # more assumed power makes the same z values look smaller: z of the test rises with power
    found = [_root(lambda power, aim=aim: value(power) - aim, *_POWERS) for aim in (0.0, -bend, bend)]
    return found[0], found[1], found[2]


def significant_effect(y: Floats, v: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """The one effect under which significant results would be uniform in their conditional p values.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
        Significant effects, positive, and their variances.

    References
    ----------
    Simonsohn, Nelson & Simmons (2014), Perspectives on Psychological Science, 9, 666-681; van Assen, van Aert &
    Wicherts (2015), Psychological Methods, 20, 293-309.
    """
    if not y.size:
        return float("nan"), float("nan"), float("nan")
    s = np.sqrt(v)
    bend = float(-ndtri(0.5 - level / 2))
    value = lambda mu: stouffer(tail_ratio(y / s, mu / s, CRITICAL)).z  # noqa: E731
    size = float(np.abs(y).max() + 5 * s.max())
    found = [_root(lambda mu, aim=aim: value(mu) - aim, -4 * size, size) for aim in (0.0, -bend, bend)]
    return found[0], found[1], found[2]


def _root(of, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """Root of a rising function inside a bracket; the nearer end where there is none."""
    if of(low) >= 0:
        return low
    if of(high) <= 0:
        return high
    return float(brentq(of, low, high, xtol=1e-13, rtol=1e-13))
