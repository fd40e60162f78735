"""Selection weights: how likely a result was to be published, given its p value."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLUE, GREY, PAGE_WIDTH, annotate, house_style, new_axes
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import number, percent

__all__ = ["selection_weights"]


_TICKS = (0.0, 0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


def _root(p: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(p, 0.0))


@house_style
def selection_weights(
    curve: pd.DataFrame,
    observed: pd.DataFrame,
    *,
    steps: pd.DataFrame | None = None,
    two_sided: bool = False,
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weight function over p, with a mark for each p value observed.

    Parameters
    ----------
    curve : DataFrame
        ``p, weight``; the largest weight 1.
    observed : DataFrame
        ``p`` of each effect.
    steps : DataFrame, optional
        ``p_low, p_high, weight, ci_low, ci_high`` where the weights are constant between steps: drawn with intervals
        instead of the curve.
    two_sided : bool
        Whether p values are two-sided.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``curve``, ``observed``, and ``steps`` if given), ``.caption`` and ``.alt_text``.
    """
    line = need_rows(curve, ["p", "weight"], "curve").sort_values("p")
    marks = need_rows(observed, ["p"], "observed")
    ax = new_axes(PAGE_WIDTH, 3.4) if ax is None else ax
    frames = {"curve": line, "observed": marks}
    top, cut = 1.0, ""
    if steps is None:
        ax.plot(line["p"], line["weight"], color=BLUE, linewidth=2.2, zorder=3)
    else:
        need_columns(steps, ("p_low", "p_high", "weight", "ci_low", "ci_high"), "steps")
        frames["steps"] = steps
        top = _draw_steps(ax, steps)
        if (steps["ci_high"] > 1.06 * top).any():
            cut = f", the widest up to {number(steps['ci_high'].max(), 1)}"
    ax.plot(
        marks["p"], np.zeros(len(marks)), "|", color=GREY, markersize=11, markeredgewidth=0.9, zorder=2, clip_on=False
    )
    sides = "two-sided" if two_sided else "one-sided"
    ax.set_xscale("function", functions=(_root, np.square))  # small p, where selection happens, take more room
    ax.set_xticks(_TICKS, [f"{tick:g}".removeprefix("0") or "0" for tick in _TICKS])
    ax.set(xlabel=f"p value ({sides})", ylabel="Relative chance of publication", xlim=(0, 1), ylim=(0, 1.06 * top))
    words = _ends(line)
    bands = f"; bands: {percent(level)} intervals{cut}" if steps is not None and steps["ci_low"].notna().any() else ""
    annotate(
        ax,
        frames,
        caption
        or f"Chance of publication over p, relative to the most favoured results{bands}. Marks: p values of "
        f"{count(len(marks), 'effect')}. Small p take more room.",
        alt_text
        or f"Relative chance of publication over the {sides} p value: {words}. {count(len(marks), 'effect')} observed.",
    )
    return ax


def _draw_steps(ax: Axes, steps: pd.DataFrame) -> float:
    """Draw each step with its band; return how high the figure must reach (bands beyond 2.5 are cut)."""
    top = min(max(1.0, float(steps[["weight", "ci_high"]].max().max())), 2.5)
    top = max(top, float(steps["weight"].max()))
    edges = np.append(steps["p_low"].to_numpy(float), float(steps["p_high"].iloc[-1]))
    for at, row in enumerate(steps.to_dict("records")):
        if pd.notna(row["ci_low"]):
            ax.fill_between(
                edges[at : at + 2], row["ci_low"], min(row["ci_high"], 1.06 * top), color=BLUE, alpha=0.22, linewidth=0
            )
    ax.stairs(steps["weight"].to_numpy(float), edges, baseline=None, color=BLUE, linewidth=2.2, zorder=3)
    return top


def _ends(line: pd.DataFrame) -> str:
    return f"from {number(line['weight'].iloc[0])} near p = 0 to {number(line['weight'].iloc[-1])} near p = 1"
