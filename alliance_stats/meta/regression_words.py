"""Sentences about meta-regressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import degrees_of_freedom, number, p_value
from alliance_stats.report.sentences import Sentences, full, higher_or_lower, join

if TYPE_CHECKING:
    from alliance_stats.meta.regress import RegressionResult


def regression_sentences(result: RegressionResult) -> Sentences:
    """The omnibus test, each moderator, and what is left unexplained."""
    from alliance_stats.meta.words import studies

    glance = result.glance().iloc[0]
    rows = [row for _, row in result.table().iterrows() if row["term"] != INTERCEPT]
    if not rows:
        return join(f"In {studies(glance)} there was no moderator.", full(result.table().iloc[0]))
    return join(_omnibus(result, glance, studies(glance)), *map(moderator_sentence, rows), _left(glance))


def _omnibus(result: RegressionResult, glance: pd.Series, counted: str) -> Sentences:
    test = result.test().iloc[0]
    if np.isinf(test["df_den"]):
        words = f"χ²({int(test['df_num'])}) = {number(glance['qm'])}"
    else:
        words = f"*F*({int(test['df_num'])}, {degrees_of_freedom(test['df_den'])}) = {number(test['statistic'])}"
    return Sentences(f"In {counted}, the moderators together: {words}, *p* {p_value(test['p_value'])}.")


def moderator_sentence(row: pd.Series) -> Sentences:
    """Per unit of a moderator, how the effect differs."""
    direction = higher_or_lower(row["estimate"], "larger", "smaller", "the same")
    return join(Sentences.plain(f"Per unit of {row['term']}, effects were {direction}, "), full(row), ".", separator="")


def _left(glance: pd.Series) -> Sentences:
    share = f"; the moderators explained {number(glance['r2'], 1)}% of τ²" if pd.notna(glance["r2"]) else ""
    q = f"*Q*({int(glance['q_df'])}) = {number(glance['q'])}, *p* {p_value(glance['q_p'])}"
    return Sentences(f"Between studies *SD* = {number(glance['tau2'] ** 0.5)} was left ({q}){share}.")
