"""How two scores go together within patients, and between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.data.codebook import Variable
from alliance_stats.data.session_table import SessionTable, codebook_of, frame_of, rewrap
from alliance_stats.design.centering import split_within_between
from alliance_stats.design.courses import TIME, Columns, numeric_score, quoted, therapist_term, with_time
from alliance_stats.design.sample import take_sample
from alliance_stats.errors import AllianceStatsError, DataError, DesignError, count, did_you_mean
from alliance_stats.models.mixed import Method, mixed
from alliance_stats.models.question import QuestionResult
from alliance_stats.names import ALLIANCE, OUTCOME, PATIENT, SESSION, THERAPIST, between, within

if TYPE_CHECKING:
    from alliance_stats.report.figures.canvas import Panels
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class WithinBetweenResult(QuestionResult):
    """Within-patient, between-patient and contextual effect.

    Parameters
    ----------
    outcome, predictor : str
    adjusted : bool
        Whether time (session − 1) is held constant.
    """

    outcome: str = OUTCOME
    predictor: str = ALLIANCE
    adjusted: bool = True

    def table(self) -> pd.DataFrame:
        """Fixed effects, and last the contextual effect (between − within), ``<predictor>_contextual``."""
        return self._with_contextual.copy()

    @cached_property
    def _with_contextual(self) -> pd.DataFrame:
        weights = {between(self.predictor): 1.0, within(self.predictor): -1.0}
        contextual = self.fit.contrast(weights, f"{self.predictor}_contextual")
        return pd.concat([self.fit.table(), contextual], ignore_index=True)

    def sensitivity(self) -> pd.DataFrame:
        """Within and between effects under other choices about time, on the same rows.

        Returns
        -------
        DataFrame
            ``time, term, estimate, std_error, df, statistic, p_value, ci_low, ci_high, used``; ``time`` is "not
            adjusted",
            "adjusted", or "adjusted, own slope per patient". A model that the data
            cannot bear has missing numbers, and the reason in ``problem``.
        """
        return self._sensitivity.copy()

    @cached_property
    def _sensitivity(self) -> pd.DataFrame:
        found = []
        for name, adjusted, slope in _CHOICES:
            table, problem = self._refitted(adjusted, slope)
            kept = table[table["term"].isin([within(self.predictor), between(self.predictor)])]
            used = adjusted == self.adjusted and slope == self.random_time
            found.append(kept.assign(used=used, problem=problem, time=name))
        frame = pd.concat(found, ignore_index=True)
        return frame[["time", *frame.columns.drop("time")]]

    def _refitted(self, adjusted: bool, slope: bool) -> tuple[pd.DataFrame, str]:
        """Fixed effects under another choice about time; missing, with the reason, where it cannot be estimated."""
        try:
            other = within_between(
                self.frame,
                self.outcome,
                self.predictor,
                adjust_time=adjusted,
                random_time=slope,
                method=self.fit.method,
                patient=self.columns.patient,
                therapist=self.columns.therapist,
                session=self.columns.session,
            )
        except AllianceStatsError as refusal:
            own = self.fit.table()
            return own.assign(**dict.fromkeys(own.columns.drop("term"), np.nan)), str(refusal)
        return other.fit.table(), ""

    def labels(self) -> dict[str, str]:
        """Words for the terms."""
        return super().labels() | {f"{self.predictor}_contextual": "Contextual effect (between − within)"}

    @property
    def random_time(self) -> bool:
        """Whether every patient has a slope of time."""
        at = self.fit.arrays.group_names.index(self.columns.patient)
        return TIME in self.fit.arrays.effect_names[at]

    def report(self) -> Sentences:
        """Within, between and contextual effect, and how the within effect depends on time."""
        from alliance_stats.models.within_between_words import within_between_report

        return within_between_report(self)

    def plot(self, kind: str = "within_between", *, axes: object = None) -> Panels:
        """Draw patient means with the between line, and centred points with the within line, on one scale."""
        if kind != "within_between":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('within_between',))}")
        from alliance_stats.models.within_between_figure import draw

        return draw(self, axes)


_CHOICES = (
    ("not adjusted", False, False),
    ("adjusted", True, False),
    ("adjusted, own slope per patient", True, True),
)

#: Below this many patients a remark says how little the effect between them rests on.
_FEW_PATIENTS = 20


def within_between(
    data: SessionTable | pd.DataFrame,
    outcome: str = OUTCOME,
    predictor: str = ALLIANCE,
    *,
    adjust_time: bool = True,
    random_time: bool = False,
    method: Method = "REML",
    patient: str = PATIENT,
    therapist: str | None = THERAPIST,
    session: str = SESSION,
) -> WithinBetweenResult:
    """Split the association of two scores into a within-patient and a between-patient effect.

    The predictor is centred at each patient's mean over the sessions in which both scores are present, so that the
    deviations sum to zero within every patient of the analysis sample.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session; both scores of the same session.
    outcome, predictor : str
        Columns of the scores.
    adjust_time : bool
        Hold session − 1 constant, so that two scores that merely both change over therapy are not taken as related.
        The estimates with and without stand side by side in :meth:`WithinBetweenResult.sensitivity`.
    random_time : bool
        Give every patient a slope of time as well.
    method : {"REML", "ML"}
    patient, therapist, session : str
        Columns; ``therapist=None`` leaves therapists out.

    Returns
    -------
    WithinBetweenResult
        Terms ``<predictor>_within``, ``<predictor>_between``, ``sessions_since_start``, and the contextual effect.

    Raises
    ------
    DesignError
        If outcome and predictor are one column, there are fewer than three patients, no patient has two sessions with
        different predictor values (no within effect), or all patients have the same mean (no between effect).

    References
    ----------
    Curran & Bauer (2011), Annual Review of Psychology, 62, 583-619.
    """
    columns = Columns(patient, therapist, session)
    frame = with_time(frame_of(data), session, patient)
    for score in (outcome, predictor):
        numeric_score(frame, score)
    if outcome == predictor:
        raise DesignError(f"The outcome and the predictor are the same column, {outcome!r}. Name two scores.")
    extra, reason = therapist_term(frame, columns, outcome, predictor)
    groups = [patient, str(therapist)] if extra else [patient]
    sample = take_sample(frame, list(dict.fromkeys([outcome, predictor, session, *groups])))
    frame = _centred(frame.take(sample.rows), predictor, patient)
    y, p, inside, across = quoted(outcome, patient, within(predictor), between(predictor))
    time = f" + {TIME}" if adjust_time or random_time else ""
    slope = f" + {TIME}" if random_time else ""
    fit = mixed(f"{y} ~ {inside} + {across}{time} + (1{slope} | {p}){extra}", _labelled(data, frame, predictor), method)
    remarks = [
        f"{predictor} is centred at each patient's mean over the sessions in which {predictor} and {outcome} are both "
        "present.",
        *([reason] if reason else []),
    ]
    n_patients = frame[patient].nunique()
    if n_patients < _FEW_PATIENTS:
        remarks.append(
            f"The effect between patients rests on the means of {n_patients} patients; read it with its interval."
        )
    return WithinBetweenResult(fit.with_sample(sample), columns, frame, tuple(remarks), outcome, predictor, bool(time))


def _centred(frame: pd.DataFrame, predictor: str, patient: str) -> pd.DataFrame:
    """Centre the predictor within the analysis sample, and refuse what has no within or no between part."""
    scores = frame[predictor].to_numpy(float)
    n_patients = frame[patient].nunique()
    if n_patients < 3:
        raise DesignError(
            f"{count(n_patients, 'patient')}: a line between patients needs three of them at least, or nothing is left "
            "to say how sure it is. Bring more patients."
        )
    inside, across = split_within_between(scores, pd.factorize(frame[patient])[0])
    spread = np.abs(scores).max()
    if np.abs(inside).max() <= 1e-12 * spread:
        raise DesignError(
            f"{predictor!r} does not vary within any of {n_patients} patients, so there is no within-patient effect to "
            "estimate. Use one row per patient and an ordinary regression for the effect between patients."
        )
    if np.ptp(across) <= 1e-12 * spread:
        raise DesignError(
            f"All {n_patients} patients have the same mean of {predictor!r} (is it centred already?), so there is "
            "no between-patient effect to estimate. Pass the uncentred score."
        )
    return frame.assign(**{within(predictor): inside, between(predictor): across})


def _labelled(data: SessionTable | pd.DataFrame, frame: pd.DataFrame, predictor: str) -> SessionTable | pd.DataFrame:
    title = codebook_of(data).get(predictor).title
    return rewrap(
        data,
        frame,
        Variable(within(predictor), f"{title}, within patients", made_from=f"{predictor} − patient mean"),
        Variable(between(predictor), f"{title}, between patients", made_from=f"patient mean of {predictor}"),
    )
