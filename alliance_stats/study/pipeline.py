"""Sessions in, a results page out: ``study_report``."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd

from alliance_stats import __version__
from alliance_stats.data.pseudonyms import pseudonyms_of, with_pseudonyms
from alliance_stats.data.session_table import SessionTable, Source, frame_of, require_columns
from alliance_stats.errors import DataError, count
from alliance_stats.names import ALLIANCE, OUTCOME, PATIENT, SESSION, THERAPIST
from alliance_stats.report.document import Document
from alliance_stats.report.small_cells import check_min_cell, is_small
from alliance_stats.study.answers import Answer
from alliance_stats.study.disclosure import withheld, without_names
from alliance_stats.study.folder import check_free, replaced
from alliance_stats.study.people import changes_of, who
from alliance_stats.study.sections import (
    alliance_over_sessions,
    alliance_with_outcome,
    change_of_therapist,
    differences_between_therapists,
)
from alliance_stats.study.written import StudyReport, write_files

_REFERENCES = (
    "Bates, D., Mächler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models using lme4. "
    "Journal of "
    "Statistical Software, 67(1). https://doi.org/10.18637/jss.v067.i01",
    "Curran, P. J., & Bauer, D. J. (2011). The disaggregation of within-person and between-person effects in "
    "longitudinal "
    "models of change. Annual Review of Psychology, 62, 583–619. https://doi.org/10.1146/annurev.psych.093008.100356",
    "Kuznetsova, A., Brockhoff, P. B., & Christensen, R. H. B. (2017). lmerTest package: Tests in linear mixed "
    "effects models. "
    "Journal of Statistical Software, 82(13). https://doi.org/10.18637/jss.v082.i13",
)


def study_report(
    sessions: SessionTable | pd.DataFrame,
    out: str | Path = "report",
    *,
    alliance: str = ALLIANCE,
    outcome: str = OUTCOME,
    title: str = "",
    pseudonyms: bool = True,
    min_cell: int = 1,
    assumed: tuple[str, ...] = (),
    overwrite: bool = False,
    progress: bool = False,
) -> StudyReport:
    """Write a folder with a results page, its tables, figures and every number.

    Parameters
    ----------
    sessions : SessionTable or DataFrame
        One row per patient and session, under canonical column names.
    out : str or Path
        Folder to write: ``report.html``, ``tables/``, ``figures/``, ``results.json``.
    alliance, outcome : str
        Columns of the two scores; sections that need one that is not there are left out, and the page says so.
    title : str
        Title of the page.
    pseudonyms : bool
        Show ``P001`` and ``T01`` for patients and therapists instead of their ids. ``results.json`` holds no ids in
        either case.
    min_cell : int
        The smallest count that may be shown, for reports that leave the house. Smaller counts of patients, therapists,
        sessions or rows are replaced by ``< 5`` in tables (``null`` in ``results.json``), with the means that rest on
        them; notes that name one are withheld, sections that rest on fewer people refused, and figures that draw
        single patients left out. 1 shows all. What can be worked out from other numbers is not hidden.
    assumed : tuple of str
        What was assumed about the file, in words; shown at the top of the page.
    overwrite : bool
        Replace an existing report folder. The old one stays until the new one is complete.
    progress : bool
        Show a progress bar on stderr when it takes longer than two seconds.

    Returns
    -------
    StudyReport

    Raises
    ------
    OutputExistsError
        If the folder exists and may not be replaced.
    DataError
        If the data have neither score, no sessions, or fewer patients than ``min_cell``.
    """
    check_free(Path(out), overwrite)
    table = _as_table(sessions)
    _check_cells(table, min_cell)
    scores = tuple(name for name in (alliance, outcome) if name in table.frame)
    if not scores:
        require_columns(table.frame, alliance, outcome)
    shown = with_pseudonyms(table) if pseudonyms else table
    asked = _asked(_questions(shown, alliance, outcome, scores, min_cell), progress)
    answers = [withheld(answer, min_cell) for answer in asked]
    document = Document(
        title=title or f"Alliance and outcome: {table.source.name}",
        subtitle=_size(table),
        sections=tuple(answer.section for answer in answers),
        warnings=(*_assumptions(assumed), *_missing_scores(alliance, outcome, scores)),
        provenance=_provenance(table, min_cell),
        references=_REFERENCES,
        simulated=table.source.simulated,
    )
    converged = all(answer.converged for answer in answers)
    results = _results(table, answers, converged, min_cell, pseudonyms)
    with replaced(Path(out), overwrite) as folder:
        write_files(folder, document, results)
    return StudyReport(Path(out), document, results, converged)


def _size(table: SessionTable) -> str:
    patients = count(table.frame[PATIENT].nunique(), "patient")
    return f"{count(len(table), 'session')} of {patients}, from {table.source.name}"


def _check_cells(table: SessionTable, min_cell: int) -> None:
    n_patients = table.frame[PATIENT].nunique()
    if n_patients < check_min_cell(min_cell):
        raise DataError(
            f"The data have fewer than {min_cell} patients, so that with min_cell={min_cell} nothing may be shown. "
            "Give a smaller min_cell, or more data."
        )


def _as_table(sessions: SessionTable | pd.DataFrame) -> SessionTable:
    frame = frame_of(sessions)
    require_columns(frame, PATIENT, SESSION)
    if frame.duplicated([PATIENT, SESSION]).any():
        n = int(frame.duplicated([PATIENT, SESSION]).sum())
        raise DataError(f"{n} rows repeat a patient and session. Read the data with read_sessions(), which lists them.")
    if isinstance(sessions, SessionTable):
        return sessions
    content = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    return SessionTable(frame, source=Source("DataFrame", hashlib.sha256(content).hexdigest(), len(frame)))


def _questions(
    sessions: SessionTable, alliance: str, outcome: str, scores: tuple[str, ...], min_cell: int
) -> list[tuple[str, Callable[[], Answer]]]:
    """The sections that these data allow, in the order of the page."""
    frame = sessions.frame
    asked: list[tuple[str, Callable[[], Answer]]] = [("who is in the data", lambda: who(sessions, scores, min_cell))]
    if alliance in scores:
        asked.append(("alliance over sessions", lambda: alliance_over_sessions(sessions, alliance)))
    if len(scores) == 2:
        asked.append(("alliance and outcome", lambda: alliance_with_outcome(sessions, outcome, alliance)))
    if alliance in scores and len(changes_of(frame)):
        asked.append(("change of therapist", lambda: change_of_therapist(sessions, alliance, min_cell)))
    if THERAPIST in frame and frame[THERAPIST].notna().any():
        ask = partial(differences_between_therapists, sessions, scores[-1], min_cell)
        asked.append(("differences between therapists", ask))
    return asked


def _asked(questions: list[tuple[str, Callable[[], Answer]]], progress: bool) -> Iterator[Answer]:
    from tqdm import tqdm

    bar = tqdm(questions, desc="Report", unit="section", delay=2, disable=not progress)
    for name, ask in bar:
        bar.set_postfix_str(name, refresh=False)
        yield ask()


def _missing_scores(alliance: str, outcome: str, scores: tuple[str, ...]) -> tuple[str, ...]:
    gone = [name for name in (alliance, outcome) if name not in scores]
    return tuple(f"The data have no column {name!r}; the sections that need it are left out." for name in gone)


def _assumptions(assumed: tuple[str, ...]) -> tuple[str, ...]:
    if not assumed:
        return ()
    return (f"No study file was given. Assumed from the column names: {' '.join(assumed)}",)


def _provenance(table: SessionTable, min_cell: int) -> dict[str, str]:
    return {
        "Made with": f"alliance_stats {__version__}",
        "Input": table.source.name,
        "SHA-256 of the input": table.source.sha256,
        **{key.capitalize(): value for key, value in table.source.reading.items() if key in ("licence", "citation")},
        **({"Smallest count shown": str(min_cell)} if min_cell > 1 else {}),
        "Python": platform.python_version(),
        "Date": date.today().isoformat(),
    }


def _results(
    table: SessionTable, answers: list[Answer], converged: bool, min_cell: int, pseudonyms: bool
) -> dict[str, object]:
    n_left_out = table.source.n_rows - len(table)
    known = {} if pseudonyms else pseudonyms_of(table.frame).get(THERAPIST, {})
    return {
        "package": "alliance_stats",
        "version": __version__,
        "input": {
            "name": table.source.name,
            "sha256": table.source.sha256,
            "n_rows": None if is_small(n_left_out, min_cell) else table.source.n_rows,
            "simulated": table.source.simulated,
        },
        "converged": converged,
        "min_cell": min_cell,
        "sections": {answer.section.key: without_names(dict(answer.numbers), known) for answer in answers},
    }
