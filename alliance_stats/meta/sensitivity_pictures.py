"""Figures of sensitivity analyses: their frames, handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta.pictures import mean_words
from alliance_stats.meta.sensitivity_words import effect_names, judged
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import bounded, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.sensitivity import SensitivityFrame
    from alliance_stats.report.figures.canvas import Panels

#: Column → what its panel is called.
_DIAGNOSTICS = {
    "rstudent": "Studentised deleted residual",
    "cook_d": "Cook's distance",
    "cov_ratio": "Covariance ratio",
    "hat": "Hat value (line: their mean)",
    "dffits": "DFFITS",
    "tau2": "τ² without it (line: with all)",
}


def draw_sensitivity(frame: SensitivityFrame, ax: Axes | None) -> Axes | Panels:
    """Draw the figure that belongs to the kind of analysis."""
    from alliance_stats.meta import figures

    if frame.kind == "gosh":
        return figures.gosh(frame, unit=mean_words(frame.fit.measure), ax=ax)
    if frame.kind == "cumulative":
        names = effect_names(frame, frame.means()["added"])
        from alliance_stats.report.figures.cumulative import cumulative

        steps = frame.means().assign(label=names)
        return cumulative(steps, unit=mean_words(frame.fit.measure), level=frame.fit.level, ax=ax)
    if frame.kind == "leave_one_out":
        return _left_out(frame, ax)
    if frame.kind == "rho":
        return _over_rho(frame, ax)
    return _baujat(frame, ax) if frame.kind == "baujat" else _influence(frame, ax)


def _left_out(frame: SensitivityFrame, ax: Axes | None) -> Axes:
    from alliance_stats.report.figures.left_out import left_out

    rows, whole, unit = _beside_the_whole(frame)
    fits = rows.assign(label=effect_names(frame, rows["left_out"]))
    return left_out(fits, whole, unit=unit, level=frame.fit.level, ax=ax)


def _over_rho(frame: SensitivityFrame, ax: Axes | None) -> Axes:
    from alliance_stats.report.figures.left_out import left_out

    rows, whole, unit = _beside_the_whole(frame)
    rho = [bounded(one) for one in rows["rho"]]
    own = bounded(frame.fit.structure.rho)  # type: ignore[union-attr]  # only fits of several levels have one
    tried = f"{count(len(rows), 'correlation')} of sampling errors from {rho[0]} to {rho[-1]}"
    return left_out(
        rows.assign(label=[f"ρ = {one}" for one in rho]),
        whole,
        unit=unit,
        caption=f"Estimate with its {percent(frame.fit.level)} interval under {tried}. Line and band: at ρ = {own}.",
        alt_text=f"Estimates under {tried}, between {number(rows['estimate'].min())} and "
        f"{number(rows['estimate'].max())}.",
        ax=ax,
    )


def _beside_the_whole(frame: SensitivityFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Rows of the coefficient that the question is about, that of the fit judged, and words for the axis."""
    term = judged(frame)[0]
    table = frame.fit.table()
    whole = table[table["term"] == term][["estimate", "ci_low", "ci_high"]]
    unit = mean_words(frame.fit.measure) if term == INTERCEPT else f"Coefficient of {term}"
    return frame.means(term), whole, unit


def _baujat(frame: SensitivityFrame, ax: Axes | None) -> Axes:
    from alliance_stats.report.figures.baujat import baujat

    return baujat(pd.DataFrame(frame).assign(label=effect_names(frame, frame.index)), ax=ax)


def _influence(frame: SensitivityFrame, ax: Axes | None) -> Axes | Panels:
    from alliance_stats.report.figures.diagnostics import diagnostics

    names = {name: words for name, words in _DIAGNOSTICS.items() if name in frame}
    if "rstudent" not in names:  # several levels: a row per cluster
        names |= {name: name for name in frame.columns if str(name).startswith("dfbetas")}
    lines = _reference_lines(frame)
    marked = frame["influential"].to_numpy(bool) if "influential" in frame else False
    rows = pd.DataFrame(frame)[list(names)].rename(columns=names)
    rows = rows.assign(label=effect_names(frame, frame.index), marked=marked)
    return diagnostics(rows, {words: lines.get(name, 0.0) for name, words in names.items()}, ax=ax)


def _reference_lines(frame: SensitivityFrame) -> dict[str, float]:
    if "hat" not in frame:
        return {}
    return {"cov_ratio": 1.0, "hat": float(frame["hat"].mean()), "tau2": float(frame.fit.glance()["tau2"].iloc[0])}
