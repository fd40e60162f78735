"""Figures of psychometric meta-analyses: their frames, handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.meta.columns import STUDY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.psychometric_result import ArtefactsResult


def draw_forest(result: ArtefactsResult, *, ax: Axes | None = None) -> Axes:
    """Draw corrected correlations with their intervals, the mean and the credibility interval."""
    from alliance_stats.meta.pictures import forest_rows
    from alliance_stats.report.figures.forest import forest
    from alliance_stats.report.numbers import bounded, number

    rows = forest_rows(result.effects, result.weights(), result.level)
    whole = result.glance()[["estimate", "ci_low", "ci_high", "pi_low", "pi_high"]]
    corrected = result.asked.method != "bare-bones"
    symbol, row = "ρ" if corrected else "r", whole.iloc[0]
    how = "" if result.found is None else " Each is corrected by the mean artefacts."
    inside = ""
    if pd.notna(row["pi_low"]):
        inside = f"; grey: {number(100 * result.asked.credibility, 0)}% credibility interval of true correlations"
    what = "Corrected correlations" if corrected else "Observed correlations"
    caption = f"{what} with their intervals; diamond: mean {symbol} = {bounded(row['estimate'])}{inside}.{how}"
    low, high = bounded(rows["estimate"].min()), bounded(rows["estimate"].max())
    alt = f"{what} of {len(rows)} rows, from {low} to {high}, mean "
    return forest(rows, whole, unit=symbol, caption=caption, alt_text=f"{alt}{bounded(row['estimate'])}.", ax=ax)


def draw_corrected(result: ArtefactsResult, *, ax: Axes | None = None) -> Axes:
    """Draw corrected against observed correlations."""
    from alliance_stats.report.figures.corrected_correlations import corrected_correlations

    studies = result.studies()
    names = studies[STUDY] if STUDY in studies.columns else studies.index.to_series()
    points = pd.DataFrame(
        {
            "label": names.astype(str).to_numpy(),
            "observed": studies["r"].to_numpy(np.float64),
            "corrected": studies["corrected"].to_numpy(np.float64),
            "weight": studies["weight"].to_numpy(np.float64),
        }
    )
    means = pd.DataFrame({"observed": [result.plain.mean], "corrected": [result.rho]})
    return corrected_correlations(points, means, ax=ax)
