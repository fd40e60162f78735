"""What happens to a score at a change of therapist: a jump, and the slope after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, frame_of, require_columns, rewrap
from alliance_stats.design.courses import TIME, Columns, numeric_score, quoted, require_courses, with_time
from alliance_stats.design.episodes import change_summary, therapist_episodes
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.models.distributions import t_quantile
from alliance_stats.models.mixed import Method, mixed
from alliance_stats.models.question import QuestionResult
from alliance_stats.names import AFTER_CHANGE, ALLIANCE, EPISODE, INTERCEPT, PATIENT, SESSION, SINCE_CHANGE, THERAPIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences

#: Sessions before and after the change that the figure shows.
_WINDOW = 6


@dataclass(frozen=True, eq=False, repr=False)
class TherapistChangeResult(QuestionResult):
    """Jump and slope after a change of therapist.

    Parameters
    ----------
    score : str
    changes : DataFrame
        One row per change: patient, number of the change, session, therapists before and after, whether it is a return.
    """

    score: str = ALLIANCE
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)

    def aligned(self, window: int = _WINDOW) -> pd.DataFrame:
        """Observed means around a change, over all changes.

        Session 0 is the first with the new therapist. Each change counts the sessions of the episode before it and of
        the episode after it; patients who change twice appear at both changes.

        Returns
        -------
        DataFrame
            ``sessions_from_change, mean, ci_low, ci_high, n``. The mean at each place is over those who are still
            there.
        """
        rows = self._around().query("abs(sessions_from_change) <= @window")
        grouped = rows.groupby("sessions_from_change")[self.score].agg(["mean", "std", "count"]).reset_index()
        half = t_quantile(0.975, np.maximum(grouped["count"] - 1, 1)) * grouped["std"] / np.sqrt(grouped["count"])
        frame = grouped.rename(columns={"count": "n"}).drop(columns="std")
        return frame.assign(ci_low=frame["mean"] - half, ci_high=frame["mean"] + half)[
            ["sessions_from_change", "mean", "ci_low", "ci_high", "n"]
        ]

    def _around(self) -> pd.DataFrame:
        """Scored sessions of the episodes on either side of each change, numbered from it."""
        patient, session = self.columns.patient, self.columns.session
        scored = self.frame.dropna(subset=[self.score, EPISODE])[[patient, session, EPISODE, self.score]]
        changes = self.changes[[patient, "change", SESSION]].rename(columns={SESSION: "changed_at"})
        both = scored.merge(changes, on=patient)
        own = both[(both[EPISODE] == both["change"]) | (both[EPISODE] == both["change"] + 1)]
        return own.assign(sessions_from_change=(own[session] - own["changed_at"]).astype(int))

    def curve(self, window: int = _WINDOW) -> pd.DataFrame:
        """What the model expects around a change: ``sessions_from_change, estimate, ci_low, ci_high, part``."""
        at = float(self.changes[SESSION].mean()) - 1.0
        around = self.aligned(window)["sessions_from_change"]
        before, after = np.arange(around.min(), 0), np.arange(0, around.max() + 1)
        weights = [
            pd.DataFrame({INTERCEPT: 1.0, TIME: at + before}),
            pd.DataFrame({INTERCEPT: 1.0, TIME: at + after, AFTER_CHANGE: 1.0, SINCE_CHANGE: after.astype(float)}),
        ]
        known = [w[[c for c in w.columns if c in self.fit.arrays.fixed_names]] for w in weights]
        parts = [
            self.fit.combine(w)[["estimate", "ci_low", "ci_high"]].assign(sessions_from_change=places, part=name)
            for w, places, name in zip(known, (before, after), ("before", "after"), strict=True)
            if len(places)
        ]
        return pd.concat(parts, ignore_index=True)

    def report(self) -> Sentences:
        """How many changes, the jump, the slope after."""
        from alliance_stats.models.therapist_words import change_report

        return change_report(self)

    def plot(self, kind: str = "event_aligned", *, ax: Axes | None = None) -> Axes:
        """Draw observed means aligned on the change, and the model before and after it."""
        if kind != "event_aligned":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('event_aligned',))}")
        from alliance_stats.report.figures.event_aligned import event_aligned

        return event_aligned(
            self.aligned(), self.curve(), score=self.labelled(self.score), ax=ax, simulated=self.fit.simulated
        )


def therapist_change(
    data: SessionTable | pd.DataFrame,
    score: str = ALLIANCE,
    *,
    method: Method = "REML",
    patient: str = PATIENT,
    therapist: str = THERAPIST,
    session: str = SESSION,
) -> TherapistChangeResult:
    """Estimate the jump of a score at a change of therapist, and the change per session after it.

    The model is ``score ~ sessions_since_start + after_change + sessions_since_change`` with intercept and slope by
    patient, and an intercept by therapist, crossed with patients. All patients are part of it: those who stay say what
    would have been expected without a change.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session.
    score : str
        Column of the score.
    method : {"REML", "ML"}
    patient, therapist, session : str
        Columns.

    Returns
    -------
    TherapistChangeResult
        ``after_change`` is the jump at the first session with another therapist, ``sessions_since_change`` the
        additional change per session after it (it restarts at a second change).

    Raises
    ------
    DataError
        If no patient changes therapist.
    DesignError
        If no session after a change has a score.
    """
    columns = Columns(patient, therapist, session)
    require_columns(frame_of(data), therapist)
    frame = with_time(frame_of(data), session, patient)
    numeric_score(frame, score)
    frame = therapist_episodes(frame, patient=patient, therapist=therapist, session=session)
    changes = change_summary(frame, patient=patient, therapist=therapist, session=session)
    if changes.empty:
        raise DataError(
            f"0 of {frame[patient].nunique()} patients change therapist, so there is no change to estimate. "
            "Use growth() for the course of the score."
        )
    y, p, t = quoted(score, patient, therapist)
    require_courses(frame, score, patient)
    scored = frame.dropna(subset=[score])
    if not (scored[AFTER_CHANGE] == 1).any():
        raise DesignError(
            f"No session after {count(len(changes), 'change')} of therapist has a value of {score!r}, so what "
            "happens at a "
            "change cannot be estimated."
        )
    terms = [TIME, AFTER_CHANGE, *([SINCE_CHANGE] if (scored[SINCE_CHANGE] > 0).any() else [])]
    fit = mixed(f"{y} ~ {' + '.join(terms)} + (1 + {TIME} | {p}) + (1 | {t})", rewrap(data, frame), method)
    return TherapistChangeResult(fit, columns, frame, _remarks(frame, changes, columns, score), score, changes)


def _remarks(frame: pd.DataFrame, changes: pd.DataFrame, columns: Columns, score: str) -> tuple[str, ...]:
    """What must be known about the changes: returns, repeated changes, patients who leave at the change."""
    remarks = []
    n_returns = int(changes["returned"].sum())
    if n_returns:
        remarks.append(
            f"{count(n_returns, 'change is a return', 'changes are returns')} to a former therapist, counted as a "
            "change."
        )
    n_twice = int((changes.groupby(columns.patient).size() > 1).sum())
    if n_twice:
        remarks.append(
            f"{count(n_twice, 'patient changes', 'patients change')} therapist more than once; sessions since the "
            "change "
            "restart each time, and the jump counts once."
        )
    scored = frame.dropna(subset=[score])
    after = scored[scored[AFTER_CHANGE] == 1].groupby(columns.patient).size()
    changers = changes[columns.patient].unique()
    n_single = int((after.reindex(changers, fill_value=0) <= 1).sum())
    if n_single:
        remarks.append(
            f"{n_single} of {len(changers)} patients who change have at most one scored session after it; they count "
            "for the "
            "jump but say nothing about the slope after."
        )
    return tuple(remarks)
