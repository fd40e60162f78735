"""Coefficients to the table that every result of the package has, and intervals on other scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import TABLE_COLUMNS

Floats = NDArray[np.floating[Any]]

_NUMBERS = pd.Index(TABLE_COLUMNS[1:])
#: Scales that estimates can be carried to.
BACK = ("tanh", "exp", "integral")


def coefficients_table(
    terms: Sequence[str], estimate: Floats, std_error: Floats, df: Floats | float, level: float = 0.95
) -> pd.DataFrame:
    """Return ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``; infinite ``df`` means normal.

    Where ``df`` is below 1 the interval is missing: it would run to thousands of standard errors.
    """
    from alliance_stats.engine.distributions import t_p_value, t_quantile

    df = np.broadcast_to(np.asarray(df, float), np.shape(estimate))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / std_error
    half = np.where(df < 1, np.nan, t_quantile(0.5 + level / 2, df) * std_error)
    p = t_p_value(statistic, df)
    columns = (estimate, std_error, df, statistic, p, estimate - half, estimate + half)
    # one block of numbers under names made once: column by column, the frame takes longer than the fit
    table = pd.DataFrame(np.array(columns, np.float64).T, columns=_NUMBERS)
    table.insert(0, TABLE_COLUMNS[0], list(terms))
    return table


def carried_back(values: Floats, how: str, tau2: float = 0.0) -> Floats:
    """Carry values to the scale that readers know.

    Parameters
    ----------
    values : ndarray
        On the scale of the analysis.
    how : {"tanh", "exp", "integral"}
        Fisher's z to r; logarithms to ratios; Fisher's z to the mean r of studies that differ by ``tau2``: the mean of
        ``tanh z`` over z ~ N(value, τ²), which is smaller than ``tanh`` of the mean z.
    tau2 : float
        Variance between studies, for ``"integral"``.

    References
    ----------
    Hafdahl (2009), Psychological Methods, 14, 24-42.
    """
    if how not in BACK:
        raise DataError(f"No scale {how!r} to carry estimates back to. {did_you_mean(how, BACK)}")
    if how == "exp":
        return np.exp(values)
    if how == "tanh" or tau2 == 0:
        return np.tanh(values)
    # the trapezoidal rule is exact to the last digits for a smooth function times a normal density
    nodes = np.linspace(-12, 12, 961)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    return np.asarray(np.tanh(np.asarray(values)[..., None] + np.sqrt(tau2) * nodes) @ weights)
