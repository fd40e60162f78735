"""Session numbers that begin anew when a patient changes therapist."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.data.findings import Findings
from alliance_stats.data.ids import Ids
from alliance_stats.data.raw_table import N_PLACES, listed, shown_value
from alliance_stats.data.read_options import ReadOptions


def settle_restarts(
    findings: Findings,
    column: str,
    session: pd.Series,
    patient: Ids,
    therapist: Ids,
    dates: pd.Series | None,
    options: ReadOptions,
) -> tuple[pd.Series, int]:
    """Find patients whose numbers begin anew with another therapist; refuse them, or let the numbers go on.

    The order of rows is that of dates, where all rows of the patient have one, and otherwise that of the source, if
    each therapist's rows stand together there.

    Returns
    -------
    session : Series
        The numbers, going on where that was asked for.
    n_patients : int
        How many patients' numbers went on.
    """
    numbers = session.to_numpy().copy()
    offsets = _offsets(numbers, patient, therapist, dates, findings.unusable)
    rows = np.flatnonzero(offsets)
    if not rows.size:
        return session, 0
    who = list(dict.fromkeys(patient.words[code] for code in patient.codes[rows]))
    if options.restarts == "continue":
        names = f"patients {listed([shown_value(name) for name in who[:N_PLACES]], len(who))}"
        what = "patients whose session numbers began anew with another therapist"
        findings.note(what, column, len(who), names, "None needed; the numbers go on (restarts='continue').")
        return pd.Series(numbers + offsets), len(who)
    first = np.zeros(len(numbers), dtype=bool)
    first[[rows[patient.codes[rows] == code][0] for code in dict.fromkeys(patient.codes[rows])]] = True
    way_out = "Give restarts='continue' to let them go on, or number the sessions anew."
    places = [
        f"{findings.raw.place(int(row))} (patient {shown_value(patient.words[patient.codes[row]])})"
        for row in np.flatnonzero(first)[:N_PLACES]
    ]
    findings.refuse("session numbers begin anew with another therapist", column, first, numbers, way_out, places=places)
    # Numbers that went on are no doubled sessions, so that nobody is sent to look for those.
    return pd.Series(numbers + offsets), 0


def _offsets(
    session: np.ndarray, patient: Ids, therapist: Ids, dates: pd.Series | None, unusable: np.ndarray
) -> np.ndarray:
    """Return what has to be added to each number; zero where nothing begins anew."""
    offsets = np.zeros(len(session), dtype="int64")
    usable = np.flatnonzero(~unusable & (patient.codes >= 0) & (therapist.codes >= 0) & (session > 0))
    keys = pd.DataFrame({"patient": patient.codes[usable], "session": session[usable]})
    doubled = keys["patient"][keys.duplicated().to_numpy()].unique()
    if not len(doubled):
        return offsets
    wanted = usable[np.isin(patient.codes[usable], doubled)]
    for rows in pd.Series(wanted).groupby(patient.codes[wanted]):
        at = rows[1].to_numpy()
        if dates is not None and dates.iloc[at].notna().all():
            at = at[np.argsort(dates.iloc[at].to_numpy(), kind="stable")]
        offsets[at] = _of_one(session[at], therapist.codes[at])
    return offsets


def _of_one(session: np.ndarray, therapist: np.ndarray) -> np.ndarray:
    nothing = np.zeros(len(session), dtype="int64")
    starts = np.flatnonzero(np.r_[True, therapist[1:] != therapist[:-1]])
    if len(starts) < 2 or len(starts) > len(set(therapist.tolist())):
        return nothing  # one therapist, or therapists in turns: the order of rows says nothing
    offsets, offset, last, lowest = nothing.copy(), 0, 0, session[0]
    for start, stop in zip(starts, [*starts[1:], len(session)], strict=True):
        block = session[start:stop]
        if start and block[0] <= lowest:
            offset = last
        elif start and block.min() + offset <= last:
            return nothing  # numbers that overlap without beginning anew
        offsets[start:stop] = offset
        last = int(block.max()) + offset
    return offsets
