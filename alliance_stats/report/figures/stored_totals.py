"""Stored totals against those of the scoring key."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLUE, GREY, VERMILION, annotate, house_style, label, new_axes
from alliance_stats.report.figures.marks import RASTER_ABOVE
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import number

__all__ = ["stored_totals"]

#: Differences smaller than this share of the totals' range are no differences to the eye.
_SAME = 1e-6


@house_style
def stored_totals(
    totals: pd.DataFrame,
    *,
    name: str,
    column: str,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw each form's stored total over the one that the key gives, with the line on which both are equal.

    Parameters
    ----------
    totals : DataFrame
        ``key, stored`` (points), one row per form.
    name : str
        What was scored.
    column : str
        Where the stored totals come from.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``totals``), ``.caption`` and ``.alt_text``.
    """
    frame = need_rows(totals, ["key", "stored"], "totals")
    own, stored = frame["key"].to_numpy(float), frame["stored"].to_numpy(float)
    low, high = float(min(own.min(), stored.min())), float(max(own.max(), stored.max()))
    off = np.abs(stored - own) > _SAME * max(high - low, 1.0)
    ax = new_axes(4.2, 4.0) if ax is None else ax
    ax.plot([low, high], [low, high], color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    for rows, colour, marker in ((~off, BLUE, "o"), (off, VERMILION, "D")):
        ax.plot(own[rows], stored[rows], marker, color=colour, markersize=4, alpha=0.7,
                rasterized=int(rows.sum()) > RASTER_ABOVE)  # fmt: skip
    ax.set_xlabel(f"Total by the key of {label(name)}")
    ax.set_ylabel(f"Total stored in {label(column, 30)}")
    shown = f"{int(off.sum())} of {count(len(frame), 'stored total')} differ (diamonds)"
    annotate(
        ax,
        {"totals": frame},
        caption or f"Totals stored in {column} against those of the key of {name}; {shown}. On the dotted line both "
        "are equal.",
        alt_text or f"Scatter of stored totals over the key's totals of {name}. {shown}; the largest difference is "
        f"{number(np.abs(stored - own).max())} points.",
        simulated=simulated,
    )  # fmt: skip
    return ax
