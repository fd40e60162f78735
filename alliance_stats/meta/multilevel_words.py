"""Sentences about multilevel meta-analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.words import in_words, level_words, mean_sentence, studies
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import degrees_of_freedom, interval, number, percent
from alliance_stats.report.sentences import Sentences, join, literal

if TYPE_CHECKING:
    from alliance_stats.meta.multilevel_result import MultilevelResult

_METHODS = {"REML": "restricted maximum likelihood", "ML": "maximum likelihood"}


def described(result: MultilevelResult) -> str:
    """The analysis in words."""
    levels = ", ".join(level.name for level in result.structure.levels)
    errors = (
        f"{result.robust} standard errors clustered by {result.cluster}, degrees of freedom after Satterthwaite"
        if result.robust
        else "model-based standard errors"
    )
    return (
        f"Multilevel meta-analysis of {studies(result.glance().iloc[0])} with variances of {levels or 'no level'}; "
        f"sampling covariances {result.structure.sampling}; {_METHODS[result.method]}; {errors}."
    )


def multilevel_sentences(result: MultilevelResult) -> Sentences:
    """The mean or the moderators, and the spread at each level."""
    glance, table = result.glance().iloc[0], result.table()
    if list(result.part.names) == [INTERCEPT]:
        back = result.back_transformed().iloc[0] if scale_of(result.measure) == "tanh" else None
        first = mean_sentence(table.iloc[0], glance, "z" if back is not None else "b", back, result.level)
    else:
        first = _moderators(result, studies(glance))
    return join(first, _levels(result)) if len(result.structure.levels) else first


def _moderators(result: MultilevelResult, counted: str) -> Sentences:
    from alliance_stats.meta.regression_words import moderator_sentences, omnibus_sentence

    test = result.test().iloc[0]
    words = f"*F*({int(test['df_num'])}, {degrees_of_freedom(test['df_den'])}) = {number(test['statistic'])}"
    omnibus = omnibus_sentence(counted, result.part, words, float(test["p_value"]))
    return join(omnibus, *moderator_sentences(result.table(), result.part, result.level))


def _levels(result: MultilevelResult) -> Sentences:
    parts = [
        f"{number(row['sd'])} between {literal(level_words(str(row['level'])))} (*I*² = {number(row['i2'], 1)}%)"
        for row in result.variance(intervals=False).to_dict("records")
    ]
    glance = result.glance().iloc[0]
    found = "True effects varied with" if glance["tau2"] > 0 else "No differences of true effects were found:"
    words = f"{found} *SD* = {in_words(parts)}"
    if list(result.part.names) == [INTERCEPT] and glance["pi_low"] == glance["pi_low"]:
        words += (
            f"; {percent(result.level)} of them are expected within {interval(glance['pi_low'], glance['pi_high'])}"
        )
    return Sentences(words + ".")
