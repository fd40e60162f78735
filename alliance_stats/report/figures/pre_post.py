"""Jacobson and Truax's plot: post over pre scores, the band of no reliable change, and the cutoff."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes,
)
from alliance_stats.report.figures.marks import RASTER_ABOVE, key_above
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import number

__all__ = ["pre_post"]

#: Colour and marker of each group; markers tell them apart in grey.
_GROUPS = {
    "recovered": (BLUE, "o"),
    "improved": (ORANGE, "^"),
    "unchanged": (GREY, "."),
    "deteriorated": (VERMILION, "X"),
}


@house_style
def pre_post(
    patients: pd.DataFrame,
    band: pd.DataFrame,
    *,
    score: str,
    basis: str,
    cutoff: float | None = None,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw each patient's post score over the pre score.

    Parameters
    ----------
    patients : DataFrame
        ``pre, post`` (points) and ``group`` (recovered, improved, unchanged, deteriorated).
    band : DataFrame
        ``pre, expected, low, high``: post scores without reliable change.
    score : str
        What was measured.
    basis : str
        Sentence on the reliability behind the band, with its source; part of the caption.
    cutoff : float, optional
        Drawn as a line across both axes.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``patients, band``), ``.caption`` and ``.alt_text``.
    """
    frame = need_rows(patients, ["pre", "post", "group"], "patients")
    edge = need_rows(band, ["pre", "expected", "low", "high"], "band").sort_values("pre")
    ax = new_axes(4.8, 4.8) if ax is None else ax
    at = edge["pre"].to_numpy(float)
    ax.fill_between(at, edge["low"].to_numpy(float), edge["high"].to_numpy(float), color=GREY, alpha=0.2, linewidth=0)
    ax.plot(at, edge["expected"].to_numpy(float), color=BLACK, linewidth=1.0)
    for name, (colour, marker) in _GROUPS.items():
        own = frame[frame["group"] == name]
        if len(own):
            ax.plot(own["pre"], own["post"], marker, color=colour, markersize=5.5, alpha=0.8, linestyle="none",
                    label=f"{name.capitalize()} ({len(own)})", rasterized=len(own) > RASTER_ABOVE)  # fmt: skip
    if cutoff is not None:
        ax.axhline(cutoff, color=GREY, linestyle=":", linewidth=1.1)
        ax.axvline(cutoff, color=GREY, linestyle=":", linewidth=1.1)
    scores = frame[["pre", "post"]].to_numpy(float)
    span = float(np.ptp(scores)) or 1.0
    limits = (scores.min() - 0.05 * span, scores.max() + 0.05 * span)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.set_xlabel(f"{label(score)}, before")
    ax.set_ylabel(f"{label(score)}, after")
    key_above(ax, columns=2)
    sizes = {name: int((frame["group"] == name).sum()) for name in _GROUPS}
    counts = ", ".join(f"{n} {name}" for name, n in sizes.items() if n)
    line = "" if cutoff is None else f" Dotted: the cutoff, {number(cutoff)}."
    shown = f"{count(len(frame), 'patient')}: {counts}."
    annotate(
        ax,
        {"patients": frame, "band": edge},
        caption
        or f"{score} after over before, {shown} The line is no change as the method expects it, the band what is not "
        f"reliable. {basis}{line}",
        alt_text or f"Scatter of {score} after treatment over before, {shown} {basis}",
        simulated=simulated,
    )
    return ax
