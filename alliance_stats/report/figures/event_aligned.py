"""Event-aligned: sessions counted from the change of therapist, means and model before and after it."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import DataError
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes,
)
from alliance_stats.report.figures.marks import curve_with_band, ends_in_words, key_above, thin
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import whole

__all__ = ["event_aligned"]

_FROM = "sessions_from_change"
_PARTS = {"before": BLUE, "after": VERMILION}


@house_style
def event_aligned(
    means: pd.DataFrame,
    curve: pd.DataFrame,
    *,
    score: str,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw observed means by sessions from the change, and the model before and after it.

    Parameters
    ----------
    means : DataFrame
        ``sessions_from_change`` (whole; 0 is the first session with the new therapist), ``mean, ci_low, ci_high`` in
        score units, and ``n``, how many patients each mean rests on.
    curve : DataFrame
        ``sessions_from_change, estimate, ci_low, ci_high, part`` ("before" or "after").
    score : str
        Words for the vertical axis.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``means``, ``curve``), ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If a frame lacks a column.
    DataError
        If a frame has no rows, or a part is neither "before" nor "after".
    """
    means = need_rows(means, (_FROM, "mean", "ci_low", "ci_high", "n"), "means").sort_values(_FROM)
    curve = need_rows(curve, (_FROM, "estimate", "ci_low", "ci_high", "part"), "curve")
    unknown = set(curve["part"]) - set(_PARTS)
    if unknown:
        raise DataError(
            f"{len(unknown)} values of curve's part are unknown: {sorted(map(str, unknown))}. Use 'before', 'after'."
        )
    ax = new_axes() if ax is None else ax
    _draw_means(ax, means)
    for part, colour in _PARTS.items():
        rows = curve[curve["part"] == part]
        if not rows.empty:
            curve_with_band(ax, rows, _FROM, colour=colour, name=f"Model {part}, 95% CI")
    _mark_change(ax)
    ax.set_ylabel(label(score))
    _count_under_axis(ax, means)
    key_above(ax, height=1.07)
    after = curve[curve["part"] == "after"]
    annotate(
        ax,
        {"means": means, "curve": curve},
        caption
        or f"{score} by sessions from the change of therapist (0: first session with the new therapist). Dots: "
        "observed means; lines: the model; both with 95% confidence intervals. Under the axis, the number of patients "
        "each mean rests on.",
        alt_text
        or f"Means of {score} by sessions from the change of therapist, for {len(means)} sessions. The model runs "
        f"{ends_in_words(curve[curve['part'] == 'before'], _FROM)} before, and {ends_in_words(after, _FROM)} after.",
        simulated=simulated,
    )
    return ax


def _draw_means(ax: Axes, means: pd.DataFrame) -> None:
    at, mean = means[_FROM].to_numpy(float), means["mean"].to_numpy(float)
    ax.vlines(at, means["ci_low"].to_numpy(float), means["ci_high"].to_numpy(float), color=GREY, linewidth=1, zorder=2)
    ax.plot(at, mean, "o", color=BLACK, markersize=4, zorder=5, label="Observed mean, 95% CI")


def _mark_change(ax: Axes) -> None:
    ax.axvline(-0.5, color=BLACK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.annotate(
        "change of therapist",
        xy=(-0.5, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        fontsize=8,
        color="#444444",
        ha="center",
        va="bottom",
    )


def _count_under_axis(ax: Axes, means: pd.DataFrame) -> None:
    places = means[_FROM].to_numpy(dtype=int)
    counts = dict(zip(places, means["n"], strict=True))
    shown = thin(places, most=17)
    ax.set_xlim(min(places.min(), -1) - 0.6, max(places.max(), 0) + 0.6)
    signed = [f"{'−' if place < 0 else ''}{abs(place)}" for place in shown]
    ax.set_xticks(shown, [f"{place}\n{whole(counts[at])}" for place, at in zip(signed, shown, strict=True)])
    for tick in ax.get_xticklabels():
        tick.set_linespacing(1.5)
    ax.annotate(
        "$n$",
        xy=(0, 0),
        xycoords="axes fraction",
        xytext=(-8, -26),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8.5,
        annotation_clip=False,
    )
    ax.set_xlabel("Sessions from the change of therapist (0 = first session with the new therapist)")
