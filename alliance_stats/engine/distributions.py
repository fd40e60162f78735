"""Tail probabilities and quantiles, without the second that importing scipy.stats costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def t_p_value(statistic: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p value of a t statistic; normal where ``df`` is infinite."""
    from scipy.special import ndtr, stdtr

    t, nu = np.abs(np.asarray(statistic, float)), np.asarray(df, float)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * np.where(np.isinf(nu), ndtr(-t), stdtr(np.where(np.isinf(nu), 1.0, nu), -t)))


def t_quantile(probability: float, df: ArrayLike) -> NDArray[np.float64]:
    """Quantile of the t distribution; normal where ``df`` is infinite."""
    from scipy.special import ndtri, stdtrit

    nu = np.asarray(df, float)
    return np.where(np.isinf(nu), ndtri(probability), stdtrit(np.where(np.isinf(nu), 1.0, nu), probability))


def chi2_p_value(statistic: float, df: int) -> float:
    """Upper tail of the χ² distribution."""
    from scipy.special import chdtrc

    return float(chdtrc(df, max(statistic, 0.0)))


def f_p_value(statistic: float, df_num: int, df_den: float) -> float:
    """Upper tail of the F distribution; χ² where ``df_den`` is infinite."""
    from scipy.special import fdtrc

    if np.isinf(df_den):
        return chi2_p_value(df_num * statistic, df_num)
    return float(fdtrc(df_num, df_den, max(statistic, 0.0)))
