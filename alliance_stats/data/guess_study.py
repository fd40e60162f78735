"""Guess what the columns of a file are by their names, and say what was assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from alliance_stats.data.column_map import ColumnMap, ScoreColumn
from alliance_stats.data.known_columns import (
    ALLIANCE_MEASURES,
    KEY_NAMES,
    OUTCOME_MEASURES,
    THERAPIST_ALLIANCE_MEASURES,
    find_key,
    find_measures,
)
from alliance_stats.data.layouts import Layout, find_layout
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.propose_wide import WideProposal, propose
from alliance_stats.data.read_file import read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.study_file import ReportOptions, Study
from alliance_stats.data.study_template import UNKNOWN, template
from alliance_stats.data.wide import WideLayout, wide_layout
from alliance_stats.errors import DataError
from alliance_stats.names import ALLIANCE, ALLIANCE_THERAPIST, OUTCOME

_ROLE_WORDS = {
    "patient": "the patient",
    "therapist": "the therapist",
    "session": "the session number",
    "date": "the date of the session",
    "site": "the site",
    "phase": "the phase",
}
_SCORES = {
    ALLIANCE: ("the alliance", ALLIANCE_MEASURES),
    ALLIANCE_THERAPIST: ("the alliance as the therapist rates it", THERAPIST_ALLIANCE_MEASURES),
    OUTCOME: ("the outcome", OUTCOME_MEASURES),
}


#: Scores that the report is about.
_PARTS = (ALLIANCE, OUTCOME)


def guess_study(path: str | Path, options: ReadOptions | None = None) -> Study:
    """Recognise the columns of a file by their usual names.

    Only names are looked at, never values. What a higher score means is taken from the measure where it is known.

    Parameters
    ----------
    path : str or Path
        A file of any kind that :func:`~alliance_stats.read_sessions` reads.
    options : ReadOptions, optional
        How the file is written, where that is known.

    Returns
    -------
    Study
        A study whose ``assumed`` says in sentences what was taken for what.

    Raises
    ------
    DataError
        If patient, session (or date), or every score cannot be recognised. The message holds the text of a study
        file for this file, ready to be edited. Where the names of columns look like those of a wide file, it holds
        the patterns.
    """
    options = options or ReadOptions()
    path = Path(path)
    header = tuple(name for name in dict.fromkeys(read_header(path, options)) if name)
    layout = find_layout(header, options, path.name)
    columns_there = tuple(name for name in layout.header if name != SESSION_OF_NAME)
    keys, scores, assumed = _recognise(columns_there)
    if SESSION_OF_NAME in layout.header and "session" not in keys and "date" not in keys:
        keys["session"] = SESSION_OF_NAME
        assumed.append(f"The session number stands in {_where_sessions_stand(layout)}.")
    lacking = [f"a column for {_ROLE_WORDS['patient']}"] if "patient" not in keys else []
    if "session" not in keys and "date" not in keys:
        lacking.append("a column for the session number or the date")
    if not scores:
        lacking.append("a score (alliance or outcome)")
    title = path.stem
    report = {name: name for name in _PARTS if name in scores}
    if lacking:
        wide = propose(header) if "session" not in keys and "date" not in keys else WideProposal(())
        text = _wide_to_edit(path.name, header, wide) or _to_edit(path.name, {}, keys, scores, report, header)
        shown = f" {wide!r}" if wide.patterns else ""
        raise DataError(
            f"{path.name} has {len(header)} columns, but {' and '.join(lacking)} cannot be recognised by name.{shown} "
            f"Save this as study.toml, put the right names where {UNKNOWN} stands, and give it with --study:\n\n{text}"
        )
    columns = ColumnMap(keys.pop("patient"), scores=tuple(scores.values()), **cast("dict[str, Any]", keys))
    columns.check()
    asked = ReportOptions(alliance=report.get(ALLIANCE), outcome=report.get(OUTCOME))
    return Study(title, columns, path.name, options, asked, tuple(assumed), path.parent)


def _where_sessions_stand(layout: Layout) -> str:
    return "the names of the columns" if isinstance(layout, WideLayout) else "REDCap's events or instances"


def _wide_to_edit(name: str, header: tuple[str, ...], wide: WideProposal) -> str:
    """Return a study file that reads a file as wide, or nothing where its names do not fit together."""
    if not wide.patterns:
        return ""
    try:
        layout = wide_layout(header, {pattern.becomes: pattern.pattern for pattern in wide.patterns}, None, name)
    except DataError:
        return ""
    long = tuple(column for column in layout.header if column != SESSION_OF_NAME)
    keys, scores, _ = _recognise(long)
    return _to_edit(name, {"wide": wide.wide}, keys, scores, {part: part for part in scores if part in _PARTS}, long)


def _recognise(header: tuple[str, ...]) -> tuple[dict[str, str], dict[str, ScoreColumn], list[str]]:
    keys: dict[str, str] = {}
    scores: dict[str, ScoreColumn] = {}
    assumed: list[str] = []
    for role in KEY_NAMES:
        found = find_key(role, header)
        if found:
            keys[role] = found[0]
            assumed.append(f"{found[0]!r} is {_ROLE_WORDS[role]}{_also(found[1:])}.")
    for name, (words, measures) in _SCORES.items():
        candidates = find_measures(measures, [column for column in header if column not in keys.values()])
        if candidates:
            column, measure = candidates[0]
            scores[name] = ScoreColumn(name, column, higher=measure.higher, label=measure.label)
            meaning = f"higher is {measure.higher}" if measure.higher else "what a higher value means is not known"
            assumed.append(f"{column!r} is {words}; {meaning}{_also([column for column, _ in candidates[1:]])}.")
    return keys, scores, assumed


def _also(others: list[str]) -> str:
    return f" (not used, though the name would fit: {', '.join(map(repr, others))})" if others else ""


def _to_edit(
    name: str,
    file: dict[str, object],
    keys: dict[str, str],
    scores: dict[str, ScoreColumn],
    report: dict[str, str],
    header: tuple[str, ...],
) -> str:
    shown = {"patient": UNKNOWN, **keys}
    if "session" not in keys and "date" not in keys and "wide" not in file:
        shown["session"] = UNKNOWN
    if not scores:
        scores = {part: ScoreColumn(part, UNKNOWN) for part in (ALLIANCE, OUTCOME)}
    return template(Path(name).stem, {"path": name, **file}, shown, scores, report, (), header)
