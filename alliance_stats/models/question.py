"""What the results of all questions share: a mixed model behind them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from alliance_stats.design.courses import LOGARITHM, SQUARED, TIME, Columns
from alliance_stats.models.mixed_result import MixedResult
from alliance_stats.models.result import Result
from alliance_stats.names import AFTER_CHANGE, SINCE_CHANGE

#: Words for terms that the questions make themselves.
TERM_LABELS = {
    TIME: "Session (0 = first)",
    SQUARED: "Session squared",
    LOGARITHM: "Log of the session number",
    AFTER_CHANGE: "Jump at the change",
    SINCE_CHANGE: "Session since the change",
}


@dataclass(frozen=True, eq=False, repr=False)
class QuestionResult(Result):
    """A question of the field, answered by a mixed model.

    Parameters
    ----------
    fit : MixedResult
        The model.
    columns : Columns
        Names of the patient, therapist and session columns.
    frame : DataFrame
        The rows given, with the derived columns that the model uses.
    remarks : tuple of str
        Choices and limits that a reader must know.
    """

    fit: MixedResult
    columns: Columns
    frame: pd.DataFrame = field(repr=False)
    remarks: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Fixed effects, one row per term, with Satterthwaite degrees of freedom."""
        return self.fit.table()

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit."""
        return self.fit.glance()

    def variance(self) -> pd.DataFrame:
        """Variance components: ``group, term, term2, vcov, sdcor``."""
        return self.fit.variance()

    def random(self, group: str | None = None) -> pd.DataFrame:
        """Predicted random effects of one grouping (patients by default)."""
        return self.fit.random(group or self.columns.patient)

    def notes(self) -> tuple[str, ...]:
        """Convergence, boundaries, rows left out, and the choices made."""
        return (*self.fit.notes(), *self.remarks)

    @property
    def converged(self) -> bool:
        """Whether the model behind the result converged."""
        return self.fit.converged

    @property
    def dropped(self) -> pd.DataFrame:
        """Rows left out: ``variable, n_missing, n_only_this``."""
        return self.fit.dropped

    def describe(self) -> str:
        """The model in words."""
        return self.fit.describe()

    def labels(self) -> dict[str, str]:
        """Words for the terms: the codebook's labels, and those of the time variables."""
        scores = [variable for variable in self.fit.codebook if variable.role in ("score", "other")]
        own = {variable.name: variable.label for variable in scores if variable.label}
        return TERM_LABELS | own

    def labelled(self, name: str) -> str:
        """A variable's label, or its name."""
        return self.fit.codebook.get(name).title

    def with_remarks(self, *remarks: str) -> QuestionResult:
        """Return the result with more remarks."""
        return replace(self, remarks=(*self.remarks, *(r for r in remarks if r)))
