"""The shape that every result has."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from alliance_stats.report.tables import ResultTable


class Result(Shown):
    """A frozen result with a mixed model behind it.

    ``table()`` has the columns ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``.
    """

    @abstractmethod
    def variance(self) -> pd.DataFrame:
        """Variance components: ``group, term, term2, vcov, sdcor``."""

    def labels(self) -> dict[str, str]:
        """Words for the terms of the table, where there are any."""
        return {}

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.report.model_table import model_table

        glance, title = self.glance(), title or "Estimates of the Mixed Model"
        return model_table(
            self.table(),
            self.variance(),
            glance,
            title=title if glance["converged"].all() else f"{title} (Not Converged: Not Final)",
            notes=self.notes(),
            number=number,
            labels=self.labels(),
        )
