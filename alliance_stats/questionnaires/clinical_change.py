"""Reliable and clinically significant change from a first to a last score."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.data.column_map import DIRECTIONS
from alliance_stats.data.session_table import SessionTable, codebook_of, frame_of
from alliance_stats.engine.reliability.change import (
    ChangeRule,
    CutoffKind,
    Method,
    change_rule,
    cutoff_between,
    one_sided_criterion,
    points_rule,
)
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import PATIENT, SESSION
from alliance_stats.questionnaires.change_result import ChangeResult, Cutoff, Spread
from alliance_stats.questionnaires.key import TOTAL, MeasureKey
from alliance_stats.questionnaires.known import measure_key
from alliance_stats.questionnaires.pre_post import PrePost, When, pre_post
from alliance_stats.questionnaires.reliability_result import NamedReliability

Moments = tuple[float, float]
Direction = Literal["better", "worse"]


def reliable_change(
    data: SessionTable | pd.DataFrame,
    score: str,
    *,
    reliability: float | NamedReliability | None = None,
    source: str | None = None,
    sd: float | None = None,
    sd_source: str | None = None,
    measure: str | MeasureKey | None = None,
    method: Method = "jacobson-truax",
    criterion: float | None = None,
    pre: When = "first",
    post: When = "last",
    higher: Direction | None = None,
    patient: str = PATIENT,
    session: str = SESSION,
) -> ChangeResult:
    """Ask who changed by more than the noise of the measure.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session. It is not changed.
    score : str
        The score, in points.
    reliability : float or NamedReliability, optional
        Of the score: what ``value(…)`` of :func:`alliance_stats.reliability` gives, or a number with its ``source``.
    source : str
        Where the reliability comes from; stands in every caption. Needed with a number.
    sd : float, optional
        Standard deviation that the reliability belongs to; that of the pre scores by default.
    sd_source : str
        Where ``sd`` comes from. Needed with ``sd``.
    measure : str, optional
        A measure whose published points of reliable change are used instead of a reliability, e.g. ``"PHQ-9"``.
    method : {"jacobson-truax", "gulliksen-lord-novick", "edwards-nunnally", "hageman-arrindell"}
        How the index is formed.
    criterion : float, optional
        Beyond which index a change is reliable: 1.96, and 1.645 for Hageman and Arrindell.
    pre, post : {"first", "last"} or int
        Each patient's first and last observed score, or those of two sessions.
    higher : {"better", "worse"}, optional
        What a higher score means; from the codebook where it says so.
    patient, session : str
        Columns.

    Returns
    -------
    ChangeResult
        ``table()`` counts the improved, unchanged and deteriorated; ``patients()`` lists them.

    Raises
    ------
    DataError
        If the direction or a source is not known, numbers are out of range, or fewer than two patients have both
        scores.
    DesignError
        If the pre scores do not vary, or the changes are no more than noise (Hageman and Arrindell).

    Notes
    -----
    Jacobson and Truax divide the change by ``SD √2 √(1 − r)``. Gulliksen, Lord and Novick (``SD √(1 − r²)``) and
    Edwards and Nunnally (``SD √(1 − r)``) measure from the score that regression to the mean predicts. Hageman and
    Arrindell use the reliability of the difference.
    """
    key = None if measure is None else measure_key(measure)
    pairs, worse = _pairs(data, score, patient, session, pre, post, higher, key)
    rule, spread = _rule(pairs, key, reliability, source, sd, sd_source, method, criterion)
    return _result(data, score, patient, pairs, worse, rule, spread, None)


def clinically_significant_change(
    data: SessionTable | pd.DataFrame,
    score: str,
    *,
    reliability: float | NamedReliability | None = None,
    source: str | None = None,
    cutoff: CutoffKind | float | None = None,
    cutoff_source: str | None = None,
    functional: Moments | None = None,
    clinical: Moments | None = None,
    sd: float | None = None,
    sd_source: str | None = None,
    measure: str | MeasureKey | None = None,
    method: Method = "jacobson-truax",
    criterion: float | None = None,
    pre: When = "first",
    post: When = "last",
    higher: Direction | None = None,
    patient: str = PATIENT,
    session: str = SESSION,
) -> ChangeResult:
    """Ask who changed reliably and ended on the functional side: recovered, improved, unchanged, deteriorated.

    Parameters
    ----------
    data, score, reliability, source, sd, sd_source, method, criterion, pre, post, higher, patient, session
        As in :func:`reliable_change`.
    cutoff : {"a", "b", "c"} or float, optional
        Jacobson and Truax's cutoff: ``"a"`` two standard deviations from the clinical mean, ``"b"`` within two of the
        functional mean, ``"c"`` between both; or points, the first on the clinical side. By default the cutoff that
        ``measure`` publishes, else ``"c"`` with ``functional`` given and ``"a"`` without.
    cutoff_source : str
        Where the cutoff or the functional norms come from. Needed with points or ``functional``.
    functional, clinical : tuple of float
        Mean and standard deviation of each population. The clinical ones are those of the pre scores by default.
    measure : str, optional
        A measure whose published reliable change (where no reliability is given) and cutoff are used.

    Returns
    -------
    ChangeResult
        ``table()`` counts the four groups; ``patients()`` lists them with index and sides of the cutoff.

    Raises
    ------
    DataError, DesignError
        As :func:`reliable_change`; and if no cutoff can be found out.

    Notes
    -----
    *Recovered*: reliably improved and crossed the cutoff, from the clinical to the functional side. *Improved*:
    reliably improved otherwise. With Hageman and Arrindell the end counts as functional where the true score, shrunken
    to the mean, lies beyond the cutoff by 1.645 standard errors; where it began plays no part, and the cutoff is formed
    with standard deviations of true scores.

    References
    ----------
    Jacobson & Truax (1991), Journal of Consulting and Clinical Psychology, 59, 12-19. Hageman & Arrindell (1999),
    Behaviour Research and Therapy, 37, 1169-1193.
    """
    key = None if measure is None else measure_key(measure)
    pairs, worse = _pairs(data, score, patient, session, pre, post, higher, key)
    rule, spread = _rule(pairs, key, reliability, source, sd, sd_source, method, criterion)
    limit = _cutoff(pairs, key, cutoff, cutoff_source, functional, clinical, worse, spread)
    return _result(data, score, patient, pairs, worse, rule, spread, limit)


def _pairs(
    data: SessionTable | pd.DataFrame,
    score: str,
    patient: str,
    session: str,
    pre: When,
    post: When,
    higher: Direction | None,
    key: MeasureKey | None,
) -> tuple[PrePost, int]:
    """Both scores of each patient, and the direction: 1 where higher is worse."""
    frame = frame_of(data)
    if higher is not None and higher not in DIRECTIONS:
        raise DataError(f"higher is 'better' or 'worse', not {higher!r}.")
    direction = higher or codebook_of(data).get(score).higher or (key.higher if key else None)
    if direction is None:
        raise DataError(
            f"It is not known what a higher {score!r} means, and change would be reversed by a wrong guess. "
            "Give higher='worse' or higher='better'."
        )
    return pre_post(frame, score, patient, session, pre, post), 1 if direction == "worse" else -1


def _rule(
    pairs: PrePost,
    key: MeasureKey | None,
    reliability: float | NamedReliability | None,
    source: str | None,
    sd: float | None,
    sd_source: str | None,
    method: Method,
    criterion: float | None,
) -> tuple[ChangeRule, Spread | None]:
    if method not in get_args(Method):
        raise DataError(f"method has no {method!r}. {did_you_mean(str(method), get_args(Method))}")
    if reliability is None:
        return _published(key), None
    named = _named(reliability, source)
    if sd is not None and not (sd_source and sd > 0):
        raise DataError(f"sd = {sd!r} must be positive and name its sd_source, e.g. 'norm sample, n = 800'.")
    scores = pairs.frame
    own = float(scores["pre"].std()) if sd is None else float(sd)
    if not own > 0:
        from alliance_stats.errors import DesignError

        raise DesignError(f"The pre scores of {len(scores)} patients do not vary. Give sd= with its sd_source=.")
    if criterion is not None and not criterion > 0:
        raise DataError(f"criterion = {criterion!r} must be positive, e.g. 1.96.")
    before, after = scores["pre"].to_numpy(), scores["post"].to_numpy()
    rule = change_rule(method, named.value, own, before, after, criterion)
    where = sd_source or f"pre scores of these {len(scores)} patients"
    return rule, Spread(method, named.value, named.source, own, where)


def _named(reliability: float | NamedReliability, source: str | None) -> NamedReliability:
    named = (
        reliability if isinstance(reliability, NamedReliability) else NamedReliability(float(reliability), source or "")
    )
    if not 0 < named.value < 1:
        raise DataError(f"reliability = {named.value!r} must lie between 0 and 1.")
    if not named.source:
        raise DataError(
            f"The reliability {named.value:g} has no source. Name it, since whose reliability was used decides the "
            "result: source='manual, internal consistency, n = 504'."
        )
    return named


def _published(key: MeasureKey | None) -> ChangeRule:
    if key is None:
        raise DataError("Give a reliability with its source, or a measure that publishes its reliable change.")
    change = key.reliable_change
    if change is None or change.scale != TOTAL:
        raise DataError(f"{key.name} ships no verified reliable change. Give reliability= with its source=.")
    return points_rule(change.value)


def _cutoff(
    pairs: PrePost,
    key: MeasureKey | None,
    cutoff: CutoffKind | float | None,
    source: str | None,
    functional: Moments | None,
    clinical: Moments | None,
    worse: int,
    spread: Spread | None,
) -> Cutoff:
    kind = _kind(key, cutoff, functional)
    true_scores = spread is not None and spread.method == "hageman-arrindell"
    if not isinstance(kind, str):
        if cutoff is None:
            assert key is not None
            own = key.cutoffs[0]
            words = f"{key.name}: {own.meaning} ({own.source})"
        else:
            words = source or ""
        if not words:
            raise DataError(f"The cutoff {kind:g} has no source. Name it: cutoff_source='manual'.")
        return (
            _individual(Cutoff(float(kind), words, worse), spread, pairs)
            if true_scores
            else Cutoff(float(kind), words, worse)
        )
    if kind not in get_args(CutoffKind):
        raise DataError(f"cutoff has no kind {kind!r}. Use 'a', 'b', 'c' or points.")
    if kind != "a" and (functional is None or not source):
        raise DataError(
            f"Cutoff {kind!r} needs functional=(mean, sd) and cutoff_source=, where these norms come from. "
            "Cutoff 'a' needs neither."
        )
    for name, moments in (("functional", functional), ("clinical", clinical)):
        if moments is not None and not (len(moments) == 2 and moments[1] > 0):
            raise DataError(f"{name} = {moments!r} must be a mean and a positive standard deviation.")
    before = pairs.frame["pre"]
    ill = clinical or (float(before.mean()), float(before.std()))
    whose = "given" if clinical else f"pre scores of these {len(before)} patients"
    well = functional
    if true_scores and spread is not None:
        ill, well = _true(ill, spread), None if well is None else _true(well, spread)
    value = cutoff_between(kind, ill, well, worse)
    norms = f"; functional: {source}" if kind != "a" else ""
    found = Cutoff(
        value, f"Jacobson and Truax's {kind}{', true scores' if true_scores else ''}; clinical: {whose}{norms}", worse
    )
    return _individual(found, spread, pairs) if true_scores else found


def _kind(key: MeasureKey | None, cutoff: CutoffKind | float | None, functional: Moments | None) -> CutoffKind | float:
    if cutoff is not None:
        if isinstance(cutoff, bool) or (not isinstance(cutoff, str) and not np.isfinite(cutoff)):
            raise DataError(f"cutoff = {cutoff!r} must be 'a', 'b', 'c' or points.")
        return cutoff
    if functional is None and key is not None and key.cutoffs:
        return key.cutoffs[0].value
    return "a" if functional is None else "c"


def _true(moments: Moments, spread: Spread) -> Moments:
    """Mean and standard deviation of true scores: the noise is that of the sample the reliability belongs to."""
    noise = spread.sd * np.sqrt(1 - spread.reliability)
    left = moments[1] ** 2 - noise**2
    if left <= 0:
        raise DataError(
            f"A standard deviation of {moments[1]:g} is no larger than the noise ({noise:.3g}). "
            "Check reliability and norms."
        )
    return moments[0], float(np.sqrt(left))


def _individual(cutoff: Cutoff, spread: Spread | None, pairs: PrePost) -> Cutoff:
    """Hageman and Arrindell's judgement of single post scores."""
    assert spread is not None
    after = pairs.frame["post"]
    noise = spread.sd * np.sqrt(1 - spread.reliability)
    own = 1 - noise**2 / float(after.var())
    if own <= 0:
        raise DataError("The post scores vary no more than noise does. Use another method, or check the reliability.")
    return Cutoff(
        cutoff.value, cutoff.source, cutoff.worse, float(after.mean()), own, float(noise), one_sided_criterion()
    )


def _result(
    data: SessionTable | pd.DataFrame,
    score: str,
    patient: str,
    pairs: PrePost,
    worse: int,
    rule: ChangeRule,
    spread: Spread | None,
    cutoff: Cutoff | None,
) -> ChangeResult:
    label = codebook_of(data).get(score).title
    simulated = isinstance(data, SessionTable) and data.source.simulated
    return ChangeResult(
        pairs.frame, patient, label, worse, rule, spread, cutoff, pairs.words, pairs.n_without, simulated
    )
