"""What a fitted mixed model says of rows, means and levels: thin methods over the modules that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.models.part_of_result import PartOfResult

if TYPE_CHECKING:
    from alliance_stats.data.session_table import SessionTable
    from alliance_stats.models.differences import Adjust, Differences
    from alliance_stats.models.explained import IccDefinition, R2Definition
    from alliance_stats.models.influence import Influence
    from alliance_stats.models.mean_grid import Weights
    from alliance_stats.models.predictions import Interval, ResidualKind, Unknown


class MixedAnswers(PartOfResult):
    """Means, slopes, predictions, residuals, shares of variance and influence of a mixed model."""

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

        return marginal_means(self._whole(), variables, at, weights, differences, adjust, level)

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

        return marginal_slopes(self._whole(), variable, by, at, weights, differences, adjust, level)

    def fitted(self) -> pd.Series:
        """Fitted values of the rows used (fixed and random effects, offset), indexed by their position in the data."""
        fit = self._whole()
        design, solution = fit.arrays.design, fit.solution
        offset = fit.arrays.residuals.offset
        values = np.zeros(design.n_obs) if offset is None else offset.copy()
        for at, column in enumerate(design.fixed):
            values += solution.beta[at] * _values(design.columns[column])
        for factor, effects in zip(design.factors, solution.effects, strict=True):
            for k, column in enumerate(factor.effects):
                values += factor.at_rows(effects.estimate[:, k]) * _values(design.columns[column])
        return pd.Series(values, index=pd.Index(fit.arrays.sample.rows, name="row"), name="fitted")

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

        return predict(self._whole(), new, level, interval, confidence, unknown, membership)

    def residuals(self, kind: ResidualKind = "conditional") -> pd.Series:
        """Return what the model leaves over, indexed by the rows' position in the data.

        Parameters
        ----------
        kind : {"conditional", "marginal", "standardised", "normalised"}
            Outcome less fitted values (outcome units); outcome less fixed part; conditional residuals divided by the
            residual standard deviation of the row; or these with their correlation over time taken out.
        """
        from alliance_stats.models.predictions import residuals

        return residuals(self._whole(), kind)

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

        return simulate(self._whole(), n, seed)

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

        return icc_table(self._whole(), definition)

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

        return r2_table(self._whole(), definition)

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

        return influence(self._whole(), group, refit)


def _values(column: np.ndarray | None) -> np.ndarray | float:
    return 1.0 if column is None else column
