"""Power curve: power over the number of studies."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

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
from alliance_stats.report.figures.marks import key_above
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import bounded

__all__ = ["power_curve"]


@house_style
def power_curve(
    curve: pd.DataFrame,
    points: pd.DataFrame,
    *,
    target: float | None = None,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw power over the number of studies, a line for each assumption.

    Parameters
    ----------
    curve : DataFrame
        ``n_studies, power, label``.
    points : DataFrame
        ``n_studies, power``: the plans.
    target : float, optional
        Power that is wanted.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``curve``, ``points``), ``.caption`` and ``.alt_text``.
    """
    lines = need_rows(curve, ["n_studies", "power", "label"], "curve")
    plans = need_rows(points, ["n_studies", "power"], "points")
    ax = new_axes(PAGE_WIDTH, 3.8) if ax is None else ax
    names = list(dict.fromkeys(lines["label"]))
    looks = [(BLUE, "-")] if len(names) == 1 else [(VERMILION, "--"), (BLUE, "-"), (BLACK, ":")]
    for place, name in enumerate(names):
        own = lines[lines["label"] == name].sort_values("n_studies")
        colour, style = looks[place % len(looks)]
        ax.plot(own["n_studies"], own["power"], color=colour, linestyle=style, linewidth=1.6, label=label(name))
    ax.scatter(plans["n_studies"], plans["power"], color=BLUE, s=36, zorder=3, label="Plan")
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", linewidth=0.9, zorder=1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="Studies", ylabel="Power", ylim=(0, 1.02))
    key_above(ax)
    last = plans.iloc[-1]
    words = f"{bounded(last['power'])} with {int(last['n_studies'])} studies"
    wanted = "" if target is None else f" Dashed: the power that is wanted, {bounded(target)}."
    annotate(
        ax,
        {"curve": lines, "points": plans},
        caption or f"Power over the number of studies; the plan (circle) has {words}.{wanted}",
        alt_text or f"Power curves over the number of studies, rising to {bounded(lines['power'].max())}; {words}.",
    )
    return ax
