"""Sentences about growth curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.design.courses import TIME
from alliance_stats.models.words import points, row_of, statistics
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import number
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from alliance_stats.models.growth import GrowthResult


def growth_report(result: GrowthResult) -> Sentences:
    """Level at the first session, change over sessions, spread between patients."""
    table = result.table()
    score = result.labelled(result.score)
    start = row_of(table, INTERCEPT)
    first = Sentences.plain(
        f"At session 1, the expected {score} of the average patient was {number(start['estimate'])}"
    )
    slope = table.iloc[1]
    return join(first + statistics(start), _change(result, slope, score), *_bend(result), _spread(result))


def _change(result: GrowthResult, slope: pd.Series, score: str) -> Sentences:
    rise = "rose" if slope["estimate"] > 0 else "fell"
    unit = {
        "linear": "per session",
        "quadratic": "per session at session 1",
        "log": "per unit of the logarithm of the session number",
    }[result.shape]
    lead = f"On average over patients, {score} {rise} by {points(slope)} {unit}"
    return Sentences.plain(lead) + statistics(slope)


def _bend(result: GrowthResult) -> list[Sentences]:
    if result.shape != "quadratic":
        return []
    bend = result.table().iloc[2]
    word = "increased" if bend["estimate"] > 0 else "decreased"
    lead = f"This rate {word} from session to session; the quadratic term was {number(bend['estimate'], 3)}"
    return [Sentences.plain(lead) + statistics(bend)]


def _spread(result: GrowthResult) -> Sentences:
    variance = result.variance()
    own = variance[variance["group"] == result.columns.patient]
    single = own[own["term2"].isna()]
    sd: dict[str, float] = dict(zip(single["term"], single["sdcor"], strict=True))
    both = own.loc[own["term2"].notna(), "sdcor"]
    slope = next(term for term in sd if term != INTERCEPT)
    unit = "per session" if slope == TIME else "per log session"
    text = (
        f"Patients differed in their level at session 1 (SD = {number(sd[INTERCEPT])}) and in their change "
        f"(SD = {number(sd[slope])} {unit})"
    )
    if both.notna().any():
        text += f"; the correlation of the two was {number(both.iloc[0])}"
    return Sentences(text.replace("SD", "*SD*") + ".")
