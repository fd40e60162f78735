"""Attendance and missingness: how many patients have a session, and how often each score is missing there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from alliance_stats.errors import DataError
from alliance_stats.report.figures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    annotate,
    house_style,
    label,
    new_axes_under,
)
from alliance_stats.report.figures.marks import counts_above, key_above, whole_ticks
from alliance_stats.report.frames import need_rows

__all__ = ["missingness"]

_MOST_SESSIONS = 400
_LINES = [(colour, style) for style in ("-", "--", ":") for colour in (BLUE, VERMILION, BLACK, ORANGE, GREY)]
_TITLE = "Patients with a session"


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
        If there is no session, or more than fifteen scores.
    """
    counts = need_rows(by_session, ("session", "n"), "by_session")
    shares = need_rows(missing, ("score", "session", "missing"), "missing")
    names = list(dict.fromkeys(shares["score"]))
    if len(names) > len(_LINES):
        raise DataError(f"{len(names)} scores are too many for one figure. Choose at most {len(_LINES)}.")
    last = min(int(counts["session"].max()), _MOST_SESSIONS)
    every = pd.DataFrame({"session": np.arange(1, last + 1)})
    full = every.merge(counts, how="left").fillna({"n": 0}).astype({"n": int})
    own = ax is None
    main, top = new_axes_under(height=4.0, share=0.28) if ax is None else (ax, ax.inset_axes((0, 1.05, 1, 0.3)))
    for name, (colour, style) in zip(names, _LINES, strict=False):
        line = every.merge(shares[shares["score"] == name], how="left")
        shown = label((labels or {}).get(name, name))
        main.plot(line["session"], line["missing"], style, color=colour, marker="o", markersize=3, label=shown)
    main.set(xlabel="Session", ylabel="Share missing", xlim=(0.5, last + 0.5), ylim=(-0.03, 1.03))
    main.yaxis.set_major_formatter(PercentFormatter(1))
    whole_ticks(main, 1, last)
    if own:
        main.legend(loc="upper right")
    else:
        key_above(main, height=1.0)
    counts_above(top, full, last, own, _TITLE)
    mean = {name: float(shares.loc[shares["score"] == name, "missing"].mean()) for name in names}
    words = ", ".join(f"{label((labels or {}).get(name, name))} {share:.0%}" for name, share in mean.items())
    rest = f" Sessions after {last} are not drawn." if counts["session"].max() > last else ""
    annotate(
        main,
        {"by_session": counts, "missing": shares},
        (caption or "Share of patients with a session whose score is missing; above, how many have that session.")
        + rest,
        alt_text
        or f"Lines of the share of missing scores over {last} sessions; in the mean of sessions: {words}. Bars above: "
        f"{full['n'].iloc[0]} patients at session 1, {full['n'].iloc[-1]} at session {last}.",
        simulated=simulated,
    )
    return main
