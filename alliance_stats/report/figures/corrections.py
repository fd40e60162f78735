"""Corrections: the mean without correction and by every method, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLACK, BLUE, GREY, PAGE_WIDTH, annotate, house_style, label, new_axes
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import interval, number, percent

__all__ = ["corrections"]


@house_style
def corrections(
    means: pd.DataFrame,
    *,
    unit: str = "Mean effect",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw means with their intervals, the one without correction on top.

    Parameters
    ----------
    means : DataFrame
        ``label, estimate, ci_low, ci_high``; the first row is the mean without correction. Rows without an estimate are
        named and left empty; intervals without an end, and those of methods far from all others, run to the edge.
    unit : str
        Words for the horizontal axis.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``means``), ``.caption`` and ``.alt_text``.
    """
    drawn = need_rows(means, ["label", "estimate", "ci_low", "ci_high"], "means").reset_index(drop=True)
    n = len(drawn)
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.1 + 0.26 * n, 2.0, 9.0))) if ax is None else ax
    at = np.arange(n)[::-1]
    left, right = _limits(drawn)
    edge = 0.06 * (right - left)
    low = drawn["ci_low"].clip(lower=left - edge)
    high = drawn["ci_high"].clip(upper=right + edge)
    colours = [BLACK, *[BLUE] * (n - 1)]
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.axvline(float(drawn["estimate"].iloc[0]), color=BLACK, linewidth=0.8, alpha=0.5, zorder=1)
    ax.hlines(at, low, high, color=colours, linewidth=1.6, zorder=2)
    inside = drawn["estimate"].between(left - edge, right + edge).to_numpy()
    ax.scatter(drawn["estimate"][inside], at[inside], s=30, color=np.array(colours)[inside], marker="o", zorder=3)
    ax.set_yticks(at, [label(name, 36) for name in drawn["label"]])
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=label(unit), xlim=(left - edge, right + edge), ylim=(-0.6, n - 0.4))
    _numbers(ax, drawn, at)
    known = drawn["estimate"].iloc[1:].dropna()
    span = f"from {number(known.min())} to {number(known.max())}" if len(known) else "none known"
    annotate(
        ax,
        {"means": drawn},
        caption
        or f"Mean effect without correction (black) and by {count(n - 1, 'correction')}, with "
        f"{percent(level)} intervals.",
        alt_text
        or f"Mean without correction {number(drawn['estimate'].iloc[0])}; {count(len(known), 'corrected mean')} "
        f"{span}.",
    )
    return ax


def _limits(drawn: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis: all that lies near the mean without correction, so that one wild method hides no other."""
    ends = drawn[["estimate", "ci_low", "ci_high"]].replace([np.inf, -np.inf], np.nan).to_numpy(float)
    middle = ends[0, 0]
    reach = np.nanmax(np.abs(ends - middle), axis=1, initial=0.0)
    widest = 4 * float(np.median(reach[reach > 0])) if (reach > 0).any() else 1.0
    near = np.clip(ends, middle - widest, middle + widest)
    return float(np.nanmin([np.nanmin(near), 0.0])), float(np.nanmax([np.nanmax(near), 0.0]))


def _numbers(ax: Axes, drawn: pd.DataFrame, at: np.ndarray) -> None:
    across = ax.get_yaxis_transform()
    for place, row in zip(at, drawn.to_dict("records"), strict=True):
        words = "—"
        if pd.notna(row["estimate"]):
            words = f"{number(row['estimate'], keep_small=False)} "
            known = np.isfinite([row["ci_low"], row["ci_high"]]).all()
            words += interval(row["ci_low"], row["ci_high"], 2) if known else ""
        ax.text(1.01, place, words, transform=across, ha="left", va="center", fontsize=8, color="#444444")
