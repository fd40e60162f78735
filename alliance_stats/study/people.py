"""Who is in the data: patients, therapists, sessions, changes of therapist, rows left out."""

from __future__ import annotations

import pandas as pd

from alliance_stats.data.pseudonyms import without_quotes
from alliance_stats.data.session_table import SessionTable
from alliance_stats.design.episodes import change_summary
from alliance_stats.errors import count
from alliance_stats.names import PATIENT, SESSION, THERAPIST
from alliance_stats.report.document import Section
from alliance_stats.report.figures.attendance import attendance
from alliance_stats.report.sentences import Sentences, join
from alliance_stats.report.small_cells import few, is_small
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.answers import Answer, plain


def who(sessions: SessionTable, scores: tuple[str, ...], min_cell: int = 1) -> Answer:
    """Count who is in the data, and say which rows were left out while reading."""
    frame = sessions.frame
    counts = _counts(frame, sessions, scores, min_cell)
    changes = changes_of(frame)
    observed = frame[[PATIENT, SESSION]].assign(observed=frame[list(scores)].notna().any(axis=1))
    tables = [
        ResultTable(
            counts, "Patients, Therapists and Sessions", formats={"value": "text", "n": "whole"}, headings=_HEADINGS
        )
    ]
    if len(sessions.faults):
        shown = sessions.faults[["fault", "column", "n", "done", "way_out"]]
        tables.append(ResultTable(shown, "What Was Found While Reading the File", headings=_FAULT_HEADINGS))
    section = Section(
        key="who",
        heading="Who is in the data",
        question="Which patients, therapists and sessions is this report about?",
        sentences=join(
            _people(frame, scores, min_cell), _moves(frame, changes, min_cell), _left_out(sessions, min_cell)
        ),
        tables=tuple(tables),
        figure=attendance(observed, simulated=sessions.source.simulated),
        notes=(*_reading(sessions), *_making(sessions, scores)),
    )
    numbers = {"counts": plain(counts), "n_changes": len(changes), "faults": plain(without_quotes(sessions).faults)}
    return Answer(section, numbers)


def _reading(sessions: SessionTable) -> tuple[str, ...]:
    """How the file was read, in one note."""
    found = [f"{key} {value}" for key, value in sessions.source.reading.items() if key in _READING]
    return (f"Read with {', '.join(found)}.",) if found else ()


def _making(sessions: SessionTable, scores: tuple[str, ...]) -> tuple[str, ...]:
    """How scores were made that are no columns of the file, as the codebook says it."""
    made = (sessions.codebook.get(score) for score in scores)
    return tuple(
        f"{v.title} was made from items: {v.made_from}." for v in made if f"{v.name}_answered" in sessions.frame
    )


_READING = ("format", "sheet", "encoding", "delimiter", "decimal", "dates", "layout")
_HEADINGS = {"what": "", "n": "n", "value": "Median (range)"}
_FAULT_HEADINGS = {
    "fault": "Finding",
    "column": "Column",
    "n": "n",
    "done": "What was done",
    "way_out": "What you can do",
}


def _names_therapists(frame: pd.DataFrame) -> bool:
    return THERAPIST in frame and bool(frame[THERAPIST].notna().any())


def changes_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Changes of therapist, one row each; none where the data name no therapists."""
    if not _names_therapists(frame):
        return pd.DataFrame(columns=[PATIENT, "change"])
    return change_summary(frame)


def _counts(frame: pd.DataFrame, sessions: SessionTable, scores: tuple[str, ...], min_cell: int) -> pd.DataFrame:
    rows: list[tuple[str, int, str]] = [("Sessions (rows)", len(frame), "")]
    rows.append(("Patients", frame[PATIENT].nunique(), ""))
    lengths = _lengths_of(frame, scores)
    rows.append(("Scored sessions per patient", len(lengths), _median_range(lengths)))
    if _names_therapists(frame):
        named = frame.dropna(subset=[THERAPIST])
        rows.append(("Therapists", named[THERAPIST].nunique(), ""))
        caseload = named.groupby(THERAPIST)[PATIENT].nunique()
        rows.append(("Patients per therapist", len(caseload), _median_range(caseload, min_cell)))
        rows.append(("Changes of therapist", len(changes_of(frame)), ""))
    for score in scores:
        title = sessions.codebook.get(score).title
        rows.append((f"Sessions with {title}", int(frame[score].notna().sum()), ""))
    return pd.DataFrame(rows, columns=["what", "n", "value"])


def _lengths_of(frame: pd.DataFrame, scores: tuple[str, ...]) -> pd.Series:
    """Sessions with at least one score, per patient (zero for patients who have none)."""
    scored = frame[list(scores)].notna().any(axis=1)
    return scored.groupby(frame[PATIENT]).sum()


def _median_range(values: pd.Series, min_cell: int = 1) -> str:
    """Median and range; of caseloads, which count people, none below the smallest count that may be shown."""
    if not len(values):
        return ""
    middle, low, high = (
        f"< {min_cell}" if is_small(value, min_cell) else f"{value:g}"
        for value in (values.median(), values.min(), values.max())
    )
    return f"{middle} ({low}–{high})"


def _people(frame: pd.DataFrame, scores: tuple[str, ...], min_cell: int) -> Sentences:
    therapists = ""
    if _names_therapists(frame):
        therapists = f" with {few(frame[THERAPIST].nunique(), 'therapist', min_cell)}"
    lengths = _lengths_of(frame, scores)
    sessions, patients = count(len(frame), "session"), count(frame[PATIENT].nunique(), "patient")
    return Sentences.plain(
        f"The data hold {sessions} of {patients}{therapists}; the number of scored sessions per patient was "
        f"{lengths.median():g} in the median (range {lengths.min()} to {lengths.max()})."
    )


def _moves(frame: pd.DataFrame, changes: pd.DataFrame, min_cell: int) -> Sentences:
    if not _names_therapists(frame):
        return Sentences(
            "The data name no therapists; differences between therapists and changes of therapist are left out."
        )
    if changes.empty:
        return Sentences("No patient changed therapist; the section on changes of therapist is left out.")
    n_patients, n_returns = changes[PATIENT].nunique(), int(changes["returned"].sum())
    if is_small(n_patients, min_cell):
        return Sentences(f"At least one patient, but {few(n_patients, 'patient', min_cell)}, changed therapist.")
    number = f"fewer than {min_cell}" if is_small(n_returns, min_cell) else n_returns
    returns = f", of which {number} to a former therapist" if n_returns else ""
    return Sentences(
        f"{count(n_patients, 'patient', 'patients')} changed therapist ({count(len(changes), 'change')} in "
        f"all{returns})."
    )


def _left_out(sessions: SessionTable, min_cell: int) -> Sentences:
    faults = sessions.faults
    gone = faults[faults["done"] == "row left out"]
    if gone.empty:
        return Sentences("No row of the file was left out while reading it.")
    n = sessions.source.n_rows - len(sessions)
    if any(is_small(number, min_cell) for number in (n, *gone["n"])):
        return Sentences.plain(f"Rows of the file were left out: {'; '.join(gone['fault'])}.")
    reasons = "; ".join(f"{row.fault} ({row.n})" for row in gone.itertuples())
    return Sentences.plain(f"{n} of {sessions.source.n_rows} rows of the file were left out: {reasons}.")
