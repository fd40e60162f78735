"""How much each therapist, patient or other level moves the estimates of a mixed model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.engine.mixed.cells import items_of
from alliance_stats.models.random_tables import variance_table
from alliance_stats.models.residual_tables import residual_variances
from alliance_stats.names import PATIENT, THERAPIST, VARIANCE_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.mixed.leave_out import WithoutLevel
    from alliance_stats.models.mixed_result import MixedResult

#: Words for one level of the groupings whose meaning is known.
_WORDS = {PATIENT: "patient", THERAPIST: "therapist"}


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """Estimates of a mixed model without each level of a grouping, compared with those of all rows.

    Parameters
    ----------
    group : str
        The grouping.
    refit : bool
        Whether the variances were estimated anew without each level, or held.
    simulated : bool
        Whether the data are simulated; figures say so.
    """

    group: str
    refit: bool
    simulated: bool
    _table: pd.DataFrame
    _estimates: pd.DataFrame
    _variances: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row per level, the most influential first.

        Returns
        -------
        DataFrame
            ``level``; ``n_obs``, its rows, and for each other grouping ``n_<grouping>``, the levels met in them;
            ``cooks_distance``; ``cov_ratio``, the determinant of the fixed effects' covariance without the level
            relative to that with it (above 1 where the level makes the estimates more precise); where residuals are
            correlated, ``rho`` without the level; ``converged``; and ``reason``, why something is missing.
        """
        return self._table.copy(deep=False)

    def estimates(self) -> pd.DataFrame:
        """Fixed effects without each level.

        Returns
        -------
        DataFrame
            ``level, term``; ``estimate`` and ``std_error`` without the level; ``dfbeta``, the full estimate less this
            one; ``dfbetas``, the same in units of this standard error. Missing where the other rows cannot tell a
            term.
        """
        return self._estimates.copy(deep=False)

    def variances(self) -> pd.DataFrame:
        """Variance components without each level.

        Returns
        -------
        DataFrame
            ``level``, the columns of ``variance()``, and ``change``: the variance or covariance without the level less
            the full one. Without ``refit`` all change in proportion to the residual variance.
        """
        return self._variances.copy(deep=False)

    @property
    def threshold(self) -> float:
        """Cook's distance above which a level is worth a look: 4 divided by the number of levels."""
        return 4 / len(self._table)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw Cook's distances in rank order, with a line at the threshold."""
        from alliance_stats.report.figures.influence import influence

        return influence(
            self._table,
            threshold=self.threshold,
            levels=_WORDS.get(self.group, self.group),
            ax=ax,
            simulated=self.simulated,
        )

    def notes(self) -> tuple[str, ...]:
        """What must be known beside the numbers."""
        how = "estimated anew without each level" if self.refit else "held at those of the full fit"
        notes = [f"Variances were {how}."]
        missing = int(self._table["cooks_distance"].isna().sum())
        if missing:
            notes.append(f"Without {missing} of {len(self._table)} levels not everything can be estimated; see reason.")
        beyond = int((self._table["cooks_distance"] > self.threshold).sum())
        notes.append(f"Cook's distance is above 4/{len(self._table)} = {self.threshold:.3g} for {beyond} levels.")
        return tuple(notes)

    def __repr__(self) -> str:
        shown = self._table.head(10).to_string(index=False)
        more = f"\n… {len(self._table) - 10} more" if len(self._table) > 10 else ""
        return f"Influence of the levels of {self.group}\n\n{shown}{more}\n\n" + "\n".join(self.notes())

    def _repr_html_(self) -> str:
        from alliance_stats.cells import NO_MATHJAX
        from alliance_stats.report.markup import html_text

        notes = "".join(f"<p>{html_text(note)}</p>" for note in self.notes())
        table = self._table.head(10).to_html(index=False, escape=True, classes=NO_MATHJAX)
        return f"{table}{notes}"


def influence(fit: MixedResult, group: str | None, refit: bool) -> Influence:
    """Fit a model without each level of a grouping; see ``MixedResult.influence``."""
    at = fit._group_place(group)
    results = fit.solution.leave_out(fit.arrays.design, at, refit)
    labels = fit.arrays.levels[at]
    return Influence(
        fit.arrays.group_names[at],
        refit,
        fit.simulated,
        _table(fit, at, results),
        _estimates(fit, labels, results),
        _variances(fit, labels, results),
    )


def _table(fit: MixedResult, at: int, results: list[WithoutLevel]) -> pd.DataFrame:
    columns: dict[str, object] = {"level": fit.arrays.levels[at], "n_obs": [own.n_removed for own in results]}
    for other, name in enumerate(fit.arrays.group_names):
        if other != at:
            columns[f"n_{name}"] = _met(fit, at, other)
    columns |= {
        "cooks_distance": [own.cooks_distance for own in results],
        "cov_ratio": [own.covariance_ratio for own in results],
    }
    if fit.solution.residual is not None and not np.isnan(fit.solution.residual.rho):
        columns["rho"] = [np.nan if own.residual is None else own.residual.rho for own in results]
    columns |= {
        "converged": [own.converged for own in results],
        "reason": [_reason(own, fit.arrays.fixed_names) for own in results],
    }
    return pd.DataFrame(columns).sort_values("cooks_distance", ascending=False, kind="stable", ignore_index=True)


def _met(fit: MixedResult, at: int, other: int) -> np.ndarray:
    """How many levels of another grouping the rows of each level meet."""
    own, met = fit.arrays.design.factors[at], fit.arrays.design.factors[other]
    here, there = items_of(own.codes, own), items_of(met.codes, met)
    rows = pd.DataFrame({"row": here.cell, "level": here.level})
    both = rows.merge(pd.DataFrame({"row": there.cell, "met": there.level}), on="row")
    counted = both.groupby("level")["met"].nunique().reindex(range(own.n_levels), fill_value=0)
    return counted.to_numpy()


def _reason(own: WithoutLevel, names: tuple[str, ...]) -> str:
    if own.problem:
        return f"without it, {own.problem}"
    lost = [name for name, value in zip(names, own.beta, strict=True) if np.isnan(value)]
    if lost:
        return f"not estimable without it: {', '.join(lost)}"
    return "" if own.converged else "the fit without it did not converge"


def _estimates(fit: MixedResult, labels: pd.Index, results: list[WithoutLevel]) -> pd.DataFrame:
    names = fit.arrays.fixed_names
    estimate = np.array([own.beta for own in results])
    error = np.sqrt([np.diag(own.covariance) for own in results])
    moved = fit.solution.beta - estimate
    return pd.DataFrame(
        {
            "level": np.repeat(labels, len(names)),
            "term": list(names) * len(results),
            "estimate": estimate.ravel(),
            "std_error": error.ravel(),
            "dfbeta": moved.ravel(),
            "dfbetas": (moved / error).ravel(),
        }
    )


def _variances(fit: MixedResult, labels: pd.Index, results: list[WithoutLevel]) -> pd.DataFrame:
    full = fit.variance()["vcov"].to_numpy()
    parts = [
        variance_table(fit.arrays, own, residual_variances(fit.arrays, own)).assign(level=label)
        for label, own in zip(labels, results, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    table["change"] = table["vcov"] - np.tile(full, len(parts))
    return table[["level", *VARIANCE_COLUMNS, "change"]]
