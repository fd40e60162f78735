"""Begg and Mazumdar's rank test: whether effects rank with their sampling variances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DesignError, count
from alliance_stats.meta.bias.result import BiasResult, as_independent, pooled
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class RankTestResult(BiasResult):
    """Rank correlation of effects with their variances; see :func:`rank_test`."""

    tau: float
    p_value: float
    exact: bool

    def table(self) -> pd.DataFrame:
        """One row: Kendall's τ_b; it has no standard error here."""
        return pd.DataFrame([{"term": "Kendall's tau", "estimate": self.tau, "p_value": self.p_value}]).reindex(
            columns=list(TABLE_COLUMNS)
        )

    def _found(self) -> Mapping[str, object]:
        return {"kendall_tau": self.tau, "kendall_p": self.p_value, "exact": self.exact}

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import rank_sentences

        return rank_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        how = "exact" if self.exact else "normal"
        return f"Rank correlation test of {count(len(self.effects), 'effect')} with their variances; {how} p value."

    def _remarks(self) -> tuple[str, ...]:
        found = as_independent(self.n_repeated, "use egger(), which can allow for studies.")
        if len(self.effects) < 25:
            found += (f"With {len(self.effects)} effects this test misses all but strong asymmetry.",)
        return found


def rank_test(effects: pd.DataFrame, *, exact: bool | None = None) -> RankTestResult:
    """Test whether standardised effects rank with their sampling variances (Kendall's τ_b).

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent.
    exact : bool, optional
        Exact p value, or normal with the variance for ties; by default exact for fewer than 50 effects without ties.

    Raises
    ------
    DesignError
        If all variances, or all standardised effects, are equal.

    References
    ----------
    Begg & Mazumdar (1994), Biometrics, 50, 1088-1101.
    """
    from scipy.stats import kendalltau

    observed = pooled(effects, 3, "a rank test")
    y, v = arrays(observed.effects)
    w = 1 / v
    spread = v - 1 / w.sum()
    standardised = (y - w @ y / w.sum()) / np.sqrt(spread)
    for values, what in ((v, "sampling variances"), (standardised, "standardised effects")):
        if np.unique(values).size == 1:
            raise DesignError(f"All {v.size} {what} are equal, and nothing can rank with them.")
    ties = np.unique(v).size < v.size or np.unique(standardised).size < v.size
    exact = (v.size < 50 and not ties) if exact is None else exact and not ties
    found = kendalltau(standardised, v, method="exact" if exact else "asymptotic")
    return RankTestResult(observed, float(found.statistic), float(found.pvalue), exact)
