"""Sentences about publication bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta.words import studies
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import interval, number, p_value, percent, with_interval
from alliance_stats.report.sentences import Sentences, full, join

if TYPE_CHECKING:
    from alliance_stats.meta.bias.compare import ComparisonResult
    from alliance_stats.meta.bias.egger import EggerResult
    from alliance_stats.meta.bias.excess_significance import ExcessResult
    from alliance_stats.meta.bias.fail_safe import FailSafeResult
    from alliance_stats.meta.bias.p_curve import PCurveResult
    from alliance_stats.meta.bias.p_uniform import PUniformResult
    from alliance_stats.meta.bias.pet_peese import PetPeeseResult
    from alliance_stats.meta.bias.rank_test import RankTestResult
    from alliance_stats.meta.bias.result import BiasResult
    from alliance_stats.meta.bias.selection_result import SelectionResult
    from alliance_stats.meta.bias.trim_fill import TrimFillResult


def _uncorrected(result: BiasResult) -> str:
    return f"(without correction {number(result.uncorrected)})"


def _first(result: BiasResult) -> pd.Series:
    return result.table().iloc[0]


def trim_fill_sentences(result: TrimFillResult) -> Sentences:
    """How many studies are missing, and the mean with them."""
    n = result.trimmed.n
    lead = (
        f"Trim and fill ({result.estimator}) found {'no study' if n == 0 else count(n, 'study', 'studies')} missing "
        f"on the {result.side}"
    )
    if np.isfinite(result.trimmed.p_value):
        lead += f", *p* {p_value(result.trimmed.p_value)}"
    if n == 0:
        return Sentences(lead + f"; the mean stays at {number(result.uncorrected)}.")
    verb = "it" if n == 1 else "them"
    return join(
        Sentences(f"{lead}. With {verb} the mean was"),
        join(full(_first(result), confidence=result.level), f" {_uncorrected(result)}.", separator=""),
    )


def egger_sentences(result: EggerResult) -> Sentences:
    """The test, and the effect in a study of infinite size."""
    from alliance_stats.meta.bias.egger import LIMITED, PREDICTORS

    slope = result.slope
    small = slope["p_value"] < 1 - result.level
    finding = "depended" if small else "did not depend detectably"
    words = join(
        Sentences(f"Effects {finding} on the {PREDICTORS[result.predictor]} of their studies,"),
        full(slope, confidence=result.level),
    )
    if result.predictor in LIMITED and not result.mods:
        limit = result.fit.row(INTERCEPT)
        known = pd.notna(limit["ci_low"])
        ends = with_interval(limit["estimate"], limit["ci_low"], limit["ci_high"]) if known else "unknown"
        words = words + f"; in a study of infinite size the effect would be {ends}"
    return words + "."


def rank_sentences(result: RankTestResult) -> Sentences:
    """Kendall's correlation."""
    return Sentences(
        f"Effects and their sampling variances ranked together with Kendall's τ = {number(result.tau)}, "
        f"*p* {p_value(result.p_value)}."
    )


def excess_sentences(result: ExcessResult) -> Sentences:
    """Significant results, and how many were expected."""
    verb = "was" if result.n_significant == 1 else "were"
    return Sentences(
        f"{result.n_significant} of {count(len(result.effects), 'effect')} {verb} significant, where "
        f"{number(result.expected, 1)} were expected from their power; excess significance: "
        f"*p* {p_value(result.p_value)}."
    )


def pet_peese_sentences(result: PetPeeseResult) -> Sentences:
    """Which of the two counts, and its estimate."""
    one = f"one-sided *p* {p_value(result.p_one_sided)}"
    found = "found an" if result.chosen == "PEESE" else "found no"
    lead = Sentences(f"PET {found} effect beyond small-study effects ({one}), so that {result.chosen} counts:")
    return join(
        lead, join(full(result.table().iloc[-1], confidence=result.level), f" {_uncorrected(result)}.", separator="")
    )


def fail_safe_sentences(result: FailSafeResult) -> Sentences:
    """The number, what it means, and what it does not."""
    n = count(result.n, "unseen study", "unseen studies")
    aim = {
        "Rosenthal": f"Stouffer's one-sided p to {result.alpha:g}",
        "Rosenberg": f"the p value of the fixed mean to {result.alpha:g}",
        "Orwin": f"the mean to {number(result.target)}",
        "General": f"the random-effects mean to {number(result.target)}"
        if np.isfinite(result.target)
        else f"the p value of the random-effects mean to {result.alpha:g}",
    }[result.kind]
    return Sentences(
        f"If they averaged exactly zero, {n} would bring {aim} (fail-safe *N*, {result.kind}); this number corrects "
        "nothing and tests nothing."
    )


def selection_sentences(result: SelectionResult) -> Sentences:
    """The corrected mean, the weights, and the test of no selection."""
    first = result.table().iloc[0]
    lead = f"With {studies(result.glance().iloc[0])}, a selection model ({result.model}) put the mean at"
    if first["term"] != INTERCEPT:
        lead = f"With {studies(result.glance().iloc[0])}, a selection model ({result.model}) put {first['term']} at"
    plain = f" {_uncorrected(result)}." if first["term"] == INTERCEPT and not result.mods else "."
    return join(
        Sentences.plain(lead),
        join(full(first, confidence=result.level), plain, separator=""),
        _weights(result),
        _test(result),
    )


def _weights(result: SelectionResult) -> str:
    weights = result.selection_weights()
    if "p_low" not in weights or not result.fit.delta.size:
        return ""
    parts = [
        f"{row['weight']:.2f}{_ends(row)} for {_step(row['p_low'])} < *p* ≤ {_step(row['p_high'])}"
        for _, row in weights.iloc[1:].iterrows()
    ]
    return Sentences(
        f"Against results with *p* ≤ {_step(weights['p_high'].iloc[0])}, the relative chance of publication was "
        f"{'; '.join(parts)}."
    )


def _step(p: float) -> str:
    """Write a p value as it was asked for: ``.025``."""
    return f"{p:g}".removeprefix("0") or "0"


def _ends(row: pd.Series) -> str:
    return f" {interval(row['ci_low'], row['ci_high'], 2)}" if pd.notna(row["ci_low"]) else ""


def _test(result: SelectionResult) -> Sentences:
    test = result.likelihood_ratio().iloc[0]
    if not test["df"]:
        return Sentences("")
    dependent = " (effects taken as independent)" if result.boot is not None else ""
    return Sentences(
        f"Selection was tested with χ²({int(test['df'])}) = {number(test['statistic'])}, *p* {p_value(test['p_value'])}"
        f"{dependent}."
    )


def p_uniform_sentences(result: PUniformResult) -> Sentences:
    """The corrected mean and its test."""
    row = _first(result)
    ends = (
        interval(row["ci_low"], row["ci_high"])
        if np.isfinite(row[["ci_low", "ci_high"]].astype(float)).all()
        else "without an end"
    )
    test = result.tests().iloc[0]
    return Sentences(
        f"p-uniform* put the mean at {number(row['estimate'])}, {percent(result.level)} CI {ends}, "
        f"χ²(1) = {number(test['statistic'])}, *p* {p_value(test['p_value'])} {_uncorrected(result)}; "
        f"{result.n_significant} of {count(len(result.effects), 'effect')} were significant."
    )


def p_curve_sentences(result: PCurveResult) -> Sentences:
    """Whether there is evidential value, and power."""
    rows = {str(row["term"]): row for _, row in result.tests.iterrows()}
    says = "had evidential value" if result.evidential else "showed no evidential value"
    full_, half = rows["right skew, full"], rows["right skew, half"]
    words = f"The curve of {count(result.n_significant, 'significant p value')} {says} (full: {_z(full_)}"
    words += f"; half: {_z(half)})" if half["n"] else ")"
    ends = f"[{100 * result.power_low:.0f}%, {100 * result.power_high:.0f}%]"
    return Sentences(f"{words}; these studies' power was estimated at {100 * result.power:.0f}%, 90% CI {ends}.")


def _z(row: pd.Series) -> str:
    return f"*z* = {number(row['statistic'])}, *p* {p_value(row['p_value'])}"


def comparison_sentences(result: ComparisonResult) -> Sentences:
    """The range of the corrected means."""
    rows = result.rows
    corrected = rows.iloc[1:].dropna(subset="estimate")
    first = rows.iloc[0]
    mean = with_interval(first["estimate"], first["ci_low"], first["ci_high"])
    lead = f"Without correction the mean was {mean}."
    if corrected.empty:
        return Sentences(f"{lead} No correction could be used.")
    low, high = (corrected.iloc[int(at)] for at in (corrected["estimate"].argmin(), corrected["estimate"].argmax()))
    return join(
        lead,
        Sentences.plain(
            f"Of {count(len(corrected), 'corrected mean')}, the lowest was {number(low['estimate'])} "
            f"({low['term']}), the highest {number(high['estimate'])} ({high['term']})."
        ),
    )
