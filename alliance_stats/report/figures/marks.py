"""Marks that several figures share: bands, ticks, keys."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from alliance_stats.report.numbers import number, whole

#: Above this many points or lines they are drawn as pixels inside an SVG, to keep files small.
RASTER_ABOVE = 2000


def curve_with_band(ax: Axes, curve: pd.DataFrame, x: str, *, colour: str, name: str, linestyle: str = "-") -> None:
    """Draw an estimate as a thick line with its interval as a band.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    curve : DataFrame
        ``x`` (named by the argument), ``estimate, ci_low, ci_high``.
    x : str
        The column of the horizontal axis.
    colour, name, linestyle : str
        Colour of both, name in the key, style of the line.
    """
    line = curve.sort_values(x)
    at, estimate = line[x].to_numpy(float), line["estimate"].to_numpy(float)
    low, high = line["ci_low"].to_numpy(float), line["ci_high"].to_numpy(float)
    if len(line) == 1:  # one session has no line: a bar and a diamond stand for the band and the curve
        ax.vlines(at, low, high, color=colour, alpha=0.3, linewidth=6, zorder=3)
    ax.fill_between(at, low, high, color=colour, alpha=0.28, linewidth=0, zorder=3)
    ax.plot(
        at,
        estimate,
        color=colour,
        linewidth=2.4,
        linestyle=linestyle,
        solid_capstyle="round",
        label=name,
        marker="D" if len(line) == 1 else "",
        markersize=5,
        path_effects=[Stroke(linewidth=3.4, foreground="white", alpha=0.7), Normal()],
        zorder=4,
    )


def key_above(ax: Axes, columns: int = 3, height: float = 1.0) -> None:
    """Put the key over the axes, at the left, where no data are."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, height),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=1.8,
        columnspacing=1.6,
        borderpad=0,
    )


def whole_ticks(ax: Axes, low: float, high: float, most: int = 16) -> None:
    """Set ticks of the horizontal axis at whole numbers, with the first one among them."""
    first, last = int(np.ceil(low)), int(np.floor(high))
    if last < first:
        return
    ticks = thin(np.arange(first, last + 1), most)
    gap = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    ax.set_xticks(ticks if ticks[0] - first < gap / 2 else [first, *ticks])


def thin(places: np.ndarray, most: int) -> np.ndarray:
    """Choose at most about ``most`` of some whole numbers: the multiples of 1, 2, 5, 10, …, so that 0 stays."""
    for step in (m * 10**e for e in range(9) for m in (1, 2, 5)):
        chosen = places[places % step == 0]
        if len(chosen) <= most:
            return chosen if len(chosen) else places[:1]
    return places[:1]


def ends_in_words(curve: pd.DataFrame, x: str) -> str:
    """Say where a curve begins and ends: ``from 3.52 at 1 to 4.10 at 15``."""
    line = curve.dropna(subset=["estimate"]).sort_values(x)
    if line.empty:
        return "no estimate"
    first, last = line.iloc[0], line.iloc[-1]
    places = [f"{float(row[x]):g}" for row in (first, last)]
    return f"from {number(first['estimate'])} at {places[0]} to {number(last['estimate'])} at {places[1]}"


def counted(n: int, noun: str) -> str:
    """Write a count with its noun, grouped in threes: ``5,000 patients``."""
    return f"{whole(n)} {noun if n == 1 else noun + 's'}"


def counts_above(top: Axes, counts: pd.DataFrame, last: int, own: bool, title: str, most: int = 16) -> None:
    """Draw numbers of patients over a figure, with the same sessions.

    Parameters
    ----------
    top : Axes
        The upper panel.
    counts : DataFrame
        ``session`` (1, 2, …, all of them) and ``n``.
    last : int
        The last session.
    own : bool
        Whether the figure is ours, so that there is room for a title.
    title : str
        What is counted.
    most : int
        About how many of the numbers are written.
    """
    at, n = counts["session"].to_numpy(), counts["n"].to_numpy()
    top.bar(at, n, width=0.96, color="#9a9a9a", linewidth=0)
    for session in (1, *(place for place in thin(at, most) if place > max(1, last / 25))):
        height = n[session - 1]
        top.annotate(whole(height), (session, height), (0, 1.5), textcoords="offset points", ha="center", fontsize=7.5)
    top.set(xlim=(0.5, last + 0.5), ylim=(0, n.max() * 1.2), yticks=[])
    if own:
        top.set_title(title, fontsize=8.5, fontweight="normal")
    else:  # nobody leaves room for a title over axes inside axes that were handed in
        top.set_ylim(0, n.max() * 1.6)
        top.text(1, 1, title, transform=top.transAxes, fontsize=8, ha="right", va="top")
    top.tick_params(axis="x", bottom=False, labelbottom=False)
    top.spines["left"].set_visible(False)
