"""From what a paper reports to a correlation, and between correlations, differences and odds ratios.

Every function returns the estimate and its sampling variance, with the source of the formula in its docstring.
Correlations from test statistics carry no sign of their own where the statistic has none (F, χ², p): give ``sign``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alliance_stats.errors import DataError
from alliance_stats.meta.columns import LARGEST

Floats = NDArray[np.floating[Any]]


class Converted(NamedTuple):
    """An effect and its sampling variance."""

    estimate: Floats
    variance: Floats


def r_from_t(t: ArrayLike, n: ArrayLike) -> Converted:
    """Correlation from the t statistic of a correlation, a simple regression, or two groups.

    Parameters
    ----------
    t : array_like
        With its sign.
    n : array_like
        Cases; the t statistic has n − 2 degrees of freedom.

    Returns
    -------
    Converted
        ``t / √(t² + n − 2)`` and ``(1 − r²)²/(n − 1)``. For two groups it is the point-biserial correlation.

    References
    ----------
    Rosenthal (1991), Meta-Analytic Procedures for Social Research, p. 19.
    """
    t, n = _array(t), _cases(n, 3)
    return _correlation(t / np.sqrt(t**2 + n - 2), n)


def r_from_f(f: ArrayLike, n: ArrayLike, *, df_num: ArrayLike = 1, sign: ArrayLike = 1) -> Converted:
    """Correlation from an F statistic with one numerator degree of freedom: √F is t.

    Raises
    ------
    DataError
        If F is negative, or has more than one numerator degree of freedom (it then tests several differences at
        once, and no single correlation stands behind it).
    """
    f, several = _array(f), _array(df_num) != 1
    if several.any():
        raise DataError(
            f"{int(several.sum())} of {several.size} F statistics have more than 1 numerator degree of freedom. They "
            "test several differences at once; take means and standard deviations, or the contrast of interest."
        )
    _refuse(f < 0, "F statistics are negative", "Check the column.")
    return r_from_t(_sign(sign) * np.sqrt(f), n)


def r_from_p(p: ArrayLike, n: ArrayLike, *, sign: ArrayLike = 1) -> Converted:
    """Correlation from a two-sided p value of a t test with n − 2 degrees of freedom.

    A p value reported as an inequality ("p < .05") gives the smallest correlation that it allows, when the bound is
    entered.

    Raises
    ------
    DataError
        If a p value lies outside (0, 1].
    """
    from scipy.special import stdtrit

    p, n = _array(p), _cases(n, 3)
    _refuse(~((p > 0) & (p <= 1)), "p values lie outside (0, 1]", "Enter the exact value, or the bound it lies below.")
    return r_from_t(_sign(sign) * np.abs(stdtrit(n - 2, p / 2)), n)


def r_from_chi2(chi2: ArrayLike, n: ArrayLike, *, sign: ArrayLike = 1) -> Converted:
    """Phi from χ² of a 2 × 2 table (one degree of freedom): ``√(χ²/n)``, with ``(1 − φ²)²/(n − 1)``.

    References
    ----------
    Rosenthal (1991), p. 19. Without the table's margins the variance is that of a correlation; with them,
    :func:`r_from_2x2` knows better.
    """
    chi2, n = _array(chi2), _cases(n, 3)
    _refuse((chi2 < 0) | (chi2 > n), "χ² lie outside [0, n]", "A 2 × 2 table has no larger χ² than n.")
    return _correlation(_sign(sign) * np.sqrt(chi2 / n), n)


def r_from_2x2(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> Converted:
    """Phi of a 2 × 2 table (rows a b and c d), with Yule's variance (1912, p. 603).

    Raises
    ------
    DataError
        If a row or a column of a table is empty: then there is no correlation.
    """
    from alliance_stats.engine.pooling.effect_sizes import phi_coefficient

    a, b, c, d = (_array(cell) for cell in (a, b, c, d))
    empty = ((a + b) * (c + d) * (a + c) * (b + d)) == 0
    _refuse(empty, "tables have an empty row or column", "A dichotomy that does not vary has no correlation.")
    return Converted(*phi_coefficient(a, b, c, d))


def r_from_d(d: ArrayLike, n1: ArrayLike, n2: ArrayLike, variance: ArrayLike | None = None) -> Converted:
    """Point-biserial correlation from a standardised difference.

    Returns
    -------
    Converted
        ``d / √(d² + a)`` with ``a = (n₁ + n₂)²/(n₁n₂)``, and ``a² v_d/(d² + a)³``; ``v_d`` is
        ``(n₁ + n₂)/(n₁n₂) + d²/(2(n₁ + n₂))`` where it is not given.

    References
    ----------
    Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis, eqs. 4.20, 7.7-7.9.
    """
    d, n1, n2 = _array(d), _cases(n1, 2), _cases(n2, 2)
    a = (n1 + n2) ** 2 / (n1 * n2)
    v = (n1 + n2) / (n1 * n2) + d**2 / (2 * (n1 + n2)) if variance is None else _array(variance)
    return Converted(d / np.sqrt(d**2 + a), a**2 * v / (d**2 + a) ** 3)


def d_from_r(r: ArrayLike, n: ArrayLike) -> Converted:
    """Standardised difference from a correlation: ``2r/√(1 − r²)`` and ``4 v_r/(1 − r²)³``.

    References
    ----------
    Borenstein et al. (2009), eqs. 7.5 and 7.6.
    """
    r, n = _inside(r), _cases(n, 3)
    v = (1 - r**2) ** 2 / (n - 1)
    return Converted(2 * r / np.sqrt(1 - r**2), 4 * v / (1 - r**2) ** 3)


def d_from_log_odds(log_odds_ratio: ArrayLike, variance: ArrayLike) -> Converted:
    """Standardised difference from a log odds ratio: ``· √3/π``, the variance ``· 3/π²``.

    References
    ----------
    Hasselblad & Hedges (1995), Psychological Bulletin, 117, 167-178.
    """
    return Converted(_array(log_odds_ratio) * np.sqrt(3) / np.pi, _array(variance) * 3 / np.pi**2)


def log_odds_from_d(d: ArrayLike, variance: ArrayLike) -> Converted:
    """Log odds ratio from a standardised difference: ``· π/√3``, the variance ``· π²/3`` (Hasselblad & Hedges)."""
    return Converted(_array(d) * np.pi / np.sqrt(3), _array(variance) * np.pi**2 / 3)


def r_from_log_odds(log_odds_ratio: ArrayLike, variance: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> Converted:
    """Correlation from a log odds ratio, through the standardised difference (Borenstein et al., 2009, fig. 7.1)."""
    d = d_from_log_odds(log_odds_ratio, variance)
    return r_from_d(d.estimate, n1, n2, d.variance)


def log_odds_from_r(r: ArrayLike, n: ArrayLike) -> Converted:
    """Log odds ratio from a correlation, through the standardised difference (Borenstein et al., 2009, fig. 7.1)."""
    return log_odds_from_d(*d_from_r(r, n))


def r_from_beta(*_: object, **__: object) -> Converted:
    """Refuse: a standardised regression weight is no correlation.

    Raises
    ------
    DataError
        Always, with the reason and the ways out.
    """
    raise DataError(
        "A standardised regression weight (β) is not turned into r: it depends on which other predictors stand in the "
        "model and on their correlations with this one, so two studies with one r can have any two βs (Roth et al., "
        "2018). Ask for the correlation; or take t, n and the number of predictors as a partial correlation "
        "(measure='PCOR' or 'ZPCOR')."
    )


def _correlation(r: Floats, n: Floats) -> Converted:
    return Converted(r, (1 - r**2) ** 2 / (n - 1))


def _array(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    _refuse(np.abs(array) > LARGEST, f"values are infinite or beyond ±{LARGEST:g}", "Correct them.")
    return array


def _inside(r: ArrayLike) -> Floats:
    r = _array(r)
    _refuse(np.abs(r) >= 1, "correlations lie outside (−1, 1)", "Correct them.")
    return r


def _cases(n: ArrayLike, least: int) -> Floats:
    n = _array(n)
    _refuse(n < least, f"sample sizes are below {least}", "Correct them, or leave these effects out.")
    return n


def _sign(sign: ArrayLike) -> Floats:
    sign = _array(sign)
    _refuse(~np.isin(sign, (-1.0, 1.0)) & ~np.isnan(sign), "signs are neither 1 nor −1", "Enter 1 or −1.")
    return sign


def _refuse(bad: NDArray[np.bool_], what: str, way_out: str) -> None:
    bad = np.atleast_1d(bad)
    if bad.any():
        raise DataError(f"{int(bad.sum())} of {bad.size} {what} (first at position {int(bad.argmax())}). {way_out}")
