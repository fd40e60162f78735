"""How much therapists differ: their share of the variance, and each therapist's effect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.data.session_table import SessionTable, frame_of, require_columns, rewrap
from alliance_stats.design.courses import (
    TIME,
    Columns,
    numeric_score,
    quoted,
    require_courses,
    therapist_term,
    with_time,
)
from alliance_stats.errors import DataError, DesignError, did_you_mean
from alliance_stats.models.mixed import Method, mixed
from alliance_stats.models.question import QuestionResult
from alliance_stats.names import INTERCEPT, OUTCOME, PATIENT, SESSION, THERAPIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.mixed.profile import ProfileInterval
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class TherapistEffectsResult(QuestionResult):
    """Differences between therapists.

    Parameters
    ----------
    score : str
    intake : bool
        Whether the first observed score of each patient is held constant.
    """

    score: str = OUTCOME
    intake: bool = False

    def glance(self) -> pd.DataFrame:
        """One row about the fit, with the therapists' share (``icc_therapist``), its interval, and its test."""
        share, shares = self._share, self.shares()
        return self.fit.glance().assign(
            icc_therapist=share.estimate,
            icc_ci_low=share.low,
            icc_ci_high=share.high,
            icc_patient=float(shares.loc[shares["level"] == self.columns.patient, "share"].iloc[0]),
            lr_statistic=self.test["statistic"],
            lr_p_value=self.test["p_value"],
        )

    @cached_property
    def _share(self) -> ProfileInterval:
        from alliance_stats.engine.mixed.effect_targets import Share
        from alliance_stats.engine.mixed.profile import profile_interval

        at = self.fit.arrays.group_names.index(self._therapist)
        own = self._intercepts[at]
        return profile_interval(Share(self.fit.solution, at, (own,), self._intercepts))

    @property
    def _therapist(self) -> str:
        assert self.columns.therapist is not None
        return self.columns.therapist

    @property
    def _intercepts(self) -> tuple[int, ...]:
        """Place of the intercept among each grouping's effects."""
        return tuple(names.index(INTERCEPT) for names in self.fit.arrays.effect_names)

    def shares(self) -> pd.DataFrame:
        """Split the variance at session 1 into therapists, patients and residual.

        Returns
        -------
        DataFrame
            ``level, variance, share``; shares sum to 1. With slopes by patient the patients' share is that at session
            1.
        """
        variance = self.variance()
        own = variance[(variance["term"] == INTERCEPT) & variance["term2"].isna() | (variance["group"] == "residual")]
        return pd.DataFrame(
            {"level": own["group"], "variance": own["vcov"], "share": own["vcov"] / own["vcov"].sum()}
        ).reset_index(drop=True)

    @property
    def test(self) -> dict[str, float]:
        """Likelihood-ratio test of the therapist variance against zero.

        The variance lies on the boundary under the hypothesis, so the p value is that of an even mixture of a point
        mass
        at zero and χ² with 1 degree of freedom (Self & Liang, 1987, JASA, 82, 605-610).
        """
        return dict(self._test)

    @cached_property
    def _test(self) -> dict[str, float]:
        row = self.fit.test_variance(self._therapist).iloc[0]
        return {"statistic": float(row["statistic"]), "p_value": float(row["p_value"])}

    def effects(self) -> pd.DataFrame:
        """Each therapist's effect: ``level, estimate, std_error, ci_low, ci_high, n_patients, n_sessions``."""
        rows = self.frame.iloc[self.fit.arrays.sample.rows]
        ids = rows[self._therapist].map(str)
        load = rows.groupby(ids)[self.columns.patient].agg(["nunique", "size"])
        load.columns = pd.Index(["n_patients", "n_sessions"])
        return self.fit.random(self._therapist).drop(columns="term").merge(load, left_on="level", right_index=True)

    def random(self, group: str | None = None) -> pd.DataFrame:
        """Predicted random effects of one grouping (therapists by default)."""
        return self.fit.random(group or self._therapist)

    def report(self) -> Sentences:
        """Share of therapists with its interval, the test, and what the number of therapists allows."""
        from alliance_stats.models.therapist_words import effects_report

        return effects_report(self)

    def plot(self, kind: str = "caterpillar", *, ax: Axes | None = None) -> Axes:
        """Draw the therapists' effects in rank order, with intervals and caseloads."""
        if kind != "caterpillar":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('caterpillar',))}")
        from alliance_stats.report.figures.caterpillar import caterpillar

        return caterpillar(
            self.effects(),
            unit=f"Therapist effect on {self.labelled(self.score)} (points)",
            ax=ax,
            simulated=self.fit.simulated,
        )


def therapist_effects(
    data: SessionTable | pd.DataFrame,
    score: str = OUTCOME,
    *,
    intake: bool = False,
    random_time: bool = True,
    method: Method = "REML",
    patient: str = PATIENT,
    therapist: str = THERAPIST,
    session: str = SESSION,
) -> TherapistEffectsResult:
    """Estimate how much therapists differ in a score, beyond their patients and the session.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session.
    score : str
        Column of the score.
    intake : bool
        Hold each patient's first observed score constant; that session is then left out of the outcome.
    random_time : bool
        Give every patient a slope of time (sessions since the start) as well.
    method : {"REML", "ML"}
    patient, therapist, session : str
        Columns.

    Returns
    -------
    TherapistEffectsResult

    Raises
    ------
    DesignError
        If therapists cannot be told apart: one therapist only, or one patient each.
    """
    columns = Columns(patient, therapist, session)
    require_columns(frame_of(data), therapist)
    frame = with_time(frame_of(data), session, patient)
    numeric_score(frame, score)
    extra, reason = therapist_term(frame, columns, score)
    if not extra:
        raise DesignError(reason)
    require_courses(frame, score, patient, slopes=random_time)
    y, p = quoted(score, patient)
    baseline = ""
    if intake:
        frame, baseline = _with_intake(frame, score, columns)
    slope = f" + {TIME}" if random_time else ""
    fixed = f"{quoted(baseline)[0]} + {TIME}" if intake else TIME
    fit = mixed(f"{y} ~ {fixed} + (1{slope} | {p}){extra}", rewrap(data, frame), method)
    return TherapistEffectsResult(fit, columns, frame, _remarks(fit.arrays.sample.frame, columns), score, intake)


def _with_intake(frame: pd.DataFrame, score: str, columns: Columns) -> tuple[pd.DataFrame, str]:
    """Take each patient's first observed score as a column, and those sessions out of the rows."""
    frame = frame.reset_index(drop=True)  # rows are told apart by their index here, and the user's may repeat
    scored = frame.dropna(subset=[score]).sort_values(columns.session, kind="stable")
    first = scored.groupby(columns.patient)[score].first()
    is_first = frame.index.isin(scored.groupby(columns.patient).head(1).index)
    name = f"{score}_intake"
    return frame.assign(**{name: frame[columns.patient].map(first)}).loc[~is_first], name


def _remarks(rows: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """Say what the number of therapists and their caseloads allow."""
    assert columns.therapist is not None
    caseload = rows.groupby(columns.therapist)[columns.patient].nunique()
    remarks = [
        f"{len(caseload)} therapists with {caseload.median():g} patients each in the median (range "
        f"{caseload.min()}–{caseload.max()})."
    ]
    if len(caseload) < 50:
        remarks.append(
            f"With {len(caseload)} therapists the variance between them is estimated imprecisely; read it with its "
            "interval."
        )
    return tuple(remarks)
