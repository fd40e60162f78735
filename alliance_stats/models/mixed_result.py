"""The result of a linear mixed model, which every question's result is built on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

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
from alliance_stats.models.random_tables import random_table, variance_table
from alliance_stats.models.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.data.session_table import SessionTable
    from alliance_stats.models.bootstrap import Bootstrap
    from alliance_stats.models.differences import Adjust, Differences
    from alliance_stats.models.explained import IccDefinition, R2Definition
    from alliance_stats.models.influence import Influence
    from alliance_stats.models.intervals import IntervalMethod
    from alliance_stats.models.mean_grid import Weights
    from alliance_stats.models.predictions import Interval, ResidualKind, Unknown
    from alliance_stats.models.variance_parameters import Kind
    from alliance_stats.models.variance_tests import TestMethod
    from alliance_stats.report.sentences import Sentences

Method = Literal["REML", "ML"]
DfMethod = Literal["satterthwaite", "kenward-roger", "normal"]


@dataclass(frozen=True, eq=False, repr=False)
class MixedResult(Result):
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

    def means(
        self,
        variables: str | Sequence[str],
        at: Mapping[str, Any] | None = None,
        *,
        weights: Weights = "equal",
        differences: Differences | None = None,
        adjust: Adjust = "none",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Estimate marginal means: what the model expects at each category, the other predictors held or averaged.

        Parameters
        ----------
        variables : str or sequence of str
            Predictors of the fixed part whose categories (or combinations of categories) are compared; an empty
            sequence for the mean of all.
        at : mapping of str to value(s), optional
            Values of predictors, such as ``{"session": [1, 5, 10]}``; rows are given for each. Other numeric predictors
            stand at their mean over the rows used.
        weights : {"equal", "proportional"}
            How the categories of the other predictors are averaged: all alike, or by how often their combinations occur
            in the rows used.
        differences : {"pairwise", "reference", "consecutive"}, optional
            Give the differences between the means instead: of all pairs, from the first, or from the one before;
            always the later less the earlier. Predictors that stand in ``at`` alone are conditions: means are
            compared at each of their values, not across them.
        adjust : {"none", "holm", "bonferroni", "sidak", "tukey"}
            How p values and intervals allow for the number of differences (at each set of conditions). Holm's method
            has no intervals of its own; they are then Bonferroni's.
        level : float
            Level of the intervals; with ``adjust``, of all of them together.

        Returns
        -------
        DataFrame
            A column for each variable and condition (conditions only, for differences), then the columns of
            :meth:`table`. Means are in units of the formula's left side; their tests are against zero.

        Raises
        ------
        DataError
            If a variable is no predictor of the fixed part, or a category is not known; the nearest is named.

        References
        ----------
        Searle, Speed & Milliken (1980), The American Statistician, 34, 216-221.
        """
        from alliance_stats.models.means import marginal_means

        return marginal_means(self, variables, at, weights, differences, adjust, level)

    def slopes(
        self,
        variable: str,
        by: str | Sequence[str] = (),
        at: Mapping[str, Any] | None = None,
        *,
        weights: Weights = "equal",
        differences: Differences | None = None,
        adjust: Adjust = "none",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Estimate the slope of a numeric predictor, at the categories of others.

        Parameters
        ----------
        variable : str
            A numeric predictor; a curved one (``poly``, ``log``, a spline) has its slope at its mean, or at the values
            in ``at``.
        by : str or sequence of str
            Predictors at whose categories the slope is given.
        at, weights, differences, adjust, level
            As for :meth:`means`.

        Returns
        -------
        DataFrame
            As for :meth:`means`, in units of the formula's left side per unit of the variable.
        """
        from alliance_stats.models.means import marginal_slopes

        return marginal_slopes(self, variable, by, at, weights, differences, adjust, level)

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

    def fitted(self) -> pd.Series:
        """Fitted values of the rows used (fixed and random effects, offset), indexed by their position in the data."""
        design, solution = self.arrays.design, self.solution
        offset = self.arrays.residuals.offset
        values = np.zeros(design.n_obs) if offset is None else offset.copy()
        for at, column in enumerate(design.fixed):
            values += solution.beta[at] * _values(design.columns[column])
        for factor, effects in zip(design.factors, solution.effects, strict=True):
            for k, column in enumerate(factor.effects):
                values += factor.at_rows(effects.estimate[:, k]) * _values(design.columns[column])
        return pd.Series(values, index=pd.Index(self.arrays.sample.rows, name="row"), name="fitted")

    def predict(
        self,
        new: SessionTable | pd.DataFrame | None = None,
        *,
        level: str | Sequence[str] = "population",
        interval: Interval | None = None,
        confidence: float = 0.95,
        unknown: Unknown = "population",
        membership: Mapping[str, pd.DataFrame] | None = None,
    ) -> pd.DataFrame:
        """Predict rows of the fit, or new ones, in units of the formula's left side.

        Parameters
        ----------
        new : SessionTable or DataFrame, optional
            The formula's predictors, and the columns of the groupings in ``level``; by default the rows used. ``poly``,
            splines, ``scale`` and categories are computed as in the fit.
        level : "population", "all", or name(s) of groupings
            Fixed effects only; or with the predicted effects of these known patients, therapists, …
        interval : {"confidence", "prediction"}, optional
            For the mean at that level; or for one new outcome, which adds the residual and the variance of every
            random effect that is not known.
        confidence : float
            Level of the intervals.
        unknown : {"population", "raise"}
            Rows whose level the fit did not have, or whose id is missing, are predicted without that level's effect
            (the population mean), or refused.
        membership : mapping of str to DataFrame, optional
            For each ``mm(…)`` in ``level``, to whom the new rows belong: ``row, level, weight``, as for
            :func:`alliance_stats.mixed`. Without it, new rows count as belonging to one unknown level.

        Returns
        -------
        DataFrame
            ``row, estimate``; with an interval also ``std_error, df, ci_low, ci_high``. The standard error is that of
            the prediction (for one outcome, the residual is part of it). Degrees of freedom are those of ``df=`` at
            the population's mean; elsewhere Satterthwaite's of the whole variance, also under ``"kenward-roger"``,
            which is defined for fixed effects only. With known levels also ``unknown_levels``, the groupings in which
            the row's level was not in the fit; ``attrs["unknown_levels"]`` counts them.

        Raises
        ------
        ColumnError, DataError
            If a column is not there, a predictor is missing or infinite, or a category was not in the fit.
        """
        from alliance_stats.models.predictions import predict

        return predict(self, new, level, interval, confidence, unknown, membership)

    def residuals(self, kind: ResidualKind = "conditional") -> pd.Series:
        """Return what the model leaves over, indexed by the rows' position in the data.

        Parameters
        ----------
        kind : {"conditional", "marginal", "standardised", "normalised"}
            Outcome less fitted values (outcome units); outcome less fixed part; conditional residuals divided by the
            residual standard deviation of the row; or these with their correlation over time taken out.
        """
        from alliance_stats.models.predictions import residuals

        return residuals(self, kind)

    def simulate(self, n: int = 1, seed: int | None = None) -> pd.DataFrame:
        """Draw outcomes of the rows used from the fitted model, with new random effects and new residuals.

        Parameters
        ----------
        n : int
            How many times.
        seed : int, optional
            The same seed gives the same outcomes.

        Returns
        -------
        DataFrame
            ``simulation_1`` to ``simulation_<n>``, indexed by the rows' position in the data.
        """
        from alliance_stats.models.predictions import simulate

        return simulate(self, n, seed)

    def icc(self, definition: IccDefinition = "intercept") -> pd.DataFrame:
        """Share of the outcome's variance that lies between the levels of each grouping.

        Parameters
        ----------
        definition : {"intercept", "adjusted", "unadjusted"}
            "intercept": the variance of the intercepts, that is where all predictors with random slopes are 0, of the
            sum of these variances and the residual's. "adjusted": with random slopes, the variance averaged over the
            rows; without slopes the same as "intercept". "unadjusted": the same, the variance that the fixed effects
            explain counted in the total.

        Returns
        -------
        DataFrame
            ``group, icc, definition``, one row per grouping. Shares of nested groupings add up: two sessions of one
            patient have in common what their patient and their therapist share.

        References
        ----------
        Nakagawa, Johnson & Schielzeth (2017), Journal of the Royal Society Interface, 14, 20170213.
        """
        from alliance_stats.models.explained import icc_table

        return icc_table(self, definition)

    def r2(self, definition: R2Definition = "nakagawa") -> pd.DataFrame:
        """Share of the outcome's variance that the model explains.

        Parameters
        ----------
        definition : {"nakagawa", "rights-sterba"}
            "nakagawa": explained by the fixed effects (marginal), and by fixed and random effects together
            (conditional); random slopes are averaged over the rows. "rights-sterba": the full split, for models with
            one grouping.

        Returns
        -------
        DataFrame
            ``kind, r2``, kind "marginal" and "conditional". For "rights-sterba" ``level, kind, r2``: at level "total"
            the shares "fixed_within" and "fixed_between" (of what the fixed effects predict, the deviations from the
            level's mean and these means), "slope" and "mean" (random slopes; differences between levels' means) and
            "residual", which sum to 1; then the same split of the variance "within" and "between" levels, left out
            where a predictor with a random slope is not centred within levels.

        References
        ----------
        Nakagawa & Schielzeth (2013), Methods in Ecology and Evolution, 4, 133-142. Johnson (2014), ibid., 5, 944-946.
        Rights & Sterba (2019), Psychological Methods, 24, 309-338.
        """
        from alliance_stats.models.explained import r2_table

        return r2_table(self, definition)

    def influence(self, group: str | None = None, *, refit: bool = True) -> Influence:
        """Fit the model without each level of a grouping, to see which therapists or patients the estimates hang on.

        Parameters
        ----------
        group : str, optional
            The grouping; may be left out where there is only one. With multiple membership, a level is left out with
            all rows in which it has any weight.
        refit : bool
            Estimate the variances anew without each level (by a few Newton steps from the full fit), or hold them,
            which is quicker and close.

        Returns
        -------
        Influence
            With ``table()`` (Cook's distance, covariance ratio), ``estimates()`` (DFBETA, DFBETAS), ``variances()`` and
            ``plot()``. What a level adds is taken from the sums that the fit was made from; only with correlated
            residuals, or residuals of unequal variance, are these sums made anew.

        References
        ----------
        Belsley, Kuh & Welsch (1980), Regression diagnostics. Nieuwenhuis, te Grotenhuis & Pelzer (2012), The R
        Journal, 4(2), 38-47.
        """
        from alliance_stats.models.influence import influence

        return influence(self, group, refit)

    # ---- intervals and tests of variance parameters ------------------------------------------------------------

    def intervals(
        self,
        parameters: Kind | Sequence[Kind] | None = None,
        method: IntervalMethod = "profile",
        level: float = 0.95,
        *,
        n: int = 1000,
        seed: int | None = None,
        workers: int = 1,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Intervals for standard deviations, correlations, shares of variance and residual parameters.

        Parameters
        ----------
        parameters : str or sequence of str, optional
            Kinds: ``"sd"``, ``"correlation"``, ``"icc"`` (as in :meth:`icc`), ``"residual_sd"``, ``"rho"``,
            ``"sd_ratio"``, ``"fixed"``; by default all that the model has but fixed effects.
        method : {"profile", "bootstrap"}
            "profile": the values at which the likelihood (for REML fits, the restricted one), maximised over
            everything else, is within χ²(1) of its maximum. "bootstrap": percentiles of :meth:`bootstrap`.
        level : float
        n, seed, workers, progress
            Of the bootstrap.

        Returns
        -------
        DataFrame
            ``group, term, term2, parameter, estimate, ci_low, ci_high, method, note``. ``note`` says where an interval
            ends because the parameter's range does (a standard deviation of zero, a correlation of ±1), and why one is
            missing.

        Raises
        ------
        DataError
            If the model has no such parameter, or fixed effects of a REML fit are to be profiled.

        References
        ----------
        Bates, Mächler, Bolker & Walker (2015), Journal of Statistical Software, 67(1), section 5.
        """
        from alliance_stats.models.intervals import intervals

        return intervals(self, parameters, method, level, n, seed, workers, progress)

    def bootstrap(
        self, n: int = 1000, seed: int | None = None, *, workers: int = 1, progress: bool = True
    ) -> Bootstrap:
        """Parametric bootstrap: draw outcomes from the fit, and fit the model to each.

        Parameters
        ----------
        n : int
            How many times.
        seed : int, optional
            The same seed gives the same draws, whatever the number of workers.
        workers : int
            Processes.
        progress : bool
            Show a bar on stderr, where it takes longer than two seconds.

        Returns
        -------
        Bootstrap
            With ``table()``, ``replicates``, ``n_failed`` and ``plot()``.

        References
        ----------
        Davison & Hinkley (1997), Bootstrap methods and their application, chapter 5.
        """
        from alliance_stats.models.bootstrap import bootstrap

        return bootstrap(self, n, seed, workers, progress)

    def test_variance(
        self,
        group: str | None = None,
        method: TestMethod = "mixture",
        *,
        n: int = 1000,
        seed: int | None = None,
        workers: int = 1,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Test each random effect against zero, by the likelihood ratio of the models with and without it.

        Parameters
        ----------
        group : str, optional
            Only effects of this grouping.
        method : {"mixture", "bootstrap"}
            Where p values come from: a mixture of χ² distributions, or outcomes drawn from the model without the
            effect, which is better with few levels.
        n, seed, workers, progress
            Of the bootstrap.

        Returns
        -------
        DataFrame
            ``group, term, statistic, df, p_value, reference``. ``df`` counts the variance and the covariances that
            vanish with it.

        Notes
        -----
        A variance of zero lies on the boundary, so plain χ² would find too little: for an effect that is correlated
        with k others, the reference is an even mixture of χ²(k) and χ²(k + 1). It takes many levels, and variances of
        the others above zero; with few levels it errs towards zero variance. An effect is tested as the model codes it:
        an intercept beside slopes where the predictors are 0.

        References
        ----------
        Self & Liang (1987), Journal of the American Statistical Association, 82, 605-610. Stram & Lee (1994),
        Biometrics, 50, 1171-1177.
        """
        from alliance_stats.models.variance_tests import variance_tests

        return variance_tests(self, group, method, n, seed, workers, progress)

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


def _values(column: np.ndarray | None) -> np.ndarray | float:
    return 1.0 if column is None else column
