"""What pooled effects and meta-regressions with one variance between studies have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, Floats
from alliance_stats.meta.result import GLANCE, VARIANCES, first_coefficient
from alliance_stats.meta.tidy import carried_back, coefficients_table
from alliance_stats.meta.weighted_sums import WeightedSums

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.regression import Regression

PREDICTIONS = ("normal", "t", "riley")


@dataclass(frozen=True, eq=False, repr=False)
class UnivariateResult(WeightedSums):
    """A fit with one variance between studies.

    Parameters
    ----------
    fit : Regression
        The engine's estimates.
    part : FixedPart
        Names and columns of the coefficients.
    effects : DataFrame
        The rows used.
    prediction : {"normal", "t", "riley"}
        Distribution of the prediction interval.
    level : float
        Level of all intervals.
    measure : str
        Effect size, if known; decides how estimates are carried back.
    n_dropped : int
        Rows left out for missing values.
    """

    fit: Regression
    part: FixedPart
    effects: pd.DataFrame
    prediction: str
    level: float
    measure: str
    n_dropped: int

    # ---- tables ------------------------------------------------------------------------------------------------

    def table(self) -> pd.DataFrame:
        """Coefficients: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``."""
        error = np.sqrt(np.diag(self.fit.covariance))
        return coefficients_table(self.part.names, self.fit.beta, error, self.fit.df, self.level)

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis.

        Returns
        -------
        DataFrame
            ``k, n_studies, estimate, std_error, ci_low, ci_high, pi_low, pi_high`` (of the intercept; with EE there is
            nothing to predict), ``tau2`` with its Q-profile interval, ``i2`` (per cent), ``h2``, Cochran's ``q, q_df,
            q_p``, ``method, test, converged``; then ``tau2_error``, the intervals of ``i2`` and ``h2``,
            ``log_likelihood, aic, bic`` (restricted with REML, else of ML), ``n_dropped``.
        """
        return self._glance.copy(deep=False)

    @cached_property
    def _glance(self) -> pd.DataFrame:
        from alliance_stats.engine.distributions import chi2_p_value

        fit = self.fit
        row = first_coefficient(self.table())
        low, high = self.tau2_interval()
        pi_low, pi_high = self._prediction_interval(float(row["estimate"]), float(row["std_error"]))
        restricted = fit.method == "REML"  # moment estimators maximise neither; AIC and BIC are those of ML
        n_parameters = len(fit.beta) + (fit.method != "EE")
        log_likelihood = fit.log_likelihood(restricted)
        n_information = fit.q_df if restricted else fit.effects.k
        i2_low, h2_low = fit.heterogeneity(low)
        i2_high, h2_high = fit.heterogeneity(high)
        values: dict[str, object] = {
            "k": fit.effects.k,
            "n_studies": self.n_studies,
            **{name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
            "pi_low": pi_low,
            "pi_high": pi_high,
            "tau2": fit.tau2,
            "tau2_ci_low": low,
            "tau2_ci_high": high,
            "i2": fit.i2,
            "h2": fit.h2,
            "q": fit.q,
            "q_df": fit.q_df,
            "q_p": chi2_p_value(fit.q, fit.q_df) if fit.q_df else 1.0,
            "method": fit.method,
            "test": fit.test,
            "converged": fit.converged,
        }
        more = {
            "tau2_error": fit.tau2_error,
            **{"i2_ci_low": i2_low, "i2_ci_high": i2_high, "h2_ci_low": h2_low, "h2_ci_high": h2_high},
            "log_likelihood": log_likelihood,
            "aic": 2 * (n_parameters - log_likelihood),
            "bic": n_parameters * np.log(max(n_information, 1)) - 2 * log_likelihood,
            "n_dropped": self.n_dropped,
        }
        assert tuple(values) == GLANCE
        return pd.DataFrame([values | more])

    def variance(self) -> pd.DataFrame:
        """The variance between studies: ``level, n_levels, variance, sd, ci_low, ci_high, i2`` (Q-profile interval)."""
        low, high = self.tau2_interval()
        tau2 = self.fit.tau2
        row = ("study", self.fit.effects.k, tau2, np.sqrt(tau2), low, high, self.fit.i2)
        return pd.DataFrame([row], columns=list(VARIANCES))

    @property
    def n_studies(self) -> int:
        """Studies: different values of the column ``study``; an effect without one counts as a study of its own."""
        return n_studies(self.effects)

    def tau2_interval(self, kind: str = "q-profile", level: float | None = None) -> tuple[float, float]:
        """Interval of τ².

        Parameters
        ----------
        kind : {"q-profile", "profile-likelihood"}
        level : float, optional
            The result's by default.

        Returns
        -------
        low, high : float
            Both missing where the effects vary less than sampling error alone explains, or τ² is 0 by assumption.
        """
        if kind not in ("q-profile", "profile-likelihood"):
            raise DataError(f"No interval {kind!r} of τ². {did_you_mean(kind, ('q-profile', 'profile-likelihood'))}")
        level = self.level if level is None else level
        if self.fit.method == "EE" or self.fit.q_df <= 0:
            return float("nan"), float("nan")
        if kind == "q-profile" and level == self.level:
            return self._q_profile
        from alliance_stats.engine.pooling.regression import profile_likelihood, q_profile

        return q_profile(self.fit, level) if kind == "q-profile" else profile_likelihood(self.fit, level)

    @cached_property
    def _q_profile(self) -> tuple[float, float]:
        from alliance_stats.engine.pooling.regression import q_profile

        return q_profile(self.fit, self.level)

    def residuals(self) -> pd.DataFrame:
        """A row per effect: ``fitted, residual, std_error, rstandard, hat``."""
        y, v = arrays(self.effects)
        x, total = self.part.matrix, v + self.fit.tau2
        spread = np.einsum("ip,pq,iq->i", x, self.fit.covariance / self.fit.scale, x)
        fitted, error = x @ self.fit.beta, np.sqrt(np.maximum(total - spread, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            # an effect that alone fixes a coefficient has no residual to standardise: missing
            standard = np.where(error > 0, (y - fitted) / error, np.nan)
        columns = {"fitted": fitted, "residual": y - fitted, "std_error": error, "rstandard": standard}
        return pd.DataFrame({**columns, "hat": spread / total}, index=self.effects.index)

    def random(self) -> pd.DataFrame:
        """How far each study's true effect is predicted to lie from what the model expects, drawn towards it.

        Returns
        -------
        DataFrame
            ``level, estimate, std_error, ci_low, ci_high``, a row per effect; the standard error is of the prediction,
            with the uncertainty of the coefficients.

        References
        ----------
        Raudenbush & Bryk (1985), Journal of Educational Statistics, 10, 75-98.
        """
        from alliance_stats.engine.distributions import t_quantile

        y, v = arrays(self.effects)
        x, names = self.part.matrix, self.effects[STUDY] if STUDY in self.effects.columns else self.effects.index
        shrunken = self.fit.tau2 / (self.fit.tau2 + v)
        estimate = shrunken * (y - x @ self.fit.beta)
        error = np.sqrt(shrunken * v + shrunken**2 * np.einsum("ip,pq,iq->i", x, self.fit.covariance, x))
        half = t_quantile(0.5 + self.level / 2, self.fit.df) * error
        columns = {"level": np.asarray(names), "estimate": estimate, "std_error": error}
        return pd.DataFrame({**columns, "ci_low": estimate - half, "ci_high": estimate + half})

    # ---- predictions and contrasts -----------------------------------------------------------------------------

    def _prediction_interval(self, estimate: float, error: float) -> tuple[float, float]:
        from alliance_stats.engine.distributions import t_quantile

        spare = self.fit.q_df
        if self.fit.method == "EE":  # one effect by assumption: there is no distribution to predict from
            return float("nan"), float("nan")
        df = {"normal": np.inf, "t": spare, "riley": spare - 1}[self.prediction]
        if df <= 0 or np.isnan(error):
            return float("nan"), float("nan")
        half = float(t_quantile(0.5 + self.level / 2, df)) * np.sqrt(error**2 + self.fit.tau2)
        return estimate - half, estimate + half

    def _estimates(self, rows: Floats, labels: Sequence[str]) -> pd.DataFrame:
        error = np.sqrt(np.einsum("ri,ij,rj->r", rows, self.fit.covariance, rows))
        return coefficients_table(labels, rows @ self.fit.beta, error, self.fit.df, self.level)

    def _predicted(self, rows: Floats, back: str | None) -> pd.DataFrame:
        """``estimate, std_error, ci_low, ci_high, pi_low, pi_high`` of rows of the design."""
        table = coefficients_table(
            [str(at) for at in range(len(rows))],
            rows @ self.fit.beta,
            np.sqrt(np.einsum("ri,ij,rj->r", rows, self.fit.covariance, rows)),
            self.fit.df,
            self.level,
        )
        frame = table[["estimate", "std_error", "ci_low", "ci_high"]].copy()
        pairs = [self._prediction_interval(one, error) for one, error in frame[["estimate", "std_error"]].to_numpy()]
        frame[["pi_low", "pi_high"]] = pairs
        return frame if back is None else transformed(frame, back, self.fit.tau2)

    # ---- words -------------------------------------------------------------------------------------------------

    def notes(self) -> tuple[str, ...]:
        """Rows left out, convergence, empty intervals, and choices that few studies make risky."""
        fit, found = self.fit, []
        if self.n_dropped:
            found.append(f"{count(self.n_dropped, 'row')} without effect, variance or moderator left out.")
        if not fit.converged:
            found.append("The estimator of τ² did not converge: these numbers are not final.")
        low, high = self.tau2_interval()
        if np.isnan(high) and not np.isnan(low):
            found.append("The upper end of the Q-profile interval of τ² could not be found: variances differ too much.")
        if fit.method != "EE" and fit.q_df > 0 and np.isnan(low):
            found.append(
                "The effects vary less than their sampling errors alone explain, so the Q-profile interval of τ² "
                "is empty."
            )
        if fit.effects.k == 1:
            found.append(
                "There is 1 effect: nothing is pooled, and nothing is known about differences between studies."
            )
        elif fit.test in ("z", "t") and fit.method != "EE" and fit.effects.k < 40:
            found.append(
                f"With {fit.effects.k} effects, tests that take τ² as known are too lenient; test='knha' allows for it."
            )
        repeated = self.effects[STUDY].dropna().duplicated().sum() if STUDY in self.effects.columns else 0
        if repeated:
            found.append(
                f"{repeated} of {fit.effects.k} effects come from a study that has another one here, and were taken as "
                "independent. Use multilevel()."
            )
        return tuple(found)


def transformed(frame: pd.DataFrame, back: str, tau2: float) -> pd.DataFrame:
    """Carry estimates and the ends of intervals to another scale; the standard error has no place there."""
    columns = [name for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high") if name in frame.columns]
    carried = frame.copy()
    for name in columns:
        # a prediction interval is about single studies, which differ no further: its ends are carried plainly
        how = "tanh" if back == "integral" and name.startswith("pi_") else back
        carried[name] = carried_back(frame[name].to_numpy(np.float64), how, tau2)
    return carried.assign(std_error=np.nan)


def n_studies(effects: pd.DataFrame) -> int:
    """Different values of the column ``study``; effects without one count as studies of their own."""
    if STUDY not in effects.columns:
        return len(effects)
    return int(effects[STUDY].nunique() + effects[STUDY].isna().sum())


def scale_of(measure: str) -> str | None:
    """How effects of a measure are carried back, or None."""
    from alliance_stats.meta.effect_sizes import MEASURES

    return MEASURES[measure].back or None if measure in MEASURES else None


def arrays(effects: pd.DataFrame) -> tuple[Floats, Floats]:
    """Effects and variances as arrays."""
    return effects[EFFECT].to_numpy(np.float64), effects[VARIANCE].to_numpy(np.float64)
