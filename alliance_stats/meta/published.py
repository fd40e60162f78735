"""A new estimate beside published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.result import GLANCE, MetaResult
from alliance_stats.names import INTERCEPT, TABLE_COLUMNS
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

#: What is called by one name and stands under several quantities in the table of findings.
_GROUPS = {
    "alliance-outcome": (
        "total alliance-outcome",
        "total alliance-outcome, face-to-face",
        "internet-based",
        "adolescents",
        "adjusted for intake/process (range)",
    ),
    "therapist effect": (
        "therapist effect, weighted mean",
        "therapist effect, RCTs",
        "therapist effect, managed care",
    ),
}
#: Metrics that are read as one: Hedges' g is Cohen's d with a factor for small samples.
_SAME = {"g": "d"}
_MEASURES = {"tanh": "r", "exp": "OR"}
#: Correlations with other predictors held constant; published ones are plain.
_PARTIAL = ("PCOR", "ZPCOR", "SPCOR", "ZSPCOR")
_OWN = "This estimate"


@dataclass(frozen=True, eq=False, repr=False)
class PublishedComparison(Shown):
    """An estimate beside published ones; see :func:`compare_published`.

    Parameters
    ----------
    topic, metric : str
    rows : DataFrame
        The first row is the new estimate: columns of :meth:`table`.
    asked : DataFrame
        One row: the glance of the analysis, or what was given.
    others : Mapping of str to int
        Findings on the topic in other metrics, left out.
    level : float, optional
        Level of the new estimate's interval, where an analysis gave it.
    """

    topic: str
    metric: str
    rows: pd.DataFrame
    asked: pd.DataFrame
    others: dict[str, int] = field(default_factory=dict)
    level: float | None = None

    def table(self) -> pd.DataFrame:
        """The new estimate, then the published ones.

        Returns
        -------
        DataFrame
            The columns of every table (``term``: study; what was not published is missing), then ``quantity, metric, k,
            n, interval`` (what the ends are: ``"confidence interval"`` or ``"range"``), ``difference`` (new minus
            published), ``inside`` (whether the new estimate lies in the published confidence interval; missing where
            there is none) and ``status`` (how far the row was verified).
        """
        return self.rows.copy()

    def glance(self) -> pd.DataFrame:
        """One row: that of the analysis in the findings' metric, ``n_published, n_with_interval, n_inside``.

        Where the mean was carried back to that metric, its standard error and τ² are missing.
        """
        known = self.rows["inside"].dropna()
        return self.asked.assign(
            n_published=len(self.rows) - 1, n_with_interval=len(known), n_inside=int(known.astype(bool).sum())
        )

    def report(self) -> Sentences:
        """Sentences: where the estimate lies among the published ones."""
        from alliance_stats.meta.published_words import published_sentences

        return published_sentences(self)

    def describe(self) -> str:
        """What was done, in words."""
        return f"An estimate beside {count(len(self.rows) - 1, 'published finding')} on {self.topic} ({self.metric})."

    def notes(self) -> tuple[str, ...]:
        """What the table rests on, and what was left out."""
        from alliance_stats.meta.published_words import published_notes

        return published_notes(self)

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.meta.published_words import published_table

        return published_table(self, title or "The Estimate Beside Published Ones", number)

    def plot(self, kind: str = "estimates", *, ax: Axes | None = None) -> Axes:
        """Draw all estimates with their intervals."""
        if kind != "estimates":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('estimates',))}")
        from alliance_stats.meta.published_words import draw_published

        return draw_published(self, ax)


def compare_published(
    topic: str,
    estimate: float | Sequence[float] | pd.DataFrame | MetaResult,
    *,
    metric: str | None = None,
) -> PublishedComparison:
    """Place an estimate beside published findings whose numbers were verified at their source.

    Parameters
    ----------
    topic : str
        Such as ``"alliance-outcome"``; an unknown one is refused with the list of those that are known.
    estimate : float, sequence of 3 floats, DataFrame, or result
        A number; ``(estimate, low, high)``; a frame whose first row has ``estimate``, perhaps ``ci_low, ci_high``; or a
        result of :mod:`alliance_stats.meta`, carried back from Fisher's z to r, or from logarithms to ratios.
    metric : str, optional
        Unit of ``estimate``: ``"r"``, ``"d"`` (also for g), ``"OR"``, ``"ICC"``, ``"prop"``, ``"beta"``, ``"B"``. A
        result knows its own, except for partial correlations, which stand beside ``"r"`` on request only; else
        ``"r"``, where the topic has findings in r, or the topic's only metric.

    Returns
    -------
    PublishedComparison

    Raises
    ------
    DataError
        If the topic is not known, the metric is not that of any finding, or the estimate is no number or outside its
        metric.

    Notes
    -----
    Only rows of the data set ``published_findings`` with a verified status and a number are taken. No test is made:
    what is published gives no standard errors, and overlap of samples is not known.
    """
    findings = _findings(topic)
    own, asked, known = _own(estimate)
    measure = getattr(estimate, "measure", "")
    if measure in _PARTIAL and metric is None:
        raise DataError(
            f"The result is about partial correlations ({measure}), and published findings are plain ones, which other "
            "predictors enter. Say metric='r' to place it beside them all the same."
        )
    if metric and known and _plain(metric) != _plain(known):
        raise DataError(f"The result is in {known}, and metric={metric!r} was asked for. Leave metric= out.")
    chosen = _metric(metric or known, findings, topic)
    _check_range(own, chosen)
    fits = findings["metric"].map(_plain) == chosen
    others = findings["metric"][~fits].map(_plain).value_counts().to_dict()
    rows = _rows(own, findings[fits], chosen, asked["n_studies"].iloc[0])
    level = getattr(estimate, "level", None) if isinstance(estimate, MetaResult) else None
    return PublishedComparison(
        topic, chosen, rows, _glance(asked, own), {str(name): int(n) for name, n in others.items()}, level
    )


def topics() -> dict[str, int]:
    """Topic → number of verified findings with a number."""
    names = _table()["quantity"].map(_topic_of)
    return {str(name): int(n) for name, n in names.value_counts(sort=False).items()}


def _table() -> pd.DataFrame:
    from alliance_stats.data.registry import load_dataset

    table = load_dataset("published_findings")
    return table[table["estimate"].notna() & table["status"].str.startswith("verified")]


def _topic_of(quantity: str) -> str:
    return next((name for name, quantities in _GROUPS.items() if quantity in quantities), quantity)


def _findings(topic: str) -> pd.DataFrame:
    table = _table()
    found = table[table["quantity"].map(_topic_of) == topic]
    if found.empty:
        known = topics()
        listed = "; ".join(f"{name} ({n})" for name, n in known.items())
        raise DataError(f"No verified finding on {topic!r}. {did_you_mean(topic, known)} Topics: {listed}.")
    return found.reset_index(drop=True)


def _own(estimate: object) -> tuple[tuple[float, float, float], pd.DataFrame, str | None]:
    """The estimate with its ends, its glance, and its metric where that is known."""
    nothing = pd.DataFrame([dict.fromkeys(GLANCE, np.nan)])
    if isinstance(estimate, MetaResult):
        return _of_result(estimate)
    if isinstance(estimate, pd.DataFrame):
        if "estimate" not in estimate.columns or estimate.empty:
            raise DataError("The frame has no row with a column 'estimate'. Give a number, three numbers, or a result.")
        row = estimate.iloc[0]
        return _three([row["estimate"], row.get("ci_low", np.nan), row.get("ci_high", np.nan)]), nothing, None
    if isinstance(estimate, Sequence | np.ndarray) and not isinstance(estimate, str):
        if len(estimate) != 3:
            raise DataError(f"{count(len(estimate), 'number')}: give the estimate, or estimate, low and high.")
        return _three(list(estimate)), nothing, None
    return _three([estimate, np.nan, np.nan]), nothing, None


def _three(values: Sequence[object]) -> tuple[float, float, float]:
    try:
        mean, low, high = (float(value) for value in values)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(f"{values[0]!r} is no estimate. Give a number, three numbers, a frame, or a result.") from None
    if not np.isfinite(mean):
        raise DataError(f"The estimate is {mean}. Give a finite number.")
    if not low <= mean <= high and not (np.isnan(low) or np.isnan(high)):
        raise DataError(f"The estimate {mean:g} is not between its ends {low:g} and {high:g}.")
    return mean, low, high


def _of_result(result: MetaResult) -> tuple[tuple[float, float, float], pd.DataFrame, str | None]:
    table = result.table()
    if list(table["term"]) != [INTERCEPT]:
        raise DataError(
            f"The result has {count(len(table), 'coefficient')}: there is no one mean to compare. Pool without "
            "moderators, or give a number."
        )
    measure = str(getattr(result, "measure", ""))
    how = scale_of(measure)
    if how is None:
        metric = "r" if measure in ("COR", "UCOR") else "d" if measure.startswith("SM") else None
        row = table.iloc[0]
    else:
        metric = _MEASURES[how]
        row = result.back_transformed().iloc[0]  # type: ignore[attr-defined]  # of every result that knows its measure
    glance = result.glance()
    if how is not None:  # what stands on the scale of the analysis has no place beside a mean that was carried back
        ends = {name: row[name] for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")}
        glance = glance.assign(**ends, **dict.fromkeys(("std_error", "tau2", "tau2_ci_low", "tau2_ci_high"), np.nan))
    return _three([row["estimate"], row["ci_low"], row["ci_high"]]), glance, metric


def _plain(metric: str) -> str:
    return _SAME.get(metric, metric)


def _metric(asked: str | None, findings: pd.DataFrame, topic: str) -> str:
    there = list(dict.fromkeys(findings["metric"].map(_plain)))
    if asked is None:
        if "r" in there or len(there) == 1:
            return "r" if "r" in there else there[0]
        raise DataError(f"Findings on {topic!r} are in {', '.join(there)}. Name that of the estimate in metric=.")
    if _plain(asked) not in there:
        raise DataError(
            f"No finding on {topic!r} is in {asked!r}: {count(len(findings), 'finding')} in {', '.join(there)}. Carry "
            "the estimate over first (meta.convert), or give metric=."
        )
    return _plain(asked)


def _check_range(own: tuple[float, float, float], metric: str) -> None:
    low, high = {"r": (-1, 1), "ICC": (0, 1), "prop": (0, 1), "OR": (0, np.inf)}.get(metric, (-np.inf, np.inf))
    if not low <= own[0] <= high:
        raise DataError(f"The estimate {own[0]:g} is not in the range of {metric} ({low:g} to {high:g}).")


def _glance(asked: pd.DataFrame, own: tuple[float, float, float]) -> pd.DataFrame:
    return asked.assign(**dict(zip(("estimate", "ci_low", "ci_high"), own, strict=True)))


def _rows(own: tuple[float, float, float], findings: pd.DataFrame, metric: str, k: float) -> pd.DataFrame:
    first = {"term": _OWN, "estimate": own[0], "ci_low": own[1], "ci_high": own[2], "metric": metric, "k": k}
    published = [
        {
            "term": row["study"],
            "estimate": row["estimate"],
            "ci_low": row["low"],
            "ci_high": row["high"],
            **{name: row[name] for name in ("quantity", "metric", "k", "n", "interval", "status")},
            "difference": own[0] - row["estimate"],
            "inside": row["low"] <= own[0] <= row["high"] if row["interval"] == "confidence interval" else None,
        }
        for row in findings.to_dict("records")
    ]
    columns = [*TABLE_COLUMNS, "quantity", "metric", "k", "n", "interval", "difference", "inside", "status"]
    frame = pd.DataFrame([first, *published]).reindex(columns=columns)
    return frame.astype({"inside": "boolean", **dict.fromkeys(("std_error", "df", "statistic", "p_value"), "float64")})
