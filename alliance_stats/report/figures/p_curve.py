"""p-curve: how the significant p values spread between 0 and .05."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLUE,
    GREY,
    PAGE_WIDTH,
    VERMILION,
    annotate,
    house_style,
    new_axes,
)
from alliance_stats.report.figures.marks import key_above
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import bounded

__all__ = ["p_curve"]

_LINES = {
    "observed": ("Observed", BLUE, "-", "o"),
    "no_effect": ("No effect", GREY, ":", ""),
    "third": ("Power of 1/3", VERMILION, "--", ""),
}


@house_style
def p_curve(
    shares: pd.DataFrame,
    n: int,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the shares of significant p values, beside those without an effect and with a power of 1/3.

    Parameters
    ----------
    shares : DataFrame
        ``p_high`` (upper end of an interval of p), and per cent of the significant values in it: ``observed,
        no_effect, third``.
    n : int
        Significant values.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.

    Returns
    -------
    Axes
        With ``.data`` (``shares``), ``.caption`` and ``.alt_text``.

    References
    ----------
    Simonsohn, Nelson & Simmons (2014), Journal of Experimental Psychology: General, 143, 534-547.
    """
    drawn = need_rows(shares, ["p_high", *_LINES], "shares").sort_values("p_high")
    ax = new_axes(PAGE_WIDTH, 3.4) if ax is None else ax
    for name, (words, colour, style, marker) in _LINES.items():
        ax.plot(drawn["p_high"], drawn[name], color=colour, linestyle=style, marker=marker, linewidth=1.8, label=words)
    for p, share in zip(drawn["p_high"], drawn["observed"], strict=True):
        ax.annotate(
            f"{share:.0f}%", (p, share), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8, color=BLUE
        )
    ax.set_xticks(drawn["p_high"], [bounded(p, keep_small=False) for p in drawn["p_high"]])
    ax.set(xlabel="p value (two-sided), up to", ylabel="Share of significant results (%)", ylim=(0, 108))
    key_above(ax, columns=3)
    values = count(n, "significant result")
    told = ", ".join(
        f"{row['observed']:.0f}% up to {bounded(row['p_high'], keep_small=False)}" for row in drawn.to_dict("records")
    )
    annotate(
        ax,
        {"shares": drawn},
        caption
        or f"p-curve of {values}: share of p values in steps of .01. Dotted: without an effect; dashed: with a power "
        "of 1/3.",
        alt_text or f"p-curve of {values}: {told}.",
    )
    return ax
