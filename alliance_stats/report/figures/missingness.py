"""Attendance and missingness: how many patients have a session, and how often each score is missing there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from alliance_stats.errors import DataError
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    VERMILION,
    annotate,
    figure_of,
    house_style,
    label,
    new_axes_under,
)
from alliance_stats.report.figures.marks import counts_above, key_above, whole_ticks
from alliance_stats.report.frames import need_rows

__all__ = ["missingness"]

_MOST_SESSIONS = 400
#: Up to this many scores are drawn as lines; more are the rows of a map, where lines would hide each other.
_LINES = [(BLUE, "-"), (VERMILION, "--"), (BLACK, ":")]
_MOST_SCORES = 60
#: Beyond this many sessions, marks on the lines run into each other.
_MOST_MARKS = 60
_FEW = 16
_LONGEST = 30
_TITLE = "Patients with a session"
_ABOVE = (0.0, 1.05, 1.0, 0.3)


@house_style
def missingness(
    by_session: pd.DataFrame,
    missing: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw the share of missing values of each score by session, under the number of patients with that session.

    Up to three scores are lines; more are the rows of a map, dark where much is missing.

    Parameters
    ----------
    by_session : DataFrame
        ``session`` and ``n``: patients with a row for it. Sessions without rows are taken as 0.
    missing : DataFrame
        ``score, session, missing``: share of those patients (0 to 1) whose score is missing.
    labels : mapping of str to str, optional
        What readers call the scores.
    caption, alt_text : str, optional
        Words for the figure; written from the frames if left out.
    ax : Axes, optional
        Where to draw; new axes if left out. The numbers of patients stand over them.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``by_session``, ``missing``), ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If a frame lacks a column.
    DataError
        If there is no session, or more than sixty scores.
    """
    counts = need_rows(by_session, ("session", "n"), "by_session")
    shares = need_rows(missing, ("score", "session", "missing"), "missing")
    names = list(dict.fromkeys(shares["score"]))
    if len(names) > _MOST_SCORES:
        raise DataError(f"{len(names)} scores are too many for one figure. Choose at most {_MOST_SCORES}.")
    last = min(int(counts["session"].max()), _MOST_SESSIONS)
    every = pd.DataFrame({"session": np.arange(1, last + 1)})
    full = every.merge(counts, how="left").fillna({"n": 0}).astype({"n": int})
    own = ax is None
    tall = len(names) > len(_LINES)
    height = 1.9 + 0.26 * len(names) if tall else 4.0
    main, top = new_axes_under(height=height, share=1.1 / height) if ax is None else (ax, ax.inset_axes(_ABOVE))
    shown = {name: label((labels or {}).get(name, name)) for name in names}
    wide = {name: every.merge(shares[shares["score"] == name], how="left")["missing"] for name in names}
    draw = _map if tall else _lines
    draw(main, top if own else None, [(shown[name], wide[name].to_numpy(float)) for name in names], last)
    whole_ticks(main, 1, last, most=10 if tall else 16)
    counts_above(top, full, last, own, _TITLE, most=9 if tall and last > _FEW else 16)
    mean = {name: float(shares.loc[shares["score"] == name, "missing"].mean()) for name in names}
    words = ", ".join(f"{shown[name]} {share:.0%}" for name, share in mean.items())
    rest = f" Sessions after {last} are not drawn." if counts["session"].max() > last else ""
    annotate(
        main,
        {"by_session": counts, "missing": shares},
        (caption or "Share of patients with a session whose score is missing; above, how many have that session.")
        + rest,
        alt_text
        or f"{'Map' if tall else 'Lines'} of the share of missing scores over {last} sessions; in the mean of "
        f"sessions: {words}. Bars above: {full['n'].iloc[0]} patients at session 1, {full['n'].iloc[-1]} at "
        f"session {last}.",
        simulated=simulated,
    )
    return main


def _lines(main: Axes, top: Axes | None, scores: Sequence[tuple[str, np.ndarray]], last: int) -> None:
    session = np.arange(1, last + 1)
    mark = (
        {"marker": "o", "markersize": 3} if last <= _MOST_MARKS else {"marker": ".", "markersize": 2, "linewidth": 1.0}
    )
    for (name, share), (colour, style) in zip(scores, _LINES, strict=False):
        main.plot(session, share, style, color=colour, label=name, **mark)  # type: ignore[arg-type]
    main.set(xlabel="Session", ylabel="Share missing", xlim=(0.5, last + 0.5), ylim=(-0.03, 1.03))
    main.yaxis.set_major_formatter(PercentFormatter(1))
    if top is None:
        key_above(main, height=1.0)
    else:  # under the figure: anywhere inside, it would hide lines
        figure_of(main).legend(loc="outside lower center", ncols=min(2, len(scores)))


def _map(main: Axes, top: Axes | None, scores: Sequence[tuple[str, np.ndarray]], last: int) -> None:
    picture = np.ma.masked_invalid(np.vstack([share for _, share in scores]))
    main.set_facecolor("#dddddd")  # sessions that nobody has
    edges = np.arange(0.5, last + 1), np.arange(0.5, len(scores) + 1)
    drawn = main.pcolormesh(*edges, picture, cmap="Blues", vmin=0, vmax=1, rasterized=True)
    main.set(xlabel="Session", xlim=(0.5, last + 0.5), ylim=(len(scores) + 0.5, 0.5))
    main.set_yticks(range(1, len(scores) + 1), [_shortened(name) for name, _ in scores], fontsize=7.5)
    main.tick_params(axis="y", length=0)
    beside = main if top is None else [top, main]
    bar = figure_of(main).colorbar(drawn, ax=beside, fraction=0.04, pad=0.02, format=PercentFormatter(1))
    bar.set_label("Share missing", fontsize=8)
    bar.outline.set_visible(False)


def _shortened(name: str) -> str:
    """Cut a long label in its middle, where two labels differ least."""
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"
