"""What a psychometric meta-analysis gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, Floats
from alliance_stats.meta.psychometric_rows import NAMES, Rows, Scheme
from alliance_stats.meta.result import GLANCE, VARIANCES, MetaResult
from alliance_stats.meta.tidy import coefficients_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.attenuation import Artefacts
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution, FromDistributions, Spread
    from alliance_stats.engine.pooling.regression import Regression
    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

RHO, R = "mean rho", "mean r"
_PICTURES = ("forest", "corrected")


@dataclass(frozen=True)
class Asked:
    """What was asked for; see :func:`alliance_stats.meta.artefacts`."""

    method: str
    distribution: str
    scheme: Scheme
    test: str
    level: float
    credibility: float
    unbiased: bool

    @property
    def name(self) -> str:
        """The method as ``glance()`` has it."""
        words = {"bare-bones": "bare-bones", "individual": "individual corrections"}
        return "HS " + words.get(self.method, f"artefact distributions ({self.distribution})")


@dataclass(frozen=True, eq=False, repr=False)
class ArtefactsResult(MetaResult):
    """A psychometric meta-analysis.

    Parameters
    ----------
    asked : Asked
    rows : Rows
        What was read.
    plain : Spread
        Bare-bones: of the correlations as observed.
    spread : Spread
        That the variance of ρ is taken from: of corrected correlations, or of observed ones with the variance by
        artefacts.
    own : Artefacts, optional
        Of each study, with individual corrections.
    factor : ndarray of shape (k,), optional
        Attenuation of each study, with individual corrections.
    given : mapping of str to Distribution, optional
        With artefact distributions: √reliabilities and u, in the form in which they correct.
    found : FromDistributions, optional
    n_filled : int
        Artefacts for which the mean was put.
    """

    asked: Asked
    rows: Rows
    plain: Spread
    spread: Spread
    own: Artefacts | None = None
    factor: Floats | None = None
    given: Mapping[str, Distribution] | None = None
    found: FromDistributions | None = None
    n_filled: int = 0

    # ---- estimates ---------------------------------------------------------------------------------------------

    @property
    def _slope(self) -> float:
        """Carries standard deviations on the scale of ``spread`` to that of ρ."""
        return 1.0 if self.found is None else self.found.slope

    @property
    def rho(self) -> float:
        """Mean correlation, corrected."""
        return self.spread.mean if self.found is None else self.found.rho

    @property
    def variance_rho(self) -> float:
        """Variance of ρ: what sampling error and artefacts leave, on the scale of ρ."""
        return self._slope**2 * self.spread.residual

    @property
    def level(self) -> float:
        """Level of the confidence intervals."""
        return self.asked.level

    @cached_property
    def _fixed(self) -> Regression:
        """For Cochran's Q and the Q-profile interval: what artefacts explain counts as variance known in advance."""
        from alliance_stats.engine.pooling.regression import fit_regression

        of = self.spread
        return fit_regression(of.y, of.v + of.artefacts, np.ones((of.k, 1)), "EE", "z")

    def _tau2_interval(self) -> tuple[float, float]:
        from alliance_stats.engine.pooling.regression import q_profile

        low, high = q_profile(self._fixed, self.level)
        return self._slope**2 * low, self._slope**2 * high

    def _df(self) -> float:
        k = self.spread.k
        return float(k - 1) if self.asked.test == "t" and k > 1 else float("inf")

    # ---- tables ------------------------------------------------------------------------------------------------

    def table(self) -> pd.DataFrame:
        """Means: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``.

        The first row is ``mean rho``, corrected (not there for a bare-bones analysis); then ``mean r``, as observed.
        """
        terms = [R] if self.asked.method == "bare-bones" else [RHO, R]
        estimate = np.array([self.rho, self.plain.mean])[-len(terms) :]
        error = np.array([self._slope * self.spread.std_error, self.plain.std_error])[-len(terms) :]
        return coefficients_table(terms, estimate, error, self._df(), self.level)

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis.

        Returns
        -------
        DataFrame
            ``estimate`` is the corrected mean, ``pi_low`` and ``pi_high`` the **credibility** interval of true
            correlations, ``tau2`` the variance of ρ with its Q-profile interval, ``i2`` the share of the observed
            variance that artefacts do not explain (per cent), ``q`` Cochran's Q with the variance by artefacts in it.
            Then ``n_total``, ``mean_r``, ``sd_r``, ``sd_rho``; the observed variance and its parts, on the scale of the
            analysis (corrected correlations with individual corrections, else observed ones): ``var_observed``,
            ``var_error``, ``var_artefacts``, ``var_residual`` (below 0 where nothing is left); ``pct_error`` and
            ``pct_explained``, the shares of sampling error alone and with artefacts; ``credibility``, ``n_dropped``.
        """
        return self._glance.copy(deep=False)

    @cached_property
    def _glance(self) -> pd.DataFrame:
        from alliance_stats.engine.distributions import chi2_p_value

        of, row = self.spread, self.table().iloc[0]
        fit = self._fixed
        low, high = self._tau2_interval()
        pi_low, pi_high = self._credibility()
        varies = of.observed > 0 and of.k > 1
        values: dict[str, object] = {
            "k": of.k,
            "n_studies": self.n_studies,
            **{name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
            "pi_low": pi_low,
            "pi_high": pi_high,
            "tau2": self.variance_rho,
            "tau2_ci_low": low,
            "tau2_ci_high": high,
            "i2": 100 * of.residual / of.observed if varies else 0.0,
            "h2": max(of.observed / of.explained, 1.0) if varies else 1.0,
            "q": fit.q,
            "q_df": fit.q_df,
            "q_p": chi2_p_value(fit.q, fit.q_df) if fit.q_df else 1.0,
            "method": self.asked.name,
            "test": self.asked.test,
            "converged": True,
        }
        assert tuple(values) == GLANCE
        return pd.DataFrame([values | self._parts(varies)])

    def _parts(self, varies: bool) -> dict[str, object]:
        of, none = self.spread, float("nan")
        return {
            "n_total": float(self.rows.n[self.rows.used].sum()),
            "mean_r": self.plain.mean,
            "sd_r": self.plain.observed**0.5,
            "sd_rho": self.variance_rho**0.5,
            "var_observed": of.observed,
            "var_error": of.error,
            "var_artefacts": of.artefacts,
            "var_residual": of.unexplained,
            "pct_error": 100 * self.plain.error / self.plain.observed if varies and self.plain.observed > 0 else none,
            "pct_explained": 100 * of.explained / of.observed if varies else none,
            "credibility": self.asked.credibility,
            "n_dropped": self.n_dropped,
        }

    def _credibility(self) -> tuple[float, float]:
        from alliance_stats.engine.distributions import t_quantile

        if self.spread.k == 1:
            return float("nan"), float("nan")
        half = float(t_quantile(0.5 + self.asked.credibility / 2, np.inf)) * self.variance_rho**0.5
        return self.rho - half, self.rho + half

    def variance(self) -> pd.DataFrame:
        """The variance of ρ between studies: ``level, n_levels, variance, sd, ci_low, ci_high, i2``."""
        row = self._glance.iloc[0]
        values = ("study", row["k"], row["tau2"], row["sd_rho"], row["tau2_ci_low"], row["tau2_ci_high"], row["i2"])
        return pd.DataFrame([values], columns=list(VARIANCES))

    @property
    def n_studies(self) -> int:
        """Studies: different values of ``study``, or correlations where there is no such column."""
        used = self.rows.frame.loc[self.rows.used]
        return used[STUDY].nunique() if STUDY in used.columns else len(used)

    @property
    def n_dropped(self) -> int:
        """Rows without a correlation or sample size, and without an artefact that was used."""
        told = self.rows.used.copy()
        if self.given is not None:
            for values in self.rows.given.values():
                told |= ~np.isnan(values)
        return int((~told).sum())

    # ---- studies -----------------------------------------------------------------------------------------------

    def studies(self) -> pd.DataFrame:
        """A row per correlation, in the order of the frame.

        Returns
        -------
        DataFrame
            ``study`` if known, ``r, n``, the artefacts as reported, ``factor`` (the attenuation r/ρ), ``corrected``,
            ``corrected_vi`` (its sampling variance), ``weight`` (per cent). With artefact distributions each is
            corrected by the mean artefacts, for the eye only: the mean is not made of them.
        """
        used = self.rows.used
        frame = self.rows.frame.loc[used]
        columns: dict[str, object] = {STUDY: frame[STUDY].to_numpy()} if STUDY in frame.columns else {}
        columns |= {"r": self.rows.r[used], "n": self.rows.n[used]}
        columns |= {name: values[used] for name, values in self.rows.given.items()}
        factor, corrected, variance = self._corrected()
        columns |= {"factor": factor, "corrected": corrected, "corrected_vi": variance}
        return pd.DataFrame({**columns, "weight": 100 * self.spread.weights}, index=frame.index)

    def _corrected(self) -> tuple[Floats, Floats, Floats]:
        of = self.spread
        if self.found is None:
            factor = np.ones(of.k) if self.factor is None else self.factor
            return factor, of.y, of.v
        if self.asked.distribution == "multiplicative":
            ones = np.ones(of.k)
            return self.found.factor * ones, of.y / self.found.factor, of.v * self.found.slope**2
        from alliance_stats.engine.pooling.attenuation import correct

        each = correct(of.y, self.found.means)
        return each.factor, each.rho, of.v * each.slope**2

    @property
    def effects(self) -> pd.DataFrame:
        """The rows with corrected correlations as effects: ``yi, vi``, ready for :func:`regress` or :func:`multilevel`.

        With individual corrections a moderator can so be tested on the scale of ρ.
        """
        _, corrected, variance = self._corrected()
        kept = self.rows.frame.loc[self.rows.used].assign(**{EFFECT: corrected, VARIANCE: variance})
        kept.attrs = {}
        return kept

    def weights(self) -> pd.Series:
        """Weight of each correlation in the mean, in per cent."""
        return self.studies()["weight"]

    def artefacts(self) -> pd.DataFrame:
        """Artefacts as reported: ``artefact, n, mean, sd, lowest, highest``; n counts the values."""
        rows = []
        for name, words in NAMES.items():
            if name in self.rows.given:
                values = self.rows.given[name]
                values = values[~np.isnan(values) & (self.rows.used if self.given is None else True)]
                mean, sd, n = values.mean(), values.std(), values.size
            elif name in self.rows.stated:
                stated = self.rows.stated[name]
                values, mean, sd, n = stated.points, stated.mean, stated.variance**0.5, stated.points.size
            else:
                continue
            rows.append((words, n, mean, sd, values.min(), values.max()))
        return pd.DataFrame(rows, columns=["artefact", "n", "mean", "sd", "lowest", "highest"])

    # ---- words and pictures ------------------------------------------------------------------------------------

    def report(self) -> Sentences:
        """Sentences for the results section: the mean, what was corrected, and how far true correlations differ."""
        from alliance_stats.meta.psychometric_words import sentences

        return sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.psychometric_words import described

        return described(self)

    def notes(self) -> tuple[str, ...]:
        """Rows left out, variances below 0, correlations beyond 1, and what stands in for what."""
        from alliance_stats.meta.psychometric_words import remarks

        return remarks(self)

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.meta.psychometric_words import printed

        return printed(self, title or "Psychometric Meta-Analysis of Correlations", number)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw a figure.

        Parameters
        ----------
        kind : {"forest", "corrected"}
            Corrected correlations with intervals, their mean, and the credibility interval in grey; or corrected
            against observed correlations.
        ax : Axes, optional
        """
        if kind not in _PICTURES:
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, _PICTURES)}")
        from alliance_stats.meta.psychometric_pictures import draw_corrected, draw_forest

        return (draw_forest if kind == "forest" else draw_corrected)(self, ax=ax)
