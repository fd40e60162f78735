"""How a score runs over sessions: growth curves over patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, frame_of, rewrap
from alliance_stats.design.courses import (
    LOGARITHM,
    SQUARED,
    TIME,
    Columns,
    numeric_score,
    quoted,
    require_courses,
    therapist_term,
    with_time,
)
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.models.mixed import Method, mixed
from alliance_stats.models.question import QuestionResult
from alliance_stats.names import ALLIANCE, INTERCEPT, PATIENT, SESSION, THERAPIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences

Shape = Literal["linear", "quadratic", "log"]

_TERMS: dict[str, tuple[str, ...]] = {"linear": (TIME,), "quadratic": (TIME, SQUARED), "log": (LOGARITHM,)}


@dataclass(frozen=True, eq=False, repr=False)
class GrowthResult(QuestionResult):
    """A growth curve.

    Parameters
    ----------
    score : str
        The score that grows.
    shape : {"linear", "quadratic", "log"}
        Its shape over sessions; the intercept is the level at session 1.
    """

    score: str = ALLIANCE
    shape: Shape = "linear"

    def curve(self, sessions: np.ndarray | None = None) -> pd.DataFrame:
        """The expected course of the average patient.

        Parameters
        ----------
        sessions : ndarray, optional
            Session numbers; by default every one from the first to the last observed.

        Returns
        -------
        DataFrame
            ``session, estimate, ci_low, ci_high``.
        """
        if sessions is None:
            observed = self.frame.loc[self.frame[self.score].notna(), self.columns.session]
            sessions = np.arange(observed.min(), observed.max() + 1)
        terms = time_terms(np.asarray(sessions, float))[list(_TERMS[self.shape])]
        table = self.fit.combine(terms.assign(**{INTERCEPT: 1.0}))
        return pd.DataFrame({"session": sessions}).join(table[["estimate", "ci_low", "ci_high"]])

    def shapes(self) -> pd.DataFrame:
        """Compare the shapes by maximum likelihood on the same rows.

        Returns
        -------
        DataFrame
            ``shape, n_parameters, deviance, aic, bic, chosen``, best AIC first. Random effects are the same for
            linear and quadratic courses (intercept and linear slope); a logarithmic course has its own slope. A shape
            that the data cannot bear has missing numbers.
        """
        rows = []
        for shape in get_args(Shape):
            try:
                other = growth(
                    self.frame, self.score, shape=shape, method="ML", patient=self.columns.patient,
                    therapist=self.columns.therapist, session=self.columns.session,
                )  # fmt: skip
            except DataError:
                rows.append((shape, np.nan, np.nan, np.nan, np.nan, shape == self.shape))
                continue
            one = other.glance().iloc[0]
            rows.append((shape, one["n_parameters"], one["deviance"], one["aic"], one["bic"], shape == self.shape))
        frame = pd.DataFrame(rows, columns=["shape", "n_parameters", "deviance", "aic", "bic", "chosen"])
        return frame.sort_values("aic", ignore_index=True)

    def report(self) -> Sentences:
        """Where the score starts and how it changes, with the spread between patients."""
        from alliance_stats.models.growth_words import growth_report

        return growth_report(self)

    def plot(self, kind: str = "trajectories", *, ax: Axes | None = None) -> Axes:
        """Draw the mean curve over the patients' courses (``"trajectories"``), or their effects (``"caterpillar"``)."""
        if kind == "caterpillar":
            return self.fit.plot("caterpillar", group=self.columns.patient, ax=ax)
        if kind != "trajectories":
            raise DataError(f"Growth has no figure {kind!r}. {did_you_mean(kind, ('trajectories', 'caterpillar'))}")
        from alliance_stats.report.figures.trajectories import trajectories

        names = {self.columns.patient: PATIENT, self.columns.session: SESSION, self.score: "value"}
        own = self.frame[list(names)].dropna().rename(columns=names)
        return trajectories(own, self.curve(), score=self.labelled(self.score), ax=ax, simulated=self.fit.simulated)


def time_terms(sessions: np.ndarray) -> pd.DataFrame:
    """Every time variable that a shape may use; numbers below 1 have no logarithm (missing)."""
    time = sessions - 1.0
    logarithm = np.log(np.where(sessions > 0, sessions, np.nan))
    return pd.DataFrame({TIME: time, SQUARED: time**2, LOGARITHM: logarithm})


def growth(
    data: SessionTable | pd.DataFrame,
    score: str = ALLIANCE,
    *,
    shape: Shape = "linear",
    method: Method = "REML",
    patient: str = PATIENT,
    therapist: str | None = THERAPIST,
    session: str = SESSION,
) -> GrowthResult:
    """Fit a growth curve: the score over sessions, with an own level and slope for every patient.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session.
    score : str
        Column of the score.
    shape : {"linear", "quadratic", "log"}
        ``linear``: change per session; ``quadratic`` adds its change; ``log``: fast at first, then slower. Time is 0
        at session 1, so the intercept is the level there. :meth:`GrowthResult.shapes` compares them.
    method : {"REML", "ML"}
    patient, therapist, session : str
        Columns; ``therapist=None`` leaves therapists out, and where the data cannot tell therapists apart from
        patients they are left out with the reason among the notes.

    Returns
    -------
    GrowthResult

    Raises
    ------
    ColumnError, DataError, DesignError
        If a column is missing, or the data cannot tell what the model asks.
    """
    if shape not in tuple(_TERMS):
        raise DataError(f"No shape {shape!r}. {did_you_mean(str(shape), _TERMS)}")
    columns = Columns(patient, therapist, session)
    frame = with_time(frame_of(data), session, patient)
    numeric_score(frame, score)
    require_courses(frame, score, patient)
    if shape == "log" and (frame[session] < 1).any():
        raise DataError(
            f"{int((frame[session] < 1).sum())} sessions have a number below 1, which has no logarithm. Number them "
            "from 1."
        )
    terms = _TERMS[shape]
    frame = frame.assign(**time_terms(frame[session].to_numpy(float))[list(terms)].set_axis(frame.index))
    extra, reason = therapist_term(frame, columns, score)
    y, p = quoted(score, patient)
    formula = f"{y} ~ {' + '.join(terms)} + (1 + {terms[0]} | {p}){extra}"
    fit = mixed(formula, rewrap(data, frame), method)
    return GrowthResult(fit, columns, frame, (reason,) if reason else (), score, shape)
