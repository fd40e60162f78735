"""What every result can do: be a table, one line, a figure, sentences, and show itself in Jupyter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.figures.canvas import Panels
    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable


class Shown(ABC):
    """A frozen result: ``table()``, ``glance()``, ``plot()``, ``report()``, and how it shows in Jupyter."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Estimates, one row each."""

    @abstractmethod
    def glance(self) -> pd.DataFrame:
        """One row about the whole result."""

    @abstractmethod
    def report(self) -> Sentences:
        """Sentences for the results section."""

    @abstractmethod
    def plot(self, kind: str = ...) -> Axes | Panels:
        """Draw the result's figure."""

    @abstractmethod
    def describe(self) -> str:
        """What was done, in words."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers."""

    @abstractmethod
    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""

    def __repr__(self) -> str:
        return f"{self.describe()}\n\n{self.table().to_string(index=False)}\n\n" + "\n".join(self.notes())

    def _repr_html_(self) -> str:
        return self.result_table().to_html()
