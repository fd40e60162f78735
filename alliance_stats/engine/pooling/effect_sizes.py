"""Effect sizes and their sampling variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, hyp2f1

Floats = NDArray[np.floating[Any]]
Effects = tuple[Floats, Floats]


def raw_correlation(r: Floats, n: Floats) -> Effects:
    """Return r and (1 − r²)²/(n − 1), its large-sample variance (Hedges & Olkin, 1985, p. 226)."""
    return r, (1 - r**2) ** 2 / (n - 1)


def unbiased_correlation(r: Floats, n: Floats) -> Effects:
    """Return Olkin and Pratt's unbiased estimate of ρ, with (1 − estimate²)²/(n − 1).

    References
    ----------
    Olkin & Pratt (1958), Annals of Mathematical Statistics, 29, 201-211: ``r · F(1/2, 1/2; (n − 2)/2; 1 − r²)``.
    """
    estimate = r * hyp2f1(0.5, 0.5, (n - 2) / 2, 1 - r**2)
    return estimate, (1 - estimate**2) ** 2 / (n - 1)


def fisher_z(r: Floats, n: Floats) -> Effects:
    """Return atanh r and 1/(n − 3) (Fisher, 1921)."""
    return np.arctanh(r), 1 / (n - 3)


def partial_correlation(t: Floats, n: Floats, predictors: Floats) -> Effects:
    """Return the partial correlation of one of several predictors, from its t statistic.

    Parameters
    ----------
    t, n, predictors : ndarray
        t of the coefficient, cases, and predictors of the regression (without the intercept).

    Returns
    -------
    r, variance
        ``t / √(t² + n − m − 1)`` and ``(1 − r²)²/(n − m − 1)``.

    References
    ----------
    Aloe & Thompson (2013), Journal of the Society for Social Work and Research, 4, 390-405.
    """
    df = n - predictors - 1
    r = t / np.sqrt(t**2 + df)
    return r, (1 - r**2) ** 2 / df


def partial_fisher_z(t: Floats, n: Floats, predictors: Floats) -> Effects:
    """Return atanh of the partial correlation and 1/(n − m − 2).

    With m − 1 variables held constant, z behaves as that of m − 1 cases fewer: 1/((n − (m − 1)) − 3).

    References
    ----------
    Anderson (2003), An Introduction to Multivariate Statistical Analysis, section 4.3.
    """
    r, _ = partial_correlation(t, n, predictors)
    return np.arctanh(r), 1 / (n - predictors - 2)


def semipartial_correlation(t: Floats, n: Floats, predictors: Floats, r_squared: Floats) -> Effects:
    """Return the semipartial correlation of one of several predictors.

    Parameters
    ----------
    t, n, predictors, r_squared : ndarray
        t of the coefficient, cases, predictors of the regression, and the regression's R².

    References
    ----------
    Aloe & Becker (2012), Journal of Educational and Behavioral Statistics, 37, 278-297.
    """
    r = t * np.sqrt(1 - r_squared) / np.sqrt(n - predictors - 1)
    rest = r_squared - r**2  # what the other predictors explain
    return r, (r_squared**2 - 2 * r_squared + rest + 1 - rest**2) / n


def semipartial_fisher_z(t: Floats, n: Floats, predictors: Floats, r_squared: Floats) -> Effects:
    """Return atanh of the semipartial correlation, with the variance carried over by the delta method."""
    r, variance = semipartial_correlation(t, n, predictors, r_squared)
    return np.arctanh(r), variance / (1 - r**2) ** 2


def small_sample_factor(df: Floats) -> Floats:
    """Return Hedges' exact factor c(df) that takes the bias off a standardised difference (Hedges, 1981)."""
    return np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - 0.5 * np.log(df / 2))


def standardised_difference(m1: Floats, m2: Floats, sd1: Floats, sd2: Floats, n1: Floats, n2: Floats) -> Effects:
    """Return Hedges' g (pooled SD, bias off) and 1/n₁ + 1/n₂ + g²/(2(n₁ + n₂)).

    References
    ----------
    Hedges (1981), Journal of Educational Statistics, 6, 107-128; (1982), Psychological Bulletin, 92, 490-499.
    """
    df = n1 + n2 - 2
    pooled = np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / df)
    return hedges_g((m1 - m2) / pooled, n1, n2)


def hedges_g(d: Floats, n1: Floats, n2: Floats) -> Effects:
    """Take the bias off Cohen's d; the variance as in :func:`standardised_difference`."""
    g = small_sample_factor(n1 + n2 - 2) * d
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))


def unequal_variance_difference(m1: Floats, m2: Floats, sd1: Floats, sd2: Floats, n1: Floats, n2: Floats) -> Effects:
    """Return the difference standardised by the root of the mean of the two variances, bias off.

    References
    ----------
    Bonett (2008), Psychological Methods, 13, 99-109: variance
    ``d²(s₁⁴/df₁ + s₂⁴/df₂)/(8 s⁴) + (s₁²/df₁ + s₂²/df₂)/s²``.
    """
    v1, v2, df1, df2 = sd1**2, sd2**2, n1 - 1, n2 - 1
    mean = (v1 + v2) / 2
    d = small_sample_factor(n1 + n2 - 2) * (m1 - m2) / np.sqrt(mean)
    return d, d**2 * (v1**2 / df1 + v2**2 / df2) / (8 * mean**2) + (v1 / df1 + v2 / df2) / mean


def change_by_change_sd(m1: Floats, m2: Floats, sd1: Floats, sd2: Floats, r: Floats, n: Floats) -> Effects:
    """Return the mean change over the SD of the changes, bias off, with 1/n + d²/(2n).

    References
    ----------
    Gibbons, Hedeker & Davis (1993), Journal of Educational Statistics, 18, 271-279; Becker (1988).
    """
    spread = np.sqrt(sd1**2 + sd2**2 - 2 * r * sd1 * sd2)
    d = small_sample_factor(n - 1) * (m1 - m2) / spread
    return d, 1 / n + d**2 / (2 * n)


def change_by_first_sd(m1: Floats, m2: Floats, sd1: Floats, r: Floats, n: Floats) -> Effects:
    """Return the mean change over the SD of ``m1``'s scores, bias off, with 2(1 − r)/n + d²/(2n).

    References
    ----------
    Becker (1988), British Journal of Mathematical and Statistical Psychology, 41, 257-278.
    """
    d = small_sample_factor(n - 1) * (m1 - m2) / sd1
    return d, 2 * (1 - r) / n + d**2 / (2 * n)


def log_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> Effects:
    """Return log(ad/bc) and 1/a + 1/b + 1/c + 1/d (Woolf, 1955).

    Tables with an empty cell get 1/2 added to all four.
    """
    half = 0.5 * ((a == 0) | (b == 0) | (c == 0) | (d == 0))
    a, b, c, d = (cell + half for cell in (a, b, c, d))
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def phi_coefficient(a: Floats, b: Floats, c: Floats, d: Floats) -> Effects:
    """Return the correlation of two dichotomies, with its variance when only the number of cases is fixed.

    References
    ----------
    Yule (1912), Journal of the Royal Statistical Society, 75, 579-652, p. 603.
    """
    n = a + b + c + d
    row, column = (a + b) / n, (a + c) / n
    spread = np.sqrt(row * (1 - row) * column * (1 - column))
    phi = (a * d - b * c) / n**2 / spread
    rows, columns = 2 * row - 1, 2 * column - 1
    skew = phi * (1 + phi**2 / 2) * rows * columns / spread
    tails = 0.75 * phi**2 * (rows**2 / (row * (1 - row)) + columns**2 / (column * (1 - column)))
    return phi, (1 - phi**2 + skew - tails) / n
