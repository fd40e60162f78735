"""Reliability by level: coefficients with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    PAGE_WIDTH,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes,
)
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import bounded

__all__ = ["reliability"]

_LEVELS = {
    "occasion": ("One occasion", BLACK, "s"),
    "between": ("Between patients", BLUE, "o"),
    "within": ("Within patients (change)", VERMILION, "D"),
}


@house_style
def reliability(
    coefficients: pd.DataFrame,
    *,
    name: str,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw coefficients of reliability, grouped by level, each with its interval.

    Parameters
    ----------
    coefficients : DataFrame
        ``level`` (occasion, between, within), ``coefficient, estimate, ci_low, ci_high``; an interval may be missing.
    name : str
        What was rated.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``coefficients``), ``.caption`` and ``.alt_text``.
    """
    columns = ["level", "coefficient", "estimate", "ci_low", "ci_high"]
    frame = need_rows(coefficients, columns, "coefficients")
    at = -np.arange(len(frame)) - 0.6 * frame["level"].map(list(_LEVELS).index).to_numpy(float)
    ax = new_axes(PAGE_WIDTH, 1.2 + 0.24 * len(frame)) if ax is None else ax
    for level, (words, colour, marker) in _LEVELS.items():
        own = (frame["level"] == level).to_numpy()
        if own.any():
            part = frame[own]
            ax.hlines(at[own], part["ci_low"], part["ci_high"], color=colour, linewidth=1.6, alpha=0.6)
            ax.plot(part["estimate"], at[own], marker, color=colour, markersize=5, label=words)
    ax.set_yticks(at, [label(text, 24) for text in frame["coefficient"]])
    ax.tick_params(axis="y", length=0)
    lowest = float(np.nanmin(frame[["estimate", "ci_low"]].to_numpy(float)))
    ax.set_xlim(min(0.0, lowest - 0.05), 1.02)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    ax.set_xlabel("Reliability")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, handlelength=1.0, borderpad=0)
    there = [level for level in _LEVELS if (frame["level"] == level).any()]
    spans = "; ".join(f"{_LEVELS[level][0].lower()} {_span(frame[frame['level'] == level])}" for level in there)
    annotate(
        ax,
        {"coefficients": frame},
        caption or f"Reliability of {name} by level, with intervals. Differences between patients and changes within "
        "them have reliabilities of their own.",
        alt_text or f"{count(len(frame), 'coefficient')} of reliability of {name} with intervals: {spans}.",
        simulated=simulated,
    )  # fmt: skip
    return ax


def _span(part: pd.DataFrame) -> str:
    low, high = part["estimate"].min(), part["estimate"].max()
    return f"from {bounded(low)} to {bounded(high)}"
