"""Leave-one-out plot: the estimate without each study, beside the one with all."""

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
from alliance_stats.report.numbers import decimals_for, interval, number, percent, with_interval

__all__ = ["left_out"]

#: Up to here each line carries its name and numbers.
_NAMED = 80


@house_style
def left_out(
    fits: pd.DataFrame,
    whole: pd.DataFrame,
    *,
    unit: str = "Mean effect",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimate without each study; line and band are the estimate with all.

    Parameters
    ----------
    fits : DataFrame
        ``label`` (what was left out), ``estimate, ci_low, ci_high``; rows with missing values have no mark.
    whole : DataFrame
        One row: ``estimate, ci_low, ci_high``.
    unit : str
        Words for the horizontal axis.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out, higher with more studies.

    Returns
    -------
    Axes
        With ``.data`` (``fits``, ``whole``), ``.caption`` and ``.alt_text``.
    """
    ends = ["estimate", "ci_low", "ci_high"]
    drawn = need_rows(fits, ["label", *ends], "fits").reset_index(drop=True)
    all_in = need_rows(whole, ends, "whole").iloc[0]
    n = len(drawn)
    named = n <= _NAMED
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.1 + (0.19 if named else 0.05) * n, 2.4, 16))) if ax is None else ax
    at = np.arange(n)
    ax.axvspan(all_in["ci_low"], all_in["ci_high"], color=BLUE, alpha=0.12, linewidth=0, zorder=0)
    ax.axvline(all_in["estimate"], color=BLUE, linewidth=1.1, zorder=1)
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.hlines(at, drawn["ci_low"], drawn["ci_high"], color=BLUE, linewidth=1.3 if named else 0.6, zorder=2)
    ax.scatter(drawn["estimate"], at, s=20 if named else 5, color=BLUE, zorder=3)
    ax.set(xlabel=label(unit), ylim=(n - 0.4, -0.6))
    if named:
        _name(ax, drawn)
    else:
        ax.set_ylabel("Left out, in order")
    words = f"from {number(drawn['estimate'].min())} to {number(drawn['estimate'].max())}"
    everything = with_interval(all_in["estimate"], all_in["ci_low"], all_in["ci_high"])
    annotate(
        ax,
        {"fits": drawn, "whole": whole},
        caption
        or f"Estimate with its {percent(level)} interval without each of {n}, one at a time; {words}. Line and band: "
        f"with all, {everything}.",
        alt_text or f"{count(n, 'estimate')} without one each, {words}; with all {everything}.",
    )
    return ax


def _name(ax: Axes, drawn: pd.DataFrame) -> None:
    ax.set_yticks(range(len(drawn)), [name_label(name, 32) for name in drawn["label"]], fontsize=8)
    ax.tick_params(axis="y", length=0)
    across = ax.get_yaxis_transform()
    places = decimals_for((drawn["ci_high"] - drawn["ci_low"]).min() / 4)
    for at, row in enumerate(drawn.to_dict("records")):
        ends = number(row["estimate"], places), interval(row["ci_low"], row["ci_high"], places)
        words = " ".join(ends) if row["estimate"] == row["estimate"] else "no fit"
        ax.text(1.01, at, words, transform=across, ha="left", va="center", fontsize=7.5, color="#444444")
