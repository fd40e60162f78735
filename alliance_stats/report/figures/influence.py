"""Influence: how far the estimates move without each therapist (or other level), ranked by Cook's distance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
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
from alliance_stats.report.numbers import number

__all__ = ["influence"]

#: Levels that are shown, the most influential first.
_SHOWN = 30


@house_style
def influence(
    distances: pd.DataFrame,
    *,
    threshold: float,
    levels: str = "therapist",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw Cook's distances in rank order, the largest on top, with a line at the threshold.

    Parameters
    ----------
    distances : DataFrame
        ``level, cooks_distance``; levels whose distance is missing are left out and counted.
    threshold : float
        Where the line stands; levels beyond it are drawn in another colour.
    levels : str, default "therapist"
        What one level is, in the singular.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``distances``, ranked), ``.caption`` and ``.alt_text``. At most 30 levels are shown.

    Raises
    ------
    ColumnError
        If the frame lacks a column.
    DataError
        If no level has a distance.
    """
    frame = need_rows(distances, ["level", "cooks_distance"], "distances")
    known = need_rows(frame.dropna(subset="cooks_distance"), ["level", "cooks_distance"], "distances without missing")
    ranked = known.sort_values("cooks_distance", ascending=False, kind="stable", ignore_index=True)
    shown = ranked.head(_SHOWN)
    n = len(shown)
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.2 + 0.19 * n, 2.2, 7.5))) if ax is None else ax
    beyond = shown["cooks_distance"].to_numpy(float) > threshold
    _draw(ax, shown, beyond, threshold)
    n_beyond = int((ranked["cooks_distance"] > threshold).sum())
    unknown = len(frame) - len(known)
    words = (
        f"{n_beyond} of {count(len(known), label(levels))} "
        f"{'lies' if n_beyond == 1 else 'lie'} beyond {number(threshold)}."
        + (f" {count(len(known) - n, 'smaller one')} not shown." if len(known) > n else "")
        + (f" {unknown} could not be computed." if unknown else "")
    )
    annotate(
        ax,
        {"distances": ranked},
        caption or f"Cook's distance: how far the estimates move without each {label(levels)}. {words}",
        alt_text
        or f"Cook's distances of {count(n, label(levels))} in rank order, from {number(shown['cooks_distance'].max())} "
        f"to {number(shown['cooks_distance'].min())}. {words}",
        simulated=simulated,
    )
    return ax


def _draw(ax: Axes, shown: pd.DataFrame, beyond: np.ndarray, threshold: float) -> None:
    distance = shown["cooks_distance"].to_numpy(float)
    at = np.arange(len(shown))
    colours = [VERMILION if own else BLUE for own in beyond]
    ax.axvline(threshold, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.hlines(at, 0, distance, color=colours, linewidth=1.2, zorder=2)
    ax.scatter(distance, at, s=18, color=colours, zorder=3)
    ax.set_yticks(at, [label(level, 24) for level in shown["level"]], fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.set_xlabel("Cook's distance")
