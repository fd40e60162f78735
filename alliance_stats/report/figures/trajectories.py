"""Trajectories: each patient's course as a thin line, the model's curve over them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from alliance_stats.names import PATIENT, SESSION
from alliance_stats.report.figures.canvas import BLUE, GREY, annotate, house_style, label, new_axes
from alliance_stats.report.figures.marks import (
    RASTER_ABOVE,
    counted,
    curve_with_band,
    ends_in_words,
    key_above,
    whole_ticks,
)
from alliance_stats.report.frames import need_rows

__all__ = ["trajectories"]

#: Up to here every patient's line can be followed by eye; above it, lines fade so that their density shows.
_FOLLOWED = 80


@house_style
def trajectories(
    patients: pd.DataFrame,
    curve: pd.DataFrame,
    *,
    score: str,
    time: str = "Session",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw patients' courses (thin, broken at missing sessions) and the model's mean curve with its band.

    Parameters
    ----------
    patients : DataFrame
        ``patient_id, session, value``: one row per patient and session, score units. Rows may come in any order.
    curve : DataFrame
        ``session, estimate, ci_low, ci_high``: the mean that the model expects, with its interval.
    score, time : str
        Words for the vertical and the horizontal axis.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``patients``, ``curve``), ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If a frame lacks a column.
    DataError
        If a frame has no rows.
    """
    patients = need_rows(patients, (PATIENT, SESSION, "value"), "patients")
    curve = need_rows(curve, (SESSION, "estimate", "ci_low", "ci_high"), "curve")
    ax = new_axes() if ax is None else ax
    n_patients = patients.dropna(subset=["value"])[PATIENT].nunique()
    drawn = counted(n_patients, "patient")
    _draw_patients(ax, patients, n_patients, drawn)
    curve_with_band(ax, curve, SESSION, colour=BLUE, name="Model mean, 95% CI")
    ax.set_xlabel(label(time))
    ax.set_ylabel(label(score))
    ax.margins(x=0.02)
    ax.autoscale_view()
    at = pd.concat([patients[SESSION], curve[SESSION]]).to_numpy(float)
    whole_ticks(ax, np.nanmin(at), np.nanmax(at))
    key_above(ax)
    path = f"{score} by {time.lower()}"
    annotate(
        ax,
        {"patients": patients, "curve": curve},
        caption
        or f"{path}: courses of {drawn} (thin lines, broken where a session is missing) and the model's mean with its "
        "95% confidence interval.",
        alt_text
        or f"Line chart of {path}. Thin lines: {drawn}. Thick line: the model's mean, {ends_in_words(curve, SESSION)}.",
        simulated=simulated,
    )
    return ax


def _draw_patients(ax: Axes, patients: pd.DataFrame, n_patients: int, name: str) -> None:
    alpha = 0.5 if n_patients <= _FOLLOWED else max(0.015, 0.5 * (_FOLLOWED / n_patients) ** 0.8)
    runs = unbroken_runs(patients)
    lines = [run for run in runs if len(run) > 1]
    alone = np.array([run[0] for run in runs if len(run) == 1]).reshape(-1, 2)
    raster = len(lines) > RASTER_ABOVE / 10
    ax.add_collection(LineCollection(lines, colors=GREY, linewidths=0.7, alpha=alpha, rasterized=raster, zorder=1))
    ax.plot(alone[:, 0], alone[:, 1], ".", color=GREY, markersize=4, alpha=alpha, markeredgewidth=0, zorder=1)
    ax.plot([], [], color=GREY, linewidth=0.9, label=name)


def unbroken_runs(patients: pd.DataFrame) -> list[np.ndarray]:
    """Split courses where a session or its value is missing.

    Parameters
    ----------
    patients : DataFrame
        ``patient_id, session, value``.

    Returns
    -------
    list of ndarray of shape (n_sessions, 2)
        Session and value of each run of neighbouring sessions of one patient. Neighbours are as far apart as
        sessions most often are in these data, or nearer.
    """
    seen = patients.dropna().sort_values([PATIENT, SESSION])
    if seen.empty:
        return []
    points = seen[[SESSION, "value"]].to_numpy(float)
    codes = pd.factorize(seen[PATIENT])[0]
    same = codes[1:] == codes[:-1]
    steps = np.diff(points[:, 0])
    sizes, frequency = np.unique(steps[same], return_counts=True)
    usual = sizes[frequency.argmax()] if len(sizes) else 1.0
    breaks = np.flatnonzero(~same | (steps > usual * 1.001)) + 1
    return np.split(points, breaks)
