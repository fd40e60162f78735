"""Small-study effects and publication bias, by methods that fit how the effects depend on each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count
from alliance_stats.meta import bias
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.bias.compare import ComparisonResult
from alliance_stats.meta.bias.egger import EggerResult
from alliance_stats.meta.bias.pictures import draw_comparison
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pictures import mean_words
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.report.sentences import Sentences, join, literal
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.meta.part import Asked, Part, drawn_if_possible, section, unanswered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KEY, _HEADING = "bias", "Small-study effects and publication bias"
_QUESTION = "Would the mean be different if all studies had been published?"
#: Methods that hold for dependent effects (robust errors, or studies drawn anew), and those for independent ones.
_DEPENDENT = ("PET", "PEESE", "PET-PEESE", "3PSM", "4PSM", "Vevea-Woods (moderate)", "Vevea-Woods (severe)")
_INDEPENDENT = ("trim and fill (L0)", "trim and fill (R0)", "p-uniform*")
#: The selection model with one step: its weights have a figure and numbers of their own.
_SELECTION = "3PSM"
_ALL = "All effects"
_ONE = "One effect per study"
#: Methods as the page names them.
_NAMES = {
    "uncorrected": "Without correction",
    "trim and fill (L0)": "Trim and fill (L0)",
    "trim and fill (R0)": "Trim and fill (R0)",
}
#: Fewest studies of the section: with less, every correction is chance.
_LEAST = 5
_COLUMNS = ["block", "method", "estimate", "std_error", "ci_low", "ci_high", "tau2", "r", "r_low", "r_high"]


@dataclass(eq=False)
class _Found:
    """What was found, and what could not be."""

    comparisons: list[tuple[str, ComparisonResult]] = field(default_factory=list)
    egger: EggerResult | None = None
    selection: Any = None
    filled: Any = None
    failed: list[str] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """Whether every estimate was found."""
        results = [one for one in (self.egger, self.selection, self.filled) if one is not None]
        return all(bool(one.glance()["converged"].iloc[0]) for one in results)

    def attempt(self, name: str, ask: Any) -> Any:
        """Ask for a result; None where the data do not allow it, and the reason is kept."""
        try:
            return ask()
        except DataError as refusal:
            self.failed.append(f"{name}: {refusal}")
            return None


def publication_bias(asked: Asked) -> Part:
    """Egger's test, the funnel, and all corrected means side by side."""
    k, m = len(asked.main.effects), asked.coded.n_studies
    if m < _LEAST:
        return unanswered(
            _KEY, _HEADING, _QUESTION, f"{count(m, 'study', 'studies')}: bias of publication needs at least {_LEAST}."
        )
    direction = _direction(asked)
    found = _asked_for(asked, direction)
    table = _table(found.comparisons)
    rows = _drawn_rows(table)
    figures = [
        drawn_if_possible(asked.coded, lambda: _funnel(asked, found)),
        drawn_if_possible(
            asked.coded, lambda: draw_comparison(rows, unit=mean_words(asked.main.measure), level=asked.level)
        )
        if len(rows) > 1
        else None,
        drawn_if_possible(asked.coded, lambda: found.selection.plot("weights"))
        if found.selection is not None
        else None,
    ]
    drawn_ones = [axes for axes in figures if axes is not None]
    tables = [_printed(asked, table)] if len(table) else []
    if found.egger is not None:
        tables.insert(0, _egger_table(asked, found.egger))
    answer = section(
        _KEY,
        _HEADING,
        _QUESTION,
        join(*_sentences(found)),
        {
            "direction": direction,
            "corrections": table,
            "egger": None if found.egger is None else found.egger.table(),
            "selection_weights": None if found.selection is None else found.selection.selection_weights(),
            "trim_and_fill": None if found.filled is None else found.filled.glance().iloc[0].to_dict(),
            "not_estimated": found.failed,
        },
        tables=tuple(tables),
        figure=drawn_ones[0] if drawn_ones else None,
        more_figures=tuple(drawn_ones[1:]),
        notes=_notes(asked, found, direction, k),
        warnings=_not_converged(found),
        converged=found.converged,
    )
    return Part(answer, _methods(asked, found))


def _direction(asked: Asked) -> str:
    """Where results were favoured: as the study file says, or the side of the mean."""
    given = asked.coded.study.report.alternative
    return given or ("greater" if float(asked.main.glance()["estimate"].iloc[0]) >= 0 else "less")


def _asked_for(asked: Asked, direction: str) -> _Found:
    found = _Found()
    report = asked.coded.study.report
    how: dict[str, Any] = {"alternative": direction, "seed": report.seed, "n_boot": report.n_boot, "level": asked.level}
    how["progress"] = asked.progress
    frame = asked.main.effects
    dependent = isinstance(asked.main, MultilevelResult) and asked.coded.dependent
    cluster = "study" if dependent else None
    rho = asked.coded.study.model.rho
    test = "z" if dependent else "knha"
    found.egger = found.attempt(
        "Egger's test", lambda: bias.egger(frame, cluster=cluster, rho=rho, test=test, level=asked.level)
    )
    methods = _DEPENDENT if dependent else (*_DEPENDENT, *_INDEPENDENT)
    block = _ALL if dependent else ""
    both = found.attempt("Corrections", lambda: bias.compare(frame, methods=methods, cluster=cluster, rho=rho, **how))
    if both is not None:
        found.comparisons.append((block, _with_main(both, asked)))
    single = aggregate(frame, rho) if dependent else frame
    if dependent:
        one = found.attempt(_ONE, lambda: bias.compare(single, methods=_INDEPENDENT, cluster=None, **how))
        if one is not None:
            found.comparisons.append((_ONE, one))
    side = "left" if direction == "greater" else "right"
    found.filled = found.attempt("Trim and fill", lambda: bias.trim_fill(single, side=side, level=asked.level))
    found.selection = None if both is None else both.results.get(_SELECTION)
    return found


def _with_main(found: ComparisonResult, asked: Asked) -> ComparisonResult:
    """Put the main analysis where the mean without correction stands."""
    rows = found.table()
    main = asked.main.table().iloc[0]
    shared = [name for name in rows.columns if name in main.index and name != "term"]
    rows.loc[0, shared] = [main[name] for name in shared]
    rows.loc[0, "tau2"] = float(asked.main.glance()["tau2"].iloc[0])
    if scale_of(asked.main.measure) == "tanh":
        rows.loc[0, ["r", "r_low", "r_high"]] = np.tanh(main[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64))
    return replace(found, rows=rows)


# ---- tables ----------------------------------------------------------------------------------------------------------


def _table(comparisons: list[tuple[str, ComparisonResult]]) -> pd.DataFrame:
    frames = [result.table().rename(columns={"term": "method"}).assign(block=block) for block, result in comparisons]
    if not frames:
        return pd.DataFrame(columns=[*_COLUMNS, "note"])
    frame = pd.concat(frames, ignore_index=True)
    frame["method"] = frame["method"].replace(_NAMES)
    return frame[[*_COLUMNS, *(name for name in frame.columns if name not in _COLUMNS)]]


def _printed(asked: Asked, table: pd.DataFrame) -> ResultTable:
    with_r = scale_of(asked.main.measure) == "tanh"
    columns = _COLUMNS if with_r else _COLUMNS[:7]
    shown = table[columns]
    if (shown["block"] == "").all():
        shown = shown.drop(columns="block")
    formats = {"estimate": "number:3", "std_error": "number:3", "ci_low": "interval:3", "tau2": "number:3"}
    formats |= {"r": "bounded", "r_low": "interval_bounded"} if with_r else {}
    headings: dict[str, str] = {"method": "Method", "tau2": "τ²", "ci_low": asked.ci}
    headings |= {"r": Sentences("*r*"), "r_low": asked.ci} if with_r else {}
    notes = [
        "PET, PEESE = regression on the standard error, on the variance; 3PSM, 4PSM = selection models with one and "
        "two steps; Vevea-Woods = selection with weights fixed beforehand. A dash: could not be estimated.",
    ]
    return ResultTable(shown, "Means With Corrections for Publication Bias", tuple(notes), formats=formats,
                       headings=headings, stub="method")  # fmt: skip


def _egger_table(asked: Asked, result: EggerResult) -> ResultTable:
    table = result.table().drop(columns="caution", errors="ignore")
    names = {"(Intercept)": "Effect in a study of infinite size", "sei": "Slope on the standard error"}
    shown = table.assign(term=table["term"].replace(names))
    finite = bool(np.isfinite(table["df"].to_numpy(np.float64)).any())
    headings = {"term": "", "ci_low": asked.ci, "statistic": Sentences("*t*" if finite else "*z*")}
    formats = {"estimate": "number:3", "std_error": "number:3", "ci_low": "interval:3"}
    return ResultTable(shown, "Egger's Regression", formats=formats, headings=headings)


def _drawn_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the figure of corrections: named, and those that have an estimate."""
    if not len(table) or pd.isna(table["estimate"].iloc[0]):
        return table.head(0)  # nothing to compare with
    one = table["block"] == _ONE
    known = table[table["estimate"].notna() & ~(one & (table["method"] == "Without correction"))]
    named = known["method"].where(known["block"] != _ONE, known["method"] + ", one per study")
    return known.assign(term=named)[["term", "estimate", "ci_low", "ci_high"]].reset_index(drop=True)


def _funnel(asked: Asked, found: _Found) -> Axes:
    from alliance_stats.meta import figures

    asked.citations.cite("contours")
    return found.egger.plot("funnel") if found.egger is not None else figures.funnel(asked.main)


# ---- words -----------------------------------------------------------------------------------------------------------


def _sentences(found: _Found) -> list[str]:
    parts: list[str] = [] if found.egger is None else [found.egger.report()]
    if found.comparisons:
        parts.append(found.comparisons[0][1].report())
    if found.filled is not None:
        one = " (one effect per study)" if len(found.comparisons) > 1 else ""
        n = found.filled.trimmed.n
        said = "no study missing" if n == 0 else f"{count(n, 'study', 'studies')} missing"
        parts.append(f"Trim and fill{one} found {said} on the {found.filled.side}.")
    if found.selection is not None:
        parts.append(found.selection.report())
    return parts or ["No method for publication bias could be used; the reasons stand below."]


def _not_converged(found: _Found) -> tuple[str, ...]:
    """What the page says about estimates that were not found."""
    results = {"Egger's regression": found.egger, "The selection model": found.selection, "Trim and fill": found.filled}
    failed = [name for name, one in results.items() if one is not None and not one.glance()["converged"].iloc[0]]
    return tuple(f"{name} did not converge: its numbers are not final." for name in failed)


def _notes(asked: Asked, found: _Found, direction: str, k: int) -> tuple[str, ...]:
    favoured = {"greater": "positive", "less": "negative"}[direction]
    notes = [f"Results that were favoured are taken to be {favoured} ones."]
    if found.egger is not None:
        notes += list(found.egger.notes())
    for block, result in found.comparisons:
        rows = result.table()
        failed = rows[rows["estimate"].isna()]
        where = f" ({block.lower()})" if block else ""
        notes += [f"{row['term']}{where}: {row['note']}" for row in failed.to_dict("records")]
    if found.selection is not None:
        notes += [f"Selection model with one step: {note}" for note in found.selection.notes()]
    notes += found.failed
    if k < 20:
        notes.append(f"With {k} effects no method tells bias of publication from chance or from other differences.")
    notes.append(
        "No method is best everywhere: corrections that agree say more than any one of them. Asymmetry also comes from "
        "real differences between small and large studies."
    )
    return tuple(dict.fromkeys(notes))


def _methods(asked: Asked, found: _Found) -> tuple[str, ...]:
    cite = asked.citations.cite
    dependent = len(found.comparisons) > 1
    lines: list[str] = []
    if found.egger is not None:
        sources = ("egger", "dependent bias") if found.egger.fit.dependent else ("egger",)
        robust = ", with errors robust to effects of the same study" if found.egger.fit.dependent else ""
        lines.append(
            f"Small-study effects were tested by Egger's regression on the standard error{robust} {cite(*sources)}."
        )
    if found.comparisons:
        lines.append(
            Sentences(
                f"The mean was corrected by PET-PEESE {cite('pet peese')}, selection models with steps at one-sided "
                f"*p* = .025 and .5 {cite('step functions')} and with weights fixed beforehand "
                f"{cite('fixed weights')}, trim and fill {cite('trim and fill')} and {literal('p-uniform*')} "
                f"{cite('p-uniform*')}, side by side {cite('no best method')}."
            )
        )
    if dependent:
        n = asked.coded.study.report.n_boot
        lines.append(
            f"Intervals of selection models come from a bootstrap of studies ({n} draws, seed "
            f"{asked.coded.study.report.seed}) {cite('cluster bootstrap')}. Trim and fill and p-uniform* know "
            f"independent effects only, so the effects of each study were pooled into one for them {cite('aggregate')}."
        )
    return tuple(lines)
