"""A section without small cells: what might point at single people is taken out before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alliance_stats.names import PATIENT
from alliance_stats.report.document import Section
from alliance_stats.report.figures.canvas import Drawn
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.small_cells import is_count, is_small, suppress_table, told_by_count
from alliance_stats.study.answers import Answer

#: A count of people or sessions in a note: "3 patients", "1 of 45 patients", "range 2–14".
_COUNTED = r"(?:patients?|therapists?|changes?|sessions?|rows?|levels?|scores?|answers?)\b"
_NUMBERS = (
    re.compile(rf"\b(\d+)(?: of \d+)? {_COUNTED}"),
    re.compile(r"\brange (\d+)[–-]\d+"),
    re.compile(r"\b(\d+) of \d+ (?:\w+ )?rows\b"),
    re.compile(r"\b(\d+) of \d+ not scored\b"),
)


def withheld(answer: Answer, min_cell: int) -> Answer:
    """Take small cells out of an answer.

    Counts below ``min_cell`` disappear from its tables and numbers, with the means that rest on them; notes that name
    such a count are withheld; figures that draw single patients are left out.
    """
    if min_cell == 1:
        return answer
    section = answer.section
    notes = _notes(section.notes, min_cell)
    figure = section.figure
    if figure is not None and draws_patients(figure):
        figure, notes = None, (*notes, f"No figure of single patients is shown (min_cell = {min_cell}).")
    tables = tuple(suppress_table(replace(t, notes=_notes(t.notes, min_cell)), min_cell) for t in section.tables)
    warnings = _notes(section.warnings, min_cell)
    shown = replace(section, notes=notes, warnings=warnings, figure=figure, tables=tables)
    return replace(answer, section=shown, numbers=_numbers(answer.numbers, min_cell))


def refused(section: Section, few: str, min_cell: int) -> Answer:
    """Return the answer of a section that rests on too few people to be shown."""
    sentence = f"This section would rest on {few}; it is not shown (min_cell = {min_cell})."
    shown = Section(section.key, section.heading, section.question, Sentences.plain(sentence))
    return Answer(shown, {"not_shown": sentence})


def draws_patients(figure: Drawn) -> bool:
    """Whether a figure shows single patients: its data hold a row for each."""
    return any(PATIENT in frame for frame in getattr(figure, "data", {}).values())


def without_names(value: Any, pseudonyms: Mapping[str, str]) -> Any:
    """Walk through the numbers of ``results.json``: therapists, who stand under ``level``, get their pseudonyms."""
    if isinstance(value, Mapping):
        return {
            key: pseudonyms.get(entry, entry)
            if key == "level" and isinstance(entry, str)
            else without_names(entry, pseudonyms)
            for key, entry in value.items()
        }
    return [without_names(entry, pseudonyms) for entry in value] if isinstance(value, list) else value


def _notes(notes: tuple[str, ...], min_cell: int) -> tuple[str, ...]:
    kept = tuple(note for note in notes if not _names_few(note, min_cell))
    remark = f"A note on fewer than {min_cell} people or sessions is not shown."
    return (*kept, *((remark,) if len(kept) < len(notes) else ()))


def _names_few(note: str, min_cell: int) -> bool:
    found = (match for pattern in _NUMBERS for match in pattern.findall(str(note)))
    return any(is_small(int(number), min_cell) for number in found)


def _numbers(value: Any, min_cell: int) -> Any:
    """Walk through the numbers of ``results.json``: small counts become null, and the means that rest on them."""
    if isinstance(value, Mapping):
        small = {key for key, entry in value.items() if is_count(key) and is_small(entry, min_cell)}
        gone = small | set(told_by_count(value) if small else ())
        return {key: None if key in gone else _entry(key, entry, min_cell) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry, min_cell) for entry in value]
    return value


def _entry(key: str, entry: Any, min_cell: int) -> Any:
    if key == "notes":
        return list(_notes(tuple(entry), min_cell))
    return _numbers(entry, min_cell)
