"""Reliability of a questionnaire by level: of one occasion, between patients, and of change within them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.columns import column_of, id_codes, score_values
from alliance_stats.data.session_table import SessionTable, frame_of
from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.names import PATIENT, SESSION
from alliance_stats.questionnaires.items import Items, read_answers
from alliance_stats.questionnaires.key import TOTAL, MeasureKey
from alliance_stats.questionnaires.known import measure_key
from alliance_stats.questionnaires.reliability_levels import LevelEstimates
from alliance_stats.questionnaires.reliability_result import NamedReliability, ReliabilityResult

__all__ = ["NamedReliability", "ReliabilityResult", "reliability"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def reliability(
    data: SessionTable | pd.DataFrame,
    measure: str | MeasureKey | None = None,
    *,
    items: Items,
    scale: str | None = None,
    patient: str = PATIENT,
    session: str = SESSION,
    n_sessions: float | None = None,
    level: float = 0.95,
    response: tuple[float, float] | None = None,
    missing: Sequence[float | str] = (),
    on_faults: Literal["raise", "leave_out"] = "raise",
) -> ReliabilityResult:
    """Estimate how reliable a questionnaire is: on one occasion, between patients, and for change within them.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session, with the items. It is not changed.
    measure : str, optional
        Name as in :func:`alliance_stats.measures`; its key says which items are reversed. Left out, ``items`` are
        columns that all point one way.
    items : str, sequence of str, or mapping of int to str
        As in :func:`alliance_stats.score`; without a measure a sequence of columns.
    scale : str, optional
        Subscale; the total by default.
    patient, session : str
        Columns that say whose form it is and when it was filled in.
    n_sessions : float, optional
        Sessions behind the mean in ``RkF``, ``RkR`` and ``ICC(k)``; by default the average per patient.
    level : float
        Level of the intervals.
    response, missing, on_faults
        As in :func:`alliance_stats.score`.

    Returns
    -------
    ReliabilityResult
        ``table()`` has alpha and omega of each patient's first form; alpha, omega, ICC(1), ICC(k), R1F, RkF, R1R and
        RkR between patients; alpha, omega and RC within patients; each with its interval.

    Raises
    ------
    FaultsError
        If answers cannot be right.
    DataError, DesignError
        If there are fewer than two items or three patients, or the answers do not vary.

    Notes
    -----
    Only complete forms are used. An alpha over all sessions would mix the levels, and is not given. ``RC`` asks how
    much of a patient's change in the mean of the items is more than noise of the items; it takes changes that all
    patients share out. Sessions are taken as exchangeable: neighbouring ones that resemble each other count as change.

    References
    ----------
    Cranford et al. (2006), Personality and Social Psychology Bulletin, 32, 917-929. Geldhof, Preacher & Zyphur (2014),
    Psychological Methods, 19, 72-91. Feldt, Woodruff & Salih (1987), Applied Psychological Measurement, 11, 93-103.
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level!r} must lie between 0 and 1, e.g. 0.95.")
    frame = frame_of(data)
    answers, name = _answers(frame, measure, items, scale, response, missing, on_faults)
    who, _ = id_codes(frame, patient)
    complete = ~np.isnan(answers).any(axis=1)
    if not complete.any():
        raise DataError(f"0 of {count(len(frame), 'form')} have all {answers.shape[1]} items. Name other items.")
    forms, person = answers[complete], np.unique(who[complete], return_inverse=True)[1]
    when = column_of(frame, session).iloc[np.flatnonzero(complete)]
    if when.isna().any():
        raise DataError(f"{int(when.isna().sum())} complete forms have no {session!r}. Fill it in or leave them out.")
    _check(forms, person)
    simulated = isinstance(data, SessionTable) and data.source.simulated
    estimate = LevelEstimates(forms, person, np.unique(when, return_inverse=True)[1], n_sessions, level)
    table, components, remarks = estimate.all()
    counts = estimate.counts(int((~complete).sum()))
    return ReliabilityResult(table, components, counts, name, remarks, level, simulated)


def _answers(
    frame: pd.DataFrame,
    measure: str | MeasureKey | None,
    items: Items,
    scale: str | None,
    response: tuple[float, float] | None,
    missing: Sequence[float | str],
    on_faults: str,
) -> tuple[Floats, str]:
    """Answers to the items of one scale, all pointing one way, and its name."""
    if measure is not None:
        key = measure_key(measure)
        if scale is None and key.total is None:
            raise DataError(f"{key.name} has no total. Name the scale: {', '.join(s.name for s in key.scales)}.")
        own = key.scale(scale or TOTAL)
        turned = read_answers(frame, key, items, response, missing, on_faults).reversed(key.reversed)
        name = key.name if own.name == TOTAL else f"{key.name} ({own.name})"
        return turned[:, [item - 1 for item in own.items]], name
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise DataError("Without a measure, items are a list of columns: items=['q1', 'q2', 'q3'].")
    if scale is not None or response is not None or missing:
        raise DataError("scale, response and missing belong to a measure. Name it, or leave them out.")
    return np.column_stack([score_values(frame, name) for name in items]), f"{len(items)} items"


def _check(forms: Floats, person: Ints) -> None:
    if forms.shape[1] < 2:
        raise DataError("1 item has no internal consistency. Name two or more.")
    n_patients = int(person.max()) + 1
    if n_patients < 3:
        raise DesignError(f"{count(n_patients, 'patient')} cannot show how reliable a scale is. Bring three or more.")
    if np.ptp(forms.sum(axis=1)) == 0:
        raise DesignError(f"All {len(forms)} forms have the same total, so nothing is told apart. Check the columns.")
