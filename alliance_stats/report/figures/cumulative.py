"""Cumulative plot: the mean as studies came in, one after the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLUE,
    GREY,
    PAGE_WIDTH,
    annotate,
    house_style,
    label,
    name_label,
    new_axes,
)
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import interval, number, percent, with_interval

__all__ = ["cumulative"]

#: Up to here each line carries its name and numbers.
_NAMED = 80


@house_style
def cumulative(
    steps: pd.DataFrame,
    *,
    unit: str = "Mean effect",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean after each study, the first on top.

    Parameters
    ----------
    steps : DataFrame
        ``label, k, estimate, ci_low, ci_high`` in order.
    unit : str
        Words for the horizontal axis.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out, higher with more studies.

    Returns
    -------
    Axes
        With ``.data`` (``steps``), ``.caption`` and ``.alt_text``.
    """
    drawn = need_rows(steps, ["label", "k", "estimate", "ci_low", "ci_high"], "steps").reset_index(drop=True)
    n = len(drawn)
    named = n <= _NAMED
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.1 + (0.19 if named else 0.05) * n, 2.4, 16))) if ax is None else ax
    at = np.arange(n) if named else drawn["k"].to_numpy(float)
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.axvline(float(drawn["estimate"].iloc[-1]), color=BLUE, linewidth=0.8, alpha=0.5, zorder=1)
    if named:
        ax.hlines(at, drawn["ci_low"], drawn["ci_high"], color=BLUE, linewidth=1.3, zorder=2)
        ax.scatter(drawn["estimate"], at, s=20, color=BLUE, zorder=3)
        _name(ax, drawn)
    else:
        ax.fill_betweenx(at, drawn["ci_low"], drawn["ci_high"], color=BLUE, alpha=0.25, linewidth=0, zorder=2)
        ax.plot(drawn["estimate"], at, color=BLUE, linewidth=1.6, zorder=3)
        ax.set_ylabel("Effects so far")
    ax.set(xlabel=label(unit), ylim=(at[-1] + 0.6, at[0] - 0.6))
    low, high = _limits(drawn)
    ax.set_xlim(low, high)
    cut = _arrows(ax, drawn, at, (low, high)) if named else False
    first, last = drawn.iloc[0], drawn.iloc[-1]
    end = with_interval(last["estimate"], last["ci_low"], last["ci_high"])
    words = f"from {number(first['estimate'])} to {end}"
    annotate(
        ax,
        {"steps": drawn},
        caption
        or f"Mean effect with its {percent(level)} interval as {count(n, 'effect')} came in, the first on top; {words}."
        + (" Arrows: the interval goes on." if cut else ""),
        alt_text or f"Cumulative meta-analysis of {count(n, 'effect')}: the mean went {words}.",
    )
    return ax


def _limits(drawn: pd.DataFrame) -> tuple[float, float]:
    """Wide enough for all means and for the intervals from the third on; the first ones may run out of the picture."""
    later = drawn.iloc[min(2, len(drawn) - 1) :]
    low = float(np.nanmin([later["ci_low"].min(), drawn["estimate"].min(), 0.0]))
    high = float(np.nanmax([later["ci_high"].max(), drawn["estimate"].max(), 0.0]))
    edge = 0.06 * (high - low)
    return low - edge, high + edge


def _arrows(ax: Axes, drawn: pd.DataFrame, at: np.ndarray, limits: tuple[float, float]) -> bool:
    """Mark intervals that run out of the picture; say whether any does."""
    beyond = [(drawn["ci_low"] < limits[0], limits[0], "<"), (drawn["ci_high"] > limits[1], limits[1], ">")]
    for out, edge, marker in beyond:
        ax.scatter(
            np.full(int(out.sum()), edge), at[out.to_numpy()], s=22, color=BLUE, marker=marker, clip_on=False, zorder=4
        )
    return any(bool(out.any()) for out, _, _ in beyond)


def _name(ax: Axes, drawn: pd.DataFrame) -> None:
    names = [f"{'+ ' if at else ''}{name_label(name, 30)}" for at, name in enumerate(drawn["label"])]
    ax.set_yticks(range(len(drawn)), names, fontsize=8)
    ax.tick_params(axis="y", length=0)
    across = ax.get_yaxis_transform()
    for at, row in enumerate(drawn.to_dict("records")):
        words = f"{number(row['estimate'], keep_small=False)} {interval(row['ci_low'], row['ci_high'], 2)}"
        ax.text(1.02, at, words, transform=across, ha="left", va="center", fontsize=7.5, color="#444444")
