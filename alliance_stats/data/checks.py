"""What is checked once the columns are read: doubled sessions, and notes that stop nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.findings import Findings
from alliance_stats.data.ids import Ids
from alliance_stats.data.raw_table import N_PLACES, listed, plain_text, shown_value
from alliance_stats.data.similar_names import similar_names
from alliance_stats.errors import count

#: Numbers that questionnaires and their programs use for "no answer".
MISSING_CODES = (-1.0, -7.0, -8.0, -9.0, -77.0, -88.0, -99.0, -888.0, -999.0, -9999.0, 77.0, 88.0, 99.0, 999.0, 9999.0)


def check_duplicates(findings: Findings, rows: pd.DataFrame, patient: Ids, order: pd.Series, column: str) -> None:
    """Find rows that repeat a patient's session, and tell identical repeats from contradictions.

    Parameters
    ----------
    findings : Findings
        Where the faults go. Rows already unusable are not looked at; the first row of each session stays usable.
    rows : DataFrame of n_rows rows
        Everything that is read of a row, converted, so that ``3`` and ``3.0`` are the same.
    patient : Ids
        Whose session it is.
    order : Series of length n_rows
        Session number, or date where dates order the sessions.
    column : str
        The source's column of session or date.
    """
    usable = np.flatnonzero(~findings.unusable & order.notna().to_numpy())
    keys = pd.DataFrame({"patient": patient.codes[usable], "order": order.to_numpy()[usable]}, index=usable)
    doubled = keys[keys.duplicated(keep=False)]
    if doubled.empty:
        return
    position = doubled.index.to_series()
    first = position.groupby([doubled["patient"], doubled["order"]]).transform("min")
    again = (first != position).to_numpy()
    same = (
        _comparable(rows.iloc[position]).assign(**{" who": doubled["patient"], " when": doubled["order"]}).duplicated()
    )
    what = "date" if pd.api.types.is_datetime64_dtype(order) else "session"
    for chosen, kind, way_out in (
        (again & same.to_numpy(), "values identical", "Delete the repeats."),
        (again & ~same.to_numpy(), "values in conflict", "Find out which row is right, or number the sessions anew."),
    ):
        bad = np.zeros(len(rows), dtype=bool)
        bad[position[chosen]] = True
        places = [
            f"{findings.raw.place(row)} (patient {shown_value(patient.words[patient.codes[row]])}, "
            f"{what} {_when(order.iloc[row])}, first at {findings.raw.place(first[row])})"
            for row in position[chosen][:N_PLACES]
        ]
        findings.rows(f"same patient and {what} again, {kind}", column, bad, None, way_out, places=places)


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Make every column one that can be compared: cells of mixed kinds become texts."""
    mixed = {str(name): rows[name].map(plain_text) for name in rows if rows[name].dtype == object}
    return rows.assign(**mixed)


def _when(value: object) -> str:
    return str(value.date()) if isinstance(value, pd.Timestamp) and value == value.normalize() else shown_value(value)


def note_ids(findings: Findings, ids: Ids, column: str, noun: str) -> None:
    """Note spaces that were taken off ids, and ids that look like two spellings of one."""
    stripped = np.flatnonzero(ids.stripped)
    places = findings.raw.where(stripped, findings.raw.columns[column])
    findings.note("spaces around ids taken off", column, len(stripped), places, "None needed.")
    twins = ids.near_twins()
    spellings = listed(twins, len(twins), "; ")
    way_out = f"If they are the same {noun}, spell the id in one way."
    findings.note("ids differ only by case or leading zeros", column, len(twins), spellings, way_out)
    decimals = np.flatnonzero(ids.decimals)
    places = findings.raw.where(decimals, findings.raw.columns[column])
    way_out = "None needed; some program wrote whole numbers with a point."
    findings.note("ids like 17.0 read as 17", column, len(decimals), places, way_out)
    if noun == "therapist":
        alike = similar_names(ids.words)
        way_out = "If they are the same therapist, spell the name in one way; nothing was changed."
        findings.note(
            "names of therapists that are nearly the same", column, len(alike), listed(alike, len(alike), "; "), way_out
        )


def note_missing_therapist(findings: Findings, therapist: Ids, column: str) -> None:
    """Note rows without a therapist; refuse a column that has none at all."""
    missing = therapist.missing
    if missing.all():
        findings.column(
            "therapist column is empty",
            column,
            len(missing),
            "Leave therapist= out, or give the column that holds them.",
        )
        return
    rows = np.flatnonzero(missing & ~findings.unusable)
    way_out = "Add them where they are known; analyses by therapist leave these rows out."
    findings.note("no therapist", column, len(rows), findings.raw.where(rows), way_out)


def note_courses(findings: Findings, frame: pd.DataFrame, column: str) -> None:
    """Note gaps in session numbers, patients with one session, and dates that run backwards.

    Parameters
    ----------
    findings : Findings
        Where the notes go.
    frame : DataFrame
        ``patient_id, session`` and, where there is one, ``date``, sorted by patient and session.
    column : str
        The source's column of sessions (or of dates, where they order the sessions).
    """
    patient = frame["patient_id"].to_numpy()
    same = patient[1:] == patient[:-1]
    gap = same & (np.diff(frame["session"].to_numpy()) > 1)
    n_gaps, places = _patients(patient[1:][gap])
    way_out = "None needed; lags respect gaps."
    findings.note("patients with gaps in their session numbers", column, n_gaps, places, way_out)
    alone = np.ones(len(patient), dtype=bool)
    alone[1:] &= ~same
    alone[:-1] &= ~same
    n_alone, places = _patients(patient[alone])
    way_out = "None needed; they say nothing about change within patients."
    findings.note("patients with one session only", column, n_alone, places, way_out)
    if "date" in frame:
        dates = frame["date"].to_numpy()
        n_back, places = _patients(patient[1:][same & (dates[1:] < dates[:-1])])
        findings.note(
            "patients whose dates run against their session numbers", column, n_back, places, "Check both columns."
        )


def _patients(ids: np.ndarray) -> tuple[int, str]:
    distinct = list(dict.fromkeys(ids.tolist()))
    names = listed([shown_value(name) for name in distinct[:N_PLACES]], len(distinct))
    return len(distinct), f"{'patient' if len(distinct) == 1 else 'patients'} {names}"


def check_range(
    findings: Findings,
    values: np.ndarray,
    low: float | None,
    high: float | None,
    column: str,
    missing: Sequence[str] = (),
) -> np.ndarray:
    """Find scores outside their range. They are never moved to its ends.

    Parameters
    ----------
    findings : Findings
        Where the fault goes.
    values : ndarray of float, shape (n_rows,)
        Scores in scale units.
    low, high : float or None
        Ends of the range; None where there is none.
    column : str
        The source's column.
    missing : sequence of str
        Codes that are told to be missing already. Usual ones among the scores out of range are proposed; they are
        applied only when they are told.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        Where a score is out of range.
    """
    if low is None and high is None:
        _note_codes(findings, values, column, missing)
    # A mean of items may miss the end of its scale by a rounding error in its last digit.
    slack = 1e-9 * max(abs(end) for end in (low or 0.0, high or 0.0, 1.0))
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    outside = (values < low - slack) | (values > high + slack)
    ends = f"{shown_value(float(low))} to {shown_value(float(high))}"
    codes = [code for code in np.unique(values[outside]) if code in MISSING_CODES]
    if codes:
        others = values[outside & ~np.isin(values, codes)]
        rest = f" Others: correct them, or state another range ({_codes(others)})." if others.size else ""
        way_out = f"{_proposal(codes, missing)}{rest}"
    else:
        way_out = (
            "Correct them, state another range, or name codes for missing values in missing= "
            f"({_codes(values[outside])})."
        )
    findings.values(f"score out of range {ends}", column, outside, findings.raw.columns[column], way_out)
    return outside


def _proposal(codes: Sequence[float], missing: Sequence[str]) -> str:
    words = ", ".join(f'"{text}"' for text in (*missing, *(shown_value(float(code)) for code in codes)))
    which = listed([shown_value(float(code)) for code in codes], len(codes))
    return f"If {which} {'stands' if len(codes) == 1 else 'stand'} for missing values, give missing=({words})."


def _note_codes(findings: Findings, values: np.ndarray, column: str, missing: Sequence[str]) -> None:
    """Note usual codes for missing values among scores without a range, where they lie far from all others."""
    usual = np.isin(values, MISSING_CODES)
    others = values[~usual & np.isfinite(values)]
    if not usual.any() or not others.size:
        return
    reach = max(float(np.ptp(others)), 1.0)
    far = usual & ((values < others.min() - reach) | (values > others.max() + reach))
    rows = np.flatnonzero(far)
    codes = list(np.unique(values[far]))
    places = findings.raw.where(rows, values)
    way_out = f"{_proposal(codes, missing)} State range= to have others found." if codes else ""
    findings.note("values that look like codes for missing values", column, len(rows), places, way_out)


def _codes(values: np.ndarray) -> str:
    distinct = np.unique(values)
    texts = listed([shown_value(float(value)) for value in distinct[:N_PLACES]], len(distinct))
    return f"{count(len(distinct), 'distinct value')}: {texts}"
