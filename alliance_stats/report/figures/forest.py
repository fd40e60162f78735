"""Forest plot: every effect with its interval, the pooled effect, and where true effects are expected."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import BLACK, BLUE, GREY, PAGE_WIDTH, annotate, house_style, label, new_axes
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import interval, number

__all__ = ["forest"]

#: Up to here each line can carry its name and numbers.
_NAMED = 60


@house_style
def forest(
    effects: pd.DataFrame,
    pooled: pd.DataFrame,
    *,
    unit: str = "Effect",
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects in the order given, the mean as a diamond, and its prediction interval.

    Parameters
    ----------
    effects : DataFrame
        ``label, estimate, ci_low, ci_high, weight`` (per cent).
    pooled : DataFrame
        One row: ``estimate, ci_low, ci_high, pi_low, pi_high``.
    unit : str
        Words for the horizontal axis.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out, higher with more effects.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``pooled``), ``.caption`` and ``.alt_text``.
    """
    drawn = need_rows(effects, ["label", "estimate", "ci_low", "ci_high", "weight"], "effects").reset_index(drop=True)
    need_columns(pooled, ("estimate", "ci_low", "ci_high", "pi_low", "pi_high"), "pooled")
    n = len(drawn)
    ax = new_axes(PAGE_WIDTH, float(np.clip(1.4 + 0.2 * n, 2.4, 12))) if ax is None else ax
    _draw_effects(ax, drawn)
    _draw_mean(ax, pooled.iloc[0])
    ax.set_xlabel(label(unit))
    ax.set_ylim(-2.2, n - 0.3)
    _name_lines(ax, drawn)
    mean = pooled.iloc[0]
    words = f"{number(mean['estimate'])} {interval(mean['ci_low'], mean['ci_high'])}"
    annotate(
        ax,
        {"effects": drawn, "pooled": pooled},
        caption
        or f"{count(n, 'effect')} with 95% intervals; squares by weight. Diamond: the mean, {words}; "
        "the line through it is the 95% prediction interval.",
        alt_text
        or f"Forest plot of {count(n, 'effect')} from {number(drawn['estimate'].min())} to "
        f"{number(drawn['estimate'].max())}. The mean is {words}.",
    )
    return ax


def _draw_effects(ax: Axes, drawn: pd.DataFrame) -> None:
    n = len(drawn)
    at = np.arange(n)[::-1]
    weight = drawn["weight"].to_numpy(float)
    size = 60 * weight / weight.max() * min(1.0, 40 / n)
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    ax.hlines(at, drawn["ci_low"], drawn["ci_high"], color=BLUE, linewidth=float(np.clip(60 / n, 0.4, 1.3)), zorder=2)
    ax.scatter(drawn["estimate"], at, s=size + 2, marker="s", color=BLUE, linewidth=0, zorder=3)


def _draw_mean(ax: Axes, mean: pd.Series) -> None:
    at, half = -1.4, 0.35
    if pd.notna(mean["pi_low"]):
        ax.hlines(at, mean["pi_low"], mean["pi_high"], color=GREY, linewidth=2, zorder=2)
    corners = [
        (mean["ci_low"], at),
        (mean["estimate"], at + half),
        (mean["ci_high"], at),
        (mean["estimate"], at - half),
    ]
    ax.fill(*zip(*corners, strict=True), color=BLACK, zorder=3)


def _name_lines(ax: Axes, drawn: pd.DataFrame) -> None:
    n = len(drawn)
    if n > _NAMED:
        ax.set_yticks([-1.4], ["Mean"], fontsize=8)
        ax.set_ylabel(f"Effects ({n})")
        return
    names = [label(name, 28) for name in drawn["label"]]
    ax.set_yticks([*range(n - 1, -1, -1), -1.4], [*names, "Mean"], fontsize=8)
    ax.tick_params(axis="y", length=0)
    across = ax.get_yaxis_transform()
    numbers = drawn[["estimate", "ci_low", "ci_high"]].to_numpy(float)
    for at, (estimate, low, high) in zip(range(n - 1, -1, -1), numbers, strict=True):
        words = f"{number(estimate, keep_small=False)} {interval(low, high, 2)}"
        ax.text(1.01, at, words, transform=across, ha="left", va="center", fontsize=7.5, color="#444444")
