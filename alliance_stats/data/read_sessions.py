"""Read a multi-session file or frame into a session table, with every fault found in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats.data.checks import check_duplicates, check_range, note_courses, note_ids, note_missing_therapist
from alliance_stats.data.column_map import ColumnMap, Scores, codebook_for, column_map
from alliance_stats.data.dates import read_dates
from alliance_stats.data.findings import Findings
from alliance_stats.data.ids import Ids, read_ids
from alliance_stats.data.numbers import NumberTexts, decimal_words, find_decimal, number_texts, numbers
from alliance_stats.data.raw_table import N_PLACES, RawTable, find_columns, plain_text
from alliance_stats.data.read_delimited import read_delimited
from alliance_stats.data.read_frame import read_frame
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.errors import DataError
from alliance_stats.names import DATE, KEYS, PATIENT, PHASE, SESSION, SITE, THERAPIST

#: Beyond this, floats no longer tell one whole number from the next.
_LARGEST_SESSION = 2**53
_SESSION_WAY_OUT = "Number each patient's sessions 1, 2, 3, …, or leave session= out and give date=."


def read_sessions(
    source: str | Path | pd.DataFrame,
    *,
    patient: str,
    therapist: str | None = None,
    session: str | None = None,
    date: str | None = None,
    site: str | None = None,
    phase: str | None = None,
    scores: Scores | None = None,
    missing: str | Iterable[object] = ("", "NA"),
    keep: str | Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    on_faults: str = "raise",
) -> SessionTable:
    """Read sessions from a delimited file or a frame.

    Parameters
    ----------
    source : str, Path or DataFrame
        A CSV or TSV file, or a frame. A frame is not changed.
    patient : str
        Column that says whose session it was. Ids become texts; leading zeros survive.
    therapist, site, phase : str, optional
        Further columns of ids or names.
    session : str, optional
        Column of session numbers, positive whole numbers within patient. May be left out where ``date`` is given.
    date : str, optional
        Column of dates. Without ``session``, each patient's sessions are numbered 1, 2, … by date.
    scores : mapping or sequence of str, optional
        ``{"alliance": "wai_total"}``, or ``{"alliance": {"column": "wai_total", "range": (1, 5), "higher": "better",
        "label": "WAI-SR mean"}}``, or names of columns that keep their name. Left out, the columns named ``alliance``,
        ``alliance_therapist`` and ``outcome`` are taken where present; no other column becomes a score by itself.
    missing : iterable of str, default ("", "NA")
        Texts that stand for a missing value, in every column. Empty cells are always missing. ``"-99"`` also stands
        for the number −99.
    keep : iterable of str, optional
        Columns carried along under their own names: as numbers where all values are numbers, as texts otherwise.
    delimiter, decimal, encoding : str, optional
        How the file is written. Each is found out where it is not given; ``source.reading`` says what was found.
    date_format : str, optional
        As in ``strftime`` (``"%d.%m.%Y"``). ISO dates need none; the order of day and month is never guessed.
    on_faults : {"raise", "leave_out"}
        Stop and list all faults, or leave out what is at fault and count it in ``faults``.

    Returns
    -------
    SessionTable
        One row per patient and session, sorted by patient (natural order) and session.

    Raises
    ------
    ColumnError
        If a named column is not there; the nearest one is named.
    FaultsError
        If the values have faults; all of them are listed, and stand in its ``faults``.
    DataError
        If the file is missing, empty or no delimited text, or an argument is not understood.
    """
    options = ReadOptions(
        missing=missing,  # type: ignore[arg-type]  # settled to a tuple there
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        date_format=date_format,
        on_faults=on_faults,
    )
    keys = {"patient": patient, "therapist": therapist, "session": session, "date": date, "site": site, "phase": phase}
    return read_mapped(source, lambda header: column_map(keys, scores, keep, header), options)


def read_mapped(
    source: str | Path | pd.DataFrame, columns: ColumnMap | Callable[[Sequence[str]], ColumnMap], options: ReadOptions
) -> SessionTable:
    """Read sessions with a mapping that stands already (or is made once the header is known)."""
    raw, mapped = _read_raw(source, columns, options)
    findings = Findings(raw, options.on_faults)
    findings.long_lines()
    parts = _Parts(raw, mapped, options, findings)
    parts.read()
    findings.stop_if_refused()
    findings.stop_if_empty()
    frame = _sorted_frame(parts)
    note_courses(findings, frame, mapped.session or str(mapped.date))
    reading = {**raw.reading, **parts.reading}
    found = Source(name=raw.name, sha256=raw.sha256, n_rows=raw.n_rows + len(raw.long_lines), reading=reading)
    return SessionTable(frame=frame, codebook=codebook_for(mapped), faults=findings.frame, source=found)


def _read_raw(
    source: str | Path | pd.DataFrame, columns: ColumnMap | Callable[[Sequence[str]], ColumnMap], options: ReadOptions
) -> tuple[RawTable, ColumnMap]:
    chosen: list[ColumnMap] = []
    name = "the frame" if isinstance(source, pd.DataFrame) else Path(str(source)).name

    def choose(header: Sequence[str]) -> dict[str, int]:
        mapped = columns if isinstance(columns, ColumnMap) else columns(header)
        chosen.append(mapped)
        return find_columns(mapped.wanted, header, name)

    if isinstance(source, pd.DataFrame):
        return read_frame(source, choose), chosen[0]
    if not isinstance(source, str | Path):
        raise DataError(
            f"Cannot read sessions from {type(source).__name__}. Give the path of a CSV file, or a DataFrame."
        )
    return read_delimited(source, choose, options), chosen[0]


@dataclass
class _Parts:
    """The columns of one source on their way to the table, in the source's row order."""

    raw: RawTable
    mapped: ColumnMap
    options: ReadOptions
    findings: Findings
    columns: dict[str, pd.Series] = field(default_factory=dict)
    reading: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        """Convert every column; faults go to the findings."""
        self.patient = self._ids(PATIENT, self.mapped.patient)
        self.findings.rows(
            "patient id is missing", self.mapped.patient, self.patient.missing, None, "Add the ids, or delete the rows."
        )
        texts = self._number_texts()
        if self.mapped.session is not None:
            self._session(self.mapped.session, texts[self.mapped.session])
        if self.mapped.date is not None:
            self._date(self.mapped.date)
        for name, column in ((SITE, self.mapped.site), (PHASE, self.mapped.phase)):
            if column is not None:
                self._ids(name, column)
        for score in self.mapped.scores:
            self._score(score.name, score.column, (score.low, score.high), texts[score.column])
        for name in self.mapped.keep:
            self.columns[name] = self._kept(self.raw.columns[name])
        therapist = None if self.mapped.therapist is None else self._ids(THERAPIST, self.mapped.therapist)
        order = SESSION if self.mapped.session is not None else DATE
        column = self.mapped.session or str(self.mapped.date)
        check_duplicates(self.findings, pd.DataFrame(self.columns), self.patient, self.columns[order], column)
        self._notes(therapist)

    def _notes(self, therapist: Ids | None) -> None:
        note_ids(self.findings, self.patient, self.mapped.patient, "patient")
        if therapist is not None and self.mapped.therapist is not None:
            note_missing_therapist(self.findings, therapist, self.mapped.therapist)
            note_ids(self.findings, therapist, self.mapped.therapist, "therapist")
        if not self.mapped.scores:
            way_out = 'Name them, e.g. scores={"alliance": "wai_total"}.'
            self.findings.note("no scores were asked for", "", self.raw.n_rows, "all rows", way_out)

    def _ids(self, name: str, column: str) -> Ids:
        ids = read_ids(self.raw.columns[column], self.options.missing)
        self.columns[name] = ids.column()
        return ids

    def _number_texts(self) -> dict[str, NumberTexts]:
        """Read the columns that should hold numbers as far as possible, then settle the decimal mark for all."""
        names = [score.column for score in self.mapped.scores]
        scores = {name: number_texts(self.raw.columns[name]) for name in names}
        delimiter = self.raw.reading.get("delimiter", "")
        found = find_decimal(scores.values(), delimiter)
        session = {}
        if self.mapped.session is not None:
            session = {self.mapped.session: number_texts(self.raw.columns[self.mapped.session])}
        if found == "none":  # a session 2.5 is a fault, and no evidence while scores tell
            found = find_decimal(session.values(), delimiter)
        self.decimal = self.options.decimal or found
        if self.raw.reading:
            self.reading["decimal"] = decimal_words(found, self.options.decimal)
        return {**scores, **session}

    def _session(self, column: str, texts: NumberTexts) -> None:
        values, bad = numbers(texts, self.decimal, self.options.missing)
        missing = np.isnan(values) & ~bad
        # nan compares as False throughout, so missing and bad values are no whole numbers here.
        whole = (values >= 1) & (values <= _LARGEST_SESSION) & (values == np.floor(values))
        raw = self.raw.columns[column]
        self.findings.rows("session is missing", column, missing, None, _SESSION_WAY_OUT)
        self.findings.rows("session is no positive whole number", column, ~whole & ~missing, raw, _SESSION_WAY_OUT)
        self.columns[SESSION] = pd.Series(np.where(whole, values, 0).astype("int64"))

    def _date(self, column: str) -> None:
        dates = read_dates(self.raw.columns[column], self.options.missing, self.options.date_format)
        raw = self.raw.columns[column]
        self.columns[DATE] = dates.dates
        self.reading["dates"] = (
            f"{self.options.date_format} (given)" if self.options.date_format else _order_words(dates.order)
        )
        why = "no value decides" if dates.order == "undecided" else "values contradict each other"
        way_out = "Give date_format=, e.g. '%d.%m.%Y' (day first) or '%m/%d/%Y' (month first)."
        self.findings.refuse(f"order of day and month is unclear, {why}", column, dates.unclear, raw, way_out)
        way_out = "Write dates as 2021-03-09, or give date_format=, e.g. '%d.%m.%y'."
        if self.mapped.session is None:
            self.findings.rows("date cannot be read", column, dates.bad, raw, way_out)
            missing = dates.dates.isna().to_numpy() & ~dates.bad & ~dates.unclear
            self.findings.rows("date is missing", column, missing, None, "Add the dates, or give session=.")
        else:
            self.findings.values("date cannot be read", column, dates.bad, raw, way_out)

    def _score(self, name: str, column: str, ends: tuple[float | None, float | None], texts: NumberTexts) -> None:
        values, bad = numbers(texts, self.decimal, self.options.missing)
        raw = self.raw.columns[column]
        if self.decimal == "unclear":
            comma = np.isin(texts.codes, texts.comma_words().index)
            way_out = "Give decimal=',' or decimal='.'."
            self.findings.refuse("comma may be a decimal mark or not", column, comma, raw, way_out)
            bad &= ~comma
        self.findings.values("score is no number", column, bad, raw, self._missing_way_out(raw[bad]))
        if np.isnan(values).all() and not bad.any() and self.decimal != "unclear":
            way_out = "Leave the score out, or give the column that holds it."
            self.findings.column("score column is empty", column, len(values), way_out, always=False)
        outside = check_range(self.findings, values, *ends, column)
        self.columns[name] = pd.Series(np.where(outside, np.nan, values))

    def _missing_way_out(self, bad: pd.Series) -> str:
        words = [plain_text(word).strip() for word in bad.drop_duplicates()[:N_PLACES]]
        codes = ", ".join(f'"{word}"' for word in [*self.options.missing, *words] if len(word) <= 20)
        return f"Correct them; if they stand for missing values, give missing=({codes})."

    def _kept(self, values: pd.Series) -> pd.Series:
        if not self.raw.reading:
            return values  # a frame's own column, as it is
        texts = number_texts(values)
        read, bad = numbers(texts, self.decimal, self.options.missing)
        # A text like 0123 is a code, not a number.
        if not bad.any() and not (texts.words is not None and texts.words.str.match(r"\s*[+-]?0[0-9]").any()):
            return pd.Series(read)
        return values.mask(values.isin(self.options.missing))


def _order_words(order: str) -> str:
    known = {"none": "ISO (year first)", "undecided": "day and month are the same throughout"}
    return f"{known.get(order, order)} (found)"


def _sorted_frame(parts: _Parts) -> pd.DataFrame:
    """Drop what is left out, number the sessions by date where need be, and sort."""
    usable = np.flatnonzero(~parts.findings.unusable)
    ranks = parts.patient.order()[usable]
    order = parts.columns[SESSION if SESSION in parts.columns else DATE].to_numpy()[usable]
    rows = np.lexsort((order, ranks))
    columns = {name: values.take(usable[rows]).reset_index(drop=True) for name, values in parts.columns.items()}
    if SESSION not in columns:
        ranks = ranks[rows]
        starts = np.flatnonzero(np.r_[True, ranks[1:] != ranks[:-1]]) if ranks.size else np.array([], dtype=np.int64)
        lengths = np.diff(np.r_[starts, ranks.size])
        columns[SESSION] = pd.Series(np.arange(ranks.size) - np.repeat(starts, lengths) + 1, dtype="int64")
    names = [name for name in KEYS if name in columns]
    names += [score.name for score in parts.mapped.scores]
    return pd.DataFrame({name: columns[name] for name in [*names, *parts.mapped.keep]})
