"""The shape that every result of a meta-analysis has."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.names import INTERCEPT
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.tables import ResultTable

#: Columns of every ``glance()``, in order; results add their own behind them.
GLANCE = (
    *("k", "n_studies", "estimate", "std_error", "ci_low", "ci_high", "pi_low", "pi_high"),
    *("tau2", "tau2_ci_low", "tau2_ci_high", "i2", "h2", "q", "q_df", "q_p", "method", "test", "converged"),
)
#: Columns of every ``variance()``.
VARIANCES = ("level", "n_levels", "variance", "sd", "ci_low", "ci_high", "i2")


class MetaResult(Shown):
    """A frozen result of a meta-analysis: what every result has, and the variances of its levels."""

    @abstractmethod
    def variance(self) -> pd.DataFrame:
        """A row per level: ``level, n_levels, variance, sd, ci_low, ci_high, i2``; I² in per cent."""

    @abstractmethod
    def plot(self, kind: str = ..., *, ax: Axes | None = None) -> Axes:
        """Draw the result's figure."""

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.meta.words import printed_table

        return printed_table(self, title or "Results of the Meta-Analysis", number)


def first_coefficient(table: pd.DataFrame) -> pd.Series:
    """The row of the intercept; missing values where there is none."""
    row = table[table["term"] == INTERCEPT]
    return row.iloc[0] if len(row) else pd.Series(np.nan, index=table.columns.drop("term"))
