"""Meta-regression: which moderators go with larger effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart, fixed_part
from alliance_stats.design.formula import Formula, parse_formula
from alliance_stats.errors import DataError
from alliance_stats.meta.columns import EFFECT, take_effects
from alliance_stats.meta.joint_tests import joint_table, rows_of_terms, variance_inflation
from alliance_stats.meta.pool import check_prediction, check_scale
from alliance_stats.meta.pooled_result import UnivariateResult, arrays
from alliance_stats.meta.settings import check_level, check_method, check_test, measure_of
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.regression import Regression
    from alliance_stats.meta.location_scale import LocationScaleResult
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class RegressionResult(UnivariateResult):
    """A meta-regression; see :func:`regress`.

    Parameters
    ----------
    formula : str
    tau2_without : float
        τ² without moderators, in the same rows; missing where there is no intercept.
    """

    formula: str = ""
    tau2_without: float = float("nan")

    @property
    def r2(self) -> float:
        """Share of τ² that the moderators explain, in per cent; never below 0, missing where τ² was 0 before."""
        if not self.tau2_without > 0:
            return float("nan")
        return max(0.0, 100 * (self.tau2_without - self.fit.tau2) / self.tau2_without)

    def glance(self) -> pd.DataFrame:
        """As for a pooled effect; in addition the omnibus test ``qm, qm_df, qm_p`` and ``r2`` (per cent).

        ``qm`` is χ² with ``test="z"``, and F otherwise.
        """
        omnibus = self.test().iloc[0]
        qm = omnibus["statistic"] * (omnibus["df_num"] if np.isinf(omnibus["df_den"]) else 1)
        return super().glance().assign(qm=qm, qm_df=omnibus["df_num"], qm_p=omnibus["p_value"], r2=self.r2)

    def test(self, terms: str | Sequence[str] | pd.DataFrame | None = None) -> pd.DataFrame:
        """Test several coefficients together; by default all but the intercept.

        Parameters
        ----------
        terms : str, sequence of str, or DataFrame, optional
            Coefficients as in :meth:`table`, terms of the formula (``"rater"`` for all its categories), or weighted
            sums as for :meth:`combine`.

        Returns
        -------
        DataFrame
            One row: ``test, statistic, df_num, df_den, p_value``. With ``test="z"`` the statistic is χ² over its
            degrees of freedom, and ``df_den`` infinite.
        """
        from alliance_stats.engine.distributions import f_p_value

        if isinstance(terms, pd.DataFrame):
            rows, label = self._rows(terms), ", ".join(map(str, terms.index))
        else:
            rows = rows_of_terms(terms, self.part.names, self.part.variables)
            label = "moderators" if terms is None else terms if isinstance(terms, str) else ", ".join(terms)
        return joint_table(label, rows, self.fit.beta, self.fit.covariance, self.fit.df, f_p_value)

    def predict(self, new: pd.DataFrame | None = None, back: str | None = None) -> pd.DataFrame:
        """Expected effects, with confidence and prediction intervals.

        Parameters
        ----------
        new : DataFrame, optional
            Values of the moderators; by default the rows used.
        back : {"tanh", "exp", "integral"}, optional
            Carry the effects to another scale.

        Returns
        -------
        DataFrame
            ``estimate, std_error, ci_low, ci_high, pi_low, pi_high``, a row for each row of ``new``.
        """
        rows = self.part.matrix if new is None else self.part.new_rows(new)
        predicted = self._predicted(rows, back)
        return predicted.set_index((self.effects if new is None else new).index)

    def vif(self, terms: str | Sequence[str] = ()) -> pd.DataFrame:
        """Variance inflation of each coefficient by the others: ``term, vif``.

        Parameters
        ----------
        terms : sequence of str, optional
            Terms of the formula, such as ``["rater", "year"]``: the generalised factor of all coefficients of a term
            together, which does not depend on the reference category. By default each coefficient on its own.

        References
        ----------
        Fox & Monette (1992), Journal of the American Statistical Association, 87, 178-183.
        """
        return variance_inflation(terms, self.fit.covariance, self.part.names, self.part.variables)

    def permutation_test(self, n: int = 1000, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Test by permuting the moderators over the effects.

        Parameters
        ----------
        n : int
            Random permutations; where there are no more than ``n`` in all, each is taken once.
        seed : int or Generator

        Returns
        -------
        DataFrame
            ``term, statistic, p_value``: each coefficient, and last the omnibus test. p values count the order observed
            as one of the permutations, so they are never 0.

        References
        ----------
        Higgins & Thompson (2004), Statistics in Medicine, 23, 1663-1682.
        """
        from alliance_stats.meta.permutation import permutation_table

        return permutation_table(self, n, np.random.default_rng(seed))

    def report(self) -> Sentences:
        """Sentences for the results section: the omnibus test, each moderator, and what is left unexplained."""
        from alliance_stats.meta.regression_words import regression_sentences

        return regression_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.words import ESTIMATORS, TESTS, studies

        by = "" if self.fit.method == "EE" else f", τ² by {ESTIMATORS[self.fit.method]}"
        return f"Meta-regression {self.formula} of {studies(self.glance().iloc[0])}{by}; {TESTS[self.fit.test]}."

    def weights(self) -> pd.Series:
        """Inverse variance of each effect, in per cent of their sum."""
        weight = 1 / (self.fit.effects.v + self.fit.tau2)
        return pd.Series(100 * weight / weight.sum(), index=self.effects.index, name="weight")

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the effects with their intervals."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)


def regress(
    formula: str,
    effects: pd.DataFrame,
    method: str = "REML",
    test: str = "z",
    *,
    scale: str | None = None,
    prediction: str | None = None,
    level: float = 0.95,
    measure: str | None = None,
) -> RegressionResult | LocationScaleResult:
    """Regress effects on moderators.

    Parameters
    ----------
    formula : str
        ``"yi ~ rater + year"``; the right side as in :func:`alliance_stats.mixed`, without bar terms.
    effects : DataFrame
        ``yi``, ``vi`` and the moderators. Rows with missing values are left out, counted.
    method, test, prediction, level, measure
        As for :func:`pool`.
    scale : str, optional
        What predicts how much the effects differ, such as ``"year"``: a location–scale model, ``log τ² = α₀ + α₁ year``
        (``method`` REML or ML).

    Returns
    -------
    RegressionResult or LocationScaleResult

    Raises
    ------
    DesignError
        If a moderator is constant or follows from others, or there are more coefficients than effects.
    DataError
        If a variance is zero, negative or infinite, or the left side is not ``yi``.
    """
    method = check_method(method)
    check_level(level)
    read = parse_formula(formula)
    check_left_side(read)
    scale_formula = None if scale is None else parse_right_side(scale)
    named = [*read.variables, *(scale_formula.variables if scale_formula else ())]
    kept, n_dropped = take_effects(effects, [name for name in dict.fromkeys(named) if name != EFFECT])
    part = fixed_part(read, kept)
    name = measure_of(effects, measure)
    if scale_formula is not None:
        from alliance_stats.meta.location_scale import fit_scale

        return fit_scale(kept, part, fixed_part(scale_formula, kept), method, test, level, formula, n_dropped)
    check_test(test, len(kept), len(part.names))
    fit, without = _fits(kept, part, method, test)
    return RegressionResult(
        fit, part, kept, check_prediction(prediction, test), level, name, n_dropped, formula, without
    )


def _fits(kept: pd.DataFrame, part: FixedPart, method: str, test: str) -> tuple[Regression, float]:
    """The fit, and τ² without moderators."""
    from alliance_stats.engine.pooling.regression import fit_regression

    y, v = arrays(kept)
    fit = fit_regression(y, v, part.matrix, method, test)
    check_scale(fit)
    if INTERCEPT not in part.names or method == "EE":
        return fit, float("nan")
    return fit, fit_regression(y, v, np.ones((len(y), 1)), method).tau2


def check_left_side(formula: Formula) -> None:
    """Refuse a formula whose left side is not the effect."""
    if formula.outcome != EFFECT:
        raise DataError(f"The left side of {formula.text!r} is {formula.outcome!r}; effects are called 'yi'.")


def parse_right_side(text: str) -> Formula:
    """Read moderators alone: ``"rater + year"``, with or without a tilde."""
    return parse_formula(f"{EFFECT} ~ {text.strip().removeprefix('~').strip() or '1'}")
