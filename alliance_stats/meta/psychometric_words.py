"""Sentences, notes and the printed table of psychometric meta-analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta.columns import STUDY, places
from alliance_stats.meta.words import bounded_interval, studies
from alliance_stats.report.numbers import bounded, number, whole
from alliance_stats.report.sentences import Sentences, join, statistic_part

if TYPE_CHECKING:
    from alliance_stats.meta.psychometric_result import ArtefactsResult
    from alliance_stats.report.tables import ResultTable

_KINDS = {
    "taylor": "Taylor series",
    "interactive": "interactive",
    "multiplicative": "multiplicative",
}


def corrections(result: ArtefactsResult) -> str:
    """Name what was corrected: ``measurement error in x and y and direct range restriction``."""
    named = {*result.rows.given, *result.rows.stated} if result.asked.method != "bare-bones" else set()
    both = [letter for letter, name in (("x", "rxx"), ("y", "ryy")) if name in named]
    found = [f"measurement error in {' and '.join(both)}"] if both else []
    if "ux" in named:
        found.append(f"{result.asked.scheme.restriction} range restriction in x")
    return ", and ".join(found)


def described(result: ArtefactsResult) -> str:
    """The analysis in words."""
    glance = result.glance().iloc[0]
    lead = f"Psychometric meta-analysis (Hunter–Schmidt) of {studies(glance)}, {whole(glance['n_total'])} cases"
    if result.asked.method == "bare-bones":
        return f"{lead}; bare-bones: corrected for sampling error only."
    how = "individually"
    if result.found is not None:
        how = f"by artefact distributions ({_KINDS[result.asked.distribution]})"
    return f"{lead}; corrected {how} for {corrections(result)}."


def sentences(result: ArtefactsResult) -> Sentences:
    """Sentences for the results section."""
    glance, table = result.glance().iloc[0], result.table()
    percent = number(100 * result.level, 0 if float(100 * result.level).is_integer() else 1)
    row = table.iloc[0]
    lead = f"Across {studies(glance)} (*N* = {whole(glance['n_total'])}), the mean "
    if result.asked.method == "bare-bones":
        lead += "observed correlation was *r* = "
    else:
        lead += f"correlation corrected for {corrections(result)} was *ρ* = "
    lead += f"{bounded(row['estimate'])}, *SE* = {bounded(row['std_error'])}, {percent}% CI "
    mean = Sentences(f"{lead}{bounded_interval(row['ci_low'], row['ci_high'])}, ") + statistic_part(row)
    if result.asked.method != "bare-bones":
        mean += Sentences(f" (mean observed *r* = {bounded(glance['mean_r'])})")
    return join(mean + ".", _spread(result, glance))


def _spread(result: ArtefactsResult, glance: pd.Series) -> Sentences | str:
    if result.spread.k == 1:
        return ""
    what = "True correlations" if result.asked.method != "bare-bones" else "Correlations, sampling error taken off,"
    share = 100 * result.asked.credibility
    inside = bounded_interval(glance["pi_low"], glance["pi_high"])
    text = f"{what} varied with *SD* = {bounded(glance['sd_rho'])}, {number(share, 0)}% credibility interval {inside}"
    if pd.notna(glance["pct_explained"]):
        by = "sampling error" if result.asked.method == "bare-bones" else "sampling error and artefacts"
        explained = min(glance["pct_explained"], 100.0)
        text += f"; {by} accounted for {number(explained, 0)}% of the observed variance"
    return Sentences(text + ".")


def remarks(result: ArtefactsResult) -> tuple[str, ...]:
    """What a reader must know beside the numbers."""
    rows, of, k = result.rows, result.spread, result.spread.k
    found = [f"pi_low and pi_high are a {number(100 * result.asked.credibility, 0)}% credibility interval: where true "
             "correlations lie, not how well the mean is known."]  # fmt: skip
    if result.n_dropped:
        found.append(f"{count(result.n_dropped, 'row')} without correlation or sample size left out.")
    if rows.n_turned:
        found.append(f"{count(rows.n_turned, 'correlation')} taken with the sign of yi, which was aligned.")
    if result.n_filled:
        found.append(f"{count(result.n_filled, 'artefact')} not reported; the mean of the others was put there.")
    if k == 1:
        found.append(
            "There is 1 correlation: its standard error is from sampling error, and the variance of ρ unknown."
        )
    elif of.observed <= 1e-24 * max(of.mean**2, 1e-12):
        found.append("All correlations are the same: the standard error is that of sampling error alone.")
    if k > 1 and of.unexplained < 0:
        found.append(
            f"Correlations vary less (variance {number(of.observed, 4)}) than expected ({number(of.explained, 4)}), so "
            "the variance of ρ is set to 0. That is what chance does with few studies; it does not show that ρ is the "
            "same everywhere."
        )
    found += _beyond(result)
    found += _thin(result)
    repeated = rows.frame.loc[rows.used, STUDY].duplicated().sum() if STUDY in rows.frame.columns else 0
    if repeated:
        found.append(f"{repeated} of {k} correlations come from a study that has another one here, and were taken as "
                     "independent. Average them within studies, or give .effects to multilevel().")  # fmt: skip
    return tuple(found)


def _beyond(result: ArtefactsResult) -> list[str]:
    """Corrected correlations that no population has."""
    found, frame = [], result.rows.frame.loc[result.rows.used]
    if result.found is None:
        beyond = np.abs(result.spread.y) > 1
        if beyond.any():
            where = places(frame, beyond, result.spread.y)
            words = f"{count(int(beyond.sum()), 'corrected correlation')} of {beyond.size} beyond 1 ({where})."
            found.append(
                f"{words} Sampling error can do that in small studies, and cutting them off would bias the mean; check "
                "that reliabilities are not too low."
            )
    if abs(result.rho) > 1:
        found.append("The corrected mean is beyond 1: reliabilities are too low, or the restriction is not as assumed.")
    return found


def _thin(result: ArtefactsResult) -> list[str]:
    """Artefacts whose spread is not known."""
    if result.given is None:
        return []
    counts = result.artefacts()
    single = counts.loc[counts["n"] == 1, "artefact"]
    return [f"1 value of the {name}: its variance between studies was taken as 0." for name in single]


def printed(result: ArtefactsResult, title: str, number_: int | None) -> ResultTable:
    """Lay out means, spread and counts as one table in APA form."""
    from alliance_stats.report.tables import BLOCK, ROW_KIND, ResultTable

    glance = result.glance().iloc[0]
    names = {"mean rho": "Mean ρ (corrected)", "mean r": "Mean r (observed)"}
    rows: list[dict[str, object]] = []
    for _, row in result.table().iterrows():
        values = {str(key): value for key, value in row.items()}
        rows.append({**values, "term": names[row["term"]], BLOCK: "Means", ROW_KIND: "mean"})
    sd = {"estimate": glance["sd_rho"], BLOCK: "Spread", ROW_KIND: "sd"}
    if pd.notna(glance["tau2_ci_low"]):
        sd |= {"ci_low": max(glance["tau2_ci_low"], 0.0) ** 0.5, "ci_high": glance["tau2_ci_high"] ** 0.5}
    rows.append({"term": "SD of ρ", **sd})
    if pd.notna(glance["pi_low"]):
        name = f"{number(100 * glance['credibility'], 0)}% credibility interval"
        limits = {"ci_low": glance["pi_low"], "ci_high": glance["pi_high"]}
        rows.append({"term": name, **limits, BLOCK: "Spread", ROW_KIND: "sd"})
    if pd.notna(glance["pct_explained"]):
        share = {"estimate": min(glance["pct_explained"], 100.0), BLOCK: "Spread", ROW_KIND: "share"}
        rows.append({"term": "Variance explained (%)", **share})
    for name, value in (("Correlations", "k"), ("Studies", "n_studies"), ("Cases", "n_total")):
        rows.append({"term": name, "estimate": glance[value], BLOCK: "Counts", ROW_KIND: "count"})
    columns = [BLOCK, "term", ROW_KIND, "estimate", "std_error", "ci_low", "ci_high", "statistic", "df", "p_value"]
    formats = {
        "estimate": {"mean": "bounded:3", "sd": "bounded:3", "share": "number:1", "count": "whole"},
        "std_error": {"mean": "bounded:3"},
        "ci_low": {"mean": "interval:3", "sd": "interval:3"},
        "statistic": {"mean": "number:2"},
        "df": {"mean": "df"},
        "p_value": {"mean": "p"},
    }
    test = "*t*" if result.asked.test == "t" and result.spread.k > 1 else "*z*"
    return ResultTable(
        pd.DataFrame(rows).reindex(columns=columns),
        title,
        ("SD = standard deviation; CI = confidence interval.", *result.notes()),
        formats=formats,
        headings={"term": "", "statistic": Sentences(test)},
        number=number_,
        stub="term",
    )
