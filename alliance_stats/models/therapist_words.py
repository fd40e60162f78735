"""Sentences about changes of therapist and about differences between therapists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance_stats.design.courses import TIME
from alliance_stats.errors import count
from alliance_stats.models.words import points, row_of, statistics
from alliance_stats.names import AFTER_CHANGE, SINCE_CHANGE
from alliance_stats.report.numbers import bounded, decimals_for, interval, number, p_value
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from alliance_stats.models.therapist_change import TherapistChangeResult
    from alliance_stats.models.therapist_effects import TherapistEffectsResult


def change_report(result: TherapistChangeResult) -> Sentences:
    """How many changes there were, the jump, the slope after it."""
    table, score = result.table(), result.labelled(result.score)
    changers = result.changes[result.columns.patient].nunique()
    n_patients = result.frame[result.columns.patient].nunique()
    jump = row_of(table, AFTER_CHANGE)
    lead = (
        f"{changers} of {count(n_patients, 'patient')} changed therapist "
        f"({count(len(result.changes), 'change')} in all). At the first session with another therapist, {score} was "
        f"{points(jump)} {'higher' if jump['estimate'] > 0 else 'lower'} than expected without a change"
    )
    sentences = [Sentences.plain(lead) + statistics(jump)]
    if SINCE_CHANGE in set(table["term"]):
        sentences.append(_slope_after(result, score))
    else:
        reason = "No patient has a session after the first one with another therapist"
        sentences.append(Sentences(f"{reason}, so the course after a change could not be estimated."))
    return join(*sentences)


def _slope_after(result: TherapistChangeResult, score: str) -> Sentences:
    extra = row_of(result.table(), SINCE_CHANGE)
    whole = result.fit.contrast({TIME: 1.0, SINCE_CHANGE: 1.0}, "slope after the change").iloc[0]
    rise = "rose" if whole["estimate"] > 0 else "fell"
    lead = (
        f"After it, {score} {rise} by {points(whole)} per session (95% CI "
        f"{interval(whole['ci_low'], whole['ci_high'], decimals_for(whole['std_error']))}); its change per session was "
        f"{points(extra)} {'higher' if extra['estimate'] > 0 else 'lower'} than without a change"
    )
    return Sentences.plain(lead) + statistics(extra)


def effects_report(result: TherapistEffectsResult) -> Sentences:
    """Share of the therapists with interval and test."""
    one, score = result.glance().iloc[0], result.labelled(result.score)
    n = one[f"n_{result.columns.therapist}"]
    variance = result.variance()
    sd = float(variance.loc[variance["group"] == result.columns.therapist, "sdcor"].iloc[0])
    share = (
        Sentences("(*ICC* = ")
        + bounded(one["icc_therapist"], 3, keep_small=False)
        + ", 95% profile-likelihood CI "
        + _bounded_interval(one["icc_ci_low"], one["icc_ci_high"])
    )
    patients = Sentences.plain(
        f"Patients accounted for {number(100 * one['icc_patient'], 1)}% of the variance at session 1."
    )
    if sd == 0:
        lead = Sentences.plain(f"The variance between the {n} therapists in {score} was estimated at zero ")
        rest = Sentences("); these data show no differences between them, and the interval says how large they may be.")
        return join(lead + share + rest, patients)
    percent = number(100 * one["icc_therapist"], 1)
    lead = Sentences.plain(
        f"Differences between the {n} therapists accounted for {percent}% of the variance in {score} at session 1 "
    )
    test = (
        Sentences(f"); the standard deviation between therapists was {number(sd)} points, likelihood-ratio χ² = ")
        + Sentences(f"{number(one['lr_statistic'], keep_small=False)}, *p* ")
        + p_value(one["lr_p_value"])
        + Sentences(" (mixture of χ² with 0 and 1 degrees of freedom).")
    )
    return join(lead + share + test, patients)


def _bounded_interval(low: float, high: float) -> str:
    return f"[{bounded(low, 3, keep_small=False)}, {bounded(high, 3, keep_small=False)}]"
