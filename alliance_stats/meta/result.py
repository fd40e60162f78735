"""The shape that every result of a meta-analysis has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

#: Columns of every ``glance()``, in order; results add their own behind them.
GLANCE = (
    *("k", "n_studies", "estimate", "std_error", "ci_low", "ci_high", "pi_low", "pi_high"),
    *("tau2", "tau2_ci_low", "tau2_ci_high", "i2", "h2", "q", "q_df", "q_p", "method", "test", "converged"),
)
#: Columns of every ``variance()``.
VARIANCES = ("level", "n_levels", "variance", "sd", "ci_low", "ci_high", "i2")


class MetaResult(ABC):
    """A frozen result: ``table()``, ``glance()``, ``variance()``, ``plot()``, ``report()``, and a view for Jupyter."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Estimates: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``."""

    @abstractmethod
    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis; I² in per cent."""

    @abstractmethod
    def variance(self) -> pd.DataFrame:
        """A row per level: ``level, n_levels, variance, sd, ci_low, ci_high, i2``; I² in per cent."""

    @abstractmethod
    def report(self) -> Sentences:
        """Sentences for the results section."""

    @abstractmethod
    def plot(self, kind: str = ..., *, ax: Axes | None = None) -> Axes:
        """Draw the result's figure."""

    @abstractmethod
    def describe(self) -> str:
        """The analysis in words."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers."""

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.meta.words import printed_table

        return printed_table(self, title or "Results of the Meta-Analysis", number)

    def __repr__(self) -> str:
        return f"{self.describe()}\n\n{self.table().to_string(index=False)}\n\n" + "\n".join(self.notes())

    def _repr_html_(self) -> str:
        return self.result_table().to_html()


def first_coefficient(table: pd.DataFrame) -> pd.Series:
    """The row of the intercept; missing values where there is none."""
    row = table[table["term"] == INTERCEPT]
    return row.iloc[0] if len(row) else pd.Series(np.nan, index=table.columns.drop("term"))
