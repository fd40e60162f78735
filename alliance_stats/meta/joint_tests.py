"""Joint tests of several coefficients of a meta-regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.terms import expand_term
from alliance_stats.errors import DataError, DesignError
from alliance_stats.names import INTERCEPT

Floats = NDArray[np.floating[Any]]


def rows_of_terms(asked: str | Sequence[str] | None, names: Sequence[str], variables: Sequence[str]) -> Floats:
    """Rows of the identity for the coefficients that terms stand for; all but the intercept by default.

    Raises
    ------
    DataError
        If there is no such term, or no coefficient beside the intercept.
    """
    if asked is None:
        places = [at for at, name in enumerate(names) if name != INTERCEPT] or list(range(len(names)))
    else:
        wanted = [asked] if isinstance(asked, str) else list(asked)
        places = sorted({at for name in wanted for at in expand_term(str(name), names, variables)})
    if not places:
        raise DataError("A joint test needs at least one term; none was named.")
    return np.eye(len(names))[places]


def wald(rows: Floats, beta: Floats, covariance: Floats) -> float:
    """Quadratic form of weighted sums of coefficients in the inverse of their covariance.

    Raises
    ------
    DesignError
        If a sum follows from the others.
    """
    spread = rows @ covariance @ rows.T
    scale = np.sqrt(np.diag(spread))
    if not (scale > 0).all() or np.linalg.matrix_rank(spread / np.outer(scale, scale), tol=1e-10) < len(rows):
        raise DesignError(
            f"{len(rows)} sums of coefficients are not independent of each other. Leave out those that "
            "follow from the others."
        )
    estimate = rows @ beta
    return float(estimate @ np.linalg.solve(spread, estimate))


def joint_table(
    label: str, rows: Floats, beta: Floats, covariance: Floats, df: float, p_value: Callable[[float, int, float], float]
) -> pd.DataFrame:
    """One row ``test, statistic, df_num, df_den, p_value``: F, with infinite ``df_den`` for χ² over its df."""
    statistic = wald(rows, beta, covariance) / len(rows)
    row = (label, statistic, len(rows), df, p_value(statistic, len(rows), df))
    return pd.DataFrame([row], columns=["test", "statistic", "df_num", "df_den", "p_value"])
