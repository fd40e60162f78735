"""Baujat plot: what each study adds to heterogeneity, against how much it moves the mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.report.figures.canvas import BLUE, PAGE_WIDTH, annotate, house_style, label, new_axes
from alliance_stats.report.figures.marks import counted
from alliance_stats.report.frames import need_rows

__all__ = ["baujat"]

#: So many points carry their names: those farthest out.
_NAMED = 6


@house_style
def baujat(
    effects: pd.DataFrame,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw influence over the contribution to heterogeneity; the points farthest out are named.

    Parameters
    ----------
    effects : DataFrame
        ``label, heterogeneity, influence``.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``effects``), ``.caption`` and ``.alt_text``.

    References
    ----------
    Baujat et al. (2002), Statistics in Medicine, 21, 2641-2652.
    """
    wanted = ["label", "heterogeneity", "influence"]
    drawn = need_rows(effects, wanted, "effects").reset_index(drop=True)
    ax = new_axes(PAGE_WIDTH, 3.8) if ax is None else ax
    x, y = (drawn[name].to_numpy(np.float64) for name in wanted[1:])
    ax.scatter(x, y, s=22, color=BLUE, alpha=0.75, linewidth=0, zorder=2)
    ax.set(xlabel="Contribution to heterogeneity", ylabel="Influence on the mean", xlim=(0, None), ylim=(0, None))
    ax.margins(0.08)
    outer = _outermost(x, y)
    right = np.nanmax(x) if len(x) else 1.0
    level: list[float] = []  # of names that stand above their point; the next one as high stands below
    for at in outer:
        left_side = x[at] > 0.7 * right
        close = any(abs(y[at] - height) < 0.04 * np.nanmax(y) for height in level)
        level += [] if close else [y[at]]
        ax.annotate(
            label(drawn["label"][at], 32),
            (x[at], y[at]),
            (-5 if left_side else 5, -9 if close else 2),
            textcoords="offset points",
            ha="right" if left_side else "left",
            fontsize=7.5,
        )
    farthest = label(drawn["label"][outer[0]]) if len(outer) else "none"
    words = f"{counted(len(drawn), 'effect')}; farthest out: {farthest}"
    annotate(
        ax,
        {"effects": drawn},
        caption
        or f"Squared Pearson residual of each effect, against how much the mean moves without it. {words}. Points at "
        "the upper right both differ from the others and move the mean.",
        alt_text or f"Baujat plot of {words}.",
    )
    return ax


def _outermost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of the points farthest from the origin, both axes in their own range."""
    if not len(x):
        return np.array([], dtype=int)
    far = np.hypot(x / max(np.nanmax(x), np.finfo(float).tiny), y / max(np.nanmax(y), np.finfo(float).tiny))
    order = np.argsort(-np.nan_to_num(far))[:_NAMED]
    return order[np.nan_to_num(far)[order] > 0.25]
