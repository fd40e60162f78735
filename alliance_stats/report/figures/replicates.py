"""Replicates: what a bootstrap found for a few parameters, one panel each."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import DataError, count
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    PAGE_WIDTH,
    Panels,
    annotate,
    house_style,
    label,
    new_panels,
)
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import decimals_for, number

__all__ = ["replicates"]

#: More panels than this have no room on a page.
MOST_PANELS = 4


@house_style
def replicates(
    values: pd.DataFrame,
    estimates: pd.DataFrame,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    axes: tuple[Axes, ...] | None = None,
    simulated: bool = False,
) -> Panels:
    """Draw the distribution of each parameter over the replicates, with the estimate and the interval.

    Parameters
    ----------
    values : DataFrame
        One row per replicate, one column per parameter, named as in ``estimates``; missing where it is not defined.
    estimates : DataFrame
        ``name, estimate, ci_low, ci_high``, one row per parameter; at most four.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    axes : tuple of Axes, optional
        Where to draw, one per parameter; new panels if left out.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Panels
        With ``.data`` (``values``, ``estimates``), ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If a frame lacks a column.
    DataError
        If there is nothing to draw, or more than four parameters.
    """
    shown = need_rows(estimates, ("name", "estimate", "ci_low", "ci_high"), "estimates").reset_index(drop=True)
    need_columns(values, shown["name"], "values")
    if len(shown) > MOST_PANELS:
        raise DataError(f"estimates has {len(shown)} rows, and a page has room for {MOST_PANELS}. Choose some of them.")
    panels = new_panels(len(shown), PAGE_WIDTH, 2.4) if axes is None else Panels(axes)
    for ax, (_, row) in zip(panels, shown.iterrows(), strict=True):
        _draw(ax, values[row["name"]].dropna().to_numpy(float), row)
    panels[0].set_ylabel("Replicates")
    drawn = count(len(values), "replicate")
    annotate(
        panels,
        {"values": values, "estimates": shown},
        caption or f"Estimates in {drawn}. The line is the estimate from the data, the bar its interval.",
        alt_text or f"Histograms of {drawn}. {' '.join(_in_words(row) for _, row in shown.iterrows())}",
        simulated=simulated,
    )
    return panels


def _draw(ax: Axes, values: np.ndarray, row: pd.Series) -> None:
    if values.size:
        ax.hist(values, bins=min(40, max(5, int(np.sqrt(values.size)))), color=BLUE, alpha=0.55)
    ax.axvline(row["estimate"], color=BLACK, linewidth=1.4)
    top = ax.get_ylim()[1]
    ax.hlines(-0.04 * top, row["ci_low"], row["ci_high"], color=BLACK, linewidth=3)
    ax.set_ylim(-0.08 * top, top)
    ax.set_xlabel(label(row["name"]))


def _in_words(row: pd.Series) -> str:
    ends = row["estimate"], row["ci_low"], row["ci_high"]
    estimate, low, high = (number(end, decimals_for(*ends)) for end in ends)
    return f"{row['name']}: estimate {estimate}, interval {low} to {high}."
