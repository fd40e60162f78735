"""Forest plot: every effect with its interval, means of subgroups and of all, and where true effects are expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from alliance_stats.errors import count
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    PAGE_WIDTH,
    annotate,
    figure_of,
    house_style,
    label,
    name_label,
    new_axes,
)
from alliance_stats.report.frames import need_columns, need_rows
from alliance_stats.report.numbers import bounded, interval, number, percent

__all__ = ["forest"]

#: Above this many lines names and numbers are left out, unless the axes are high enough.
_NAMED = 450
#: Height of a line in inches: with few lines, and at least.
_LINE, _LEAST = 0.2, 0.145
#: Width of a character over the font size, and the gap between columns in characters.
_CHARACTER, _GAP = 0.54, 2
_EFFECT = ["label", "estimate", "ci_low", "ci_high", "weight"]
_MEAN = ("estimate", "ci_low", "ci_high")


@dataclass(frozen=True)
class _Line:
    """One line of the plot: an effect, a heading, or a mean."""

    at: float
    kind: str
    row: Mapping[str, Any]


@house_style
def forest(
    effects: pd.DataFrame,
    pooled: pd.DataFrame,
    *,
    groups: pd.DataFrame | None = None,
    columns: Sequence[str] | Mapping[str, str] = (),
    correlations: bool = False,
    unit: str = "Effect",
    mean: str = "Mean",
    level: float = 0.95,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects in the order given, the mean as a diamond, and its prediction interval.

    Parameters
    ----------
    effects : DataFrame
        ``label, estimate, ci_low, ci_high, weight`` (per cent); ``group`` for subgroups; the columns to print.
    pooled : DataFrame
        One row: ``estimate, ci_low, ci_high, pi_low, pi_high``.
    groups : DataFrame, optional
        ``group, estimate, ci_low, ci_high``: a diamond below the effects of each group; ``pi_low, pi_high`` if known.
        Groups stand in this order.
    columns : sequence of str, or mapping of str to str
        Columns of ``effects`` to print between name and plot; a mapping gives their headings.
    correlations : bool
        Print estimates without leading zeros, and mark −1 and 1 as ends of the axis.
    unit : str
        Words for the horizontal axis, and over the numbers.
    mean : str
        Name of the last line.
    level : float
        Level of the intervals, for the words.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out, higher with more effects. Names and numbers are left out where lines would
        be too close to be read.

    Returns
    -------
    Axes
        With ``.data`` (``effects``, ``pooled``, and ``groups`` if given), ``.caption`` and ``.alt_text``.
    """
    heads = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    wanted = [*_EFFECT, *(["group"] if groups is not None else []), *heads]
    drawn = need_rows(effects, list(dict.fromkeys(wanted)), "effects").reset_index(drop=True)
    need_columns(pooled, (*_MEAN, "pi_low", "pi_high"), "pooled")
    lines = _lines(drawn, pooled, groups)
    own = ax is None
    ax = _axes(len(lines), heads, drawn) if ax is None else ax
    height = _line_height(ax, lines, own)
    named = height >= 0.6 * _LEAST
    _draw(ax, drawn, lines, height, named)
    if named:
        _write(ax, lines, heads, mean, height, correlations, f"{label(unit, 24)} [{percent(level)} CI]")
    else:
        ax.set_yticks([lines[-1].at + _room(height)], [mean], fontsize=8)
        ax.set_ylabel(f"Effects ({len(drawn)})")
    ax.set_xlabel(label(unit))
    if correlations:
        low, high = ax.get_xlim()
        ax.set_xlim(max(low, -1.0), min(high, 1.0))
    frames = {"effects": drawn, "pooled": pooled} | ({} if groups is None else {"groups": groups})
    words = _numbers(pooled.iloc[0], correlations)
    annotate(
        ax,
        frames,
        caption or _caption(drawn, pooled, groups, words, level),
        alt_text or _alt_text(drawn, groups, words),
    )
    return ax


def _lines(drawn: pd.DataFrame, pooled: pd.DataFrame, groups: pd.DataFrame | None) -> list[_Line]:
    """Lines from the top down; ``at`` is their place, 0 at the top."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if groups is None:
        found += [("effect", row) for row in _records(drawn)]
    else:
        need_columns(groups, ("group", *_MEAN), "groups")
        for group in _records(groups):
            own = drawn[drawn["group"] == group["group"]]
            found += [("heading", group), *(("effect", row) for row in _records(own)), ("group", group), ("space", {})]
        rest = drawn[~drawn["group"].isin(groups["group"])]
        found += [("effect", row) for row in _records(rest)]
    if not found or found[-1][0] != "space":
        found.append(("space", {}))
    found.append(("mean", _records(pooled)[0]))
    return [_Line(float(at), kind, row) for at, (kind, row) in enumerate(found)]


def _records(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _axes(n: int, heads: Mapping[str, str], drawn: pd.DataFrame) -> Axes:
    size = float(np.clip(_LINE - 0.0006 * max(n - 40, 0), _LEAST, _LINE))
    height = 1.0 + size * (n + 1.5) if n <= _NAMED else 12.0
    wider = sum(_width(drawn, name, head) for name, head in heads.items()) * 7.5 * _CHARACTER / 72
    return new_axes(min(PAGE_WIDTH + max(0.0, wider - 0.3), 11.0), max(height, 2.4))


def _width(drawn: pd.DataFrame, name: str, head: str) -> int:
    return max(_bold(head), *(len(_cell(value)) for value in drawn[name])) + _GAP


def _bold(text: str) -> int:
    """Width of a bold text, in plain characters."""
    return int(np.ceil(1.2 * len(label(text, 28))))


def _cell(value: object) -> str:
    """Text of a cell of the user's own columns."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.4g}"
    return "" if value is None or value is pd.NA else label(value, 28)


def _line_height(ax: Axes, lines: list[_Line], own: bool) -> float:
    """Inches between lines."""
    n = len(lines) + 1.5
    total = figure_of(ax).get_size_inches()[1] * (1.0 if own else ax.get_position().height)
    return float((total - (1.0 if own else 0.0)) / n)


def _room(height: float) -> float:
    """Half the height of a diamond, in lines: less than a line, or more where lines are thin."""
    return max(0.36, 0.06 / height)


def _bands(ax: Axes, lines: list[_Line]) -> None:
    """Shade every other study, where studies have several effects, one below the other."""
    shaded, before = False, None
    runs: list[tuple[float, float, bool]] = []
    for line in lines:
        name = line.row["label"] if line.kind == "effect" else None
        if name is not None and name == before:
            runs[-1] = (runs[-1][0], line.at, runs[-1][2])
        elif name is not None:
            shaded = not shaded if before is not None else True
            runs.append((line.at, line.at, shaded))
        before = name
    if all(first == last for first, last, _ in runs):
        return
    for first, last, dark in runs:
        if dark:
            ax.axhspan(first - 0.5, last + 0.5, color=GREY, alpha=0.09, linewidth=0, zorder=0)


def _draw(ax: Axes, drawn: pd.DataFrame, lines: list[_Line], height: float, named: bool) -> None:
    largest = float(drawn["weight"].max())
    side = 72 * min(height, _LINE) * 0.72  # of the heaviest square, in points
    rows = [line for line in lines if line.kind == "effect"]
    at = np.array([line.at for line in rows])
    low, high, estimate, weight = (
        np.array([line.row[name] for line in rows], float) for name in ("ci_low", "ci_high", "estimate", "weight")
    )
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.1, zorder=1)
    faint = 1.0 if named else 0.45
    ax.hlines(at, low, high, color=BLUE, linewidth=float(np.clip(6 * height, 0.4, 1.3)), alpha=faint, zorder=2)
    size = side**2 * np.maximum(weight / largest, 0.02) if largest > 0 else np.full(at.size, side**2 / 4)
    size = size if named else np.maximum(size, 4.0)
    if named:
        _bands(ax, lines)
    ax.scatter(estimate, at, s=size, marker="s", color=BLUE, linewidth=0, zorder=3)
    for line in lines:
        if line.kind in ("group", "mean"):
            _diamond(ax, line, BLACK if line.kind == "mean" else GREY, 0.36 if named else _room(height))
    whole = lines[-1].row["estimate"]
    ax.axvline(float(whole), color=BLACK, linewidth=0.7, alpha=0.45, zorder=1)
    ax.set_ylim(lines[-1].at + (0.9 if named else 2.5 * _room(height)), -1.6)


def _diamond(ax: Axes, line: _Line, colour: str, half: float) -> None:
    row, at = line.row, line.at if half <= 0.36 else line.at + half
    if pd.notna(row.get("pi_low")):
        ax.hlines(at, row["pi_low"], row["pi_high"], color=GREY, linewidth=2, zorder=2)
    across = [row["ci_low"], row["estimate"], row["ci_high"], row["estimate"]]
    ax.fill(across, [at, at - half, at, at + half], color=colour, zorder=3, linewidth=0)


def _write(
    ax: Axes, lines: list[_Line], heads: Mapping[str, str], mean: str, height: float, correlations: bool, heading: str
) -> None:
    """Names and the user's columns on the left, estimates on the right, headings over them."""
    size = float(np.clip(72 * height * 0.62, 5.0, 8.0))
    rows = [line.row for line in lines if line.kind == "effect"]
    names = _names(lines)
    cells = {name: [_cell(row[name]) for row in rows] for name in heads}
    widths = [max(_bold(head), *map(len, cells[name])) + _GAP for name, head in heads.items()]
    first = max([len(mean) + 2, *map(len, names), *(len(_heading(line)) for line in lines)]) + _GAP
    lefts = np.cumsum([0, first, *widths[:-1]]) if widths else np.array([0])
    total = first + sum(widths)
    place = [(total - left) * size * _CHARACTER + 4 for left in lefts]
    across = ax.get_yaxis_transform()
    ax.set_yticks([])

    def write(text: str, at: float, points: float, **more: Any) -> None:
        if text:
            side: dict[str, Any] = {
                "xytext": (points, 0),
                "textcoords": "offset points",
                "va": "center",
                "fontsize": size,
            }
            ax.annotate(text, (0 if points < 0 else 1, at), xycoords=across, annotation_clip=False, **side, **more)

    write("Study", -1.0, -place[0], fontweight="bold")
    for head, points in zip(heads.values(), place[1:], strict=True):
        write(label(head, 28), -1.0, -points, fontweight="bold")
    write(heading, -1.0, 6, fontweight="bold")
    seen = 0
    for line in lines:
        if line.kind == "effect":
            write(names[seen], line.at, -place[0])
            for name, points in zip(heads, place[1:], strict=True):
                write(cells[name][seen], line.at, -points)
            seen += 1
        elif line.kind == "heading":
            write(_heading(line), line.at, -place[0], fontweight="bold")
        elif line.kind in ("group", "mean"):
            write(mean, line.at, -place[0], fontweight="bold" if line.kind == "mean" else "normal", fontstyle="italic")
        if line.kind in ("effect", "group", "mean"):
            bold = "bold" if line.kind == "mean" else "normal"
            write(_numbers(line.row, correlations), line.at, 6, color="#333333", fontweight=bold)
    ax.spines["left"].set_visible(False)


def _names(lines: Sequence[_Line]) -> list[str]:
    """Names of the effects; that of a study is not said again in the line below."""
    found, before = [], None
    for line in lines:
        if line.kind == "effect":
            found.append("" if line.row["label"] == before else name_label(line.row["label"]))
        before = line.row["label"] if line.kind == "effect" else None
    return found


def _heading(line: _Line) -> str:
    return label(line.row["group"], 34) if line.kind == "heading" else ""


def _numbers(row: Mapping[str, Any] | pd.Series, correlations: bool) -> str:
    if correlations:
        low, high = (bounded(row[name], keep_small=False) for name in ("ci_low", "ci_high"))
        return f"{bounded(row['estimate'], keep_small=False)} [{low}, {high}]"
    return f"{number(row['estimate'], keep_small=False)} {interval(row['ci_low'], row['ci_high'], 2)}"


def _caption(drawn: pd.DataFrame, pooled: pd.DataFrame, groups: pd.DataFrame | None, words: str, level: float) -> str:
    predicted = (
        f"; the line through it is the {percent(level)} prediction interval" if pooled["pi_low"].notna().any() else ""
    )
    each = f", grey diamonds: means of {count(len(groups), 'subgroup')}" if groups is not None else ""
    return (
        f"{count(len(drawn), 'effect')} with {percent(level)} intervals; squares by weight. Black diamond: the "
        f"mean, {words}{predicted}{each}."
    )


def _alt_text(drawn: pd.DataFrame, groups: pd.DataFrame | None, words: str) -> str:
    each = f" in {count(len(groups), 'subgroup')}" if groups is not None else ""
    return (
        f"Forest plot of {count(len(drawn), 'effect')}{each} from {number(drawn['estimate'].min())} to "
        f"{number(drawn['estimate'].max())}. The mean is {words}."
    )
