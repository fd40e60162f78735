"""Pool effects: one mean, and how far studies differ from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import intercept_only
from alliance_stats.errors import DataError, DesignError, did_you_mean
from alliance_stats.meta.columns import complete_effects
from alliance_stats.meta.pooled_result import PREDICTIONS, UnivariateResult, arrays, scale_of
from alliance_stats.meta.settings import check_level, check_method, check_test, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.regression import Regression
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class PooledResult(UnivariateResult):
    """A pooled effect; see :func:`pool`."""

    def back_transformed(self, how: str | None = None) -> pd.DataFrame:
        """The pooled effect on the scale that readers know.

        Parameters
        ----------
        how : {"tanh", "exp", "integral"}, optional
            As in :func:`alliance_stats.meta.tidy.carried_back`; by default what the measure asks for.

        Returns
        -------
        DataFrame
            One row: ``estimate, std_error, ci_low, ci_high, pi_low, pi_high``. The standard error is missing.
        """
        how = how or scale_of(self.measure)
        if how is None:
            raise DataError(
                "It is not known on which scale the effects are. Say how='tanh' for Fisher's z, how='exp' for "
                "logarithms."
            )
        return self._predicted(np.ones((1, 1)), how)

    def weights(self) -> pd.Series:
        """Weight of each effect in the mean, in per cent."""
        weight = 1 / (self.fit.effects.v + self.fit.tau2)
        return pd.Series(100 * weight / weight.sum(), index=self.effects.index, name="weight")

    def predicted_effects(self) -> pd.DataFrame:
        """Each study's own true effect, drawn towards the mean: ``estimate, std_error, ci_low, ci_high``.

        References
        ----------
        Raudenbush & Bryk (1985), Journal of Educational Statistics, 10, 75-98.
        """
        from alliance_stats.engine.distributions import t_quantile

        y, v = arrays(self.effects)
        shrunken = self.fit.tau2 / (self.fit.tau2 + v)
        estimate = shrunken * y + (1 - shrunken) * self.fit.beta[0]
        error = np.sqrt(shrunken * v + (1 - shrunken) ** 2 * self.fit.covariance[0, 0])
        half = t_quantile(0.5 + self.level / 2, self.fit.df) * error
        columns = {"estimate": estimate, "std_error": error, "ci_low": estimate - half, "ci_high": estimate + half}
        return pd.DataFrame(columns, index=self.effects.index)

    def report(self) -> Sentences:
        """Sentences for the results section: the mean, its test, and the spread of studies."""
        from alliance_stats.meta.words import mean_sentence, spread_sentence
        from alliance_stats.report.sentences import join

        glance = self.glance().iloc[0]
        scale = scale_of(self.measure)
        back = self.back_transformed(scale).iloc[0] if scale == "tanh" else None
        mean = mean_sentence(self.table().iloc[0], glance, "z" if back is not None else "b", back, self.level)
        return (
            mean if self.fit.method == "EE" or self.fit.q_df == 0 else join(mean, spread_sentence(glance, self.level))
        )

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.words import ESTIMATORS, TESTS, studies

        model = "Equal-effects" if self.fit.method == "EE" else "Random-effects"
        by = "" if self.fit.method == "EE" else f", τ² by {ESTIMATORS[self.fit.method]}"
        return f"{model} meta-analysis of {studies(self.glance().iloc[0])}{by}; {TESTS[self.fit.test]}."

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the forest plot: each effect with its interval, the mean, and the prediction interval."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)


def pool(
    effects: pd.DataFrame,
    method: str = "REML",
    test: str = "z",
    *,
    prediction: str | None = None,
    level: float = 0.95,
    measure: str | None = None,
) -> PooledResult:
    """Pool independent effects.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``, one row per effect; ``study`` if known. Rows without effect or variance are left out, counted.
    method : str
        Estimator of the variance between studies: ``"REML"`` (default), ``"ML"``, ``"DL"`` (DerSimonian–Laird),
        ``"HE"`` (Hedges), ``"HS"``, ``"HSk"`` (Hunter–Schmidt), ``"SJ"`` (Sidik–Jonkman), ``"EB"`` (empirical
        Bayes), ``"PM"`` (Paule–Mandel), ``"PMM"`` (its median-unbiased variant); ``"EE"`` or ``"FE"`` for none.
    test : {"z", "t", "knha", "adhoc"}
        Normal; t with k − 1 degrees of freedom; Knapp–Hartung; Knapp–Hartung with a factor never below 1. For few
        studies ``"knha"`` keeps its level where ``"z"`` does not.
    prediction : {"normal", "t", "riley"}, optional
        Prediction interval: normal (default with ``test="z"``), t with k − 1 (default otherwise), t with k − 2 degrees
        of freedom (Riley, Higgins & Deeks, 2011).
    level : float
        Level of all intervals.
    measure : str, optional
        Effect size of ``yi``, as in :func:`effect_sizes`, which notes it on the frame.

    Returns
    -------
    PooledResult

    Raises
    ------
    DataError
        If a variance is zero, negative or infinite, or an argument is not known.
    DesignError
        If no degrees of freedom are left for the test, or all effects are equal and Knapp–Hartung's factor is 0.

    References
    ----------
    Viechtbauer (2005), Journal of Educational and Behavioral Statistics, 30, 261-293.
    """
    from alliance_stats.engine.pooling.regression import fit_regression

    method = check_method(method)
    check_level(level)
    kept, y, v = complete_effects(effects)
    check_test(test, y.size, 1)
    part = intercept_only(y.size)
    fit = fit_regression(y, v, part.matrix, method, test)
    check_scale(fit)
    prediction = check_prediction(prediction, test)
    return PooledResult(fit, part, kept, prediction, level, measure_of(effects, measure), len(effects) - y.size)


def check_prediction(prediction: str | None, test: str) -> str:
    """Return the distribution of the prediction interval."""
    if prediction is None:
        return "normal" if test == "z" else "t"
    if prediction not in PREDICTIONS:
        raise DataError(f"No prediction interval {prediction!r}. {did_you_mean(prediction, PREDICTIONS)}")
    return prediction


def check_scale(fit: Regression) -> None:
    """Refuse Knapp and Hartung's factor where the effects leave no residuals."""
    if fit.test == "knha" and fit.scale < 1e-20:
        raise DesignError(
            f"All {fit.effects.k} effects lie on the model exactly, so Knapp and Hartung's standard errors are 0. "
            "Use test='adhoc' or test='z', and check whether one effect was entered several times."
        )
