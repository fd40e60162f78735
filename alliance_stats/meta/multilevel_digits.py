"""Effects whose sampling errors are so small beside their spread that arithmetic runs out of digits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.columns import EFFECT, VARIANCE, Floats

#: Sampling variances below this share of the variance of true effects leave few digits to tell variances by.
_FEW_DIGITS = 1e-8
#: Standard errors from residuals, below this share of those that sampling errors make, are rounding.
_ROUNDING = 1e-10


def check_residuals(covariance: Floats, by_model: Floats, k: int) -> None:
    """Refuse standard errors that rest on residuals where there are none.

    Parameters
    ----------
    covariance, by_model : ndarray of shape (p, p)
        Of the coefficients: from residuals, and from the sampling errors of the model.
    k : int
        Effects.

    Raises
    ------
    DesignError
        If every standard error from residuals is 0 but for rounding.
    """
    if (np.diag(covariance) <= _ROUNDING**2 * np.diag(by_model)).all():
        raise DesignError(
            f"All {k} effects lie on the model exactly, so standard errors from residuals (robust or multiplicative) "
            "are 0. Use robust=None or model='random', and check whether one effect was entered several times."
        )


def beyond_digits(rows: pd.DataFrame) -> DataError:
    """The error for a covariance of effects that has no inverse in floating-point numbers."""
    y, v = rows[EFFECT].to_numpy(np.float64), rows[VARIANCE].to_numpy(np.float64)
    least, most = int(v.argmin()), int(v.argmax())
    return DataError(
        f"The covariance of {count(len(y), 'effect')} has no inverse in floating-point numbers: sampling variances go "
        f"from {v[least]:.3g} (row {rows.index[least]}) to {v[most]:.3g} (row {rows.index[most]}), and the effects "
        f"have a variance of {np.var(y):.3g}. Check that vi holds squared standard errors in the units of yi, or leave "
        "the most precise effects out."
    )


def too_precise(rows: pd.DataFrame, theta: Floats) -> str:
    """What to say of sampling variances that are next to nothing; empty where none are."""
    v, total = rows[VARIANCE].to_numpy(np.float64), float(np.sum(theta))
    n = int((v < _FEW_DIGITS * total).sum())
    if not n:
        return ""
    return (
        f"{n} of {count(len(v), 'sampling variance')} are below {_FEW_DIGITS:g} of the variance of true effects: "
        "variances of single levels, and their intervals, have few digits there or are missing. Check the units of vi."
    )
