"""GOSH plot: the mean and the heterogeneity of subsets of the effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.report.figures.canvas import (
    BLUE,
    PAGE_WIDTH,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes_under,
)
from alliance_stats.report.figures.marks import counted
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import number

__all__ = ["gosh"]


@house_style
def gosh(
    subsets: pd.DataFrame,
    *,
    without: str = "",
    unit: str = "Mean effect",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw I² over the mean of each subset, with a histogram of the means above.

    Parameters
    ----------
    subsets : DataFrame
        ``estimate, i2`` (per cent), a row per subset; ``marked`` (true or false) for subsets to show in another colour.
    without : str
        What the marked subsets have in common, for the key.
    unit : str
        Words for the horizontal axis.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw, without histogram; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``subsets``), ``.caption`` and ``.alt_text``.

    References
    ----------
    Olkin, Dahabreh & Trikalinos (2012), Research Synthesis Methods, 3, 214-223.
    """
    drawn = need_rows(subsets, ["estimate", "i2"], "subsets").reset_index(drop=True)
    drawn = drawn.assign(marked=subsets["marked"].to_numpy(bool) if "marked" in subsets else False)
    drawn = need_rows(drawn.dropna(), ["estimate", "i2", "marked"], "subsets without missing values")
    over: Axes | None = None
    if ax is None:
        ax, over = new_axes_under(PAGE_WIDTH, 4.6, 0.24)
    marked = drawn["marked"].to_numpy(bool)
    see = float(np.clip(2500 / len(drawn), 0.03, 0.6))
    parts = [
        (~marked, BLUE, f"with {label(without, 30)}" if without else "Subset"),
        (marked, VERMILION, _named(without)),
    ]
    for at, colour, name in parts:
        own = drawn[at]
        if len(own):
            ax.scatter(own["estimate"], own["i2"], s=4, color=colour, alpha=see, linewidth=0, rasterized=True)
            ax.scatter([], [], s=22, color=colour, label=name)
    ax.set(xlabel=label(unit), ylabel="I² (%)", ylim=(-2, 102))
    if over is not None:
        _histogram(over, drawn, marked)
    if marked.any():
        where = ax if over is None else over
        where.legend(
            *ax.get_legend_handles_labels(), loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2
        )
    low, high = drawn["estimate"].quantile([0.025, 0.975])
    words = f"95% of means between {number(low)} and {number(high)}, median I² {number(drawn['i2'].median(), 0)}%"
    annotate(
        ax,
        {"subsets": drawn},
        caption
        or f"Mean and I² of {counted(len(drawn), 'subset')} of the effects; {words}. Clusters apart from each other "
        "point to effects that differ in kind.",
        alt_text or f"GOSH plot of {counted(len(drawn), 'subset')}: {words}.",
    )
    return ax


def _named(without: str) -> str:
    return f"without {label(without, 30)}" if without else "Marked"


def _histogram(over: Axes, drawn: pd.DataFrame, marked: np.ndarray) -> None:
    edges = np.histogram_bin_edges(drawn["estimate"], bins=60)
    for at, colour in ((~marked, BLUE), (marked, VERMILION)):
        if at.any():
            over.hist(drawn["estimate"][at], bins=list(edges), color=colour, alpha=0.55)
    over.tick_params(axis="x", labelbottom=False)
    over.set_yticks([])
    over.spines["left"].set_visible(False)
