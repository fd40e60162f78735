"""Longitudinal exports of REDCap: events, repeated forms, identifiers that stand in one row of a record only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from alliance_stats.data.column_map import ColumnMap
from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.faults import Fault
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.raw_table import N_PLACES, RawTable, listed, plain_text
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import DataError, count

#: What the columns are called in exports of raw values, and of labels.
_EVENT = ("redcap_event_name", "Event Name")
_FORM = ("redcap_repeat_instrument", "Repeat Instrument")
_INSTANCE = ("redcap_repeat_instance", "Repeat Instance")
_ARM = re.compile(r"(_arm_\d+[a-z]?$)|( \(Arm \d+: .*\)$)")


@dataclass(frozen=True)
class RedcapLayout:
    """A REDCap export.

    Parameters
    ----------
    header : tuple of str
        Its columns, and the session number that events or instances give.
    event, form, instance : str or None
        Its own columns, where they are there.
    """

    header: tuple[str, ...]
    event: str | None
    form: str | None
    instance: str | None

    def sources(self, wanted: Sequence[str]) -> list[str]:
        """Name the columns of the file that are needed."""
        own = [name for name in (self.event, self.form, self.instance) if name is not None]
        return list(dict.fromkeys([*(name for name in wanted if name != SESSION_OF_NAME), *own]))

    def arrange(self, raw: RawTable, columns: ColumnMap, options: ReadOptions) -> RawTable:
        """Make one row per record and session: other forms are left out, their identifiers carried over, counted.

        Raises
        ------
        DataError
            If no row is a session, or events and instances both count.
        """
        table = pd.DataFrame({name: _texts(values) for name, values in raw.columns.items()})
        table = table.mask(table.isin(options.missing), "")
        session = self._session(table, columns, options, raw.name)
        scores = [*(score.column for score in columns.scores), *columns.items]
        dated = [columns.date] if columns.date else []
        holds = (table[[*scores, *dated]] != "").any(axis=1) if scores else pd.Series(True, index=table.index)
        rows = (session != "") & holds
        if not rows.any():
            raise DataError(
                f"{raw.name} is an export of REDCap in which 0 of {count(len(table), 'row')} are sessions. Give "
                "session= or date= with a column that sessions have, or occasions={event: number}."
            )
        record = table[columns.patient].str.strip()
        table, filled = _carried(table, record, rows, columns)
        kept = np.flatnonzero(rows)
        if SESSION_OF_NAME in (columns.session,):
            table[SESSION_OF_NAME] = session
        wanted = list(dict.fromkeys(columns.wanted.values()))
        merged, first, n_merged = _merged(table.loc[kept, wanted], record[kept], session[kept])
        return replace(
            raw,
            columns={name: pd.Series(merged[name].to_numpy(), dtype="str", name=name) for name in wanted},
            places=raw.places[first],
            n_rows=len(first),
            reading={**raw.reading, "layout": "REDCap (found)"},
            words={**raw.words, SESSION_OF_NAME: ColumnWords(made_from=self._words(options))},
            notes=(*raw.notes, *_notes(len(table) - len(kept), filled, n_merged)),
            typed=False,
        )

    def _session(self, table: pd.DataFrame, columns: ColumnMap, options: ReadOptions, name: str) -> pd.Series:
        """Return each row's session as text, empty where the row is none."""
        if columns.session != SESSION_OF_NAME:
            return table[columns.session or str(columns.date)].str.strip()
        events = table[self.event].str.strip() if self.event else None
        if events is not None and options.occasions:
            return events.map({text: str(number) for text, number in options.occasions.items()}).fillna("")
        if self.instance is not None and (table[self.instance] != "").any():
            repeated = table[self.instance] != ""
            if events is not None and len(events[repeated].unique()) > 1:
                raise DataError(
                    f"{name}: forms are repeated within {len(events[repeated].unique())} events, so neither the event "
                    "nor the instance numbers the sessions. Give session= with a column that does, or date=."
                )
            return table[self.instance].str.strip()
        if events is None:
            raise DataError(f"{name} has no events and no repeated forms. Give session= or date=.")
        numbers = events.str.replace(_ARM, "", regex=True).str.extract(r"([0-9]+)(?!.*[0-9])")[0]
        return numbers.fillna("")

    def _words(self, options: ReadOptions) -> str:
        if options.occasions and self.event:
            return f"{self.event}, numbered by occasions="
        return f"{self.instance or self.event}"


def redcap_layout(header: Sequence[str]) -> RedcapLayout | None:
    """Return the layout if the columns are those of a longitudinal REDCap export."""
    event, form, instance = (
        next((name for name in names if name in header), None) for names in (_EVENT, _FORM, _INSTANCE)
    )
    if event is None and instance is None:
        return None
    return RedcapLayout((*header, SESSION_OF_NAME), event, form, instance)


def _texts(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.StringDtype):
        return values.fillna("")
    return values.astype(object).map(plain_text).astype("str")


def _carried(
    table: pd.DataFrame, record: pd.Series, rows: pd.Series, columns: ColumnMap
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Carry over what stands in one row of a record only.

    A therapist or site is carried where the record knows exactly one; other columns only from rows that are no session
    (a baseline form), and only where no session of any record has a value of its own: an answer that is asked at every
    session is never filled in from intake.
    """
    filled: dict[str, int] = {}
    own: dict[str | None, bool] = {columns.therapist: True, columns.site: True}
    asked_once = [name for name in (columns.phase, *columns.keep) if name and (table.loc[rows, name] == "").all()]
    own |= dict.fromkeys(asked_once, False)
    for name, everywhere in own.items():
        if name is None:
            continue
        known = table[name].where((table[name] != "") & (everywhere | ~rows))
        one = known.groupby(record).agg(_only_value)
        gap = rows & (table[name] == "")
        table[name] = table[name].mask(gap, record.map(one))
        n = int((gap & (table[name] != "")).sum())
        if n:
            filled[name] = n
    return table, filled


def _only_value(values: pd.Series) -> str:
    known = values.dropna().unique()
    return known[0] if len(known) == 1 else ""


def _merged(table: pd.DataFrame, record: pd.Series, session: pd.Series) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Put the forms of one session into one row, unless they contradict each other; return also the first rows."""
    group = pd.Series(list(zip(record, session, strict=True)), index=table.index)
    doubled = table[group.duplicated(keep=False)]
    first = pd.Series(table.index, index=table.index)
    if len(doubled):
        there = doubled.where(doubled != "")
        different = there.groupby(group[doubled.index]).nunique()
        agree = (different < 2).all(axis=1)
        together = doubled.index[group[doubled.index].map(agree).to_numpy(bool)]
        whole = there.loc[together].groupby(group[together]).transform("first").fillna("")
        table = table.copy()
        table.loc[together] = whole
        again = group[together].duplicated()
        table, first = table.drop(index=again.index[again]), first.drop(index=again.index[again])
    return table, first.to_numpy(), len(record) - len(first)


def _notes(n_other: int, filled: dict[str, int], n_merged: int) -> list[Fault]:
    notes = []
    if n_other:
        way_out = "None needed if they are forms without sessions."
        notes.append(Fault("rows of REDCap that are no session", "", n_other, "other forms", "row left out", way_out))
    if filled:
        names = listed([f"{name!r} ({n})" for name, n in list(filled.items())[:N_PLACES]], len(filled))
        way_out = "None needed; REDCap writes them in one row of a record only."
        notes.append(
            Fault("blank cells got the value of their record", "", sum(filled.values()), names, "kept", way_out)
        )
    if n_merged:
        way_out = "None needed; no value contradicts another."
        notes.append(
            Fault("forms of one session put into one row", "", n_merged, "rows that joined another", "kept", way_out)
        )
    return notes
