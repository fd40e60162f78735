"""Orchard plot: every effect as a fruit, the mean as the trunk, where true effects are expected as the branch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes,
)
from alliance_stats.report.figures.marks import RASTER_ABOVE
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import interval, number, percent

__all__ = ["orchard"]

_COLOURS = (BLUE, ORANGE, VERMILION, GREY)
#: Steps of this share of a circle never fall together: effects spread evenly without chance.
_GOLDEN = 0.6180339887498949


@house_style
def orchard(
    effects: pd.DataFrame,
    means: pd.DataFrame,
    *,
    unit: str = "Effect",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects by group around their means.

    Parameters
    ----------
    effects : DataFrame
        ``group, estimate, std_error``; larger circles are more precise.
    means : DataFrame
        ``group, estimate, ci_low, ci_high, pi_low, pi_high``, a row per group, the first on top; prediction intervals
        may be missing.
    unit : str
        Words for the horizontal axis.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``means``), ``.caption`` and ``.alt_text``.

    References
    ----------
    Nakagawa et al. (2021), Research Synthesis Methods, 12, 4-12.
    """
    fruits = need_rows(effects, ["group", "estimate", "std_error"], "effects").reset_index(drop=True)
    trunks = need_rows(means, ["group", "estimate", "ci_low", "ci_high", "pi_low", "pi_high"], "means")
    trunks = trunks.reset_index(drop=True)
    n = len(trunks)
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.2 + 1.1 * n, 2.4, 10.0))) if ax is None else ax
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    estimate = fruits["estimate"].to_numpy(float)
    precision = 1 / fruits["std_error"].to_numpy(float)
    size = 6 + 90 * (precision / precision.max()) ** 2 * min(1.0, 120 / len(fruits))
    places = []
    for at, row in enumerate(trunks.to_dict("records")):
        y = n - 1 - at
        own = (fruits["group"] == row["group"]).to_numpy()
        colour = _COLOURS[at % len(_COLOURS)]
        _draw_fruits(ax, estimate[own], size[own], y, colour, len(fruits) > RASTER_ABOVE)
        _draw_trunk(ax, row, y)
        places.append(f"{label(row['group'], 26)}\n(k = {int(own.sum())})")
    ax.set_yticks(range(n - 1, -1, -1), places)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=label(unit), ylim=(-0.6, n - 0.4))
    words = "; ".join(
        f"{label(row['group'], 26)} {number(row['estimate'])} {interval(row['ci_low'], row['ci_high'])}"
        for row in trunks.to_dict("records")
    )
    annotate(
        ax,
        {"effects": fruits, "means": trunks},
        caption
        or f"{count(len(fruits), 'effect')} (circles, larger ones more precise), means with {percent(level)} "
        f"confidence intervals (thick) and {percent(level)} prediction intervals (thin).",
        alt_text or f"Orchard plot of {count(len(fruits), 'effect')} in {count(n, 'group')}. Means: {words}.",
    )
    return ax


def _draw_fruits(ax: Axes, estimate: np.ndarray, size: np.ndarray, y: int, colour: str, raster: bool) -> None:
    if not estimate.size:
        return
    order = np.argsort(estimate, kind="stable")
    shift = np.empty(estimate.size)
    shift[order] = (np.arange(1, estimate.size + 1) * _GOLDEN) % 1.0 - 0.5
    spread = estimate.std() if estimate.size > 1 else 0.0
    gap = np.abs(estimate[:, None] - estimate[None, :]) if estimate.size <= 1500 else None
    crowd = np.ones(estimate.size)
    if gap is not None and spread > 0:  # wide where effects are many, as a swarm is
        near = (gap < 0.3 * spread).sum(axis=1)
        crowd = near / near.max()
    height = y + 0.72 * shift * crowd
    look: dict[str, Any] = {
        "color": colour,
        "alpha": 0.45,
        "edgecolor": "white",
        "linewidth": 0.4,
        "rasterized": raster,
    }
    ax.scatter(estimate, height, s=size, zorder=2, **look)


def _draw_trunk(ax: Axes, row: Mapping[Hashable, Any], y: int) -> None:
    if pd.notna(row["pi_low"]):
        ax.hlines(y, row["pi_low"], row["pi_high"], color=BLACK, linewidth=1.1, zorder=4)
    ax.hlines(y, row["ci_low"], row["ci_high"], color=BLACK, linewidth=4.0, zorder=5)
    ax.scatter(row["estimate"], y, s=56, color="white", edgecolor=BLACK, linewidth=1.6, zorder=6)
