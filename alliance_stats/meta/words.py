"""Sentences and printed tables of meta-analyses."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import count
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import bounded, decimals_for, interval, number, p_value, percent
from alliance_stats.report.sentences import Sentences, full, higher_or_lower, join

if TYPE_CHECKING:
    from alliance_stats.meta.result import MetaResult
    from alliance_stats.report.tables import ResultTable

ESTIMATORS = {
    "EE": "an equal-effects model",
    "DL": "DerSimonian and Laird's estimator",
    "HE": "Hedges' estimator",
    "HS": "Hunter and Schmidt's estimator",
    "HSk": "Hunter and Schmidt's estimator with the factor for few studies",
    "SJ": "Sidik and Jonkman's estimator",
    "ML": "maximum likelihood",
    "REML": "restricted maximum likelihood",
    "EB": "the empirical Bayes estimator",
    "PM": "Paule and Mandel's estimator",
    "PMM": "Paule and Mandel's estimator, median-unbiased",
}
TESTS = {
    "z": "tests and intervals from the normal distribution",
    "t": "tests and intervals from the t distribution",
    "knha": "Knapp and Hartung's standard errors and t tests",
    "adhoc": "Knapp and Hartung's standard errors (never below the plain ones) and t tests",
}


def studies(glance: pd.Series) -> str:
    """Write the counts: ``16 effects of 12 studies``, or ``16 studies``."""
    k, n = int(glance["k"]), int(glance["n_studies"])
    return count(n, "study", "studies") if k == n else f"{count(k, 'effect')} of {count(n, 'study', 'studies')}"


def mean_sentence(
    row: pd.Series, glance: pd.Series, symbol: str, back: pd.Series | None, level: float = 0.95
) -> Sentences:
    """Say what the pooled effect is, with its test, and on the readers' scale where there is another."""
    lead = f"Across {studies(glance)}, the mean effect {of_mean(row, level)}, "
    text = join(lead, full(row, symbol, confidence=level), separator="")
    if back is not None:
        ends = bounded_interval(back["ci_low"], back["ci_high"])
        text = text + Sentences(f" (*r* = {bounded(back['estimate'])}, {percent(level)} CI {ends})")
    return text + "."


def of_mean(row: pd.Series, level: float) -> str:
    """Say on which side of 0 a mean lies, or that this is not known."""
    if row["p_value"] >= 1 - level:
        return "did not differ detectably from 0"
    return f"was {higher_or_lower(row['estimate'], 'positive', 'negative')}"


def level_words(name: str) -> str:
    """Name a level in words: ``study`` is "studies", ``study/effect`` is "effects within studies".

    ``study (rater: patient)``, a level of one subgroup, is "studies (rater: patient)".
    """
    path, bracket, subgroup = name.partition(" (")
    if bracket:
        return f"{level_words(path)} ({subgroup}"
    plurals = {"study": "studies", "effect": "effects", "sample": "samples"}
    *outer, inner = name.split("/")
    words = plurals.get(inner, f"levels of {inner}")
    return f"{words} within {plurals.get(outer[-1], outer[-1])}" if outer else words


def in_words(names: Sequence[str]) -> str:
    """Join names: ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def bounded_interval(low: float, high: float) -> str:
    """Write an interval of correlations, without leading zeros."""
    return f"[{bounded(low, keep_small=False)}, {bounded(high, keep_small=False)}]"


def q_words(glance: pd.Series) -> str:
    """Cochran's Q with its degrees of freedom and p value."""
    return f"*Q*({int(glance['q_df'])}) = {number(glance['q'])}, *p* {p_value(glance['q_p'])}"


def spread_sentence(glance: pd.Series, level: float = 0.95, own_q: bool = True) -> Sentences:
    """Say how much the studies differ: τ, I², Q (if it is of these effects alone), the prediction interval."""
    q = f", {q_words(glance)}" if own_q else ""
    sd, i2 = number(glance["tau2"] ** 0.5), number(glance["i2"], 1)
    found = (
        "Effects varied between studies with" if glance["tau2"] > 0 else "No differences between studies were found:"
    )
    words = f"{found} *SD* = {sd} (*I*² = {i2}%{q})"
    if pd.notna(glance["pi_low"]):
        words += (
            f"; {percent(level)} of true effects are expected within {interval(glance['pi_low'], glance['pi_high'])}"
        )
    return Sentences(words + ".")


def _texts(row: Mapping[Hashable, object]) -> dict[str, object]:
    return {str(key): value for key, value in row.items()}


#: ``rater[T.patient]``: a category against the one that has no coefficient; ``rater[patient]``: its own mean.
_CATEGORY = re.compile(r"([^\[\]:]+)\[(T\.)?([^\[\]]+)\]")


def _shown(term: str) -> str:
    if found := _CATEGORY.fullmatch(term):
        return f"{found[1]}: {found[3]}"
    return "Intercept" if term == INTERCEPT else term


def _compared(terms: Iterable[str]) -> tuple[str, ...]:
    """What to say of categories that are compared with another."""
    several = any((found := _CATEGORY.fullmatch(term)) and found[2] for term in terms)
    return ("Each category is compared with the one that has no row.",) if several else ()


def printed_table(result: MetaResult, title: str, number_: int | None) -> ResultTable:
    """Lay out coefficients, variances and fit as one table in APA form."""
    from alliance_stats.report.tables import BLOCK, ROW_KIND, ResultTable

    table, glance = result.table(), result.glance().iloc[0]
    level = float(getattr(result, "level", 0.95))
    rows: list[dict[str, object]] = []
    for row in table.to_dict("records"):
        name = "Mean effect" if row["term"] == INTERCEPT and len(table) == 1 else row["term"]
        rows.append({**_texts(row), "term": _shown(name), BLOCK: "Effects", ROW_KIND: "coefficient"})
    for row in result.variance().to_dict("records"):
        between = level_words(str(row["level"]))
        own = {"term": f"SD between {between}", "estimate": row["sd"]}
        if pd.notna(row["ci_low"]):
            own |= {"ci_low": max(row["ci_low"], 0.0) ** 0.5, "ci_high": row["ci_high"] ** 0.5}
        rows.append({**own, BLOCK: "Heterogeneity", ROW_KIND: "sd"})
        rows.append(
            {"term": f"I² between {between} (%)", "estimate": row["i2"], BLOCK: "Heterogeneity", ROW_KIND: "share"}
        )
    if list(table["term"]) == [INTERCEPT] and pd.notna(glance["pi_low"]):
        predicted = {
            "term": f"{percent(level)} prediction interval",
            "ci_low": glance["pi_low"],
            "ci_high": glance["pi_high"],
        }
        rows.append({**predicted, BLOCK: "Heterogeneity", ROW_KIND: "ends"})
    rows.append({"term": "Effects", "estimate": glance["k"], BLOCK: "Counts", ROW_KIND: "count"})
    rows.append({"term": "Studies", "estimate": glance["n_studies"], BLOCK: "Counts", ROW_KIND: "count"})
    columns = [BLOCK, "term", ROW_KIND, "estimate", "std_error", "ci_low", "ci_high", "statistic", "df", "p_value"]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    places = decimals_for(*table["std_error"])
    formats = {
        "estimate": {
            "coefficient": f"number:{places}",
            "sd": f"number:{places}",
            "share": "number:1",
            "count": "whole",
        },
        "std_error": {"coefficient": f"number:{places}"},
        "ci_low": dict.fromkeys(("coefficient", "sd", "ends"), f"interval:{places}"),
        "statistic": {"coefficient": "number:2"},
        "df": {"coefficient": "df"},
        "p_value": {"coefficient": "p"},
    }
    finite = pd.to_numeric(table["df"]).lt(float("inf")).any()
    return ResultTable(
        frame,
        title,
        ("SD = standard deviation; CI = confidence interval.", *_compared(table["term"]), *result.notes()),
        formats=formats,
        headings={"term": "", "ci_low": f"{percent(level)} CI", "statistic": Sentences("*t*" if finite else "*z*")},
        number=number_,
        stub="term",
    )
