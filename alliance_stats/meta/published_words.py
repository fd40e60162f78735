"""Sentences, table and figure of an estimate beside published ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import count
from alliance_stats.report.numbers import bounded, number, percent
from alliance_stats.report.sentences import Sentences, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.published import PublishedComparison
    from alliance_stats.report.tables import ResultTable


#: Metrics that cannot exceed 1.
_BOUNDED = ("r", "ICC", "prop")


def published_sentences(result: PublishedComparison) -> Sentences:
    """Say where the estimate lies."""
    own, published = result.rows.iloc[0], result.rows.iloc[1:]
    write = _writer(result.metric)
    what = "" if result.level is None else f", {percent(result.level)} CI"
    ends = f"{what} [{write(own['ci_low'])}, {write(own['ci_high'])}]" if pd.notna(own["ci_low"]) else ""
    low, high = published["estimate"].min(), published["estimate"].max()
    span = f"which is {write(low)}" if len(published) == 1 else f"which run from {write(low)} to {write(high)}"
    noun = "published estimate" if len(published) == 1 else "published estimates"
    text = (
        f"The estimate, *{literal(result.metric)}* = {write(own['estimate'])}{ends}, stands beside {len(published)} "
        f"{noun} on {literal(result.topic)}, {span}"
    )
    known = published["inside"].dropna().astype(bool)
    if len(known):
        text += f"; it lies within {int(known.sum())} of {count(len(known), 'published confidence interval')}"
    return Sentences(f"{text}.")


def _writer(metric: str) -> Callable[[float], str]:
    """Write numbers of a metric: those that cannot exceed 1 without their leading zero."""
    return partial(bounded if metric in _BOUNDED else number, keep_small=False)


def published_notes(result: PublishedComparison) -> tuple[str, ...]:
    """What the table rests on, and what was left out."""
    found = [
        f"{_own_interval(result)}Published numbers and intervals are as printed, at the level of the publication. "
        "Samples may overlap; no test is made of the difference."
    ]
    ranges = int((result.rows["interval"] == "range").sum())
    if ranges:
        found.append(f"{count(ranges, 'row')} with a range over studies or analyses in place of a confidence interval.")
    if result.others:
        listed = ", ".join(f"{n} in {name}" for name, n in result.others.items())
        found.append(f"{count(sum(result.others.values()), 'finding')} in another metric left out: {listed}.")
    return tuple(found)


def _own_interval(result: PublishedComparison) -> str:
    """Say what the new estimate's interval is, where that is known."""
    if result.level is None or pd.isna(result.rows["ci_low"].iloc[0]):
        return ""
    return f"This estimate has its {percent(result.level)} confidence interval. "


def _names(rows: pd.DataFrame) -> list[str]:
    """Short names; where the ends are no confidence interval, that is said."""
    return [
        short_name(str(name)) + (" (range)" if kind == "range" else "")
        for name, kind in zip(rows["term"], rows["interval"], strict=True)
    ]


def short_name(study: str) -> str:
    """Write ``Tryon et al. 2018`` for a study of three authors or more."""
    authors, _, year = study.rpartition(" ")
    if not authors or (authors.count(",") + authors.count("&")) < 2 or not year.isdigit():
        return study
    return f"{authors.split(',')[0]} et al. {year}"


def draw_published(result: PublishedComparison, ax: Axes | None) -> Axes:
    """Draw the new estimate in black, the published ones in blue."""
    from alliance_stats.report.figures.corrections import corrections

    rows = result.rows
    means = rows[["estimate", "ci_low", "ci_high"]].assign(label=_names(rows))
    n = len(rows) - 1
    return corrections(
        means,
        unit=result.metric,
        caption=f"The estimate (black) beside {count(n, 'published one')} on {result.topic}, with intervals where they "
        "were published.",
        alt_text=str(published_sentences(result)),
        ax=ax,
    )


def published_table(result: PublishedComparison, title: str, number_: int | None) -> ResultTable:
    """Lay out the rows in APA form."""
    from alliance_stats.report.tables import ResultTable

    rows = result.rows.assign(term=_names(result.rows))
    rows["quantity"] = rows["quantity"].fillna("")
    columns = ["term", "quantity", "estimate", "ci_low", "ci_high", "k", "n", "difference"]
    kind = "bounded" if result.metric in _BOUNDED else "number"
    formats: dict[str, str | dict[str, str]] = {
        "estimate": f"{kind}:3",
        "ci_low": "interval_bounded:3" if kind == "bounded" else "interval:3",
        "k": "whole",
        "n": "whole",
        "difference": f"{kind}:3",
    }
    return ResultTable(
        rows[columns],
        title,
        result.notes(),
        formats=formats,
        headings={"term": "", "quantity": "Quantity", "estimate": Sentences(f"*{result.metric}*"),
                  "ci_low": "Interval, as published",
                  "k": Sentences("*k*"), "n": Sentences("*N*"), "difference": "Difference"},
        number=number_,
        stub="term",
    )  # fmt: skip
