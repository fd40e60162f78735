"""Within and between: patient means beside deviations from them, on the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import DataError, count
from alliance_stats.names import PATIENT
from alliance_stats.report.figures.canvas import (
    BLUE,
    VERMILION,
    Panels,
    annotate,
    house_style,
    label,
    new_panels,
)
from alliance_stats.report.figures.marks import RASTER_ABOVE, counted, curve_with_band, ends_in_words
from alliance_stats.report.frames import need_rows

__all__ = ["within_between"]

#: Light enough that both lines stand out against a thick cloud, in grey too.
_POINT = "#9a9a9a"
_XY = ("predictor", "outcome")


@house_style
def within_between(
    between_points: pd.DataFrame,
    within_points: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    predictor: str,
    outcome: str,
    caption: str | None = None,
    alt_text: str | None = None,
    axes: Sequence[Axes] | None = None,
    simulated: bool = False,
) -> Panels:
    """Draw patient means with the between line, and centred sessions with the within line.

    Both panels span the same width and height in score units, so that their slopes can be compared by eye.

    Parameters
    ----------
    between_points : DataFrame
        ``patient_id, predictor, outcome``: each patient's means, score units.
    within_points : DataFrame
        ``predictor, outcome``: each session's deviation from the patient's own means, score units.
    lines : DataFrame
        ``level`` ("within" or "between"), ``x, estimate, ci_low, ci_high``: what the model expects.
    predictor, outcome : str
        Words for the axes.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    axes : two Axes, optional
        Where to draw; new ones if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Panels
        The two Axes as a tuple with ``.figure``, ``.data``, ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If a frame lacks a column.
    DataError
        If a frame has no rows, a level has no line, or ``axes`` are not two.
    """
    means = need_rows(between_points, (PATIENT, *_XY), "between_points")
    sessions = need_rows(within_points, _XY, "within_points")
    lines = need_rows(lines, ("level", "x", "estimate", "ci_low", "ci_high"), "lines")
    panels = new_panels(2) if axes is None else Panels(axes)
    if len(panels) != 2:
        raise DataError(
            f"axes holds {count(len(panels), 'Axes', 'Axes')}, and the figure takes 2. Leave axes out, or pass two."
        )
    between, within = _line(lines, "between"), _line(lines, "within")
    _panel(panels[0], means, between, BLUE, f"Between patients ({counted(len(means), 'patient')})")
    _panel(panels[1], sessions, within, VERMILION, f"Within patients ({counted(len(sessions), 'session')})")
    for ax, kind in zip(panels, ("patient mean", "deviation from own mean"), strict=True):
        ax.set_xlabel(f"{label(predictor, 40)}\n({kind})")
        ax.set_ylabel(f"{label(outcome, 40)}\n({kind})")
    same_span(panels)
    annotate(
        panels,
        {"between_points": means, "within_points": sessions, "lines": lines},
        caption
        or f"{outcome} by {predictor}, between patients (left: one dot per patient, means) and within patients (right: "
        "one dot per session, deviations from the patient's own means). Lines: the model, with 95% confidence "
        "intervals. Both panels span the same width and height.",
        alt_text
        or f"Two scatter plots of {outcome} by {predictor}. Left, patient means: the line runs "
        f"{ends_in_words(between, 'x')}. Right, deviations from own means: it runs {ends_in_words(within, 'x')}.",
        simulated=simulated,
    )
    return panels


def _line(lines: pd.DataFrame, level: str) -> pd.DataFrame:
    chosen = lines[lines["level"] == level]
    if chosen.empty:
        known = ", ".join(sorted(map(str, lines["level"].unique())))
        raise DataError(
            f"0 of {len(lines)} rows of lines have the level {level!r} (there are: {known}). Add that line."
        )
    return chosen


def _panel(ax: Axes, points: pd.DataFrame, line: pd.DataFrame, colour: str, title: str) -> None:
    n = len(points)
    alpha = 0.75 if n <= 150 else max(0.02, 0.75 * (150 / n) ** 0.6)
    ax.plot(
        points["predictor"].to_numpy(float),
        points["outcome"].to_numpy(float),
        "o",
        color=_POINT,
        markersize=3.4 if n <= 500 else 2.6,
        markeredgewidth=0,
        alpha=alpha,
        rasterized=n > RASTER_ABOVE,
        zorder=1,
    )
    curve_with_band(ax, line, "x", colour=colour, name=title)
    ax.set_title(title, fontsize=8.8)


def same_span(panels: Panels) -> None:
    """Give all panels the widest panel's width and the highest panel's height, each about its own middle."""
    for get, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        limits = np.array([getattr(ax, get)() for ax in panels])
        half = np.diff(limits, axis=1).max() / 2
        for ax, middle in zip(panels, limits.mean(axis=1), strict=True):
            getattr(ax, put)(middle - half, middle + half)
