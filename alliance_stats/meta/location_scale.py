"""What predicts how much effects differ between studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.pooled_result import arrays, n_studies
from alliance_stats.meta.result import VARIANCES, MetaResult, first_coefficient
from alliance_stats.meta.tidy import Floats, coefficients_table
from alliance_stats.names import INTERCEPT
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.location_scale import LocationScale

#: Stands before the terms that predict log τ².
SCALE = "log τ²: "


@dataclass(frozen=True, eq=False, repr=False)
class LocationScaleResult(MetaResult):
    """A location–scale model: coefficients of the effects, and of the logarithm of τ²."""

    fit: LocationScale
    part: FixedPart
    scale: FixedPart
    effects: pd.DataFrame
    method: str
    test_kind: str
    level: float
    formula: str
    n_dropped: int

    def table(self) -> pd.DataFrame:
        """Coefficients of the effects, then (``log τ²: …``) those of the logarithm of τ²."""
        fit = self.fit
        names = [*self.part.names, *(SCALE + name for name in self.scale.names)]
        errors = [np.sqrt(np.diag(own)) for own in (fit.beta_covariance, fit.alpha_covariance)]
        k = len(self.effects)
        df = np.repeat([k - fit.beta.size, k - fit.alpha.size], [fit.beta.size, fit.alpha.size]).astype(float)
        df = np.full(df.shape, np.inf) if self.test_kind == "z" else df
        return coefficients_table(names, np.concatenate([fit.beta, fit.alpha]), np.concatenate(errors), df, self.level)

    def expected(self, rows: Floats) -> pd.DataFrame:
        """Effects expected at rows of the moderators' design, with the columns of :meth:`table`."""
        error = np.sqrt(np.einsum("ri,ij,rj->r", rows, self.fit.beta_covariance, rows))
        df = np.inf if self.test_kind == "z" else float(len(self.effects) - self.fit.beta.size)
        return coefficients_table(["expected"] * len(rows), rows @ self.fit.beta, error, df, self.level)

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis; ``tau2`` is the mean of the effects' own τ², and has no interval."""
        from alliance_stats.engine.distributions import chi2_p_value
        from alliance_stats.engine.pooling.regression import fit_regression

        row = first_coefficient(self.table())
        fixed = fit_regression(*arrays(self.effects), self.part.matrix, "EE")
        tau2 = float(self.fit.tau2.mean())
        n_parameters = self.fit.beta.size + self.fit.alpha.size
        share, ratio = fixed.heterogeneity(tau2)
        none = dict.fromkeys(("pi_low", "pi_high"), np.nan)
        values = {
            "k": len(self.effects),
            "n_studies": n_studies(self.effects),
            **{name: row[name] for name in ("estimate", "std_error", "ci_low", "ci_high")},
            **none,
            **{"tau2": tau2, "tau2_ci_low": np.nan, "tau2_ci_high": np.nan, "i2": share, "h2": ratio},
            **{"q": fixed.q, "q_df": fixed.q_df, "q_p": chi2_p_value(fixed.q, fixed.q_df)},
            **{"method": self.method, "test": self.test_kind, "converged": self.fit.converged},
            "log_likelihood": self.fit.log_likelihood,
            "aic": 2 * (n_parameters - self.fit.log_likelihood),
            "n_dropped": self.n_dropped,
        }
        return pd.DataFrame([values])

    def variance(self) -> pd.DataFrame:
        """The mean of the effects' own τ²: ``level, n_levels, variance, sd, ci_low, ci_high, i2``."""
        glance = self.glance().iloc[0]
        row = ("study", len(self.effects), glance["tau2"], np.sqrt(glance["tau2"]), np.nan, np.nan, glance["i2"])
        return pd.DataFrame([row], columns=list(VARIANCES))

    def tau2(self) -> pd.Series:
        """τ² of each effect."""
        return pd.Series(self.fit.tau2, index=self.effects.index, name="tau2")

    def weights(self) -> pd.Series:
        """Inverse variance of each effect, in per cent of their sum."""
        weight = 1 / (arrays(self.effects)[1] + self.fit.tau2)
        return pd.Series(100 * weight / weight.sum(), index=self.effects.index, name="weight")

    def report(self) -> Sentences:
        """The mean effect or the moderators, then a sentence for each predictor of the spread."""
        from alliance_stats.meta.regression_words import moderator_sentences, scale_sentences
        from alliance_stats.meta.words import mean_sentence

        table, n = self.table(), len(self.part.names)
        location = table.iloc[:n]
        if list(self.part.names) == [INTERCEPT]:
            first = [mean_sentence(location.iloc[0], self.glance().iloc[0], "b", None, self.level)]
        else:
            first = moderator_sentences(location, self.part, self.level)
        spread = scale_sentences(table.iloc[n:].assign(term=list(self.scale.names)), self.scale, self.level)
        return join(*first, *(spread or [Sentences("Nothing was to predict how much effects differ.")]))

    def describe(self) -> str:
        """The analysis in words."""
        words = {"REML": "restricted maximum likelihood", "ML": "maximum likelihood"}[self.method]
        k = count(len(self.effects), "effect")
        return f"Location–scale model {self.formula}, log τ² ~ {self.scale.recipe.expression}, of {k}, by {words}."

    def notes(self) -> tuple[str, ...]:
        """Rows left out, and convergence."""
        found = []
        if self.n_dropped:
            found.append(f"{count(self.n_dropped, 'row')} without effect, variance or moderator left out.")
        if not self.fit.converged:
            found.append(
                "The likelihood has no peak: τ² runs to zero for some values of the predictors, and log τ² with its "
                "standard errors means nothing there. Use fewer predictors of the scale."
            )
        return tuple(found)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the effects with their intervals."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)


def fit_scale(
    effects: pd.DataFrame,
    part: FixedPart,
    scale: FixedPart,
    method: str,
    test: str,
    level: float,
    formula: str,
    n_dropped: int,
) -> LocationScaleResult:
    """Fit a location–scale model; see :func:`alliance_stats.meta.regress`."""
    from alliance_stats.engine.pooling.location_scale import fit_location_scale

    if method not in ("REML", "ML"):
        raise DataError(f"A location–scale model is fitted by REML or ML, not by {method!r}.")
    if test not in ("z", "t"):
        raise DataError(f"A location–scale model has the tests 'z' and 't', not {test!r}.")
    k, n = len(effects), len(part.names) + len(scale.names)
    if k <= n:
        raise DesignError(f"The model has {n} coefficients and {count(k, 'effect')}. Leave predictors out.")
    fit = fit_location_scale(*arrays(effects), part.matrix, scale.matrix, method == "REML")
    return LocationScaleResult(fit, part, scale, effects, method, test, level, formula, n_dropped)
