"""The study file (``study.toml``): which column is what, each score's range and direction. Plain data, never run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alliance_stats.data.column_map import ROLES, ColumnMap, make_score, name_problem, score_problems
from alliance_stats.data.item_scores import ItemScore, asks_for_items, item_score_problems, item_table, make_item_score
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.read_sessions import read_mapped
from alliance_stats.data.session_table import SessionTable
from alliance_stats.data.toml_file import read_tables, refuse_problems, table_of, text_of, unknown_keys
from alliance_stats.errors import DataError, StudyFileError, did_you_mean

TABLES = ("title", "file", "columns", "scores", "report")
FILE_KEYS = (
    *("path", "delimiter", "decimal", "encoding", "missing", "date_format", "on_faults"),
    *("sheet", "header_rows", "wide", "occasions", "restarts"),
)
REPORT_KEYS = ("title", "alliance", "outcome", "pseudonyms", "min_cell")


@dataclass(frozen=True)
class ReportOptions:
    """What ``[report]`` asks for.

    Parameters
    ----------
    title : str
        Title of the page; the study's title when empty.
    alliance, outcome : str or None
        Names of the scores that play these parts; None where the study has no such score.
    pseudonyms : bool
        Whether ids are replaced before anything is written.
    min_cell : int
        The smallest count that may be shown; 1 shows all.
    """

    title: str = ""
    alliance: str | None = None
    outcome: str | None = None
    pseudonyms: bool = True
    min_cell: int = 1


@dataclass(frozen=True)
class Study:
    """A study file, read: plain data that says how to read a file of sessions.

    Parameters
    ----------
    title : str
        What the study is called.
    columns : ColumnMap
        Which column is what, with each score's range, direction and label.
    file : str or None
        The data file as the study file names it.
    options : ReadOptions
        How the data file is written.
    report : ReportOptions
        What the report should show.
    assumed : tuple of str
        What was assumed, in sentences; empty where a study file says it all.
    folder : Path
        Folder that ``file`` is relative to.
    scored : tuple of ItemScore
        Scores that are made from items once the file is read.
    """

    title: str
    columns: ColumnMap
    file: str | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    assumed: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path, compare=False)
    scored: tuple[ItemScore, ...] = ()

    def read(self, path: str | Path | None = None) -> SessionTable:
        """Read the sessions, and score what is to be made from items.

        Parameters
        ----------
        path : str or Path, optional
            The data file; by default the one that the study file names.

        Raises
        ------
        StudyFileError
            If there is no path here nor in the study file.
        DataError
            As :func:`~alliance_stats.read_sessions` raises it.
        """
        if path is None:
            if self.file is None:
                raise StudyFileError(
                    'The study names no data file. Give its path, or write [file] path = "sessions.csv".'
                )
            path = self.folder / self.file
        if self.scored:
            from alliance_stats.questionnaires.study_scores import read_scored

            return read_scored(self, path)
        return read_mapped(path, self.columns, self.options)


def read_study(path: str | Path) -> Study:
    """Read a study file.

    Parameters
    ----------
    path : str or Path
        A TOML file with ``title``, ``[columns]`` (``patient`` and ``session`` or ``date`` at least),
        ``[scores.<name>]`` tables, and optional ``[file]`` and ``[report]``.

    Returns
    -------
    Study
        Its contents. Nothing in the file is ever evaluated.

    Raises
    ------
    StudyFileError
        If the file is no TOML (the line is named), or has keys or values that are not understood; all are listed.
    DataError
        If there is no such file.
    """
    path = Path(path)
    contents, problems = read_tables(path, TABLES, StudyFileError, "study file")
    title = text_of(contents, "title", "", problems)
    scored = _scored(contents, problems)
    columns = _columns(contents, problems)
    file, options = file_options(table_of(contents, "file", problems), problems)
    names = [score.name for score in columns.scores] if columns else []
    report = _report(table_of(contents, "report", problems), names, [score.name for score in scored], problems)
    refuse_problems(problems, path.name, StudyFileError)
    assert columns is not None
    return Study(title, columns, file, options, report, scored=scored, folder=path.parent)


def _columns(contents: Mapping[str, Any], problems: list[str]) -> ColumnMap | None:
    table = table_of(contents, "columns", problems)
    before = len(problems)
    unknown_keys(table, tuple(ROLES), "columns", problems)
    for role, column in table.items():
        if role in ROLES and (not isinstance(column, str) or not column):
            problems.append(f"[columns] {role} = {column!r} must be the name of a column, in quotes")
    if "patient" not in table:
        problems.append("[columns] patient is missing: the column that says whose session it was")
    if "session" not in table and "date" not in table:
        file = contents.get("file")
        if isinstance(file, Mapping) and file.get("wide"):
            table = {**table, "session": SESSION_OF_NAME}
    if "session" not in table and "date" not in table:
        problems.append("[columns] session is missing (or date): the column that orders each patient's sessions")
    scores = []
    for name, spec in table_of(contents, "scores", problems).items():
        if isinstance(spec, Mapping) and asks_for_items(spec):
            continue
        found = [problem] if (problem := name_problem(name)) else []
        found += score_problems(spec) if isinstance(spec, Mapping) else ['it must be a table with column = "…"']
        problems += [f"[scores.{name}] {problem}" for problem in found]
        if not found:
            scores.append(make_score(name, spec))
    if len(problems) > before:
        return None
    mapped = ColumnMap(**table, scores=tuple(scores))
    try:
        mapped.check()
    except DataError as error:
        problems.append(f"[columns] {error}")
        return None
    return mapped


def _scored(contents: Mapping[str, Any], problems: list[str]) -> tuple[ItemScore, ...]:
    made = []
    scores = contents.get("scores")
    for name, spec in scores.items() if isinstance(scores, Mapping) else ():
        if not isinstance(spec, Mapping) or not asks_for_items(spec):
            continue
        found = [problem] if (problem := name_problem(name)) else []
        found += item_score_problems(spec)
        problems += [f"[scores.{name}] {problem}" for problem in found]
        if not found:
            made.append(make_item_score(name, spec))
    return tuple(made)


def file_options(
    table: Mapping[str, Any], problems: list[str], known: tuple[str, ...] = FILE_KEYS
) -> tuple[str | None, ReadOptions]:
    """Read ``[file]``: the path, and how the file is written; what is wrong is added to ``problems``."""
    unknown_keys(table, known, "file", problems)
    given: dict[str, Any] = {}
    for key in known:
        value = table.get(key)
        if value is None:
            continue
        if key == "missing":
            sound = isinstance(value, list) and all(isinstance(code, str | int | float) for code in value)
            wanted = 'a list of texts, e.g. ["", "NA", "-99"]'
        elif key in ("sheet", "header_rows", "wide", "occasions"):
            sound, wanted = True, ""  # ReadOptions says what is wrong with them
        else:
            sound, wanted = isinstance(value, str) and bool(value), "text, in quotes"
        if not sound:
            problems.append(f"[file] {key} = {value!r} must be {wanted}")
            continue
        if key != "path":
            try:
                ReadOptions(**{key: value})
            except DataError as error:
                problems.append(f"[file] {error}")
                continue
        given[key] = value
    path = given.pop("path", None)
    return path, ReadOptions(**given)


def _report(table: Mapping[str, Any], read: list[str], scored: list[str], problems: list[str]) -> ReportOptions:
    scores = [*read, *scored]
    unknown_keys(table, REPORT_KEYS, "report", problems)
    named: dict[str, str | None] = {}
    for part in ("alliance", "outcome"):
        name = text_of(table, part, "[report] ", problems)
        subscale = any(name.startswith(f"{whole}_") for whole in scored)  # the measure says which there are
        if name and scores and name not in scores and not subscale:
            problems.append(f"[report] {part} = {name!r} is none of the scores. {did_you_mean(name, scores)}")
        named[part] = name or (part if part in scores else None)
    pseudonyms = table.get("pseudonyms", True)
    if not isinstance(pseudonyms, bool):
        problems.append(f"[report] pseudonyms = {pseudonyms!r} must be true or false")
    min_cell = table.get("min_cell", 1)
    if isinstance(min_cell, bool) or not isinstance(min_cell, int) or min_cell < 1:
        problems.append(f"[report] min_cell = {min_cell!r} must be a whole number, 1 or more")
    title = text_of(table, "title", "[report] ", problems)
    return ReportOptions(title, named["alliance"], named["outcome"], pseudonyms, min_cell)


def study_text(study: Study, available: tuple[str, ...] = ()) -> str:
    """Write a study as the text of a study file; :func:`read_study` reads it back to the same.

    Parameters
    ----------
    study : Study
        What to write.
    available : tuple of str, optional
        Column names of the data file, listed in a comment.
    """
    from alliance_stats.data.study_template import template

    scores = {score.name: score for score in study.columns.scores}
    file = {"path": study.file, **asdict(study.options)}
    made = {score.name: item_table(score) for score in study.scored}
    report = asdict(study.report)
    return template(study.title, file, study.columns.keys, scores, report, study.assumed, available, made)
