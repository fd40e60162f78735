"""Figures of publication bias: their frames, handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.bias.selection_result import SelectionResult

Floats = NDArray[np.floating[Any]]


def funnel_rows(effects: pd.DataFrame, filled: str | None = None) -> pd.DataFrame:
    """Return ``label, estimate, std_error, filled``."""
    names = effects[STUDY] if STUDY in effects.columns else effects.index.to_series()
    added = effects[filled].to_numpy(bool) if filled else np.zeros(len(effects), bool)
    columns = {
        "label": names.astype(str).to_numpy(),
        "estimate": effects[EFFECT].to_numpy(np.float64),
        "std_error": np.sqrt(effects[VARIANCE].to_numpy(np.float64)),
        "filled": added,
    }
    return pd.DataFrame(columns)


def draw_funnel(
    effects: pd.DataFrame,
    glance: pd.DataFrame,
    *,
    filled: str | None = None,
    line: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the funnel plot of effects around their mean."""
    from alliance_stats.meta.pictures import axis_words
    from alliance_stats.report.figures.funnel import funnel

    unit = axis_words(str(effects.attrs.get("measure", "")))
    return funnel(funnel_rows(effects, filled), glance, line=line, unit=unit, ax=ax)


def egger_line(coefficients: Floats, v: Floats, predictor: str) -> pd.DataFrame:
    """Expected effects along the standard error, from 0 to the largest."""
    error = np.linspace(0, np.sqrt(v.max()), 101)
    return pd.DataFrame(
        {
            "std_error": error,
            "estimate": coefficients[0] + coefficients[1] * (error if predictor == "sei" else error**2),
        }
    )


def draw_weights(result: SelectionResult, *, ax: Axes | None = None) -> Axes:
    """Draw the weight function over p, with the p values observed."""
    from alliance_stats.engine.selection.weight_functions import p_values
    from alliance_stats.report.figures.selection_weights import selection_weights

    function: Any = result.function
    p = pd.DataFrame({"p": p_values(function.z, function.two_sided)})
    weights = result.selection_weights()
    steps = weights if "p_low" in weights else None
    return selection_weights(result.curve(), p, steps=steps, two_sided=function.two_sided, level=result.level, ax=ax)


def draw_comparison(
    rows: pd.DataFrame, *, unit: str = "Mean effect", level: float = 0.95, ax: Axes | None = None
) -> Axes:
    """Draw means by method with their intervals."""
    from alliance_stats.report.figures.corrections import corrections

    frame = rows.rename(columns={"term": "label"})[["label", "estimate", "ci_low", "ci_high"]]
    return corrections(frame, unit=unit, level=level, ax=ax)
