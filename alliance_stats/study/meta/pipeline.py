"""A coding sheet in, a results page out: ``meta_report``."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from alliance_stats import __version__
from alliance_stats.errors import count
from alliance_stats.report.document import Document
from alliance_stats.study.answers import Answer
from alliance_stats.study.folder import check_free, replaced
from alliance_stats.study.meta.bias_part import publication_bias
from alliance_stats.study.meta.coded import Coded, take
from alliance_stats.study.meta.flow import flow
from alliance_stats.study.meta.main_model import main_model
from alliance_stats.study.meta.mean import forest_plot, mean_effect
from alliance_stats.study.meta.methods import methods
from alliance_stats.study.meta.moderators import moderators
from alliance_stats.study.meta.part import Asked, Part
from alliance_stats.study.meta.published import beside_published
from alliance_stats.study.meta.sensitivity import sensitivity
from alliance_stats.study.meta.study_file import MetaStudy
from alliance_stats.study.written import StudyReport, write_files

#: Sections in the order of the page; each gives None where nobody asked for it.
_SECTIONS: tuple[tuple[str, Callable[[Asked], Part | None]], ...] = (
    ("studies and effects", flow),
    ("mean effect", mean_effect),
    ("forest plot", forest_plot),
    ("moderators", moderators),
    ("publication bias", publication_bias),
    ("sensitivity", sensitivity),
    ("published findings", beside_published),
)


def meta_report(
    effects: str | Path | pd.DataFrame,
    out: str | Path = "meta-report",
    *,
    study: MetaStudy | str | Path | None = None,
    title: str = "",
    overwrite: bool = False,
    progress: bool = False,
    simulated: bool | None = None,
) -> StudyReport:
    """Write a folder with the whole report of a meta-analysis: page, tables, figures and every number.

    Parameters
    ----------
    effects : str, Path or DataFrame
        A coding sheet of any kind of file; a frame of one; or a frame of effects with ``yi``, ``vi`` (and ``study``).
    out : str or Path
        Folder to write: ``report.html``, ``tables/``, ``figures/``, ``results.json``.
    study : MetaStudy, str or Path, optional
        The study file, or what :func:`~alliance_stats.read_meta_study` read from it. Left out, columns are recognised
        by their usual names, and the page says what was assumed.
    title : str
        Title of the page; the study's by default.
    overwrite : bool
        Replace an existing report folder. The old one stays until the new one is complete.
    progress : bool
        Show a progress bar on stderr when it takes longer than two seconds.
    simulated : bool, optional
        Stamp page and figures "Simulated data"; by default what the frame's ``attrs`` say.

    Returns
    -------
    StudyReport

    Raises
    ------
    OutputExistsError
        If the folder exists and may not be replaced.
    FaultsError
        If the sheet has faults; all of them are listed.
    DataError
        If the sheet or the study file is at fault in another way.
    """
    from dataclasses import replace

    check_free(Path(out), overwrite)
    coded = take(effects, study)
    if simulated is not None:
        coded = replace(coded, simulated=simulated)
    main, remarks = main_model(coded)
    asked = Asked(coded, main, remarks, progress=progress)
    parts = list(_asked(asked))
    answers = [methods(asked, parts), *(part.answer for part in parts)]
    document = Document(
        title=title or coded.study.report.title or coded.study.title or f"Meta-analysis: {coded.name}",
        subtitle=_size(coded),
        sections=tuple(answer.section for answer in answers),
        warnings=_assumptions(coded.assumed),
        provenance=_provenance(coded),
        references=asked.citations.entries(),
        simulated=coded.simulated,
    )
    converged = all(answer.converged for answer in answers)
    results = _results(coded, answers, converged)
    with replaced(Path(out), overwrite) as folder:
        write_files(folder, document, results)
    return StudyReport(Path(out), document, results, converged)


def _asked(asked: Asked) -> Iterator[Part]:
    from tqdm import tqdm

    bar = tqdm(_SECTIONS, desc="Report", unit="section", delay=2, disable=not asked.progress)
    for name, ask in bar:
        bar.set_postfix_str(name, refresh=False)
        part = ask(asked)
        if part is not None:
            yield part


def _size(coded: Coded) -> str:
    studies = count(coded.n_studies, "study", "studies")
    return f"{count(len(coded.frame), 'effect')} of {studies}, from {coded.name}"


def _assumptions(assumed: tuple[str, ...]) -> tuple[str, ...]:
    if not assumed:
        return ()
    return (f"No study file was given. Assumed from the column names: {' '.join(assumed)}",)


def _provenance(coded: Coded) -> dict[str, str]:
    return {
        "Made with": f"alliance_stats {__version__}",
        "Input": coded.name,
        "SHA-256 of the input": coded.sha256,
        "Python": platform.python_version(),
        "Date": date.today().isoformat(),
    }


def _results(coded: Coded, answers: list[Answer], converged: bool) -> dict[str, object]:
    return {
        "package": "alliance_stats",
        "version": __version__,
        "kind": "meta-analysis",
        "input": {
            "name": coded.name,
            "sha256": coded.sha256,
            "n_rows": coded.n_rows,
            "simulated": coded.simulated,
        },
        "converged": converged,
        "sections": {answer.section.key: dict(answer.numbers) for answer in answers},
    }
