"""Funnel plot: effects against their standard errors, with contours of significance."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import DataError, count
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
from alliance_stats.report.figures.marks import RASTER_ABOVE, key_above
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import number

__all__ = ["funnel"]

#: Shades of the bands from the inside (not significant) outwards.
_SHADES = ("#ffffff", "#c4c4c4", "#dcdcdc", "#f0f0f0")


@house_style
def funnel(
    effects: pd.DataFrame,
    pooled: pd.DataFrame,
    *,
    levels: Sequence[float] = (0.90, 0.95, 0.99),
    line: pd.DataFrame | None = None,
    unit: str = "Effect",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects against standard errors, precise studies on top.

    Parameters
    ----------
    effects : DataFrame
        ``label, estimate, std_error``, and, if some were filled in, ``filled`` (true for these).
    pooled : DataFrame
        One row: ``estimate``, the mean around which the dashed funnel stands.
    levels : sequence of float
        Contours: where an effect of 0 is rejected at these levels; one to three.
    line : DataFrame, optional
        ``std_error, estimate``: a regression line.
    unit : str
        Words for the horizontal axis.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``pooled``, ``contours``, and ``line`` if there is one), ``.caption`` and
        ``.alt_text``.

    References
    ----------
    Peters et al. (2008), Journal of Clinical Epidemiology, 61, 991-996.
    """
    drawn = need_rows(effects, ["label", "estimate", "std_error"], "effects").reset_index(drop=True)
    drawn = drawn.assign(filled=effects["filled"].to_numpy(bool) if "filled" in effects else False)
    need_columns(pooled, ("estimate",), "pooled")
    contours = _contours(levels, drawn)
    ax = new_axes(PAGE_WIDTH, 4.3) if ax is None else ax
    mean = float(pooled["estimate"].iloc[0])
    _draw_bands(ax, contours, _limits(drawn, mean))
    _draw_mean(ax, mean, float(contours["std_error"].iloc[0]))
    _draw_points(ax, drawn)
    frames = {"effects": drawn, "pooled": pooled, "contours": contours}
    if line is not None:
        need_columns(line, ("std_error", "estimate"), "line")
        ax.plot(line["estimate"], line["std_error"], color=VERMILION, linewidth=1.8, label="Regression", zorder=4)
        frames["line"] = line
    ax.set(xlabel=label(unit), ylabel="Standard error")
    key_above(ax, columns=4)
    annotate(ax, frames, caption or _caption(drawn, mean), alt_text or _alt_text(drawn, mean))
    return ax


def _contours(levels: Sequence[float], drawn: pd.DataFrame) -> pd.DataFrame:
    """Return ``level, std_error, low, high``: the ends of each contour at the lower edge."""
    kept = sorted(levels)
    if not 1 <= len(kept) <= 3 or not all(0 < level < 1 for level in kept):
        raise DataError(f"Contours at {tuple(levels)}; give 1 to 3 levels between 0 and 1, e.g. (0.90, 0.95, 0.99).")
    bottom = 1.08 * float(drawn["std_error"].max())
    half = [NormalDist().inv_cdf(0.5 + level / 2) * bottom for level in kept]
    columns = {"level": kept, "std_error": bottom, "low": [-one for one in half], "high": half}
    return pd.DataFrame(columns)


def _limits(drawn: pd.DataFrame, mean: float) -> tuple[float, float]:
    """Horizontal limits: all effects and the funnel around the mean."""
    reach = 1.96 * float(drawn["std_error"].max())
    low = min(float(drawn["estimate"].min()), mean - reach, 0.0)
    high = max(float(drawn["estimate"].max()), mean + reach, 0.0)
    edge = 0.05 * (high - low)
    return low - edge, high + edge


def _draw_bands(ax: Axes, contours: pd.DataFrame, limits: tuple[float, float]) -> None:
    bottom = float(contours["std_error"].iloc[0])
    ax.set_xlim(limits)
    ax.set_ylim(bottom, 0)
    levels = contours["level"].to_numpy(float)
    ends = [_p(1 - level) for level in levels]
    for at in range(len(contours)):
        low, high = float(contours["low"].iloc[at]), float(contours["high"].iloc[at])
        words = f"p > {ends[at]}" if at == 0 else f"{ends[at]} < p < {ends[at - 1]}"
        own: dict[str, Any] = {"facecolor": _SHADES[at], "edgecolor": "#9a9a9a", "linewidth": 0.5, "label": words}
        ax.fill([low, 0, high], [bottom, 0, bottom], zorder=0.5 - 0.1 * at, **own)
    outside: dict[str, Any] = {
        "facecolor": _SHADES[-1],
        "edgecolor": "#9a9a9a",
        "linewidth": 0.5,
        "label": f"p < {ends[-1]}",
    }
    ax.fill([*limits, *limits[::-1]], [0, 0, bottom, bottom], zorder=0, **outside)


def _p(value: float) -> str:
    """A level of p without its leading zero: ``.05``, ``.10``."""
    text = f"{value:.2f}" if round(value, 2) == round(value, 6) else f"{value:.3g}"
    return text.removeprefix("0")


def _draw_mean(ax: Axes, mean: float, bottom: float) -> None:
    ax.plot([mean, mean], [0, bottom], color=BLACK, linewidth=1.2, zorder=2)
    half = 1.959963984540054 * bottom
    ax.plot([mean - half, mean, mean + half], [bottom, 0, bottom], color=BLACK, linewidth=0.9, linestyle="--", zorder=2)
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.0, zorder=1.5)


def _draw_points(ax: Axes, drawn: pd.DataFrame) -> None:
    n = len(drawn)
    size = float(np.clip(2400 / n, 7, 26))
    see = float(np.clip(60 / n, 0.3, 0.9))
    filled = drawn["filled"].to_numpy(bool)
    own, added = drawn[~filled], drawn[filled]
    raster = n > RASTER_ABOVE
    ax.scatter(
        own["estimate"], own["std_error"], s=size, color=BLUE, alpha=see, edgecolor="white", linewidth=0.4, zorder=3,
        label="Effect", rasterized=raster, clip_on=False,
    )  # fmt: skip
    if len(added):
        ax.scatter(
            added["estimate"], added["std_error"], s=size, facecolor="white", edgecolor=VERMILION, linewidth=1.1,
            zorder=3, label="Filled in", rasterized=raster, clip_on=False,
        )  # fmt: skip


def _caption(drawn: pd.DataFrame, mean: float) -> str:
    n_filled = int(drawn["filled"].sum())
    filled = f" Open circles: {count(n_filled, 'effect')} filled in." if n_filled else ""
    return (
        f"Funnel plot of {count(len(drawn) - n_filled, 'effect')}. Solid line: the mean, {number(mean)}; dashed "
        "lines: where 95% of effects would lie without differences between studies. Shades: p value of each effect "
        f"against 0.{filled}"
    )


def _alt_text(drawn: pd.DataFrame, mean: float) -> str:
    own = drawn[~drawn["filled"]]
    n_right = int((own["estimate"] > mean).sum())
    n_filled = len(drawn) - len(own)
    filled = f" {count(n_filled, 'effect')} filled in as open circles." if n_filled else ""
    return (
        f"Funnel plot of {count(len(own), 'effect')} from {number(own['estimate'].min())} to "
        f"{number(own['estimate'].max())}, standard errors from {number(own['std_error'].min())} to "
        f"{number(own['std_error'].max())}. {n_right} lie right of the mean, {number(mean)}.{filled}"
    )
