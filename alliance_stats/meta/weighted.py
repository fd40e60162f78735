"""Pool effects with weights of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.columns import STUDY, complete_effects, refuse
from alliance_stats.meta.pooled_result import arrays, scale_of, transformed
from alliance_stats.meta.result import VARIANCES, MetaResult
from alliance_stats.meta.settings import check_level, check_method, measure_of
from alliance_stats.meta.tidy import Floats, coefficients_table
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.regression import Regression
    from alliance_stats.report.sentences import Sentences

#: τ² from the Q statistic of the user's weights.
GENERALISED = "GENQ"
#: The exact interval of τ² takes the eigenvalues of a k × k matrix at each step; no more effects than this have one.
MOST_EFFECTS = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class WeightedResult(MetaResult):
    """A mean with weights of the user's choice; see :func:`pool_weighted`.

    Parameters
    ----------
    fit : Regression
        The engine's fit with inverse-variance weights, at the τ² that is used here: Q, I² and H² are of it.
    raw : ndarray of shape (k,)
        The weights.
    given : str
        Their column; empty for equal weights.
    """

    fit: Regression
    raw: Floats
    effects: pd.DataFrame
    given: str
    level: float
    measure: str
    n_dropped: int

    @cached_property
    def _mean(self) -> tuple[float, float]:
        from alliance_stats.engine.pooling.user_weights import weighted_mean

        return weighted_mean(*arrays(self.effects), self.raw, self.fit.tau2)

    def table(self) -> pd.DataFrame:
        """The mean: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``; normal tests."""
        estimate, error = self._mean
        return coefficients_table([INTERCEPT], np.array([estimate]), np.array([error]), np.inf, self.level)

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis; heterogeneity as in :func:`pool`, at this τ²."""
        from alliance_stats.engine.distributions import chi2_p_value, t_quantile

        row, fit = self.table().iloc[0], self.fit
        low, high = self._tau2_interval
        half = float(t_quantile(0.5 + self.level / 2, np.inf)) * np.sqrt(row["std_error"] ** 2 + fit.tau2)
        half = np.nan if fit.method == "EE" else half  # one effect by assumption: nothing to predict
        values = {
            "k": fit.effects.k,
            "n_studies": self.effects[STUDY].nunique() if STUDY in self.effects.columns else fit.effects.k,
            **{name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
            **{"pi_low": row["estimate"] - half, "pi_high": row["estimate"] + half},
            **{"tau2": fit.tau2, "tau2_ci_low": low, "tau2_ci_high": high, "i2": fit.i2, "h2": fit.h2},
            **{"q": fit.q, "q_df": fit.q_df, "q_p": chi2_p_value(fit.q, fit.q_df) if fit.q_df else 1.0},
            **{"method": fit.method, "test": "z", "converged": fit.converged, "n_dropped": self.n_dropped},
        }
        return pd.DataFrame([values])

    @cached_property
    def _tau2_interval(self) -> tuple[float, float]:
        """Jackson's interval for GENQ, else the Q-profile."""
        from alliance_stats.engine.pooling.regression import q_profile
        from alliance_stats.engine.pooling.user_weights import generalised_q_interval

        fit = self.fit
        if fit.method == "EE" or fit.q_df <= 0:
            return float("nan"), float("nan")
        if fit.method != GENERALISED:
            return q_profile(fit, self.level)
        if fit.effects.k > MOST_EFFECTS:
            return float("nan"), float("nan")
        return generalised_q_interval(*arrays(self.effects), self.raw, self.level)

    def variance(self) -> pd.DataFrame:
        """The variance between studies: ``level, n_levels, variance, sd, ci_low, ci_high, i2``."""
        row = ("study", self.fit.effects.k, self.fit.tau2, np.sqrt(self.fit.tau2), *self._tau2_interval, self.fit.i2)
        return pd.DataFrame([row], columns=list(VARIANCES))

    def weights(self) -> pd.Series:
        """Weight of each effect in the mean, in per cent."""
        return pd.Series(100 * self.raw / self.raw.sum(), index=self.effects.index, name="weight")

    def back_transformed(self, how: str | None = None) -> pd.DataFrame:
        """The mean on the scale that readers know; see :meth:`PooledResult.back_transformed`."""
        how = how or scale_of(self.measure)
        if how is None:
            raise DataError("It is not known on which scale the effects are. Say how='tanh' for Fisher's z.")
        columns = ["estimate", "std_error", "ci_low", "ci_high", "pi_low", "pi_high"]
        return transformed(self.glance()[columns], how, self.fit.tau2)

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.words import mean_sentence, spread_sentence
        from alliance_stats.report.sentences import join

        glance = self.glance().iloc[0]
        back = self.back_transformed().iloc[0] if scale_of(self.measure) == "tanh" else None
        mean = mean_sentence(self.table().iloc[0], glance, "z" if back is not None else "b", back, self.level)
        spread = self.fit.method != "EE" and self.fit.q_df > 0
        return join(mean, spread_sentence(glance, self.level)) if spread else mean

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.words import ESTIMATORS, studies

        own = f"weights of the column {self.given!r}" if self.given else "equal weights"
        by = ESTIMATORS.get(self.fit.method, "the Q statistic of these weights")
        spread = "τ² taken as 0" if self.fit.method == "EE" else f"τ² by {by}"
        return f"Mean of {studies(self.glance().iloc[0])} with {own}; {spread}; tests from the normal distribution."

    def notes(self) -> tuple[str, ...]:
        """Rows left out, and intervals that are missing."""
        found = []
        if self.n_dropped:
            found.append(f"{count(self.n_dropped, 'row')} without effect, variance or weight left out.")
        if self.fit.method == GENERALISED and self.fit.effects.k > MOST_EFFECTS:
            found.append(f"τ² by GENQ has an interval for at most {MOST_EFFECTS} effects.")
        elif self.fit.method != "EE" and self.fit.q_df > 0 and np.isnan(self._tau2_interval[0]):
            found.append(
                "The effects vary less than their sampling errors alone explain, so the interval of τ² is empty."
            )
        return tuple(found)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the forest plot."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)


def pool_weighted(
    effects: pd.DataFrame,
    weights: str | None = None,
    method: str = GENERALISED,
    *,
    level: float = 0.95,
    measure: str | None = None,
) -> WeightedResult:
    """Pool independent effects with given weights, e.g. sample sizes, or equal ones.

    The mean is less precise than that of :func:`pool`, whose weights are the best there are; its standard error says
    so. Weights that do not depend on τ² keep large studies large where studies differ much, which matters where small
    studies are suspected of bias.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; ``study`` if known. Rows without effect, variance or weight are left out, counted.
    weights : str, optional
        Column of the weights, all above 0; their unit does not matter. By default all weigh the same.
    method : str
        Estimator of τ²: ``"GENQ"``, from the Q statistic of these weights, with its exact interval; or one of those of
        :func:`pool`, which do not use these weights.
    level : float
    measure : str, optional
        Effect size of ``yi``, as in :func:`effect_sizes`.

    Returns
    -------
    WeightedResult

    Raises
    ------
    DataError
        If a weight is zero, negative or infinite, or an argument is not known.

    References
    ----------
    DerSimonian & Kacker (2007), Contemporary Clinical Trials, 28, 105-114; Jackson (2013), Research Synthesis Methods,
    4, 220-229; Henmi & Copas (2010), Statistics in Medicine, 29, 2969-2983.
    """
    from alliance_stats.engine.pooling.regression import METHODS, fit_regression
    from alliance_stats.engine.pooling.user_weights import generalised_q_tau2

    if method != GENERALISED:
        if method not in (*METHODS, "FE", "CE"):
            raise DataError(f"No estimator {method!r}. {did_you_mean(method, (GENERALISED, *METHODS))}")
        method = check_method(method)
    check_level(level)
    kept, y, v = complete_effects(effects, [weights] if weights is not None else [])
    raw = np.ones(y.size) if weights is None else _numbers(kept, weights)
    fit = fit_regression(y, v, np.ones((y.size, 1)), "EE" if method == GENERALISED else method)
    if method == GENERALISED:
        fit = replace(fit, method=method, tau2=generalised_q_tau2(y, v, raw) if y.size > 1 else 0.0)
    return WeightedResult(fit, raw, kept, weights or "", level, measure_of(effects, measure), len(effects) - y.size)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    """The column of the weights: numbers above 0, and finite."""
    raw = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~((raw > 0) & np.isfinite(raw))
    refuse(frame, bad, f"weights {name!r} are not numbers above 0", "Correct them, or leave these out.", frame[name])
    return np.asarray(raw / raw.max())
