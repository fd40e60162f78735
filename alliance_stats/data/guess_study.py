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
from alliance_stats.data.read_file import read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.study_file import ReportOptions, Study
from alliance_stats.data.study_template import UNKNOWN, template
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


def guess_study(path: str | Path, options: ReadOptions | None = None) -> Study:
    """Recognise the columns of a file by their usual names.

    Only names are looked at, never values. What a higher score means is taken from the measure where it is known.

    Parameters
    ----------
    path : str or Path
        A delimited file.
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
        file for this file, ready to be edited.
    """
    options = options or ReadOptions()
    path = Path(path)
    header = tuple(name for name in dict.fromkeys(read_header(path, options)) if name)
    keys, scores, assumed = _recognise(header)
    lacking = [f"a column for {_ROLE_WORDS['patient']}"] if "patient" not in keys else []
    if "session" not in keys and "date" not in keys:
        lacking.append("a column for the session number or the date")
    if not scores:
        lacking.append("a score (alliance or outcome)")
    title = path.stem
    report = {name: name for name in (ALLIANCE, OUTCOME) if name in scores}
    if lacking:
        text = _to_edit(path.name, keys, scores, report, header)
        raise DataError(
            f"{path.name} has {len(header)} columns, but {' and '.join(lacking)} cannot be recognised by name. "
            f"Save this as study.toml, put the right names where {UNKNOWN} stands, and give it with --study:\n\n{text}"
        )
    columns = ColumnMap(keys.pop("patient"), scores=tuple(scores.values()), **cast("dict[str, Any]", keys))
    columns.check()
    asked = ReportOptions(alliance=report.get(ALLIANCE), outcome=report.get(OUTCOME))
    return Study(title, columns, path.name, options, asked, tuple(assumed), path.parent)


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
    name: str, keys: dict[str, str], scores: dict[str, ScoreColumn], report: dict[str, str], header: tuple[str, ...]
) -> str:
    shown = {"patient": UNKNOWN, **keys}
    if "session" not in keys and "date" not in keys:
        shown["session"] = UNKNOWN
    if not scores:
        scores = {part: ScoreColumn(part, UNKNOWN) for part in (ALLIANCE, OUTCOME)}
    return template(Path(name).stem, {"path": name}, shown, scores, report, (), header)
