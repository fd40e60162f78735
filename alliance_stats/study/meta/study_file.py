"""The study file of a meta-analysis: which column is what, the model, moderators, the page. Plain data, never run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.study_file import file_options
from alliance_stats.data.toml_file import read_tables, refuse_problems, table_of, text_of, unknown_keys
from alliance_stats.errors import StudyFileError
from alliance_stats.meta.coded_variances import coded
from alliance_stats.meta.read_effects import read_effects
from alliance_stats.study.meta.study_values import (
    choice_of,
    directions_of,
    number_of,
    random_of,
    texts_of,
    whole_of,
)

TABLES = ("title", "file", "effects", "model", "moderators", "report")
FILE_KEYS = ("path", "delimiter", "decimal", "encoding", "missing", "sheet", "header_rows", "on_faults")
#: Roles of columns, in ``[effects]``; with ``ci_level``, ``measure`` and ``higher`` these are all of its keys.
ROLES = ("study", "effect", "r", "n", "yi", "vi", "se", "ci_low", "ci_high", "rater", "outcome", "year")
EFFECTS_KEYS = (*ROLES, "ci_level", "measure", "higher")
MODEL_KEYS = ("random", "rho", "method", "test", "robust", "subgroup", "prediction", "level")
MODERATOR_KEYS = ("each", "together")
REPORT_KEYS = ("title", "columns", "by", "order", "alternative", "n_boot", "n_subsets", "seed", "topic")
#: Tests of the mean: for independent effects, or (z and t) for several levels without robust errors.
TESTS = ("z", "t", "knha", "adhoc")
ROBUST = ("auto", "CR2", "CR1", "CR0", "none")


@dataclass(frozen=True)
class EffectColumns:
    """Which column is what, as ``[effects]`` says it.

    Parameters
    ----------
    study, effect, r, n, yi, vi, se, ci_low, ci_high, rater, outcome, year : str or None
        Columns; as in :func:`alliance_stats.meta.read_effects`. ``year`` orders the cumulative analysis.
    ci_level : float
        Level of the intervals in ``ci_low`` and ``ci_high``.
    measure : str or None
        Effect size.
    higher : str, mapping or None
        What a higher score of the outcome means.
    """

    study: str = "study"
    effect: str | None = None
    r: str | None = None
    n: str | None = None
    yi: str | None = None
    vi: str | None = None
    se: str | None = None
    ci_low: str | None = None
    ci_high: str | None = None
    rater: str | None = None
    outcome: str | None = None
    year: str | None = None
    ci_level: float = 0.95
    measure: str | None = None
    higher: str | Mapping[str, str] | None = None


@dataclass(frozen=True)
class ModelOptions:
    """What ``[model]`` asks for; what is None is found from the data.

    Parameters
    ----------
    random : str, tuple of str or None
        Levels, as in :func:`alliance_stats.meta.multilevel`; None: ``study/effect`` where a study has several
        effects, else one variance between studies.
    rho : float
        Correlation of the sampling errors of one study.
    method : str
        Estimator of the variances.
    test : str or None
        None: robust where a study has several effects, else Knapp and Hartung.
    robust : str
        Kind of robust standard errors; ``"auto"`` and ``"none"``.
    subgroup : str or None
        Column of the subgroups of the working model of subgroup correlated effects (SCE), for several levels.
    prediction : str or None
        Distribution of the prediction interval, for one effect per study; None: that of the test.
    level : float
        Level of every interval of the report.
    """

    random: str | tuple[str, ...] | None = None
    rho: float = 0.6
    method: str = "REML"
    test: str | None = None
    robust: str = "auto"
    subgroup: str | None = None
    prediction: str | None = None
    level: float = 0.95


@dataclass(frozen=True)
class ModeratorOptions:
    """What ``[moderators]`` asks for.

    Parameters
    ----------
    each : tuple of str
        Columns, each tried alone.
    together : str
        Right side of a formula, ``"rater + year"``; empty for none.
    """

    each: tuple[str, ...] = ()
    together: str = ""


@dataclass(frozen=True)
class MetaReportOptions:
    """What ``[report]`` asks for.

    Parameters
    ----------
    title : str
        Title of the page; the study's when empty.
    columns : tuple of str
        Columns printed in the forest plot.
    by : str or None
        Column of the forest plot's subgroups.
    order : str or None
        Column that the forest plot is sorted by; ``"yi"`` for the size of effects.
    alternative : str or None
        Direction in which results may have been favoured; None: that of the mean.
    n_boot, n_subsets, seed : int
        Draws of the bootstrap behind selection models; subsets of studies to pool (0 for none); the seed of both.
    topic : str
        What published findings to compare with; empty for none.
    """

    title: str = ""
    columns: tuple[str, ...] = ()
    by: str | None = None
    order: str | None = None
    alternative: str | None = None
    n_boot: int = 500
    n_subsets: int = 10_000
    seed: int = 0
    topic: str = ""


@dataclass(frozen=True)
class MetaStudy:
    """A study file of a meta-analysis, read: plain data.

    Parameters
    ----------
    title : str
        What the study is called.
    columns : EffectColumns
    file : str or None
        The coding sheet as the study file names it.
    options : ReadOptions
        How the coding sheet is written.
    model : ModelOptions
    moderators : ModeratorOptions
    report : MetaReportOptions
    assumed : tuple of str
        What was assumed, in sentences; empty where a study file says it all.
    folder : Path
        Folder that ``file`` is relative to.
    """

    title: str = ""
    columns: EffectColumns = field(default_factory=EffectColumns)
    file: str | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    moderators: ModeratorOptions = field(default_factory=ModeratorOptions)
    report: MetaReportOptions = field(default_factory=MetaReportOptions)
    assumed: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path, compare=False)

    def read(self, source: str | Path | pd.DataFrame | None = None) -> pd.DataFrame:
        """Read the effects.

        Parameters
        ----------
        source : str, Path or DataFrame, optional
            The coding sheet; by default the one that the study file names.

        Raises
        ------
        StudyFileError
            If there is no source here nor in the study file.
        DataError
            As :func:`alliance_stats.meta.read_effects` raises it.
        """
        if source is None:
            if self.file is None:
                raise StudyFileError(
                    'The study names no coding sheet. Give its path, or write [file] path = "effects.csv".'
                )
            source = self.folder / self.file
        named = {role: getattr(self.columns, role) for role in ROLES if role != "year"}
        columns = self.columns
        more: dict[str, Any] = {name: getattr(columns, name) for name in ("ci_level", "measure", "higher")}
        return read_effects(source, **named, **more, options=self.options)


def read_meta_study(path: str | Path) -> MetaStudy:
    """Read the study file of a meta-analysis.

    Parameters
    ----------
    path : str or Path
        A TOML file with ``title``, ``[effects]`` (``r`` and ``n``, or ``yi`` and ``vi``, at least), and optional
        ``[file]``, ``[model]``, ``[moderators]`` and ``[report]``.

    Returns
    -------
    MetaStudy
        Its contents. Nothing in the file is ever evaluated.

    Raises
    ------
    StudyFileError
        If the file is no TOML (the line is named), or has keys or values that are not understood; all are listed.
    DataError
        If there is no such file.
    """
    path = Path(path)
    contents, problems = read_tables(path, TABLES, StudyFileError, "study file of a meta-analysis")
    tables = {name: table_of(contents, name, problems) for name in TABLES[1:]}
    title = text_of(contents, "title", "", problems)
    file, options = file_options(tables["file"], problems, FILE_KEYS)
    study = MetaStudy(
        title,
        _columns(tables["effects"], problems),
        file,
        options,
        _model(tables["model"], problems),
        _moderators(tables["moderators"], problems),
        _report(tables["report"], problems),
        folder=path.parent,
    )
    refuse_problems(problems, path.name, StudyFileError)
    return study


def _columns(table: Mapping[str, Any], problems: list[str]) -> EffectColumns:
    unknown_keys(table, EFFECTS_KEYS, "effects", problems)
    given = {role: table[role] for role in ROLES if role in table}
    wrong = {role for role, column in given.items() if not isinstance(column, str) or not column}
    problems += [
        f"[effects] {role} = {given[role]!r} must be the name of a column, in quotes" for role in sorted(wrong)
    ]
    if not ({"r", "n"} <= set(given) or ("yi" in given and coded(given))):
        problems.append(
            "[effects] r and n (correlations and sample sizes) are missing, or yi and vi (or se, or ci_low and ci_high)"
        )
    if ("ci_low" in given) != ("ci_high" in given):
        problems.append("[effects] ci_low and ci_high go together, and one of them is missing")
    from alliance_stats.meta.effect_sizes import MEASURES
    from alliance_stats.meta.read_effects import OF_CORRELATIONS

    known = tuple(MEASURES) if "yi" in given else OF_CORRELATIONS
    measure = choice_of(table, "measure", known, "effects", problems)
    higher = directions_of(table, "outcome" in given, problems)
    sound = {role: column for role, column in given.items() if role not in wrong}
    ci_level = number_of(table, "ci_level", 0.95, "(0, 1), e.g. 0.95", lambda x: 0 < x < 1, "effects", problems)
    return EffectColumns(**sound, ci_level=ci_level, measure=measure, higher=higher)


def _model(table: Mapping[str, Any], problems: list[str]) -> ModelOptions:
    from alliance_stats.engine.pooling.regression import METHODS
    from alliance_stats.meta.pooled_result import PREDICTIONS

    unknown_keys(table, MODEL_KEYS, "model", problems)
    usual = ModelOptions()
    return ModelOptions(
        random_of(table, problems),
        number_of(table, "rho", usual.rho, "[0, 1)", lambda x: 0 <= x < 1, "model", problems),
        choice_of(table, "method", (*METHODS, "FE"), "model", problems) or usual.method,
        choice_of(table, "test", TESTS, "model", problems),
        choice_of(table, "robust", ROBUST, "model", problems) or usual.robust,
        text_of(table, "subgroup", "[model] ", problems) or None,
        choice_of(table, "prediction", PREDICTIONS, "model", problems),
        number_of(table, "level", usual.level, "(0, 1), e.g. 0.95", lambda x: 0 < x < 1, "model", problems),
    )


def _moderators(table: Mapping[str, Any], problems: list[str]) -> ModeratorOptions:
    unknown_keys(table, MODERATOR_KEYS, "moderators", problems)
    return ModeratorOptions(
        texts_of(table, "each", "moderators", problems), text_of(table, "together", "[moderators] ", problems)
    )


def _report(table: Mapping[str, Any], problems: list[str]) -> MetaReportOptions:
    unknown_keys(table, REPORT_KEYS, "report", problems)
    usual = MetaReportOptions()
    return MetaReportOptions(
        text_of(table, "title", "[report] ", problems),
        texts_of(table, "columns", "report", problems),
        text_of(table, "by", "[report] ", problems) or None,
        text_of(table, "order", "[report] ", problems) or None,
        choice_of(table, "alternative", ("greater", "less"), "report", problems),
        whole_of(table, "n_boot", usual.n_boot, 50, "report", problems),
        whole_of(table, "n_subsets", usual.n_subsets, 0, "report", problems),
        whole_of(table, "seed", usual.seed, 0, "report", problems),
        text_of(table, "topic", "[report] ", problems),
    )
