"""Reliability by level: the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

Level = Literal["occasion", "between", "within"]


@dataclass(frozen=True)
class NamedReliability:
    """A reliability with its source, for :func:`alliance_stats.reliable_change`.

    Parameters
    ----------
    value : float
    source : str
        Where it comes from, in words.
    """

    value: float
    source: str


@dataclass(frozen=True, eq=False, repr=False)
class ReliabilityResult(Shown):
    """Reliability by level.

    Parameters
    ----------
    coefficients : DataFrame
        See :meth:`table`.
    components : DataFrame or None
        See :meth:`variance`; None where patients have one form each.
    counts : mapping of str to float
        ``n_forms, n_patients, n_items, n_sessions`` (per patient, on average), ``n_incomplete``.
    name : str
        What was rated, in words.
    remarks : tuple of str
    level : float
        Level of the intervals.
    simulated : bool
    """

    coefficients: pd.DataFrame = field(repr=False)
    components: pd.DataFrame | None = field(repr=False)
    counts: dict[str, float]
    name: str
    remarks: tuple[str, ...]
    level: float = 0.95
    simulated: bool = False

    def table(self) -> pd.DataFrame:
        """One row per coefficient: ``level, coefficient, estimate, std_error, ci_low, ci_high, method``.

        ``level`` is ``occasion`` (forms filled in once each), ``between`` (differences between patients) or ``within``
        (changes of a patient).
        """
        return self.coefficients.copy(deep=False)

    def variance(self) -> pd.DataFrame:
        """Variance components of persons × sessions × items: ``component, vcov, share``.

        Raises
        ------
        DataError
            If patients have one form each.
        """
        if self.components is None:
            raise DataError("Every patient has 1 form, so there are no components over sessions. Bring more sessions.")
        return self.components.copy(deep=False)

    def glance(self) -> pd.DataFrame:
        """One row of counts: ``n_forms, n_patients, n_items, n_sessions, n_incomplete``."""
        return pd.DataFrame([self.counts])

    def value(self, level: Level, coefficient: str = "omega") -> NamedReliability:
        """Take one coefficient with its source, to hand on to :func:`alliance_stats.reliable_change`.

        Raises
        ------
        DataError
            If there is no such coefficient.
        """
        own = self.coefficients
        row = own[(own["level"] == level) & (own["coefficient"] == coefficient)]
        if row.empty:
            known = [f"{a}/{b}" for a, b in zip(own["level"], own["coefficient"], strict=True)]
            raise DataError(f"There is no {level}/{coefficient}. {did_you_mean(f'{level}/{coefficient}', known)}")
        n = f"{self.counts['n_forms']:.0f} forms of {self.counts['n_patients']:.0f} patients"
        forms = f"the first form of {self.counts['n_patients']:.0f} patients" if level == "occasion" else n
        where = {"occasion": "of one occasion", "between": "between patients", "within": "within patients"}[level]
        return NamedReliability(float(row["estimate"].iloc[0]), f"{coefficient} {where}, these data ({forms})")

    def plot(self, kind: str = "levels", ax: Axes | None = None) -> Axes:
        """Draw the coefficients of each level with their intervals."""
        if kind != "levels":
            raise DataError(f"A reliability has no figure {kind!r}. {did_you_mean(kind, ('levels',))}")
        from alliance_stats.report.figures.reliability import reliability as draw

        return draw(self.table(), name=self.name, ax=ax, simulated=self.simulated)

    def report(self) -> Sentences:
        """Reliability of one occasion, between patients, and of change."""
        from alliance_stats.questionnaires.reliability_words import reliability_report

        return reliability_report(self)

    def notes(self) -> tuple[str, ...]:
        """What the levels mean, rows left out, and coefficients that could not be estimated."""
        return self.remarks

    def describe(self) -> str:
        """What was analysed."""
        n = self.counts
        return (
            f"Reliability of {self.name}: {n['n_items']:.0f} items, {n['n_forms']:.0f} forms of "
            f"{n['n_patients']:.0f} patients"
        )

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The coefficients as an artefact that writes itself."""
        from alliance_stats.report.tables import BLOCK, ResultTable

        words = {"occasion": "One occasion", "between": "Between patients", "within": "Within patients"}
        frame = self.table().assign(**{BLOCK: lambda t: t["level"].map(words)}).drop(columns="level")
        formats = {"estimate": "bounded", "std_error": "bounded:3", "ci_low": "interval:2"}
        headings = {"coefficient": "", "method": "How", "ci_low": f"{100 * self.level:g}% CI"}
        return ResultTable(
            frame,
            title or f"Reliability of {self.name}",
            self.notes(),
            formats=formats,
            headings=headings,
            number=number,
        )
