"""Radial (Galbraith) plot: standardised effects against precision."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLACK, BLUE, GREY, PAGE_WIDTH, annotate, house_style, new_axes
from alliance_stats.report.figures.marks import RASTER_ABOVE
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import number

__all__ = ["radial"]

#: Half the height of the band: where 95% of effects lie around the mean.
_HALF = 1.959963984540054


@house_style
def radial(
    effects: pd.DataFrame,
    pooled: pd.DataFrame,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects over their standard deviations, against one over these: the slope from 0 to a point is its effect.

    Parameters
    ----------
    effects : DataFrame
        ``label, precision, standardised``.
    pooled : DataFrame
        One row: ``estimate``, the slope of the line.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``pooled``), ``.caption`` and ``.alt_text``.

    References
    ----------
    Galbraith (1988), Statistics in Medicine, 7, 889-894.
    """
    drawn = need_rows(effects, ["label", "precision", "standardised"], "effects").reset_index(drop=True)
    need_columns(pooled, ("estimate",), "pooled")
    ax = new_axes(PAGE_WIDTH, 4.0) if ax is None else ax
    mean, n = float(pooled["estimate"].iloc[0]), len(drawn)
    ends = np.array([0.0, 1.08 * float(drawn["precision"].max())])
    ax.fill_between(ends, mean * ends - _HALF, mean * ends + _HALF, color="#dcdcdc", linewidth=0, zorder=0)
    ax.plot(ends, mean * ends, color=BLACK, linewidth=1.2, zorder=2)
    ax.axhline(0, color=GREY, linestyle=":", linewidth=1.0, zorder=1)
    ax.scatter(
        drawn["precision"], drawn["standardised"], s=float(np.clip(2400 / n, 7, 26)), color=BLUE,
        alpha=float(np.clip(60 / n, 0.3, 0.9)), edgecolor="white", linewidth=0.4, zorder=3, rasterized=n > RASTER_ABOVE,
    )  # fmt: skip
    ax.set(xlabel="1 / standard deviation of the effect", ylabel="Effect / standard deviation", xlim=tuple(ends))
    outside = int((np.abs(drawn["standardised"] - mean * drawn["precision"]) > _HALF).sum())
    frames = {"effects": drawn, "pooled": pooled}
    annotate(ax, frames, caption or _caption(n, mean), alt_text or _alt_text(n, mean, outside))
    return ax


def _caption(n: int, mean: float) -> str:
    return (
        f"Radial plot of {count(n, 'effect')}: each divided by its standard deviation (sampling error and differences "
        f"between studies), against one over it. Line: the mean, {number(mean)}; band: where 95% of effects would lie."
    )


def _alt_text(n: int, mean: float, outside: int) -> str:
    verb = "lies" if outside == 1 else "lie"
    return (
        f"Radial plot of {count(n, 'effect')} around a line of slope {number(mean)}; {outside} {verb} outside the band "
        "of 95%."
    )
