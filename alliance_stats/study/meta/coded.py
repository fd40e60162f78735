"""The effects that a report is about: all rows read, those analysed, and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.errors import ColumnError, DataError, StudyFileError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, take_effects
from alliance_stats.meta.effect_sizes import MEASURES
from alliance_stats.meta.published import topics
from alliance_stats.study.meta.guess import find_columns, guess_meta_study
from alliance_stats.study.meta.study_file import ROLES, MetaStudy, read_meta_study


@dataclass(frozen=True, eq=False)
class Coded:
    """Effects, read and checked.

    Parameters
    ----------
    frame : DataFrame
        The rows analysed: ``study``, ``yi``, ``vi`` and all other columns.
    n_rows : int
        Rows of the source.
    n_read : int
        Rows that were read without fault.
    faults : DataFrame
        ``fault, column, n, places, done, way_out``.
    columns : mapping of str to str
        Role (``"rater"``) to column of ``frame``.
    measure : str
        Effect size; empty if unknown.
    study : MetaStudy
        What was asked for, under the column names of ``frame``.
    name, sha256 : str
        The source.
    reading : mapping of str to str
        How a file was read.
    assumed : tuple of str
        In sentences.
    simulated : bool
    """

    frame: pd.DataFrame
    n_rows: int
    n_read: int
    faults: pd.DataFrame
    columns: Mapping[str, str]
    measure: str
    study: MetaStudy
    name: str
    sha256: str
    reading: Mapping[str, str]
    assumed: tuple[str, ...]
    simulated: bool

    @property
    def n_studies(self) -> int:
        """Studies analysed."""
        return int(self.frame[STUDY].nunique())

    @property
    def dependent(self) -> bool:
        """Whether a study has several effects."""
        return self.n_studies < len(self.frame)

    @property
    def level(self) -> float:
        """Level of every interval of the report."""
        return self.study.model.level

    @property
    def words(self) -> str:
        """The effect size in words."""
        return MEASURES[self.measure].words if self.measure else "effects as coded in the sheet"


def take(source: str | Path | pd.DataFrame, study: MetaStudy | str | Path | None) -> Coded:
    """Read the source as the study file says, or as its columns' names do.

    Raises
    ------
    DataError
        If the source or the study file is at fault.
    """
    if isinstance(study, str | Path):
        study = read_meta_study(study)
    if isinstance(source, pd.DataFrame) and study is None and {EFFECT, VARIANCE} <= set(source.columns):
        return _as_they_are(source)
    study = guess_meta_study(source) if study is None else study
    frame = study.read(source)
    columns = study.columns
    renamed = {
        columns.study: STUDY,
        **({columns.yi: EFFECT} if columns.yi else {}),
        **({columns.vi: VARIANCE} if columns.yi and columns.vi else {}),
    }
    given = {role: str(getattr(columns, role)) for role in ROLES if getattr(columns, role) is not None}
    roles = {role: renamed.get(column, column) for role, column in given.items()}
    simulated = isinstance(source, pd.DataFrame) and bool(source.attrs.get("simulated", False))
    return _coded(frame, roles, _named_anew(study, renamed), study.assumed, simulated)


def _as_they_are(frame: pd.DataFrame) -> Coded:
    """A frame of effects from Python: nothing is read anew."""
    frame = frame.copy(deep=False)
    frame.columns = [str(name) for name in frame.columns]
    twice = sorted(frame.columns[frame.columns.duplicated()])
    if twice:
        raise DataError(f"{count(len(twice), 'column name')} used twice: {', '.join(twice[:3])}. Rename them.")
    assumed: list[str] = []
    if STUDY not in frame.columns:
        assumed.append("No column 'study' says which study an effect is from: each row is taken as a study of its own.")
        frame = frame.assign(**{STUDY: [str(label) for label in frame.index]})
    roles = {"study": STUDY, "yi": EFFECT, "vi": VARIANCE}
    for role in ("n", "rater", "outcome", "year"):
        found = find_columns(role, list(frame.columns))
        if found:
            roles[role] = found[0]
    attrs = frame.attrs
    if attrs.get("source", {}).get("n_kept") != len(frame):  # not as it was read, or never read from a sheet
        attrs = {name: value for name, value in attrs.items() if name != "faults"}
        content = pd.util.hash_pandas_object(frame.astype(str), index=False).to_numpy().tobytes()
        frame.attrs = {**attrs, "source": {"name": str(attrs.get("name", "DataFrame")), "n_rows": len(frame)}}
        frame.attrs["source"]["sha256"] = hashlib.sha256(content).hexdigest()
    return _coded(frame, roles, MetaStudy(), tuple(assumed), bool(attrs.get("simulated", False)))


def _coded(
    frame: pd.DataFrame, roles: Mapping[str, str], study: MetaStudy, assumed: tuple[str, ...], simulated: bool
) -> Coded:
    source: Mapping[str, Any] = frame.attrs["source"]
    columns = ["fault", "column", "n", "places", "done", "way_out"]
    faults = pd.DataFrame(list(frame.attrs.get("faults", ())), columns=columns)
    measure = str(frame.attrs.get("measure", ""))
    _require(study, list(frame.columns))
    missing = frame[STUDY].isna()
    kept, _ = take_effects(frame.loc[~missing])
    kept = kept.assign(**{STUDY: kept[STUDY].astype(str)}).reset_index(drop=True)
    kept.attrs = {"measure": measure} if measure else {}
    return Coded(
        kept,
        int(source["n_rows"]),
        len(frame),
        faults,
        dict(roles),
        measure,
        study,
        str(source["name"]),
        str(source["sha256"]),
        dict(source.get("reading", {})),
        assumed,
        simulated,
    )


def _named_anew(study: MetaStudy, renamed: Mapping[str, str]) -> MetaStudy:
    """What the study file asks for, under the names that columns have after reading."""
    from dataclasses import replace

    def new(name: str) -> str:
        return renamed.get(name, name)

    report, moderators, model = study.report, study.moderators, study.model
    return replace(
        study,
        model=replace(model, subgroup=new(model.subgroup) if model.subgroup else None),
        moderators=replace(moderators, each=tuple(map(new, moderators.each))),
        report=replace(
            report,
            columns=tuple(map(new, report.columns)),
            by=new(report.by) if report.by else None,
            order=new(report.order) if report.order else None,
        ),
    )


def _require(study: MetaStudy, header: Sequence[str]) -> None:
    """Refuse columns that the study file names and the source does not have, all together."""
    asked = {"[report] columns": study.report.columns, "[moderators] each": study.moderators.each}
    asked |= {"[model] subgroup": (study.model.subgroup,) if study.model.subgroup else ()}
    asked |= {"[report] by": (study.report.by,) if study.report.by else ()}
    asked |= {"[report] order": (study.report.order,) if study.report.order else ()}
    lines = [
        f"{place}: no column {name!r}. {did_you_mean(name, header)}"
        for place, names in asked.items()
        for name in names
        if name not in header
    ]
    topic = study.report.topic
    if topic and topic not in topics():
        raise StudyFileError(f"[report] topic = {topic!r} is none that is known. {did_you_mean(topic, topics())}")
    if lines:
        raise ColumnError(f"{count(len(lines), 'column')} not found. {' '.join(lines)}")
