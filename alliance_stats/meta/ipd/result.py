"""The result of a two-stage meta-analysis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.ipd.first_stage import StudyFit
from alliance_stats.meta.pool import PooledResult
from alliance_stats.meta.result import GLANCE, VARIANCES, MetaResult
from alliance_stats.meta.tidy import Floats, coefficients_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.multivariate import MultivariatePeak, Vectors
    from alliance_stats.models.mixed_result import MixedResult
    from alliance_stats.report.sentences import Sentences

WHY = (
    "The one-stage model has one residual variance and one set of patient and therapist variances for all studies, "
    "where the two stages have them by study; its slopes vary by study independently of each other, and it takes the "
    "studies' own centring over from the first stage. With small studies the two may therefore differ."
)


@dataclass(frozen=True)
class Multivariate:
    """A joint second stage: the studies' vectors, and where their likelihood is highest."""

    of: Vectors
    peak: MultivariatePeak
    structure: str
    method: str
    test: str


@dataclass(frozen=True, eq=False, repr=False)
class TwoStageResult(MetaResult):
    """Coefficients of studies, pooled; see :func:`alliance_stats.meta.two_stage`.

    Parameters
    ----------
    fits : tuple of StudyFit
        Every study, in order.
    terms : tuple of str
    univariate : tuple of PooledResult
        One per term; empty for a joint second stage.
    joint : Multivariate, optional
    model : str
        The first stage.
    level : float
    measure : str
    simulated : bool
    """

    fits: tuple[StudyFit, ...]
    terms: tuple[str, ...]
    univariate: tuple[PooledResult, ...]
    joint: Multivariate | None
    model: str
    level: float
    measure: str
    simulated: bool = False

    def studies(self) -> pd.DataFrame:
        """Every study: ``study, n_patients, n_rows, used, reason, remark``, and each term with its standard error."""
        rows = []
        for one in self.fits:
            row: dict[str, object] = {"study": one.name, "n_patients": one.n_patients, "n_rows": one.n_rows}
            row |= {"used": not one.reason, "reason": one.reason, "remark": one.remark}
            for at, term in enumerate(self.terms):
                row[term] = np.nan if one.reason else one.estimates[at]
                row[f"{term}_std_error"] = np.nan if one.reason else np.sqrt(one.covariance[at, at])
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def used(self) -> tuple[StudyFit, ...]:
        """Studies of the second stage."""
        return tuple(one for one in self.fits if not one.reason)

    def effects_of(self, term: str | None = None) -> pd.DataFrame:
        """One term's effects: ``study, yi, vi``, as :func:`alliance_stats.meta.pool` takes them."""
        at = self._place(term)
        rows = [(one.name, one.estimates[at], one.covariance[at, at]) for one in self.used]
        return pd.DataFrame(rows, columns=["study", "yi", "vi"]).dropna(ignore_index=True)

    def pooled(self, term: str | None = None) -> PooledResult:
        """The meta-analysis of one term alone."""
        at = self._place(term)
        if not self.univariate:
            raise DataError("The terms were pooled together. Use multivariate=False for a meta-analysis of each.")
        return self.univariate[at]

    def _place(self, term: str | None) -> int:
        if term is None:
            return 0
        if term not in self.terms:
            raise DataError(f"No term {term!r} was pooled. {did_you_mean(term, self.terms)}")
        return self.terms.index(term)

    def table(self) -> pd.DataFrame:
        """Pooled coefficients: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``."""
        if self.joint is None:
            rows = [one.table().assign(term=term) for term, one in zip(self.terms, self.univariate, strict=True)]
            return pd.concat(rows, ignore_index=True)
        at = self.joint.peak.at
        df = self._n - 1.0 if self.joint.test == "t" else np.inf
        return coefficients_table(self.terms, at.beta, np.sqrt(np.diag(at.covariance)), df, self.level)

    @property
    def _n(self) -> Floats:
        """Studies with each term."""
        return np.sum([~np.isnan(one.estimates) for one in self.used], axis=0)

    def glance(self, term: str | None = None) -> pd.DataFrame:
        """One row about one term (the first by default), with the columns of every meta-analysis.

        Then ``term, n_failed, n_patients``. In a joint second stage Q is that of all terms, and H² the ratio of the
        variance of the mean with and without τ² (Jackson, White & Riley, 2012, Statistics in Medicine, 31, 3805-3820).
        """
        at = self._place(term)
        row = self.univariate[at].glance() if self.joint is None else self._joint_glance(at)
        n_patients = sum(one.n_patients for one in self.used)
        return row.assign(term=self.terms[at], n_failed=len(self.fits) - len(self.used), n_patients=n_patients)

    def _joint_glance(self, at: int) -> pd.DataFrame:
        from alliance_stats.engine.distributions import chi2_p_value, t_quantile
        from alliance_stats.engine.pooling.multivariate import At

        assert self.joint is not None
        joint, row = self.joint, self.table().iloc[at]
        plain = At(joint.of, np.zeros_like(joint.peak.at.between))
        spare = joint.of.k - len(self.terms)
        tau2 = float(joint.peak.at.between[at, at])
        h2 = float(joint.peak.at.covariance[at, at] / plain.covariance[at, at])
        half = float(t_quantile(0.5 + self.level / 2, row["df"])) * np.sqrt(row["std_error"] ** 2 + tau2)
        values = (
            *(int(self._n[at]), int(self._n[at]), *row[["estimate", "std_error", "ci_low", "ci_high"]]),
            *(row["estimate"] - half, row["estimate"] + half, tau2, *self._tau2_interval(at)),
            *(100 * (1 - 1 / h2) if h2 > 1 else 0.0, h2, plain.q, spare, chi2_p_value(plain.q, spare)),
            *(joint.method, joint.test, joint.peak.converged),
        )
        frame = pd.DataFrame([values], columns=list(GLANCE))
        return frame.assign(log_likelihood=joint.peak.at.value)

    def _tau2_interval(self, at: int) -> tuple[float, float]:
        """Profile-likelihood interval of one term's variance in a joint second stage; computed once."""
        from alliance_stats.engine.pooling.multivariate_profile import variance_interval

        assert self.joint is not None
        if at not in self._tau2_intervals:
            diagonal = self.joint.structure == "diagonal"
            self._tau2_intervals[at] = variance_interval(self.joint.of, self.joint.peak, at, diagonal, self.level)
        return self._tau2_intervals[at]

    @cached_property
    def _tau2_intervals(self) -> dict[int, tuple[float, float]]:
        return {}

    def variance(self) -> pd.DataFrame:
        """A row per term: ``level, n_levels, variance, sd, ci_low, ci_high, i2``.

        Intervals are those of each term's own meta-analysis, or of a joint second stage the profile-likelihood ones.
        """
        rows = []
        for at, term in enumerate(self.terms):
            one = self.glance(term).iloc[0]
            ends = (one["tau2_ci_low"], one["tau2_ci_high"])
            rows.append((f"study ({term})", int(self._n[at]), one["tau2"], one["tau2"] ** 0.5, *ends, one["i2"]))
        return pd.DataFrame(rows, columns=list(VARIANCES))

    def between(self) -> pd.DataFrame:
        """Covariance of the terms between studies, of a joint second stage."""
        if self.joint is None:
            raise DataError("Each term was pooled alone. Use multivariate=True for their covariance between studies.")
        return pd.DataFrame(self.joint.peak.at.between, self.terms, self.terms)

    def correlations(self) -> pd.DataFrame:
        """Correlations of the terms between studies, of a joint second stage with an unstructured covariance.

        Returns
        -------
        DataFrame
            A row per pair: ``term, other, estimate, ci_low, ci_high``, with profile-likelihood intervals; they reach −1
            or 1 where the likelihood does not fall far enough. Missing where a variance is estimated at zero.
        """
        if self.joint is None or self.joint.structure == "diagonal":
            raise DataError(
                "No correlation between studies was estimated. Use multivariate=True with structure='unstructured'."
            )
        return self._correlations.copy()

    @cached_property
    def _correlations(self) -> pd.DataFrame:
        from alliance_stats.engine.pooling.multivariate_profile import correlation_interval

        assert self.joint is not None
        between, rows = self.joint.peak.at.between, []
        for at, term in enumerate(self.terms):
            for other in range(at + 1, len(self.terms)):
                sd = np.sqrt(between[at, at] * between[other, other])
                estimate = float(np.clip(between[at, other] / sd, -1, 1)) if sd > 0 else np.nan
                ends = correlation_interval(self.joint.of, self.joint.peak, (at, other), self.level)
                rows.append((term, self.terms[other], estimate, *ends))
        return pd.DataFrame(rows, columns=["term", "other", "estimate", "ci_low", "ci_high"])

    # ---- the one-stage model beside it -------------------------------------------------------------------------

    def one_stage(self) -> MixedResult:
        """One mixed model over all studies: intercepts and adjusting terms by study, random slopes of the terms.

        Raises
        ------
        DesignError
            If the first stage was no mixed model.
        """
        return self._one_stage

    @cached_property
    def _one_stage(self) -> MixedResult:
        from alliance_stats.meta.ipd.one_stage import fit_one_stage

        return fit_one_stage(self.fits, self.terms)

    def beside(self) -> pd.DataFrame:
        """Both ways: ``term``, then ``estimate, std_error, ci_low, ci_high`` of each, and ``difference``.

        Columns end in ``_two_stage`` and ``_one_stage``; why they may differ stands in ``attrs["why"]``.
        """
        from alliance_stats.meta.ipd.one_stage import coefficients

        names = ["term", "estimate", "std_error", "ci_low", "ci_high"]
        other = coefficients(self.one_stage(), self.terms)[names]
        both = self.table()[names].merge(other, on="term", suffixes=("_two_stage", "_one_stage"))
        both = both.assign(difference=both["estimate_one_stage"] - both["estimate_two_stage"])
        both.attrs["why"] = WHY
        return both

    # ---- words and pictures ------------------------------------------------------------------------------------

    def notes(self) -> tuple[str, ...]:
        """Studies that are not part of it and why, boundaries, convergence, and why one stage may differ."""
        found = [
            f"Study {one.name} ({count(one.n_patients, 'patient')}) is left out: {one.reason}."
            for one in self.fits
            if one.reason
        ]
        edge = [one.name for one in self.used if one.remark]
        if edge:
            found.append(
                f"In {count(len(edge), 'study', 'studies')} ({', '.join(edge)}) a variance is estimated at zero or a "
                "correlation at ±1; their fixed effects remain usable."
            )
        for term, one in zip(self.terms, self.univariate, strict=False):
            found += [f"{term}: {note}" for note in one.notes()]
        if self.joint is not None:
            found += self._joint_notes()
        if self.model == "lagged":
            found.append(
                "The deviations of a course sum to zero, so one session's is tied to those after it: over few sessions "
                "per patient a lagged within effect is biased towards the opposite sign of the effect in the same "
                "session."
            )
        if hasattr(getattr(self.used[0].result, "fit", self.used[0].result), "formula"):
            found.append(WHY)
        return tuple(found)

    def _joint_notes(self) -> list[str]:
        assert self.joint is not None
        peak, found = self.joint.peak, []
        if not peak.converged:
            found.append("The covariance between studies did not converge: these numbers are not final.")
        values = np.linalg.eigvalsh(peak.at.between)
        if values[0] <= 1e-10 * max(values[-1], 1e-300):
            found.append(
                "The covariance between studies lies on the boundary: a variance is zero, or terms go together exactly."
            )
        return found

    def describe(self) -> str:
        """The analysis in words."""
        second = (
            f"each pooled alone ({self.univariate[0].describe()[:-1]})"
            if self.joint is None
            else f"pooled together ({self.joint.structure} covariance between studies, {self.joint.method})"
        )
        return (
            f"Two-stage meta-analysis of {count(len(self.used), 'study', 'studies')} of {len(self.fits)}: {self.model} "
            f"in each, then {', '.join(self.terms)} {second}."
        )

    def report(self) -> Sentences:
        """Sentences for the results section: studies, then each mean with its spread."""
        from alliance_stats.meta.pooled_result import scale_of
        from alliance_stats.meta.tidy import carried_back
        from alliance_stats.meta.words import mean_sentence, q_words, spread_sentence
        from alliance_stats.report.sentences import Sentences, join, literal

        left = len(self.fits) - len(self.used)
        n = sum(one.n_patients for one in self.used)
        lead = f"The model was fitted in each of {len(self.fits)} studies"
        known = f"; {left} could not be used. The others have {count(n, 'patient')}." if left else f" ({n} patients)."
        parts: list[str] = [Sentences(lead + known)]
        for at, term in enumerate(self.terms):
            row, glance = self.table().iloc[at], self.glance(term).iloc[0]
            back = None
            if scale_of(self.measure) == "tanh":
                ends = carried_back(row[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64), "tanh")
                back = pd.Series(ends, index=["estimate", "ci_low", "ci_high"])
            mean = mean_sentence(row, glance, "z" if back is not None else "b", back, self.level)
            spread = spread_sentence(glance, self.level, own_q=self.joint is None)
            parts += [join(Sentences(f"{literal(term)}: "), mean, separator=""), spread]
        if self.joint is not None:
            parts.append(Sentences(f"All coefficients of the studies together: {q_words(self.glance().iloc[0])}."))
        return join(*parts)

    def plot(self, kind: str = "forest", *, term: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the forest plot of one term (the first by default)."""
        from alliance_stats.meta.pictures import forest_rows
        from alliance_stats.meta.pooled_result import scale_of
        from alliance_stats.meta.tidy import carried_back
        from alliance_stats.report.figures.canvas import stamp
        from alliance_stats.report.figures.forest import forest

        if kind != "forest":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('forest',))}")
        effects, glance = self.effects_of(term), self.glance(term)
        weight = 1 / (effects["vi"] + glance["tau2"].iloc[0])
        rows, whole = forest_rows(effects, 100 * weight / weight.sum(), self.level), glance
        back = scale_of(self.measure) == "tanh"
        if back:
            names = ["estimate", "ci_low", "ci_high"]
            rows = rows.assign(**{name: carried_back(rows[name].to_numpy(), "tanh") for name in names})
            names = [*names, "pi_low", "pi_high"]
            whole = whole.assign(**{name: carried_back(whole[name].to_numpy(float), "tanh") for name in names})
        unit = "r" if back else self.terms[self._place(term)]
        drawn = forest(rows, whole, correlations=back, unit=unit, level=self.level, ax=ax)
        if self.simulated:
            stamp(drawn)
            drawn.caption = f"Simulated data. {drawn.caption}"  # type: ignore[attr-defined]
            drawn.alt_text = f"Simulated data. {drawn.alt_text}"  # type: ignore[attr-defined]
        return drawn
