"""Who is in a session table: patients, therapists, sessions, gaps, changes of therapist, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.cells import NO_MATHJAX
from alliance_stats.data.codebook import Codebook
from alliance_stats.errors import DataError
from alliance_stats.names import DATE, PATIENT, SESSION, THERAPIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Description:
    """What :meth:`SessionTable.describe` returns: frames, each with one row per thing described.

    Parameters
    ----------
    overview : DataFrame
        ``what, n, median, low, high``: patients, sessions per patient, therapists, patients per therapist, ….
    scores : DataFrame
        One row per score: ``score, label, n, missing, share_missing, mean, sd, low, high, first_session,
        usual_interval`` (median distance of two sessions of a patient that have the score).
    by_session : DataFrame
        ``session, n``: patients with a row for it.
    missing : DataFrame
        ``score, session, n, n_missing, missing``: share of those patients whose score is missing.
    patients : DataFrame
        One row per patient: ``patient_id, n_sessions, first, last, n_gaps`` (numbers left out between first and last),
        ``n_therapists, n_changes`` where therapists are known, ``first_date, last_date`` where dates are.
    caseloads : DataFrame
        ``therapist_id, n_patients, n_sessions``, the largest first; empty where no therapists are known.
    changes : DataFrame
        Changes of therapist: ``patient_id, session`` (the first with the other), ``from_therapist, to_therapist``.
    simulated : bool
        Whether the data are simulated; figures then say so.
    """

    overview: pd.DataFrame
    scores: pd.DataFrame
    by_session: pd.DataFrame
    missing: pd.DataFrame
    patients: pd.DataFrame
    caseloads: pd.DataFrame
    changes: pd.DataFrame
    simulated: bool = False

    def __repr__(self) -> str:
        parts = [*self._when(), self.overview.to_string(index=False)]
        if len(self.scores):
            parts.append(self.scores.to_string(index=False))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        tables = (self.overview, self.scores)
        when = "".join(f'<p class="{NO_MATHJAX}">{words}</p>' for words in self._when())
        return when + "".join(table.to_html(index=False, escape=True, classes=NO_MATHJAX) for table in tables)

    def _when(self) -> tuple[str, ...]:
        """From when to when, where there are dates."""
        if "first_date" not in self.patients or self.patients["first_date"].isna().all():
            return ()
        first, last = self.patients["first_date"].min(), self.patients["last_date"].max()
        return (f"From {first:%Y-%m-%d} to {last:%Y-%m-%d}.",)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many patients have each session, and the share of missing values of each score there.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; new axes if left out.

        Raises
        ------
        DataError
            If the table has no scores, or more than sixty.
        """
        from alliance_stats.report.figures.missingness import missingness

        if self.scores.empty:
            raise DataError("The table has 0 scores, so nothing can be missing. Name them when reading: scores={…}.")
        labels = {name: label or name for name, label in zip(self.scores["score"], self.scores["label"], strict=True)}
        return missingness(self.by_session, self.missing, labels=labels, ax=ax, simulated=self.simulated)


def describe(frame: pd.DataFrame, codebook: Codebook, simulated: bool) -> Description:
    """Describe a session table's frame.

    Parameters
    ----------
    frame : DataFrame
        Sorted by patient and session.
    codebook : Codebook
        Says which columns are scores.
    simulated : bool
        Whether the data are simulated.

    Raises
    ------
    DataError
        If the frame has no rows.
    """
    if frame.empty:
        raise DataError("The table has 0 rows, so there is nothing to describe. Check the filter that came before.")
    scores = [name for name in map(str, frame) if codebook.get(name).role == "score"]
    changes = _changes(frame)
    patients = _patients(frame, changes)
    caseloads = _caseloads(frame)
    return Description(
        overview=_overview(frame, patients, caseloads, changes),
        scores=pd.DataFrame([_score(frame, name, codebook) for name in scores], columns=_SCORE_COLUMNS),
        by_session=frame.groupby(SESSION).size().rename("n").reset_index(),
        missing=_missing(frame, scores),
        patients=patients,
        caseloads=caseloads,
        changes=changes,
        simulated=simulated,
    )


_SCORE_COLUMNS = [
    *("score", "label", "n", "missing", "share_missing", "mean", "sd", "low", "high", "first_session", "usual_interval")
]
_MISSING_COLUMNS = ["score", "session", "n", "n_missing", "missing"]


def _score(frame: pd.DataFrame, name: str, codebook: Codebook) -> list[Any]:
    there = frame.loc[frame[name].notna(), [PATIENT, SESSION, name]]
    values = there[name].astype(float)
    n_missing = len(frame) - len(there)
    steps = there.groupby(PATIENT)[SESSION].diff().dropna()
    sd = values.std() if len(values) > 1 else np.nan
    return [
        *(name, codebook.get(name).label, len(there), n_missing, n_missing / len(frame), values.mean(), sd),
        *(values.min(), values.max(), there[SESSION].min(), steps.median()),
    ]


def _missing(frame: pd.DataFrame, scores: list[str]) -> pd.DataFrame:
    parts = []
    for name in scores:
        grouped = frame[name].isna().groupby(frame[SESSION])
        part = pd.DataFrame({"n": grouped.size(), "n_missing": grouped.sum(), "missing": grouped.mean()}).reset_index()
        parts.append(part.assign(score=name)[_MISSING_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_MISSING_COLUMNS)


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return where the known therapist of a patient is another one than before."""
    columns = [PATIENT, SESSION, "from_therapist", "to_therapist"]
    if THERAPIST not in frame:
        return pd.DataFrame(columns=columns)
    known = frame.loc[frame[THERAPIST].notna(), [PATIENT, SESSION, THERAPIST]]
    before = known.groupby(PATIENT)[THERAPIST].shift()
    moved = before.notna() & (before != known[THERAPIST])
    table = known.assign(from_therapist=before, to_therapist=known[THERAPIST])
    return table.loc[moved, columns].reset_index(drop=True)


def _patients(frame: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    by = frame.groupby(PATIENT, sort=False)
    sessions = by[SESSION].agg(["size", "min", "max"])
    columns: Mapping[str, Any] = {"n_sessions": sessions["size"], "first": sessions["min"], "last": sessions["max"]}
    table = pd.DataFrame(columns)
    table["n_gaps"] = table["last"] - table["first"] + 1 - table["n_sessions"]
    if THERAPIST in frame:
        table["n_therapists"] = by[THERAPIST].nunique()
        table["n_changes"] = changes.groupby(PATIENT).size().reindex(table.index, fill_value=0)
    if DATE in frame:
        table["first_date"], table["last_date"] = by[DATE].min(), by[DATE].max()
    return table.reset_index()


def _caseloads(frame: pd.DataFrame) -> pd.DataFrame:
    columns = [THERAPIST, "n_patients", "n_sessions"]
    if THERAPIST not in frame:
        return pd.DataFrame(columns=columns)
    by = frame.dropna(subset=[THERAPIST]).groupby(THERAPIST)
    table = pd.DataFrame({"n_patients": by[PATIENT].nunique(), "n_sessions": by.size()}).reset_index()
    return table.sort_values(["n_patients", "n_sessions", THERAPIST], ascending=[False, False, True], ignore_index=True)


def _overview(
    frame: pd.DataFrame, patients: pd.DataFrame, caseloads: pd.DataFrame, changes: pd.DataFrame
) -> pd.DataFrame:
    nothing = pd.Series(dtype=float)
    rows = [
        ("patients", len(patients), nothing),
        ("sessions (rows)", len(frame), nothing),
        ("sessions per patient", len(patients), patients["n_sessions"]),
        ("patients with gaps in their numbers", int((patients["n_gaps"] > 0).sum()), nothing),
        ("patients with one session only", int((patients["n_sessions"] == 1).sum()), nothing),
    ]
    if DATE in frame:
        days = frame.groupby(PATIENT)[DATE].diff().dropna().dt.total_seconds() / 86_400
        rows.append(("days between sessions", len(days), days))
    if THERAPIST in frame:
        rows += [
            ("therapists", len(caseloads), nothing),
            ("patients per therapist", len(caseloads), caseloads["n_patients"]),
            ("sessions without a therapist", int(frame[THERAPIST].isna().sum()), nothing),
            ("changes of therapist", len(changes), nothing),
            ("patients who changed therapist", changes[PATIENT].nunique(), nothing),
        ]
    table = [(what, n, values.median(), values.min(), values.max()) for what, n, values in rows]
    return pd.DataFrame(table, columns=["what", "n", "median", "low", "high"])
