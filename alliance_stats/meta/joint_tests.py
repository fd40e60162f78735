"""Joint tests of several coefficients of a meta-regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.terms import expand_term
from alliance_stats.errors import DataError, DesignError, count
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


def variance_inflation(
    terms: str | Sequence[str], covariance: Floats, names: Sequence[str], variables: Sequence[str]
) -> pd.DataFrame:
    """Variance inflation of coefficients, or of all those of a term together, by the others: ``term, vif``.

    Parameters
    ----------
    terms : str or sequence of str
        Coefficients, or terms of the formula; if empty, each coefficient on its own.
    covariance : ndarray of shape (p, p)
    names, variables : sequence of str
        Of the coefficients, and of the formula.

    Raises
    ------
    DesignError
        If there are fewer than two coefficients beside the intercept.
    """
    places = [at for at, name in enumerate(names) if name != INTERCEPT]
    if len(places) < 2:
        raise DesignError(
            f"{count(len(places), 'moderator')} cannot be inflated by others. VIFs need 2 coefficients beside the "
            "intercept."
        )
    wanted = [terms] if isinstance(terms, str) else list(terms) or [names[at] for at in places]
    own = covariance[np.ix_(places, places)]
    scale = np.sqrt(np.diag(own))
    r = own / np.outer(scale, scale)
    whole = float(np.linalg.det(r))
    found = []
    for name in wanted:
        of = rows_of_terms(name, names, variables)[:, places].any(axis=0)
        inside, outside = (float(np.linalg.det(r[np.ix_(at, at)])) for at in (of, ~of))
        found.append(inside * outside / whole)
    return pd.DataFrame({"term": wanted, "vif": found})


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
