"""Standard errors, degrees of freedom and joint tests of multilevel coefficients, robust or model-based."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, DesignError, did_you_mean
from alliance_stats.meta.joint_tests import joint_table, wald

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.robust import Robust

Floats = NDArray[np.floating[Any]]

#: Below this many degrees of freedom Satterthwaite's approximation cannot be trusted (Tipton, 2015).
FEW = 4.0
#: What stands in the column ``caution`` then.
CAUTION = "df < 4"


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Covariance of coefficients and the law of their tests.

    Parameters
    ----------
    covariance : ndarray of shape (p, p)
    df : float or ndarray of shape (p,)
        Degrees of freedom, one number (infinite for z) or one per coefficient; not used with ``robust``.
    robust : Robust, optional
    """

    covariance: Floats
    df: float | Floats
    robust: Robust | None = None

    def errors(self, rows: Floats) -> Floats:
        """Standard errors of weighted sums (q, p)."""
        return np.sqrt(np.maximum(np.einsum("ri,ij,rj->r", rows, self.covariance, rows), 0.0))

    def degrees_of_freedom(self, rows: Floats) -> Floats:
        """Degrees of freedom of weighted sums (q, p)."""
        if self.robust is not None:
            df = self.robust.degrees_of_freedom(rows)
            # (Σλ)²/Σλ² of eigenvalues ≥ 0 is at least 1; with two clusters rounding can take it below
            return np.where(df > 1 - 1e-6, np.maximum(df, 1.0), df)
        every = np.broadcast_to(np.asarray(self.df, np.float64), rows.shape)
        inside = (rows != 0) | (rows == 0).all(axis=1, keepdims=True)
        return np.where(inside, every, np.inf).min(axis=1)  # a sum of coefficients has the fewest of those in it

    def joint(self, label: str, rows: Floats, beta: Floats, kind: str | None = None) -> pd.DataFrame:
        """Test that weighted sums are all zero: ``test, statistic, df_num, df_den, p_value``.

        Raises
        ------
        DesignError
            If the sums follow from each other, or there are too few clusters for so many.
        DataError
            If there is no such test, or errors are model-based and a robust test is asked for.
        """
        from alliance_stats.engine.distributions import f_p_value
        from alliance_stats.engine.pooling.joint_tests import TESTS, joint_test

        if kind is not None and kind not in TESTS:
            raise DataError(f"No joint test {kind!r}. {did_you_mean(kind, TESTS)}")
        if self.robust is None:
            if kind is not None:
                raise DataError(f"The test {kind!r} is of robust standard errors, and these are not. Leave joint= out.")
            df = float(self.degrees_of_freedom(rows).min())
            return joint_table(label, rows, beta, self.covariance, df, f_p_value)
        wald(rows, beta, self.covariance)  # refuses sums that are not independent
        kind = kind or TESTS[0]
        found = joint_test(self.robust, rows, beta, kind)
        if found.df_den <= 0:
            raise DesignError(
                f"{self.robust.n_clusters} clusters tell too little for a joint test of {found.df_num} coefficients: "
                f"the {kind} test is left with {found.df_den:.2g} degrees of freedom. Test fewer at a time."
            )
        p = f_p_value(found.statistic, found.df_num, found.df_den)
        row = (label, found.statistic, found.df_num, found.df_den, p)
        table = pd.DataFrame([row], columns=["test", "statistic", "df_num", "df_den", "p_value"])
        return table.assign(caution=CAUTION) if found.raised else table

    def saddlepoint(self, names: Sequence[str], beta: Floats) -> pd.DataFrame:
        """Test coefficients: ``term, estimate, std_error, statistic, saddlepoint, p_value``."""
        from alliance_stats.engine.pooling.saddlepoint import MOST_CLUSTERS, saddlepoint_test

        if self.robust is None:
            raise DataError("Saddlepoint tests are of robust standard errors, and these are not. See table().")
        if self.robust.n_clusters > MOST_CLUSTERS:
            raise DataError(
                f"Saddlepoint tests are for few clusters, at most {MOST_CLUSTERS}, and there are "
                f"{self.robust.n_clusters}. The degrees of freedom of table() are as good then."
            )
        rows = np.eye(len(names))
        found, errors = saddlepoint_test(self.robust, rows, beta), self.errors(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = beta / errors
        columns = {"term": list(names), "estimate": beta, "std_error": errors, "statistic": statistic}
        return pd.DataFrame({**columns, "saddlepoint": found.point, "p_value": found.p_value})


def with_caution(table: pd.DataFrame, robust: bool) -> pd.DataFrame:
    """Mark rows with fewer than 4 degrees of freedom in a column ``caution``, which is there only if there are any."""
    if not robust:
        return table
    few = table["df"].to_numpy(np.float64) < FEW
    if not few.any():
        return table
    return table.assign(caution=np.where(few, CAUTION, ""))
