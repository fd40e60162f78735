"""Caterpillar: effects of therapists (or other groups) in rank order, each with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLUE, GREY, PAGE_WIDTH, annotate, house_style, label, new_axes
from alliance_stats.report.frames import need_rows
from alliance_stats.report.numbers import number, whole

__all__ = ["caterpillar"]

#: Up to here each line can carry its name on a page.
_NAMED = 40


@house_style
def caterpillar(
    effects: pd.DataFrame,
    *,
    unit: str,
    levels: str = "therapist",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw effects in rank order with intervals, a line at zero, and the caseload at the right.

    Parameters
    ----------
    effects : DataFrame
        ``level, estimate, ci_low, ci_high`` (outcome units, from the mean of all), and if known ``n_patients``.
    unit : str
        Words for the horizontal axis, with units: "Therapist effect (outcome points)".
    levels : str, default "therapist"
        What one level is, in the singular.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out, higher with more levels.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ranked), ``.caption`` and ``.alt_text``. Names are printed for up to 40 levels;
        above that, caseloads are bars.

    Raises
    ------
    ColumnError
        If the frame lacks a column.
    DataError
        If the frame has no rows.
    """
    columns = ["level", "estimate", "ci_low", "ci_high", *(["n_patients"] if "n_patients" in effects else [])]
    ranked = need_rows(effects, columns, "effects").sort_values("estimate", ignore_index=True)
    n = len(ranked)
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.2 + 0.17 * n, 2.2, 7.5))) if ax is None else ax
    _draw_intervals(ax, ranked)
    ax.set_xlabel(label(unit))
    ax.set_ylim(-0.8, n - 0.2)
    _name_levels(ax, ranked, levels)
    if "n_patients" in ranked:
        _show_caseload(ax, ranked)
    shown = count(n, label(levels))
    annotate(
        ax,
        {"effects": ranked},
        caption
        or f"{unit}: {shown} in rank order, with 95% intervals; the dotted line is the mean of all.{_right(ranked)}",
        alt_text
        or f"Caterpillar plot of {shown}, in rank order, from {number(ranked['estimate'].min())} to "
        f"{number(ranked['estimate'].max())}. {_covering_zero(ranked)} of {n} intervals include zero.",
        simulated=simulated,
    )
    return ax


def _draw_intervals(ax: Axes, ranked: pd.DataFrame) -> None:
    n = len(ranked)
    at = np.arange(n)
    low, high = ranked["ci_low"].to_numpy(float), ranked["ci_high"].to_numpy(float)
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.hlines(at, low, high, color=BLUE, alpha=0.55, linewidth=float(np.clip(60 / n, 0.5, 1.6)), zorder=2)
    ax.plot(
        ranked["estimate"].to_numpy(float), at, "o", color=BLUE, markersize=float(np.clip(150 / n, 1.6, 4.5)), zorder=3
    )


def _name_levels(ax: Axes, ranked: pd.DataFrame, levels: str) -> None:
    if len(ranked) <= _NAMED:
        names = [label(level, 24) for level in ranked["level"]]
        ax.set_yticks(np.arange(len(ranked)), names, fontsize=8)
        ax.tick_params(axis="y", length=0)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{label(levels).capitalize()}s in rank order ({whole(len(ranked))})")


def _show_caseload(ax: Axes, ranked: pd.DataFrame) -> None:
    if len(ranked) > _NAMED:
        _caseload_bars(ax, ranked)
        return
    across = ax.get_yaxis_transform()
    for at, n_patients in enumerate(ranked["n_patients"]):
        ax.text(1.045, at, whole(n_patients), transform=across, ha="right", va="center", fontsize=8, color="#444444")
    ax.text(1.045, 1, "Patients", transform=ax.transAxes, ha="right", va="bottom", fontsize=8, color="#444444")


def _caseload_bars(ax: Axes, ranked: pd.DataFrame) -> None:
    side = ax.inset_axes((1.02, 0, 0.14, 1))
    side.barh(np.arange(len(ranked)), ranked["n_patients"].to_numpy(float), height=0.9, color=GREY, linewidth=0)
    side.set(ylim=ax.get_ylim(), yticks=[], xlabel="Patients")
    side.spines["left"].set_visible(False)
    side.locator_params(axis="x", nbins=2, integer=True)


def _right(ranked: pd.DataFrame) -> str:
    return " At the right, each one's number of patients." if "n_patients" in ranked else ""


def _covering_zero(ranked: pd.DataFrame) -> int:
    return int(((ranked["ci_low"] <= 0) & (ranked["ci_high"] >= 0)).sum())
