"""Corrected against observed correlations: how far each study moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLACK, BLUE, GREY, PAGE_WIDTH, annotate, house_style, new_axes
from alliance_stats.report.figures.marks import key_above
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import bounded

__all__ = ["corrected_correlations"]


@house_style
def corrected_correlations(
    points: pd.DataFrame,
    means: pd.DataFrame,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw corrected over observed correlations; on the diagonal nothing was corrected.

    Parameters
    ----------
    points : DataFrame
        ``observed, corrected, weight``.
    means : DataFrame
        One row: ``observed, corrected``.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (the points as ``effects``; ``means``), ``.caption`` and ``.alt_text``.
    """
    drawn = need_rows(points, ["observed", "corrected", "weight"], "points").reset_index(drop=True)
    need_columns(means, ("observed", "corrected"), "means")
    ax = new_axes(PAGE_WIDTH, 4.4) if ax is None else ax
    n, weight = len(drawn), drawn["weight"].to_numpy(float)
    ends = np.array([-0.05, *drawn["observed"], *drawn["corrected"], 0.05], float)
    low, high = ends.min() - 0.04, ends.max() + 0.04
    ax.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1.1, zorder=1, label="No correction")
    size = 8 + 120 * weight / weight.max() * min(1.0, 60 / n)
    ax.scatter(
        drawn["observed"], drawn["corrected"], s=size, color=BLUE, alpha=0.6, edgecolor="white", zorder=2,
        label="Studies (larger: more weight)",
    )  # fmt: skip
    mean = means.iloc[0]
    ax.scatter(mean["observed"], mean["corrected"], s=60, marker="D", color=BLACK, zorder=3, label="Mean")
    for limit in (-1.0, 1.0):
        if low < limit < high:
            ax.axhline(limit, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.set(xlabel="Observed correlation", ylabel="Corrected correlation", xlim=(low, high), ylim=(low, high))
    key_above(ax)
    words = f"{bounded(mean['observed'])} observed and {bounded(mean['corrected'])} corrected"
    annotate(
        ax,
        {"effects": drawn, "means": means},
        caption
        or f"{count(n, 'correlation')}, corrected against observed; on the dashed line nothing was corrected. "
        f"Mean (diamond): {words}.",
        alt_text or f"Corrected over observed values of {count(n, 'correlation')}; the mean is {words}.",
    )
    return ax
