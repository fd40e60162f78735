"""Power of the tests of a meta-analysis, from the precision that planned studies will have.

Each study counts with the variance of its mean effect: ``τ² + ρ v + (ω² + (1 − ρ) v) / m`` for m effects with sampling
variance v that correlate by ρ, between-study variance τ² and within-study variance ω².

References
----------
Hedges & Pigott (2001), Psychological Methods, 6, 203-217 (mean, Q); (2004), Psychological Methods, 9, 426-445
(moderators); Vembye, Pustejovsky & Pigott (2023), Journal of Educational and Behavioral Statistics, 48, 70-102
(dependent effects, robust tests).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

ALTERNATIVES = ("two-sided", "greater", "less")


def study_variance(v: Floats, m: Floats, tau2: float, omega2: float = 0.0, rho: float = 0.0) -> Floats:
    """Variance of the mean of a study's m effects, between-study variance included."""
    return tau2 + rho * v + (omega2 + (1 - rho) * v) / m


def t_power(ncp: float, df: float, alpha: float, alternative: str = "two-sided") -> float:
    """Power of a t test with noncentrality ``effect / standard error``; of a z test where ``df`` is infinite."""
    from scipy.special import nctdtr, ndtr, ndtri, stdtrit

    tail = alpha / 2 if alternative == "two-sided" else alpha
    limit = -float(ndtri(tail) if np.isinf(df) else stdtrit(df, tail))

    def beyond(shift: float) -> float:
        return float(ndtr(shift - limit)) if np.isinf(df) else 1 - float(nctdtr(df, shift, limit))

    upper = beyond(ncp) if alternative != "less" else 0.0
    lower = beyond(-ncp) if alternative != "greater" else 0.0
    return min(upper + lower, 1.0)


def f_power(ncp: float, df_num: int, df_den: float, alpha: float) -> float:
    """Power of an F test of ``df_num`` contrasts with noncentrality ``ncp``; χ² where ``df_den`` is infinite."""
    from scipy.special import chdtri, chndtr, fdtri, ncfdtr

    if np.isinf(df_den):
        return 1 - float(chndtr(chdtri(df_num, alpha), df_num, ncp))
    limit = fdtri(df_num, df_den, 1 - alpha)
    return 1 - float(ncfdtr(df_num, df_den, ncp, limit))


def robust_df(w: Floats) -> float:
    """Satterthwaite degrees of freedom of CR2 for a mean of studies with weights w, the working model being true."""
    total, rest = w.sum(), w.sum() - w
    terms = (w / rest) ** 2
    return float(1 / (terms.sum() - 2 * (w * terms).sum() / total + (w**2 / rest).sum() ** 2 / total**2))


def hotelling_df(weights: list[Floats]) -> float:
    """Degrees of freedom η of the HTZ test that group means are equal, with CR2.

    The groups' estimates are independent, so the covariance of q = G − 1 standardised contrasts has
    ``Σ var = 2 Σ h_g² / ν_g`` with ``h_g = 1 − W_g / W`` and ν_g the degrees of freedom of the group's mean.
    """
    sums = np.array([w.sum() for w in weights])
    h = 1 - sums / sums.sum()
    own = np.array([robust_df(w) for w in weights])
    q = len(weights) - 1
    return float(q * (q + 1) / (2 * (h**2 / own).sum()))


def q_power(v: Floats, tau2: float, alpha: float) -> float:
    """Power of Cochran's Q: it is a sum of χ² variables whose weights follow from v and τ², exactly."""
    from scipy.special import chdtri

    w = 1 / v
    root = np.sqrt(v + tau2)
    matrix = (np.diag(w) - np.outer(w, w) / w.sum()) * np.outer(root, root)
    return weighted_chi2_tail(np.linalg.eigvalsh(matrix)[1:], float(chdtri(v.size - 1, alpha)))


def weighted_chi2_tail(weights: Floats, x: float) -> float:
    """Probability that ``Σ weights_i χ²(1)`` exceeds x, by Ruben's (1962) mixture of χ² distributions.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        Positive.
    x : float

    References
    ----------
    Ruben (1962), Annals of Mathematical Statistics, 33, 542-570.
    """
    from scipy.special import chdtrc

    n, smallest = weights.size, float(weights.min())
    rest = 1 - smallest / weights
    if rest.max() < 1e-13:
        return float(chdtrc(n, x / smallest))
    # c_m = Σ g_(m-r) c_r / (2m), all positive; they add up to 1, so the first one may be set to anything
    c, g = np.zeros(1024), np.zeros(1024)
    c[0] = total = 1.0
    power, m = np.ones(n), 0
    while not (m > 0 and c[m] < 1e-17 * total and c[m] < c[m - 1]):
        m += 1
        if m == c.size:
            c, g = np.concatenate([c, np.zeros(m)]), np.concatenate([g, np.zeros(m)])
        power = power * rest
        g[m] = power.sum()
        c[m] = g[1 : m + 1][::-1] @ c[:m] / (2 * m)
        total += c[m]
        if total > 1e200:
            c[: m + 1] *= 1e-200
            total *= 1e-200
    shares = c[: m + 1] / c[: m + 1].sum()
    return float(np.clip(shares @ chdtrc(n + 2 * np.arange(shares.size), x / smallest), 0.0, 1.0))
