"""Egger's regression test: whether effects depend on how precise their studies are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import fixed_part
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.bias.result import BiasResult, as_independent, pooled, repeated
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, numbers, refuse, require
from alliance_stats.meta.multilevel import multilevel, refit
from alliance_stats.meta.multilevel_digits import check_residuals
from alliance_stats.meta.pool import PooledResult
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.meta.regress import parse_right_side, regress
from alliance_stats.meta.robust_tests import with_caution
from alliance_stats.meta.sampling import check_rho
from alliance_stats.meta.tidy import coefficients_table
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.design.fixed_part import FixedPart
    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.report.sentences import Sentences

#: What stands for precision, in words; those that vanish in a study of infinite size have a limit.
PREDICTORS = {
    "sei": "standard error",
    "vi": "sampling variance",
    "ni": "sample size",
    "ninv": "inverse of the sample size",
    "sqrtni": "root of the sample size",
    "sqrtninv": "inverse root of the sample size",
}
LIMITED = ("sei", "vi", "ninv", "sqrtninv")
MODELS = ("random", "multiplicative")
AUTO = "auto"


@dataclass(frozen=True, eq=False)
class PrecisionFit:
    """A regression of effects on precision.

    Parameters
    ----------
    table : DataFrame
        Coefficients, as in every result.
    tau2 : float
        Between studies (summed over levels); missing with a multiplicative factor.
    factor : float
        The multiplicative factor of all variances; missing for random effects.
    dependent : bool
        Whether errors are robust to effects of the same study.
    converged : bool
    levels : MultilevelResult, optional
        The model behind it, with dependent effects and random effects.
    """

    table: pd.DataFrame
    tau2: float
    factor: float
    dependent: bool
    converged: bool
    levels: MultilevelResult | None = None

    def remarks(self) -> tuple[str, ...]:
        """What to say where the fit is none."""
        return () if self.converged else ("The fit did not converge: these numbers are not final.",)

    def row(self, term: str) -> pd.Series:
        """One coefficient."""
        return self.table[self.table["term"] == term].iloc[0]

    @cached_property
    def mean_of_levels(self) -> float | None:
        """The mean by the same model without precision, where effects depend on each other."""
        return None if self.levels is None else float(refit(self.levels, mods=None).beta[0])


@dataclass(frozen=True, eq=False, repr=False)
class EggerResult(BiasResult):
    """Egger's regression; see :func:`egger`."""

    fit: PrecisionFit
    predictor: str
    model: str
    mods: str

    def table(self) -> pd.DataFrame:
        """Coefficients; that of the predictor is the test, the intercept the effect in a study of infinite size.

        The last holds for predictors that are 0 there (``sei, vi, ninv, sqrtninv``).
        """
        return self.fit.table.copy()

    @property
    def uncorrected(self) -> float:
        """The mean without precision, by the same model."""
        own = self.fit.mean_of_levels
        return super().uncorrected if own is None else own

    @property
    def slope(self) -> pd.Series:
        """The test for asymmetry."""
        return self.fit.row(self.predictor)

    def _found(self) -> Mapping[str, object]:
        known = self.predictor in LIMITED and not self.mods
        limit = self.fit.row(INTERCEPT)
        columns = ("estimate", "std_error", "ci_low", "ci_high")
        found: dict[str, object] = {name: limit[name] if known else np.nan for name in columns}
        slope = self.slope
        found |= {"tau2": self.fit.tau2, "converged": self.fit.converged, "predictor": self.predictor}
        found |= {"slope": slope["estimate"], "slope_error": slope["std_error"], "slope_statistic": slope["statistic"]}
        found |= {"slope_df": slope["df"], "slope_p": slope["p_value"], "model": self.model, "factor": self.fit.factor}
        return found | {"test": "satterthwaite" if self.fit.dependent else self._test}

    @property
    def _test(self) -> str:
        return "t" if self.model == "multiplicative" else self.observed.fit.test

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import egger_sentences

        return egger_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        model = {"random": "random effects", "multiplicative": "a multiplicative factor of the variances"}[self.model]
        errors = ", errors robust to effects of the same study (CR2)" if self.fit.dependent else ""
        return (
            f"Egger's regression of {count(len(self.effects), 'effect')} on their {PREDICTORS[self.predictor]}, "
            f"{model}{errors}."
        )

    def _remarks(self) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        if not self.fit.dependent:
            found = as_independent(self.n_repeated, "leave cluster= as it is.")
        measure = self.observed.measure
        if measure in ("COR", "UCOR", "SMD", "OR") and self.predictor in ("sei", "vi"):
            found += (
                f"Effects ({measure}) depend on their own sampling variances, so that this test finds asymmetry where "
                "there is none; predictor='sqrtninv' does not.",
            )
        found += self.fit.remarks()
        if len(self.effects) < 10:
            found += (f"With {len(self.effects)} effects this test misses all but strong asymmetry.",)
        return found

    def plot(self, kind: str = "funnel", *, ax: Axes | None = None) -> Axes:
        """Draw the funnel, with the regression line where the predictor is the standard error or the variance."""
        if kind != "funnel" or self.predictor not in ("sei", "vi") or self.mods:
            return super().plot(kind, ax=ax)
        from alliance_stats.meta.bias.pictures import draw_funnel, egger_line

        v = self.effects[VARIANCE].to_numpy(np.float64)
        line = egger_line(self.fit.table["estimate"].to_numpy(np.float64), v, self.predictor)
        return draw_funnel(self.effects, self.observed.glance(), line=line, ax=ax)


def egger(
    effects: pd.DataFrame,
    predictor: str = "sei",
    model: str = "random",
    *,
    mods: str | None = None,
    method: str = "REML",
    test: str = "z",
    n: str = "n",
    cluster: str | None = AUTO,
    rho: float = 0.6,
    level: float = 0.95,
) -> EggerResult:
    """Test for small-study effects by regressing effects on their precision.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; sample sizes for predictors made of them.
    predictor : {"sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"}
        Standard error, sampling variance, sample size, its inverse, its root, its inverse root. Take ``"sqrtninv"``
        for effects whose variance depends on the effect itself (plain r, d, log odds ratio).
    model : {"random", "multiplicative"}
        Random effects (τ² by ``method``), or weighted least squares with a factor on all variances (Egger's first
        form).
    mods : str, optional
        Moderators beside precision, ``"rater + year"``.
    method, test : str
        For random effects of independent studies, as in :func:`alliance_stats.meta.regress`.
    n : str
        Column of the sample sizes.
    cluster : str, optional
        Column of studies that have several effects. By default ``study`` where one has; then random effects are those
        of :func:`alliance_stats.meta.multilevel` (CHE), and errors are robust (CR2). None takes effects as independent.
    rho : float
        Correlation of the sampling errors of one study, for dependent effects.
    level : float

    Returns
    -------
    EggerResult

    Raises
    ------
    DesignError
        If all studies are equally precise, or effects are fewer than three.

    References
    ----------
    Egger et al. (1997), BMJ, 315, 629-634; Sterne & Egger (2005), in Publication Bias in Meta-Analysis, 99-110;
    Rodgers & Pustejovsky (2021), Psychological Methods, 26, 141-160 (dependent effects).
    """
    if not isinstance(predictor, str):
        raise DataError(f"predictor is {predictor!r}; name one of {', '.join(PREDICTORS)}, and others in mods=.")
    if predictor not in PREDICTORS:
        raise DataError(f"No predictor {predictor!r}. {did_you_mean(predictor, PREDICTORS)}")
    if model not in MODELS:
        raise DataError(f"No model {model!r}. {did_you_mean(model, MODELS)}")
    least = 3 if model == "multiplicative" or test != "z" else 2
    needs = [*parse_right_side(mods or "1").variables, cluster_of(effects, cluster)]
    observed = pooled(effects, max(least, 3), "Egger's test", needs, method=method, test=test, level=level)
    frame = with_precision(observed.effects, predictor, n)
    fit = fit_precision(frame, predictor, model, mods, observed, cluster, rho)
    return EggerResult(observed, fit, predictor, model, mods or "")


def with_precision(effects: pd.DataFrame, predictor: str, n: str) -> pd.DataFrame:
    """Add the column of a predictor.

    Raises
    ------
    DataError
        If sample sizes are missing or not positive.
    DesignError
        If it is the same for all effects.
    """
    if predictor in ("sei", "vi"):
        v = effects[VARIANCE].to_numpy(np.float64)
        values = v if predictor == "vi" else np.sqrt(v)
    else:
        require(effects, n)
        size = numbers(effects, n)
        refuse(
            effects,
            ~(size > 0),
            f"sample sizes in {n!r} are missing or not positive",
            "Complete them, or take predictor='sei'.",
        )
        values = {"ni": size, "ninv": 1 / size, "sqrtni": np.sqrt(size), "sqrtninv": 1 / np.sqrt(size)}[predictor]
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        raise DesignError(
            f"All {len(values)} effects have the same {PREDICTORS[predictor]}, and nothing can depend on it. "
            "Small-study effects cannot be told here; selection() does not need them."
        )
    return effects.assign(**{predictor: values})


def fit_precision(
    frame: pd.DataFrame,
    predictor: str,
    model: str,
    mods: str | None,
    observed: PooledResult,
    cluster: str | None,
    rho: float,
) -> PrecisionFit:
    """Regress effects on a predictor that is a column of the frame, and on moderators."""
    study = cluster_of(frame, cluster)
    right = predictor if not mods else f"{predictor} + {mods.strip().removeprefix('~').strip()}"
    level, method, test = observed.level, observed.fit.method, observed.fit.test
    if model == "multiplicative":
        return _multiplicative(frame, right, study, check_rho(rho), level)
    if study is None:
        own = regress(f"{EFFECT} ~ {right}", frame, method, test, level=level)
        row = own.glance().iloc[0]
        return PrecisionFit(own.table(), float(row["tau2"]), np.nan, False, bool(row["converged"]))
    fitted = multilevel(frame, f"{study}/effect", rho=rho, mods=right, cluster=study, level=level)
    tau2 = float(fitted.variance(intervals=False)["variance"].sum())
    return PrecisionFit(fitted.table(), tau2, np.nan, True, fitted.peak.converged, fitted)


def cluster_of(frame: pd.DataFrame, cluster: str | None) -> str | None:
    """The column of studies with several effects, or None."""
    if cluster is None:
        return None
    if cluster != AUTO:
        require(frame, cluster)
        return cluster
    require(frame)
    # a study without a name has nobody to share it with
    return STUDY if STUDY in frame.columns and repeated(frame.dropna(subset=STUDY)) else None


def _multiplicative(frame: pd.DataFrame, right: str, study: str | None, rho: float, level: float) -> PrecisionFit:
    from alliance_stats.engine.pooling.least_squares import least_squares

    part = fixed_part(parse_right_side(right), frame)
    y, v = arrays(frame)
    spare = len(y) - len(part.names)
    if spare < 1:
        raise DesignError(f"{count(len(y), 'effect')} and {len(part.names)} coefficients leave no degrees of freedom.")
    fit = least_squares(y, v, part.matrix)
    check_residuals(fit.covariance, fit.inverse, len(y))
    if study is None:
        table = coefficients_table(part.names, fit.beta, np.sqrt(np.diag(fit.covariance)), float(spare), level)
        return PrecisionFit(table, np.nan, fit.factor, False, True)
    return PrecisionFit(_robust_table(frame, part, fit, study, rho, level), np.nan, fit.factor, True, True)


def _robust_table(frame, part: FixedPart, fit, study: str, rho: float, level: float) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    """CR2 errors of weighted least squares, sampling errors of one study correlated by rho in the working model."""
    from alliance_stats.engine.pooling.dense_blocks import batches
    from alliance_stats.engine.pooling.robust import Clusters, robust_covariance

    v = frame[VARIANCE].to_numpy(np.float64)
    root = np.sqrt(v)
    codes = pd.factorize(frame[study])[0]
    n, p = int(codes.max()) + 1, len(part.names)
    if n <= p:
        raise DesignError(
            f"Robust standard errors of {count(p, 'coefficient')} need more than {p} studies, and there are {n}."
        )

    def working(places):  # type: ignore[no-untyped-def]
        own = root[places]
        size = places.shape[1]
        return own[:, :, None] * own[:, None, :] * (rho + (1 - rho) * np.eye(size))

    of = Clusters(part.matrix, fit.residual, fit.inverse, batches(codes), working, 1 / v)
    found = robust_covariance(of, "CR2")
    df = found.degrees_of_freedom(np.eye(p))
    table = coefficients_table(part.names, fit.beta, np.sqrt(np.diag(found.covariance)), df, level)
    return with_caution(table, True)
