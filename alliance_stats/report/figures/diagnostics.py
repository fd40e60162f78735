"""Diagnostics of each effect, in panels under each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import DataError, count
from alliance_stats.report.figures.canvas import (
    BLUE,
    GREY,
    PAGE_WIDTH,
    VERMILION,
    Panels,
    annotate,
    house_style,
    label,
    new_stack,
)
from alliance_stats.report.frames import need_rows

__all__ = ["diagnostics"]

#: Up to here every effect has its name under the lowest panel.
_NAMED = 45


@house_style
def diagnostics(
    effects: pd.DataFrame,
    measures: Mapping[str, float],
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes | Panels:
    """Draw several measures over the effects, one panel each; marked effects stand out and are named.

    Parameters
    ----------
    effects : DataFrame
        ``label, marked`` (true or false) and the measures.
    measures : mapping of str to float
        Columns to draw, from top to bottom, also what the panels are called → where a reference line stands.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw the first measure alone; a figure of panels if left out.

    Returns
    -------
    Axes or Panels
        With ``.data`` (``effects``), ``.caption`` and ``.alt_text``.
    """
    if not measures:
        raise DataError("0 measures to draw. Name columns of the frame.")
    drawn = need_rows(effects, ["label", "marked", *measures], "effects").reset_index(drop=True)
    marked = drawn["marked"].to_numpy(bool)
    panels = new_stack(len(measures), PAGE_WIDTH, 1.15 * len(measures) + 0.9) if ax is None else Panels((ax,))
    for panel, (name, line) in zip(panels, measures.items(), strict=False):
        panel.axhline(line, color=GREY, linewidth=0.8, zorder=0)
        _draw(panel, drawn[name].to_numpy(np.float64), marked, name)
    _name(panels[-1], drawn, marked)
    names = [label(name) for name in drawn["label"][marked]]
    words = f"Marked as influential: {', '.join(names)}" if names else "No effect is marked as influential"
    annotate(
        panels if ax is None else ax,
        {"effects": drawn},
        caption or f"Diagnostics of {count(len(drawn), 'effect')}, each from the fit without it. {words}.",
        alt_text or f"Panels of {', '.join(measures)} over {count(len(drawn), 'effect')}. {words}.",
    )
    return panels if ax is None else ax


def _draw(panel: Axes, values: np.ndarray, marked: np.ndarray, name: str) -> None:
    at = np.arange(len(values))
    panel.plot(at, values, color=GREY, linewidth=0.6, zorder=1)
    for own, colour in ((~marked, BLUE), (marked, VERMILION)):
        panel.scatter(at[own], values[own], s=14, color=colour, zorder=2)
    panel.set_title(label(name), fontsize=8.5, fontweight="normal", pad=3)
    panel.set_xlim(-0.7, len(values) - 0.3)
    panel.tick_params(axis="x", labelbottom=False, length=0)
    panel.locator_params(axis="y", nbins=4)


def _name(panel: Axes, drawn: pd.DataFrame, marked: np.ndarray) -> None:
    shown = np.arange(len(drawn)) if len(drawn) <= _NAMED else np.flatnonzero(marked)
    panel.set_xticks(shown, [label(drawn["label"][at], 24) for at in shown], rotation=90, fontsize=6.5)
    panel.tick_params(axis="x", labelbottom=True, length=2)
    if not len(shown):
        panel.set_xlabel("Effects, in order")
