"""Joint F tests of several fixed effects of a mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.terms import expand_term
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.models.distributions import f_p_value

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

Floats = NDArray[np.float64]

#: Share of a row's length below which it follows from the other rows.
_DEPENDENT = 1e-9


def joint_test(fit: MixedResult, terms: str | Sequence[str] | pd.DataFrame) -> pd.DataFrame:
    """Test several fixed effects together; see :meth:`MixedResult.test`."""
    if isinstance(terms, pd.DataFrame):
        rows, label = rows_of_weights(fit, terms), ", ".join(map(str, terms.index))
    else:
        asked = [terms] if isinstance(terms, str) else list(terms)
        rows, label = _rows_of_terms(fit, asked), ", ".join(asked)
    independent = _independent(rows, fit.solution.covariance)
    statistic, df_den = _f_statistic(fit, independent, rows)
    df_num = len(independent)
    return pd.DataFrame(
        {
            "test": [label],
            "statistic": [statistic],
            "df_num": [df_num],
            "df_den": [df_den],
            "p_value": [f_p_value(statistic, df_num, df_den)],
        }
    )


# ---- which effects ---------------------------------------------------------------------------------------------------


def rows_of_weights(fit: MixedResult, weights: pd.DataFrame) -> Floats:
    """Weights of all fixed effects, from a frame with a row per sum and a column per term.

    Raises
    ------
    DataError
        If the model has no such term, or a weight is not finite.
    """
    names = fit.arrays.fixed_names
    for term in weights.columns:
        if term not in names:
            raise DataError(f"The model has no term {term!r}. {did_you_mean(str(term), names)}")
    rows = weights.reindex(columns=list(names), fill_value=0.0).to_numpy(float)
    bad = ~np.isfinite(rows)
    if bad.any():
        raise DataError(
            f"{count(int(bad.sum()), 'weight is', 'weights are')} not finite (first in row "
            f"{int(bad.any(axis=1).argmax())}). Write 0 for none."
        )
    return rows


def _rows_of_terms(fit: MixedResult, asked: Sequence[str]) -> Floats:
    names = fit.arrays.fixed_names
    places = sorted({place for name in asked for place in expand_term(str(name), names, fit.formula.predictors)})
    return np.eye(len(names))[places]


def _independent(rows: Floats, covariance: Floats) -> Floats:
    """Leave out rows that follow from those before them, and scale the others to one standard error."""
    errors = np.sqrt(np.einsum("ri,ij,rj->r", rows, covariance, rows))
    if not len(rows) or not (errors > 0).any():
        raise DataError("A test needs at least one effect; none was named, or all weights are 0.")
    rows = rows[errors > 0] / errors[errors > 0, None]
    spread = np.sqrt(np.diag(covariance))
    kept: list[int] = []
    basis = np.zeros((0, rows.shape[1]))
    for at, row in enumerate(rows * spread):
        rest = row / np.linalg.norm(row)
        for _ in range(2):  # twice is enough for orthogonality to the last digit
            rest = rest - basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > _DEPENDENT:
            kept.append(at)
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
    return rows[kept]


# ---- the statistic ---------------------------------------------------------------------------------------------------


def _f_statistic(fit: MixedResult, rows: Floats, as_given: Floats) -> tuple[float, float]:
    """F and its denominator degrees of freedom, by the fit's method."""
    solution = fit.solution
    if fit.df_method == "kenward-roger":
        adjusted = solution.kenward_roger
        df, scale = adjusted.test(rows)
        return scale * _wald(rows, solution.beta, adjusted.adjusted), df
    statistic = _wald(rows, solution.beta, solution.covariance)
    if fit.df_method == "normal":
        return statistic, np.inf
    directions = _uncorrelated(as_given, solution.covariance, len(rows))
    return statistic, fai_cornelius(solution.inference.satterthwaite(directions))


def _wald(rows: Floats, beta: Floats, covariance: Floats) -> float:
    estimate = rows @ beta
    return float(estimate @ np.linalg.solve(rows @ covariance @ rows.T, estimate)) / len(rows)


def _uncorrelated(rows: Floats, covariance: Floats, rank: int) -> Floats:
    """Turn contrasts into as many uncorrelated ones as are independent: the eigenvectors of their covariance.

    The eigenvectors depend on the rows' units, and a little of the degrees of freedom with them. lmerTest takes the
    rows as they are given, and so does this.
    """
    spread = np.sqrt(np.diag(covariance))
    root = spread[:, None] * np.linalg.cholesky(covariance / np.outer(spread, spread))
    turn = np.linalg.svd(rows @ root)[0]
    return turn[:, :rank].T @ rows


def fai_cornelius(df: Floats) -> float:
    """Denominator degrees of freedom of an F statistic from those of its uncorrelated parts.

    Parameters
    ----------
    df : ndarray of shape (rank,)
        Satterthwaite's degrees of freedom of each squared t statistic.

    Returns
    -------
    float
        Those of the F distribution that has the mean of the averaged squares; 2 where a part has no mean.

    References
    ----------
    Fai & Cornelius (1996), Journal of Statistical Computation and Simulation, 54, 363-378.
    """
    if (df == df[0]).all():
        return float(df[0])
    if (df <= 2).any():
        return 2.0
    # E − rank = Σ 2/(ν − 2), written so that nothing cancels when the degrees of freedom are many
    excess = float(np.sum(2 / (df - 2)))
    return 2 * (df.size + excess) / excess
