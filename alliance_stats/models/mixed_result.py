"""The result of a linear mixed model, which every question's result is built on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from alliance_stats.data.codebook import Codebook
from alliance_stats.design.formula import Formula
from alliance_stats.design.matrices import ModelArrays
from alliance_stats.design.sample import Sample
from alliance_stats.engine.mixed.fit import MixedSolution
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.models.boundary import boundary_sentences
from alliance_stats.models.estimates import estimates_table
from alliance_stats.models.joint_tests import rows_of_weights
from alliance_stats.models.mixed_answers import MixedAnswers
from alliance_stats.models.mixed_intervals import MixedIntervals
from alliance_stats.models.random_tables import random_table, variance_table
from alliance_stats.models.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences

Method = Literal["REML", "ML"]
DfMethod = Literal["satterthwaite", "kenward-roger", "normal"]


@dataclass(frozen=True, eq=False, repr=False)
class MixedResult(MixedAnswers, MixedIntervals, Result):
    """A fitted linear mixed model.

    Parameters
    ----------
    formula : Formula
    method : {"REML", "ML"}
    arrays : ModelArrays
        Rows used, design and names.
    solution : MixedSolution
        Estimates in the units of the data.
    codebook : Codebook
        Labels, for sentences and figures.
    simulated : bool
        Whether the data are simulated; figures say so.
    df_method : {"satterthwaite", "kenward-roger", "normal"}
        How standard errors and degrees of freedom are found.
    """

    formula: Formula
    method: Method
    arrays: ModelArrays
    solution: MixedSolution
    codebook: Codebook = field(default_factory=Codebook)
    simulated: bool = False
    df_method: DfMethod = "satterthwaite"

    # ---- tables ------------------------------------------------------------------------------------------------

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Fixed effects, one row per term.

        Where the fit did not converge, ``attrs["caption"]`` says so.
        """
        # a copy (free under copy-on-write): what the user writes into it must not come back with the next call
        return self._fixed_table.copy(deep=False) if level == 0.95 else self._estimates(level)

    @cached_property
    def _fixed_table(self) -> pd.DataFrame:
        return self._estimates(0.95)

    def _estimates(self, level: float) -> pd.DataFrame:
        names = list(self.arrays.fixed_names)
        return self.combine(pd.DataFrame(np.eye(len(names)), columns=names), names, level)

    def combine(self, weights: pd.DataFrame, labels: Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Estimate weighted sums of fixed effects, with the columns of :meth:`table`.

        Parameters
        ----------
        weights : DataFrame
            One row per sum, one column per term; terms that have no column weigh 0.
        labels : sequence of str, optional
            What to call each sum in the column ``term``.
        level : float
            Level of the intervals.
        """
        rows = rows_of_weights(self, weights)
        covariance, df = self._uncertainty(rows)
        error = np.sqrt(np.einsum("ri,ij,rj->r", rows, covariance, rows))
        labels = labels or [str(k) for k in weights.index]
        table = estimates_table(labels, rows @ self.solution.beta, error, df, level)
        return self.captioned(table)

    def captioned(self, table: pd.DataFrame) -> pd.DataFrame:
        """Say in ``attrs["caption"]`` of a table that its numbers are not final, where the fit did not converge."""
        if not self.converged:
            table.attrs["caption"] = self.solution.story.message
        return table

    def _uncertainty(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Covariance of the fixed effects, and the degrees of freedom of each weighted sum, by the method chosen."""
        solution = self.solution
        if self.df_method == "kenward-roger":
            return solution.kenward_roger.adjusted, solution.kenward_roger.degrees_of_freedom(rows)
        if self.df_method == "normal":
            return solution.covariance, np.full(len(rows), np.inf)
        return solution.covariance, solution.inference.satterthwaite(rows)

    def contrast(self, weights: dict[str, float], label: str = "contrast", level: float = 0.95) -> pd.DataFrame:
        """Estimate one weighted sum of fixed effects, e.g. ``{"alliance_between": 1, "alliance_within": -1}``."""
        return self.combine(pd.DataFrame([weights]), [label], level)

    def test(self, terms: str | Sequence[str] | pd.DataFrame) -> pd.DataFrame:
        """Test several fixed effects together: a joint F test of the hypothesis that all of them are zero.

        Parameters
        ----------
        terms : str, sequence of str, or DataFrame
            Names as in :meth:`table`; terms of the formula, which stand for all their coefficients (``"phase"`` for
            ``phase[T.middle]`` and ``phase[T.late]``; an interaction is a term of its own, ``"alliance:phase"``); a
            variable inside a function (``"session"`` for ``poly(session, 2)``). Or weighted sums, as for
            :meth:`combine`. Rows that follow from others count once.

        Returns
        -------
        DataFrame
            One row: ``test, statistic, df_num, df_den, p_value``. The denominator degrees of freedom follow the fit's
            ``df_method``: Fai and Cornelius' combination of Satterthwaite's, as in lmerTest (it depends a little on
            the units of the predictors); Kenward and Roger's, with their scaled F; or infinite.

        Raises
        ------
        DataError
            If the model has no such term; the nearest is named.
        """
        from alliance_stats.models.joint_tests import joint_test

        return joint_test(self, terms)

    def with_sample(self, sample: Sample) -> MixedResult:
        """Return the result with another account of the rows left out: that of a step before the model."""
        return replace(self, arrays=replace(self.arrays, sample=sample))

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit."""
        solution, design = self.solution, self.arrays.design
        deviance, k = solution.criterion, solution.n_parameters
        row: dict[str, object] = {"n_obs": solution.n_obs}
        row |= {f"n_{factor.name}": factor.n_levels for factor in design.factors}
        if solution.residual is not None and not np.isnan(solution.residual.rho):
            row["rho"] = solution.residual.rho
        row |= {
            "deviance": deviance,
            "log_likelihood": -deviance / 2,
            "aic": deviance + 2 * k,
            "bic": deviance + k * np.log(solution.n_obs),
            "sigma": np.sqrt(solution.sigma2),
            "method": self.method,
            "converged": self.converged,
            "singular": self.singular,
            "n_parameters": k,
            "n_dropped": self.arrays.sample.n_dropped,
            "df_method": self.df_method,
        }
        return pd.DataFrame([row])

    def variance(self) -> pd.DataFrame:
        """Variances and covariances of the random effects, and the residual variance.

        Returns
        -------
        DataFrame
            ``group, term, term2, vcov, sdcor``: for a variance ``term2`` is missing and ``sdcor`` is the standard
            deviation; a covariance has a row of its own, with the correlation (missing where a variance is zero).
            Residual variances come last: one, or with ``variance=`` one per level (``phase[early]``).
        """
        from alliance_stats.models.residual_tables import residual_variances

        return variance_table(self.arrays, self.solution, residual_variances(self.arrays, self.solution))

    def residual(self) -> pd.DataFrame:
        """Estimates of the residual structure.

        Returns
        -------
        DataFrame
            ``parameter, level, estimate``: ``rho``, the correlation of two residuals one unit of ``residual_time``
            apart (``level`` names the group); ``sd``, residual standard deviations in outcome units (at weight 1);
            ``sd_ratio``, those relative to the first level of ``variance=``.
        """
        from alliance_stats.models.residual_tables import residual_table

        return residual_table(self)

    def random(self, group: str | None = None, level: float = 0.95) -> pd.DataFrame:
        """Predicted random effects of one grouping, with intervals.

        Parameters
        ----------
        group : str, optional
            Name of the grouping; may be left out where there is only one.
        level : float
            Level of the intervals.

        Returns
        -------
        DataFrame
            ``level, term, estimate, std_error, ci_low, ci_high``, in outcome units. Standard errors are those of the
            prediction (true effect − predicted effect) and include the uncertainty of the fixed effects.
        """
        return random_table(self.arrays, self.solution, self._group_place(group), level)

    def _group_place(self, group: str | None) -> int:
        names = self.arrays.varying_groups
        if group is None and len(names) == 1:
            group = names[0]
        if group in names:
            return self.arrays.group_names.index(group)
        raise DataError(
            f"Choose a grouping: {', '.join(names)}."
            if group is None
            else f"No grouping {group!r}. {did_you_mean(group, names)}"
        )

    # ---- state -------------------------------------------------------------------------------------------------

    @property
    def converged(self) -> bool:
        """Whether the optimality conditions were checked and hold."""
        return self.solution.story.converged

    @property
    def singular(self) -> bool:
        """Whether a covariance lies on the boundary: a variance of zero or a correlation of ±1."""
        return any(self.solution.rank_deficient)

    @property
    def dropped(self) -> pd.DataFrame:
        """Rows left out: ``variable, n_missing, n_only_this``."""
        return self.arrays.sample.dropped.copy(deep=False)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know: convergence, boundaries, rows left out."""
        from alliance_stats.models.residual_tables import residual_notes

        notes = [] if self.converged else [self.solution.story.message]
        notes += boundary_sentences(self.variance(), self.arrays.group_names, self.solution.rank_deficient)
        notes += residual_notes(self)
        return (*notes, self.arrays.sample.sentence())

    def optimizer(self) -> pd.Series:
        """How the optimiser came to its end, as named values and one plain sentence.

        Returns
        -------
        Series
            ``converged``; ``starts``, how many starting points were tried, ``steps`` of the run that won and
            ``evaluations`` of all; ``start``, the variances (squared outcome units) and ρ that this run started from,
            and ``start_criterion``; ``criterion`` at the end; ``promised_by_next_step``; ``gradient_norm``, largest
            absolute derivative with respect to a free parameter; ``on_boundary``, what lies there, and
            ``boundary_slopes``, for each the least slope of the criterion into the parameter space, which is not
            negative where the boundary is the optimum (Karush, Kuhn and Tucker; per unit of relative variance in
            standardised columns); ``least_eigenvalue``, the least of these slopes over all groupings; ``message``.
        """
        from alliance_stats.models.optimizer_story import optimizer_story

        return optimizer_story(self)

    # ---- words and pictures -----------------------------------------------------------------------------------

    def report(self) -> Sentences:
        """Sentences for the results section, APA style: one per predictor, then the random part."""
        from alliance_stats.models.words import mixed_report

        return mixed_report(self)

    def plot(self, kind: str = "caterpillar", *, group: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the result.

        Parameters
        ----------
        kind : {"caterpillar", "trajectories"}
            Random effects of ``group`` in rank order, or the fitted course of each of its levels over the first
            random slope, with the fixed course.
        group : str, optional
            Grouping; by default the only one, or the one with most levels.
        """
        from alliance_stats.models.pictures import mixed_plot

        return mixed_plot(self, kind, group, ax)

    def describe(self) -> str:
        """The model in words."""
        from alliance_stats.models.words import describe_mixed

        return describe_mixed(self)
