"""The columns of a source on their way to the session table: every cell converted, every fault found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from alliance_stats.data.checks import check_duplicates, check_range, note_ids, note_missing_therapist
from alliance_stats.data.column_map import ColumnMap, ScoreColumn
from alliance_stats.data.dates import read_dates
from alliance_stats.data.findings import Findings
from alliance_stats.data.ids import Ids, read_ids
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.numbers import NumberTexts, decimal_words, find_decimal, number_texts, numbers
from alliance_stats.data.raw_table import N_PLACES, RawTable, distinct_texts, plain_text
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.restarts import settle_restarts
from alliance_stats.names import DATE, KEYS, PATIENT, PHASE, SESSION, SITE, THERAPIST

#: Beyond this, floats no longer tell one whole number from the next.
_LARGEST_SESSION = 2**53
_SESSION_WAY_OUT = "Number each patient's sessions 1, 2, 3, …, or leave session= out and give date=."


@dataclass
class SessionColumns:
    """The columns of one source on their way to the table, in the source's row order."""

    raw: RawTable
    mapped: ColumnMap
    options: ReadOptions
    findings: Findings
    columns: dict[str, pd.Series] = field(default_factory=dict)
    reading: dict[str, str] = field(default_factory=dict)
    continued: int = 0

    def read(self) -> None:
        """Convert every column; faults go to the findings."""
        self.findings.take_over(self.raw.notes)
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
            self._score(score, texts[score.column])
        for name in self.mapped.carried:
            self.columns[name] = self._kept(self.raw.columns[name])
        therapist = None if self.mapped.therapist is None else self._ids(THERAPIST, self.mapped.therapist)
        if therapist is not None and self.mapped.session is not None:
            dates = self.columns.get(DATE)
            self.columns[SESSION], self.continued = settle_restarts(
                self.findings, self.mapped.session, self.columns[SESSION], self.patient, therapist, dates, self.options
            )
        order = SESSION if self.mapped.session is not None else DATE
        column = self.mapped.session or str(self.mapped.date)
        check_duplicates(self.findings, pd.DataFrame(self.columns), self.patient, self.columns[order], column)
        self._notes(therapist)

    def _notes(self, therapist: Ids | None) -> None:
        note_ids(self.findings, self.patient, self.mapped.patient, "patient")
        if therapist is not None and self.mapped.therapist is not None:
            note_missing_therapist(self.findings, therapist, self.mapped.therapist)
            note_ids(self.findings, therapist, self.mapped.therapist, "therapist")
        if not self.mapped.scores and not self.mapped.items:
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
            session = {self.mapped.session: number_texts(self._session_values(self.mapped.session))}
        if found == "none":  # a session 2.5 is a fault, and no evidence while scores tell
            found = find_decimal(session.values(), delimiter)
        self.decimal = self.options.decimal or found
        if self.raw.reading and not self.raw.typed:
            self.reading["decimal"] = decimal_words(found, self.options.decimal)
        return {**scores, **session}

    def _session_values(self, column: str) -> pd.Series:
        """Return the session column, with numbers where occasions stand; what is no occasion becomes -1."""
        values = self.raw.columns[column]
        if self.options.occasions is None or column == SESSION_OF_NAME:
            return values
        codes, texts = distinct_texts(values)
        absent = {"", *self.options.missing}
        words = [text.strip() for text in texts]
        known = [np.nan if word in absent else float(self.options.occasions.get(word, -1)) for word in words]
        return pd.Series(np.array(known)[codes])

    def _session(self, column: str, texts: NumberTexts) -> None:
        values, bad = numbers(texts, self.decimal, self.options.missing)
        missing = np.isnan(values) & ~bad
        # nan compares as False throughout, so missing and bad values are no whole numbers here.
        whole = (values >= 1) & (values <= _LARGEST_SESSION) & (values == np.floor(values))
        raw = self.raw.columns[column]
        self.findings.rows("session is missing", column, missing, None, _SESSION_WAY_OUT)
        if self.options.occasions is None or column == SESSION_OF_NAME:
            wrong, way_out = "session is no positive whole number", self._session_way_out(raw[~whole & ~missing])
        else:
            wrong, way_out = "session is none of the occasions", "List it in occasions=, or delete the rows."
        self.findings.rows(wrong, column, ~whole & ~missing, raw, way_out)
        self.columns[SESSION] = pd.Series(np.where(whole, values, 0).astype("int64"))

    @staticmethod
    def _session_way_out(bad: pd.Series) -> str:
        words = [plain_text(word).strip() for word in bad.drop_duplicates()[:N_PLACES]]
        if not any(any(letter.isalpha() for letter in word) for word in words):
            return _SESSION_WAY_OUT
        return f"{_SESSION_WAY_OUT} Words for sessions can be numbered: occasions={{{words[0]!r}: 1, …}}."

    def _date(self, column: str) -> None:
        dates = read_dates(self.raw.columns[column], self.options.missing, self.options.date_format)
        raw = self.raw.columns[column]
        self.columns[DATE] = dates.dates
        self.reading["dates"] = (
            f"{self.options.date_format} (given)" if self.options.date_format else _order_words(dates.order)
        )
        if self.options.date_format is None:
            serial = np.flatnonzero(dates.serial)
            way_out = "Check one date. If years are four too early, give date_format='excel-1904'."
            places = self.raw.where(serial, raw)
            self.findings.note("serial numbers of a spreadsheet read as dates", column, len(serial), places, way_out)
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

    def _score(self, score: ScoreColumn, texts: NumberTexts) -> None:
        column = score.column
        values, bad = numbers(texts, self.decimal, (*self.options.missing, *score.missing))
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
        outside = check_range(self.findings, values, score.low, score.high, column, self.options.missing)
        self.columns[score.name] = pd.Series(np.where(outside, np.nan, values))

    def _missing_way_out(self, bad: pd.Series) -> str:
        words = [plain_text(word).strip() for word in bad.drop_duplicates()[:N_PLACES]]
        codes = ", ".join(f'"{word}"' for word in [*self.options.missing, *words] if len(word) <= 20)
        return f"Correct them; if they stand for missing values, give missing=({codes})."

    def _kept(self, values: pd.Series) -> pd.Series:
        if not self.raw.reading:
            return values  # a frame's own column, as it is
        if pd.api.types.is_datetime64_any_dtype(values):
            return values
        texts = number_texts(values)
        read, bad = numbers(texts, self.decimal, self.options.missing)
        # A text like 0123 is a code, not a number.
        if not bad.any() and not (texts.words is not None and texts.words.str.match(r"\s*[+-]?0[0-9]").any()):
            return pd.Series(read)
        codes, words = distinct_texts(values)
        column = pd.Series(words, dtype="str")
        return column.mask(column.isin(self.options.missing)).take(codes).reset_index(drop=True)

    def sorted_frame(self) -> pd.DataFrame:
        """Drop what is left out, number the sessions by date where need be, and sort."""
        usable = np.flatnonzero(~self.findings.unusable)
        ranks = self.patient.order()[usable]
        order = self.columns[SESSION if SESSION in self.columns else DATE].to_numpy()[usable]
        rows = np.lexsort((order, ranks))
        columns = {name: values.take(usable[rows]).reset_index(drop=True) for name, values in self.columns.items()}
        if SESSION not in columns:
            ranks = ranks[rows]
            starts = (
                np.flatnonzero(np.r_[True, ranks[1:] != ranks[:-1]]) if ranks.size else np.array([], dtype=np.int64)
            )
            lengths = np.diff(np.r_[starts, ranks.size])
            columns[SESSION] = pd.Series(np.arange(ranks.size) - np.repeat(starts, lengths) + 1, dtype="int64")
        names = [name for name in KEYS if name in columns]
        names += [score.name for score in self.mapped.scores]
        return pd.DataFrame({name: columns[name] for name in [*names, *self.mapped.carried]})


def _order_words(order: str) -> str:
    known = {"none": "ISO (year first)", "undecided": "day and month are the same throughout"}
    return f"{known.get(order, order)} (found)"
