"""Attendance: patients by sessions, and how many are still in treatment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from alliance_stats.errors import DataError, count
from alliance_stats.names import PATIENT, SESSION
from alliance_stats.report.figures.canvas import annotate, figure_of, house_style, new_axes_under
from alliance_stats.report.figures.marks import counted, counts_above, whole_ticks
from alliance_stats.report.frames import need_rows

__all__ = ["attendance"]

#: Later sessions are not drawn: a mistyped session of 20210105 must not ask for that many columns.
_MOST_SESSIONS = 400
_IN_TREATMENT = "Patients still in treatment"
_WITH, _WITHOUT, _AFTER = "#3b8bc0", "#d9d9d9", "#ffffff"


@house_style
def attendance(
    sessions: pd.DataFrame,
    *,
    caption: str | None = None,
    alt_text: str | None = None,
    ax: Axes | None = None,
    simulated: bool = False,
) -> Axes:
    """Draw which sessions of which patients have a record, and how many patients are still in treatment.

    Parameters
    ----------
    sessions : DataFrame
        ``patient_id, session`` (1, 2, …) and ``observed`` (bool). A session without a row counts as not observed. A
        patient is in treatment up to the last observed session.
    caption, alt_text : str, optional
        Words for the figure; written from the frame if left out.
    ax : Axes, optional
        Where to draw; new axes if left out. The number in treatment stands over them.
    simulated : bool
        Stamp the figure "Simulated data".

    Returns
    -------
    Axes
        With ``.data`` (``sessions``, and ``in_treatment``: ``session, n``), ``.caption`` and ``.alt_text``.

    Raises
    ------
    ColumnError
        If the frame lacks a column.
    DataError
        If the frame has no rows, no observed session, or a session below 1.
    """
    sessions = need_rows(sessions, (PATIENT, SESSION, "observed"), "sessions")
    seen, lengths = _observed(sessions)
    last = int(lengths.max())
    drawn = min(last, _MOST_SESSIONS)
    picture = _picture(seen, lengths, drawn)
    in_treatment = pd.DataFrame({SESSION: np.arange(1, drawn + 1)})
    in_treatment["n"] = [int((lengths >= session).sum()) for session in in_treatment[SESSION]]
    n = len(lengths)
    own = ax is None
    main, top = _new_panels(n) if ax is None else (ax, ax.inset_axes((0, 1.05, 1, 0.3)))
    _draw_picture(main, picture, n, drawn)
    _draw_key(main, own)
    counts_above(top, in_treatment, drawn, own, _IN_TREATMENT)
    rest = f" Sessions after {drawn} are not drawn (the last is {last})." if last > drawn else ""
    patients = counted(n, "patient")
    annotate(
        main,
        {"sessions": sessions, "in_treatment": in_treatment},
        (caption or f"Sessions of {patients}, the longest course at the top. Above, how many are still in treatment.")
        + rest,
        alt_text
        or f"Picture of {patients} by sessions, ordered by length of course. In treatment: {in_treatment['n'].iloc[0]} "
        f"at session 1, {in_treatment['n'].iloc[-1]} at session {drawn}.",
        simulated=simulated,
    )
    return main


def _observed(sessions: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the observed sessions, and each patient's last one, longest course first."""
    seen = sessions[sessions["observed"].astype(bool)]
    if seen.empty:
        raise DataError(f"0 of {count(len(sessions), 'session')} are observed. Check which scores were asked for.")
    early = int((seen[SESSION] < 1).sum())
    if early:
        raise DataError(f"{count(early, 'session')} of {len(seen)} are numbered below 1. Number sessions 1, 2, ….")
    ordered = seen.groupby(PATIENT)[SESSION].agg(["max", "count"]).sort_values(["max", "count"], ascending=False)
    return seen, ordered["max"]


def _picture(seen: pd.DataFrame, lengths: pd.Series, drawn: int) -> np.ndarray:
    """Colour patients by sessions: with a record, without one, after the last one. Shape (patients, sessions, 3)."""
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (_AFTER, _WITHOUT, _WITH)], dtype=np.uint8)
    state = (np.arange(1, drawn + 1) <= lengths.to_numpy()[:, None]).astype(np.uint8)
    near = seen[seen[SESSION] <= drawn]
    state[lengths.index.get_indexer(pd.Index(near[PATIENT])), near[SESSION].to_numpy(dtype=int) - 1] = 2
    return colours[state]


def _new_panels(n: int) -> tuple[Axes, Axes]:
    height = float(np.clip(2.4 + 0.12 * n, 2.8, 5.2))
    return new_axes_under(height=height, share=float(np.clip(1.0 / height, 0.2, 0.36)))


def _draw_picture(ax: Axes, picture: np.ndarray, n: int, drawn: int) -> None:
    ax.imshow(_fewer_rows(picture), aspect="auto", extent=(0.5, drawn + 0.5, n, 0), interpolation="nearest")
    ax.set(xlabel="Session", ylabel=f"{counted(n, 'patient')}\nby length of course", yticks=[])
    if n <= 60 and drawn <= 60:
        ax.hlines(np.arange(1, n), 0.5, drawn + 0.5, color="white", linewidth=0.6)
        ax.vlines(np.arange(1, drawn) + 0.5, 0, n, color="white", linewidth=0.6)
    whole_ticks(ax, 1, drawn)


def _fewer_rows(picture: np.ndarray, most: int = 700) -> np.ndarray:
    """Average neighbouring patients where there are more of them than pixels, so that none is dropped."""
    if len(picture) <= most:
        return picture
    starts = np.linspace(0, len(picture), most, endpoint=False).astype(int)
    sums = np.add.reduceat(picture.astype(float), starts, axis=0)
    sizes = np.diff([*starts, len(picture)])
    return (sums / sizes[:, None, None]).round().astype(np.uint8)


def _draw_key(ax: Axes, own: bool) -> None:
    keys = [
        Patch(color=_WITH, label="With a record"),
        Patch(color=_WITHOUT, label="Without a record, still in treatment"),
    ]
    if own:
        figure_of(ax).legend(handles=keys, loc="outside lower center", ncols=2)
    else:
        ax.legend(handles=keys, loc="lower right")
