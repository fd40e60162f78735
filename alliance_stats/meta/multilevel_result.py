"""The result of a multilevel meta-analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.errors import DataError, count
from alliance_stats.meta.coefficient_tests import CoefficientTests
from alliance_stats.meta.multilevel_setup import Structure
from alliance_stats.meta.pooled_result import scale_of, transformed
from alliance_stats.meta.result import GLANCE, VARIANCES, first_coefficient
from alliance_stats.meta.robust_tests import FEW, Uncertainty
from alliance_stats.meta.tidy import Floats
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.multilevel import Peak, Problem
    from alliance_stats.meta.sensitivity import SensitivityFrame
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class MultilevelResult(CoefficientTests):
    """A multilevel meta-analysis; see :func:`alliance_stats.meta.multilevel`.

    Parameters
    ----------
    problem, peak : Problem, Peak
        The engine's model and where its likelihood is highest.
    part : FixedPart
        Names and columns of the coefficients, rows in the model's order.
    structure : Structure
        Levels and sampling covariance.
    uncertainty : Uncertainty
        Robust or model-based.
    cluster : str
        What robust standard errors take as independent; empty without them.
    asked : mapping
        The call's arguments, for refits.
    """

    problem: Problem
    peak: Peak
    part: FixedPart
    structure: Structure
    uncertainty: Uncertainty
    cluster: str
    n_clusters: int
    robust: str | None
    test_kind: str
    method: str
    level: float
    measure: str
    n_dropped: int
    asked: Mapping[str, Any]

    # ---- tables ------------------------------------------------------------------------------------------------

    @cached_property
    def beta(self) -> Floats:  # type: ignore[override]  # read only, as every field of a frozen result is
        """Coefficients."""
        return self.peak.at.coefficients()[0]

    @property
    def effects(self) -> pd.DataFrame:
        """The rows used, in the order of the frame that was given."""
        return self.structure.rows.iloc[np.argsort(self.structure.order)]

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis.

        Returns
        -------
        DataFrame
            ``k, n_studies, estimate, std_error, ci_low, ci_high, pi_low, pi_high`` (of the intercept), ``tau2`` (all
            levels together), ``i2`` (per cent) and ``h2`` of it, Cochran's ``q, q_df, q_p`` at V, ``method, test,
            converged``; then ``n_clusters, rho, log_likelihood, aic, bic, n_dropped``. Intervals of single variances
            stand in :meth:`variance`; ``tau2_ci_low`` and ``tau2_ci_high`` are the profile-likelihood interval of their
            sum.
        """
        return self._glance.copy(deep=False)

    @cached_property
    def _glance(self) -> pd.DataFrame:
        from alliance_stats.engine.distributions import chi2_p_value

        problem = self.problem
        row = first_coefficient(self.table())
        spare = problem.k - problem.p
        fixed = self._at_zero
        n_parameters = problem.p + problem.n_parameters
        log_likelihood = self.peak.at.value
        n_information = spare if self.method == "REML" else problem.k
        pi_low, pi_high = self._prediction(row["estimate"], row["std_error"], row["df"])
        low, high = self._total_interval
        values: dict[str, object] = {
            "k": problem.k,
            "n_studies": int(self.structure.sample.max()) + 1,
            **{name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
            **{"pi_low": pi_low, "pi_high": pi_high},
            **{"tau2": self.tau2, "tau2_ci_low": low, "tau2_ci_high": high},
            "i2": 100 * self.tau2 / (self.tau2 + self.typical_v),
            "h2": 1 + self.tau2 / self.typical_v,
            **{"q": fixed.q, "q_df": spare, "q_p": chi2_p_value(fixed.q, spare)},
            **{"method": self.method, "test": self.test_kind, "converged": self.peak.converged},
        }
        more = {
            "n_clusters": self.n_clusters,
            "rho": self.structure.rho,
            "log_likelihood": log_likelihood,
            "aic": 2 * (n_parameters - log_likelihood),
            "bic": n_parameters * np.log(n_information) - 2 * log_likelihood,
            "n_dropped": self.n_dropped,
        }
        assert tuple(values) == GLANCE
        return pd.DataFrame([values | more])

    @cached_property
    def _total_interval(self) -> tuple[float, float]:
        """Profile-likelihood interval of the sum of all variances; missing where there is none."""
        from alliance_stats.engine.pooling.profile import total_interval

        if self.problem.n_parameters == 0:
            return np.nan, np.nan
        return total_interval(self.problem, self.peak, self.level)

    @cached_property
    def _at_zero(self) -> Any:
        from alliance_stats.engine.pooling.multilevel import Evaluation

        return Evaluation(self.problem, np.zeros(self.problem.n_parameters))

    @cached_property
    def typical_v(self) -> float:
        """The "typical" sampling variance of Higgins & Thompson (2002), at V."""
        at = self._at_zero
        trace = at.factored.diagonal().sum() - np.einsum("ij,ik,jk->", at.inverse, at.solved_x, at.solved_x)
        return float((self.problem.k - self.problem.p) / trace)

    @cached_property
    def tau2(self) -> float:
        """Variance of true effects: all levels together (with subgroups, their mean over the effects)."""
        return float(self._row_variances.mean())

    @property
    def _row_variances(self) -> Floats:
        """Variance of each row's true effect, all levels together."""
        total = np.zeros(self.problem.k)
        for term in self.structure.terms:
            total += term.weights(self.peak.theta)[term.codes]
        return total

    def variance(self, intervals: bool = True) -> pd.DataFrame:
        """A row per level: ``level, n_levels, variance, sd, ci_low, ci_high, i2``.

        Parameters
        ----------
        intervals : bool
            Whether to compute profile-likelihood intervals, which take some refits; else they are missing.
        """
        theta = self.peak.theta
        ends = self._profiles if intervals else np.full((len(theta), 2), np.nan)
        rows = []
        for at, level in enumerate(self.structure.levels):
            value = float(theta[at])
            here = level.codes >= 0  # with subgroups, the rows that have this variance
            share = 100 * value / (self._row_variances[here].mean() + self.typical_v)
            rows.append((level.name, level.n, value, np.sqrt(value), *ends[at], share))
        return pd.DataFrame(rows, columns=list(VARIANCES))

    @cached_property
    def _profiles(self) -> Floats:
        from alliance_stats.engine.pooling.profile import profile_interval

        places = range(self.problem.n_parameters)
        return np.array([profile_interval(self.problem, self.peak, at, self.level) for at in places]).reshape(-1, 2)

    def random(self, level: str | None = None) -> pd.DataFrame:
        """Predicted effects of the groups of a level, as deviations: ``level, estimate, std_error, ci_low, ci_high``.

        Parameters
        ----------
        level : str, optional
            As in :meth:`variance`; the outermost by default.
        """
        from alliance_stats.meta.multilevel_rows import random_effects

        return random_effects(self, level)

    def residuals(self) -> pd.DataFrame:
        """A row per effect: ``fitted, residual, std_error, rstandard, hat``; standard errors from the working model."""
        from alliance_stats.meta.multilevel_rows import residual_table

        return residual_table(self)

    # ---- predictions -------------------------------------------------------------------------------------------

    def predict(self, new: pd.DataFrame | None = None, back: str | None = None) -> pd.DataFrame:
        """Expected effects with confidence and prediction intervals; the latter are of a single new effect.

        Parameters
        ----------
        new : DataFrame, optional
            Values of the moderators; by default one row for the mean effect, or with moderators the rows used.
        back : {"tanh", "exp", "integral"}, optional
            Carry the effects to another scale.
        """
        if new is not None:
            rows, index = self.part.new_rows(new), new.index
        elif self.part.names == (INTERCEPT,):
            rows, index = np.ones((1, 1)), pd.RangeIndex(1)
        else:
            rows, index = self.part.matrix[np.argsort(self.structure.order)], self.effects.index
        table = self._estimates(rows, [str(at) for at in range(len(rows))])
        frame = table[["estimate", "std_error", "ci_low", "ci_high"]].set_index(index)
        ends = [self._prediction(*own) for own in table[["estimate", "std_error", "df"]].to_numpy(np.float64)]
        frame[["pi_low", "pi_high"]] = ends
        return frame if back is None else transformed(frame, back, self.tau2)

    def back_transformed(self, how: str | None = None) -> pd.DataFrame:
        """The mean effect on the scale that readers know; see :meth:`PooledResult.back_transformed`."""
        how = how or scale_of(self.measure)
        if how is None:
            raise DataError("It is not known on which scale the effects are. Say how='tanh' for Fisher's z.")
        return self.predict(back=how)

    def _prediction(self, estimate: float, error: float, df: float) -> tuple[float, float]:
        from alliance_stats.engine.distributions import t_quantile

        if np.isnan(error) or not df >= 1:
            return float("nan"), float("nan")
        half = float(t_quantile(0.5 + self.level / 2, df)) * np.sqrt(error**2 + self.tau2)
        return estimate - half, estimate + half

    def sensitivity(self, rho: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)) -> SensitivityFrame:
        """Refit with other correlations of sampling errors; the frame has ``plot()`` and ``report()``.

        Returns
        -------
        SensitivityFrame
            ``rho``, the columns of :meth:`table`, and the variance of each level.
        """
        from alliance_stats.meta.multilevel_rows import over_rho

        return over_rho(self, rho)

    def weights(self) -> pd.Series:
        """Weight of each effect in the coefficients: row sums of the inverse covariance, in per cent of their sum."""
        rows = self.peak.at.factored.solve(np.ones((1, self.problem.k)))[0]
        values = pd.Series(100 * rows / rows.sum(), index=self.structure.rows.index, name="weight")
        return values.iloc[np.argsort(self.structure.order)]

    def vif(self, terms: str | Sequence[str] = ()) -> pd.DataFrame:
        """Variance inflation of coefficients or terms; see :meth:`RegressionResult.vif`. Model-based covariance."""
        from alliance_stats.meta.joint_tests import variance_inflation

        return variance_inflation(terms, self.peak.at.coefficients()[1], self.part.names, self.part.variables)

    # ---- words -------------------------------------------------------------------------------------------------

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.multilevel_words import multilevel_sentences

        return multilevel_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.multilevel_words import described

        return described(self)

    def notes(self) -> tuple[str, ...]:
        """Rows left out, convergence, variances at zero, and few degrees of freedom."""
        found = list(self.structure.remarks)
        if self.n_dropped:
            found.append(f"{count(self.n_dropped, 'row')} without effect, variance, level or moderator left out.")
        if not self.peak.converged:
            found.append("The optimiser did not reach the optimum: these numbers are not final.")
        zero = [own.name for own, value in zip(self.structure.levels, self.peak.theta, strict=True) if value == 0]
        if zero:
            found.append(f"The variance of {', '.join(zero)} is estimated at zero, the edge of what is possible.")
        few = int((self.table()["df"] < FEW).sum()) if self.robust else 0
        if few:
            found.append(
                f"{few} of {len(self.part.names)} coefficients have robust tests with fewer than 4 degrees of freedom; "
                "their p values can be far off."
            )
        return tuple(found)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the forest plot."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)
