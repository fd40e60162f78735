"""Bubble plot: effects over a moderator, with the regression line."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLACK, BLUE, GREY, PAGE_WIDTH, annotate, house_style, label, new_axes
from alliance_stats.report.figures.marks import RASTER_ABOVE, curve_with_band, key_above
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import number, percent

__all__ = ["bubble"]


@house_style
def bubble(
    effects: pd.DataFrame,
    curve: pd.DataFrame,
    *,
    moderator: str = "Moderator",
    unit: str = "Effect",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects over a moderator, larger ones heavier, and what is expected along it.

    Parameters
    ----------
    effects : DataFrame
        ``x, estimate, weight``.
    curve : DataFrame
        ``x, estimate, ci_low, ci_high``, and ``pi_low, pi_high`` (drawn as dashed lines; missing values are left out).
    moderator, unit : str
        Words for the axes.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``curve``), ``.caption`` and ``.alt_text``.
    """
    points = need_rows(effects, ["x", "estimate", "weight"], "effects").reset_index(drop=True)
    line = need_rows(curve, ["x", "estimate", "ci_low", "ci_high", "pi_low", "pi_high"], "curve").sort_values("x")
    ax = new_axes(PAGE_WIDTH, 4.0) if ax is None else ax
    n = len(points)
    weight = points["weight"].to_numpy(float)
    size = 5 + 160 * weight / weight.max() * min(1.0, 60 / n)
    ax.axhline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.scatter(
        points["x"], points["estimate"], s=size, color=BLUE, alpha=0.5, edgecolor="white", linewidth=0.5, zorder=2,
        rasterized=n > RASTER_ABOVE, label="Effects (larger: more weight)",
    )  # fmt: skip
    curve_with_band(ax, line, "x", colour=BLACK, name=f"Expected, {percent(level)} CI")
    if line["pi_low"].notna().any():
        for side in ("pi_low", "pi_high"):
            name = f"{percent(level)} prediction interval" if side == "pi_low" else "_"
            ax.plot(line["x"], line[side], color=GREY, linestyle="--", linewidth=1.1, zorder=3, label=name)
    ax.set(xlabel=label(moderator), ylabel=label(unit))
    key_above(ax)
    first, last = line.iloc[0], line.iloc[-1]
    words = (
        f"{number(first['estimate'])} at {float(first['x']):.4g} to {number(last['estimate'])} at "
        f"{float(last['x']):.4g}"
    )
    annotate(
        ax,
        {"effects": points, "curve": line},
        caption
        or f"{count(n, 'effect')} over {label(moderator)}; larger circles weigh more. The line runs from {words}; "
        f"band: {percent(level)} confidence, dashed: {percent(level)} prediction interval.",
        alt_text or f"Bubble plot of {count(n, 'effect')} over {label(moderator)}: expected effects from {words}.",
    )
    return ax
