"""Standard errors, degrees of freedom and joint tests of multilevel coefficients, robust or model-based."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DesignError
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
    df : float
        Degrees of freedom where they are one number (infinite for z); not used with ``robust``.
    robust : Robust, optional
    """

    covariance: Floats
    df: float
    robust: Robust | None = None

    def errors(self, rows: Floats) -> Floats:
        """Standard errors of weighted sums (q, p)."""
        return np.sqrt(np.maximum(np.einsum("ri,ij,rj->r", rows, self.covariance, rows), 0.0))

    def degrees_of_freedom(self, rows: Floats) -> Floats:
        """Degrees of freedom of weighted sums (q, p)."""
        return np.full(len(rows), self.df) if self.robust is None else self.robust.degrees_of_freedom(rows)

    def joint(self, label: str, rows: Floats, beta: Floats) -> pd.DataFrame:
        """Test that weighted sums are all zero: ``test, statistic, df_num, df_den, p_value``.

        Raises
        ------
        DesignError
            If the sums follow from each other, or there are too few clusters for so many.
        """
        from alliance_stats.engine.distributions import f_p_value

        if self.robust is None:
            return joint_table(label, rows, beta, self.covariance, self.df, f_p_value)
        wald(rows, beta, self.covariance)  # refuses sums that are not independent
        statistic, df_num, df_den = self.robust.hotelling(rows, beta)
        if df_den <= 0:
            raise DesignError(
                f"{self.robust.n_clusters} clusters tell too little for a joint test of {df_num} coefficients: the HTZ "
                f"test is left with {df_den:.2g} degrees of freedom. Test fewer at a time."
            )
        row = (label, statistic, df_num, df_den, f_p_value(statistic, df_num, df_den))
        return pd.DataFrame([row], columns=["test", "statistic", "df_num", "df_den", "p_value"])


def with_caution(table: pd.DataFrame, robust: bool) -> pd.DataFrame:
    """Mark rows with fewer than 4 degrees of freedom in a column ``caution``, which is there only if there are any."""
    if not robust:
        return table
    few = table["df"].to_numpy(np.float64) < FEW
    if not few.any():
        return table
    return table.assign(caution=np.where(few, CAUTION, ""))
