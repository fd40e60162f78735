"""Read a multi-session file or frame into a session table, with every fault found in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from alliance_stats.data.checks import note_courses
from alliance_stats.data.column_map import ColumnMap, Scores, codebook_for, column_map
from alliance_stats.data.describe_columns import described
from alliance_stats.data.findings import Findings
from alliance_stats.data.layouts import Layout, LongLayout, find_layout
from alliance_stats.data.raw_table import RawTable, find_columns
from alliance_stats.data.read_file import read_file
from alliance_stats.data.read_frame import read_frame
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.session_columns import SessionColumns
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.errors import DataError


def read_sessions(
    source: str | Path | pd.DataFrame,
    *,
    patient: str,
    therapist: str | None = None,
    session: str | None = None,
    date: str | None = None,
    site: str | None = None,
    phase: str | None = None,
    scores: Scores | None = None,
    missing: str | Iterable[object] = ("", "NA"),
    keep: str | Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    on_faults: str = "raise",
    sheet: str | Sequence[str] | None = None,
    header_rows: int | tuple[int, int] | None = None,
    wide: str | Sequence[str] | Mapping[str, str] | None = None,
    occasions: Sequence[object] | Mapping[str, int] | None = None,
    restarts: str = "refuse",
) -> SessionTable:
    """Read sessions from a file of any usual kind, or from a frame.

    Parameters
    ----------
    source : str, Path or DataFrame
        Delimited text (CSV, TSV), Excel, SPSS, Stata, SAS, R, Parquet or Feather; the kind is found by content. Exports
        of Qualtrics (three header rows) and REDCap (events, repeated forms) are known by theirs. Or a frame, which is
        not changed.
    patient : str
        Column that says whose session it was. Ids become texts; leading zeros survive.
    therapist, site, phase : str, optional
        Further columns of ids or names.
    session : str, optional
        Column of session numbers, positive whole numbers within patient. May be left out where ``date`` is given, in
        wide files, and in exports of REDCap, where event or instance number the sessions.
    date : str, optional
        Column of dates. Without ``session``, each patient's sessions are numbered 1, 2, … by date.
    scores : mapping or sequence of str, optional
        ``{"alliance": "wai_total"}``, or ``{"alliance": {"column": "wai_total", "range": (1, 5), "higher": "better",
        "label": "WAI-SR mean", "missing": [99]}}``, or names of columns that keep their name. Left out, the columns
        named ``alliance``, ``alliance_therapist`` and ``outcome`` are taken where present; no other column becomes a
        score by itself.
    missing : iterable of str, default ("", "NA")
        Texts that stand for a missing value, in every column. Empty cells are always missing. ``"-99"`` also stands
        for the number −99.
    keep : iterable of str, optional
        Columns carried along under their own names: as numbers where all values are numbers, as texts otherwise.
    delimiter, decimal, encoding : str, optional
        How the file is written. Each is found out where it is not given; ``source.reading`` says what was found.
    date_format : str, optional
        As in ``strftime`` (``"%d.%m.%Y"``). ISO dates need none; the order of day and month is never guessed. Serial
        numbers of spreadsheets are ``"excel"`` or ``"excel-1904"``.
    on_faults : {"raise", "leave_out"}
        Stop and list all faults, or leave out what is at fault and count it in ``faults``.
    sheet : str or sequence of str, optional
        Sheet of a spreadsheet. Several, or ``"*"`` for all, are read one below the other; the column ``"{sheet}"`` then
        holds their names. In a file of R with several data frames, the name of one.
    header_rows : int or (int, int), optional
        Row of a sheet's header, or first and last row of one with merged cells, where they are not found right.
    wide : str, sequence of str, or mapping, optional
        Patterns of the columns of a wide file: ``"wai_t{session}_i{item}"`` makes ``wai_i01``, ``wai_i02``, …, one row
        per patient and session; ``{"wai": "wai_t{session}"}`` names them. :func:`~alliance_stats.propose_wide` finds
        them.
    occasions : sequence or mapping, optional
        Words that stand where a session number should (``["baseline", "week 1", …]``), in order, or with numbers.
    restarts : {"refuse", "continue"}
        Session numbers that begin anew with another therapist are a fault, or go on from the last one.

    Returns
    -------
    SessionTable
        One row per patient and session, sorted by patient (natural order) and session.

    Raises
    ------
    ColumnError
        If a named column is not there; the nearest one is named.
    FaultsError
        If the values have faults; all of them are listed, and stand in its ``faults``.
    DataError
        If the file is missing, empty, damaged or of no known kind, or an argument is not understood.
    MissingExtraError
        If the kind of file needs a library that is not installed; the message names the extra that brings it.
    """
    options = ReadOptions(
        missing=missing,  # type: ignore[arg-type]  # settled to a tuple there
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        date_format=date_format,
        on_faults=on_faults,
        sheet=sheet,  # type: ignore[arg-type]
        header_rows=header_rows,  # type: ignore[arg-type]
        wide=wide,  # type: ignore[arg-type]
        occasions=occasions,  # type: ignore[arg-type]
        restarts=restarts,
    )
    keys = {"patient": patient, "therapist": therapist, "session": session, "date": date, "site": site, "phase": phase}
    return read_mapped(source, lambda header: column_map(keys, scores, keep, header), options)


def read_mapped(
    source: str | Path | pd.DataFrame, columns: ColumnMap | Callable[[Sequence[str]], ColumnMap], options: ReadOptions
) -> SessionTable:
    """Read sessions with a mapping that stands already (or is made once the header is known)."""
    raw, mapped = _read_raw(source, columns, options)
    findings = Findings(raw, options.on_faults)
    findings.long_lines()
    parts = SessionColumns(raw, mapped, options, findings)
    parts.read()
    findings.stop_if_refused()
    findings.stop_if_empty()
    frame = parts.sorted_frame()
    note_courses(findings, frame, mapped.session or str(mapped.date))
    reading = {**raw.reading, **parts.reading}
    found = Source(name=raw.name, sha256=raw.sha256, n_rows=raw.n_rows + len(raw.long_lines), reading=reading)
    codebook = described(codebook_for(mapped), frame, mapped, raw.words, options, parts.continued)
    return SessionTable(frame=frame, codebook=codebook, faults=findings.frame, source=found)


def _read_raw(
    source: str | Path | pd.DataFrame, columns: ColumnMap | Callable[[Sequence[str]], ColumnMap], options: ReadOptions
) -> tuple[RawTable, ColumnMap]:
    chosen: list[tuple[ColumnMap, Layout]] = []
    name = "the frame" if isinstance(source, pd.DataFrame) else Path(str(source)).name

    def choose(header: Sequence[str]) -> dict[str, int]:
        layout = find_layout(header, options, name)
        mapped = columns if isinstance(columns, ColumnMap) else columns(layout.header)
        find_columns(mapped.wanted, layout.header, name)
        chosen.append((mapped, layout))
        sources = layout.sources(list(mapped.wanted.values()))
        roles = {column: role for role, column in mapped.wanted.items()}
        return find_columns({roles.get(column, column): column for column in sources}, header, name)

    def numeric() -> Sequence[str]:
        mapped, layout = chosen[-1]
        columns = {*mapped.items, *(score.column for score in mapped.scores)}
        if mapped.session is not None and not options.occasions:
            columns.add(mapped.session)
        return sorted(columns - {*mapped.keep}) if isinstance(layout, LongLayout) else ()

    if isinstance(source, pd.DataFrame):
        raw = read_frame(source, choose)
    elif isinstance(source, str | Path):
        raw = read_file(source, choose, options, numeric)
    else:
        raise DataError(
            f"Cannot read sessions from {type(source).__name__}. Give the path of a CSV file, or a DataFrame "
            "(files of Excel, SPSS, Stata, SAS, R and Parquet are read as well)."
        )
    mapped, layout = chosen[-1]
    return layout.arrange(raw, mapped, options), mapped
