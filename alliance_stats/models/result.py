"""The shape that every result has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.figures.canvas import Panels
    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable


class Result(ABC):
    """A frozen result: ``table()``, ``glance()``, ``plot()``, ``report()``, and how it shows in Jupyter."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Estimates: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``."""

    @abstractmethod
    def glance(self) -> pd.DataFrame:
        """One row about the whole result."""

    @abstractmethod
    def variance(self) -> pd.DataFrame:
        """Variance components: ``group, term, term2, vcov, sdcor``."""

    @abstractmethod
    def report(self) -> Sentences:
        """Sentences for the results section."""

    @abstractmethod
    def plot(self, kind: str = ...) -> Axes | Panels:
        """Draw the result's figure."""

    @abstractmethod
    def describe(self) -> str:
        """The model behind the result, in words."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers."""

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

    def __repr__(self) -> str:
        return f"{self.describe()}\n\n{self.table().to_string(index=False)}\n\n" + "\n".join(self.notes())

    def _repr_html_(self) -> str:
        return self.result_table().to_html()
