"""Coefficients to the tidy table that every result shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.models.distributions import t_p_value, t_quantile
from alliance_stats.names import TABLE_COLUMNS

#: Degrees of freedom from which there is an interval: one, less what rounding may take from it.
_LEAST_DF = 0.999


def estimates_table(
    terms: Sequence[str],
    estimate: NDArray[np.float64],
    std_error: NDArray[np.float64],
    df: NDArray[np.float64],
    level: float = 0.95,
) -> pd.DataFrame:
    """Return ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``.

    Parameters
    ----------
    terms : sequence of str
    estimate, std_error, df : ndarray of shape (n_terms,)
        In units of the outcome per unit of the term; infinite ``df`` means normal.
    level : float
        Confidence level.

    Notes
    -----
    Where ``df`` is below 1, ``ci_low`` and ``ci_high`` are missing: a t interval then runs to thousands of standard
    errors and beyond (to 10^150 of them at 0.005 degrees of freedom), which says only that there is none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / std_error
    half = np.where(df < _LEAST_DF, np.nan, t_quantile(0.5 + level / 2, df) * std_error)
    columns = (
        list(terms),
        estimate,
        std_error,
        df,
        statistic,
        t_p_value(statistic, df),
        estimate - half,
        estimate + half,
    )
    return pd.DataFrame(dict(zip(TABLE_COLUMNS, columns, strict=True)))
