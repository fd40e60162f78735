"""Sentences about meta-regressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import degrees_of_freedom, number, p_value
from alliance_stats.report.sentences import Sentences, full, higher_or_lower, join

if TYPE_CHECKING:
    from alliance_stats.design.fixed_part import FixedPart
    from alliance_stats.meta.regress import RegressionResult

#: A coefficient that compares one category of a column with the reference category.
_CATEGORY = re.compile(r"(?P<column>[^:]+)\[T\.(?P<category>[^:]+)\]")
#: A coefficient that is the mean of one category of a column, without an intercept.
_MEAN = re.compile(r"(?P<column>[^:\[]+)\[(?!T\.)(?P<category>[^:]+)\]")


def regression_sentences(result: RegressionResult) -> Sentences:
    """The omnibus test, each moderator, and what is left unexplained."""
    from alliance_stats.meta.words import studies

    glance = result.glance().iloc[0]
    table = result.table()
    if list(table["term"]) == [INTERCEPT]:
        return join(f"In {studies(glance)} there was no moderator.", full(table.iloc[0], confidence=result.level))
    each = moderator_sentences(table, result.part, result.level)
    return join(_omnibus(result, glance, studies(glance)), *each, _left(glance))


def _omnibus(result: RegressionResult, glance: pd.Series, counted: str) -> Sentences:
    test = result.test().iloc[0]
    if np.isinf(test["df_den"]):
        words = f"χ²({int(test['df_num'])}) = {number(glance['qm'])}"
    else:
        words = f"*F*({int(test['df_num'])}, {degrees_of_freedom(test['df_den'])}) = {number(test['statistic'])}"
    return omnibus_sentence(counted, result.part, words, float(test["p_value"]))


def omnibus_sentence(counted: str, part: FixedPart, words: str, p: float) -> Sentences:
    """The test of all moderators; without an intercept it is that of all coefficients, means among them."""
    what = "the moderators together" if INTERCEPT in part.names else "all coefficients together"
    return Sentences(f"In {counted}, {what}: {words}, *p* {p_value(p)}.")


def moderator_sentences(table: pd.DataFrame, part: FixedPart, level: float) -> list[Sentences]:
    """For each moderator, how the effects differ: per unit, or against its reference category."""
    references = _references(part)
    others = sum(_MEAN.fullmatch(name) is None for name in part.names)
    said = []
    for _, row in table.iterrows():
        mean = _MEAN.fullmatch(str(row["term"]))
        if mean is not None:
            said.append(_category_mean(row, _plain(mean["column"]), mean["category"], others > 0, level))
        elif row["term"] != INTERCEPT:
            said.append(_moderator(row, references, level))
    return said


def _category_mean(row: pd.Series, column: str, category: str, others: bool, level: float) -> Sentences:
    """The mean effect of one category, where the formula has no intercept."""
    from alliance_stats.meta.words import of_mean

    at = " (the other moderators at 0 or their reference)" if others else ""
    lead = f"With {column} = {category}{at} the mean effect {of_mean(row, level)}, "
    return join(Sentences.plain(lead), full(row, confidence=level), ".", separator="")


def scale_sentences(table: pd.DataFrame, part: FixedPart, level: float) -> list[Sentences]:
    """For each predictor of log τ², how the differences between studies change."""
    references = _references(part)
    said = []
    for _, row in table.iterrows():
        if row["term"] == INTERCEPT:
            continue
        clear = row["p_value"] < 1 - level
        more = higher_or_lower(row["estimate"], "more", "less", "as much")
        category = _CATEGORY.fullmatch(str(row["term"]))
        found = f"effects differed {more}" if clear else "effects did not differ detectably more or less"
        if category is None:
            lead = f"Per unit of {row['term']}, {found} between studies"
        else:
            other = _reference_words(_plain(category["column"]), references)
            lead = (
                f"With {_plain(category['column'])} = {category['category']}, {found} between studies than with {other}"
            )
        said.append(join(Sentences.plain(f"{lead} (log τ²): "), full(row, confidence=level), ".", separator=""))
    return said


def _moderator(row: pd.Series, references: Mapping[str, str], level: float) -> Sentences:
    clear = row["p_value"] < 1 - level
    more = higher_or_lower(row["estimate"], "larger", "smaller", "the same")
    category = _CATEGORY.fullmatch(str(row["term"]))
    if category is None:
        found = f"effects were {more}" if clear else "effects did not differ detectably"
        lead = f"Per unit of {row['term']}, {found}, "
    else:
        column, own = _plain(category["column"]), category["category"]
        other = _reference_words(column, references)
        found = f"were {more} than" if clear else "did not differ detectably from those"
        lead = f"Effects with {column} = {own} {found} with {other}, "
    return join(Sentences.plain(lead), full(row, confidence=level), ".", separator="")


def _plain(column: str) -> str:
    """The column itself: ``C(rater)`` is about ``rater``."""
    return column[2:-1] if column.startswith("C(") and column.endswith(")") else column


def _reference_words(column: str, references: Mapping[str, str]) -> str:
    return f"{column} = {references[column]}" if column in references else "the reference category"


def _references(part: FixedPart) -> dict[str, str]:
    """Column → the one category that has no coefficient."""
    shown = [match for name in part.names if (match := _CATEGORY.fullmatch(name))]
    found: dict[str, str] = {}
    for column, dtype in part.recipe.categories.items():
        own = {match["category"] for match in shown if _plain(match["column"]) == column}
        left = _without(map(str, dtype.categories), own)
        if own and len(left) == 1:
            found[column] = left[0]
    return found


def _without(names: Iterable[str], taken: set[str]) -> list[str]:
    return [name for name in names if name not in taken]


def _left(glance: pd.Series) -> Sentences:
    share = f"; the moderators explained {number(glance['r2'], 1)}% of τ²" if pd.notna(glance["r2"]) else ""
    q = f"*Q*({int(glance['q_df'])}) = {number(glance['q'])}, *p* {p_value(glance['q_p'])}"
    if glance["method"] == "EE":  # τ² is 0 by assumption, which is no finding
        return Sentences(f"What the moderators left was tested with {q}.")
    return Sentences(f"Between studies *SD* = {number(glance['tau2'] ** 0.5)} was left ({q}){share}.")
