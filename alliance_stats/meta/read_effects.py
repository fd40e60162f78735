"""Read a coding sheet of effects, with every fault found in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.findings import Findings
from alliance_stats.data.numbers import find_decimal, number_texts, numbers
from alliance_stats.data.raw_table import RawTable, listed
from alliance_stats.data.read_delimited import read_bytes, read_delimited
from alliance_stats.data.read_frame import read_frame
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import ColumnError, DataError, MissingExtraError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE
from alliance_stats.meta.effect_sizes import effect_sizes

_SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
#: Fewest cases for which Fisher's z has a variance.
_FEWEST = 4


def read_effects(
    source: str | Path | pd.DataFrame,
    *,
    study: str = STUDY,
    r: str | None = None,
    n: str | None = None,
    yi: str | None = None,
    vi: str | None = None,
    measure: str = "ZCOR",
    rater: str | None = None,
    outcome: str | None = None,
    sheet: str | int = 0,
    missing: Sequence[str] = ("", "NA"),
    on_faults: str = "raise",
) -> pd.DataFrame:
    """Read effects from a CSV file, an Excel sheet or a frame, and check them.

    Parameters
    ----------
    source : str, Path or DataFrame
        A delimited file, a spreadsheet (the engine that reads it comes with pandas' extras), or a frame.
    study : str
        Column that says which study an effect is from; called ``study`` afterwards.
    r, n : str, optional
        Columns of correlations and sample sizes: effects are computed from them.
    yi, vi : str, optional
        Columns of effects and sampling variances, where these were coded.
    measure : str
        As in :func:`effect_sizes`, of ``r`` and ``n``.
    rater, outcome : str, optional
        Columns that say who rated and what was measured: studies that mix them are noted, and effects that agree in
        them and in their values count as duplicates.
    sheet : str or int
        Sheet of a spreadsheet.
    missing : sequence of str
        Texts that stand for a missing value.
    on_faults : {"raise", "leave_out"}
        Stop and list all faults, or leave out what is at fault and count it in ``attrs["faults"]``.

    Returns
    -------
    DataFrame
        All columns of the source (numbers where all values are), ``study``, ``yi`` and ``vi``. ``attrs["faults"]``
        holds the faults: ``fault, column, n, places, done, way_out``.

    Raises
    ------
    FaultsError
        If values are impossible; all of them are listed.
    ColumnError
        If a named column is not there.
    """
    named = {"study": study, "r": r, "n": n, "yi": yi, "vi": vi, "rater": rater, "outcome": outcome}
    given = {role: column for role, column in named.items() if column is not None}
    if not ({"r", "n"} <= set(given) or {"yi", "vi"} <= set(given)):
        raise DataError("Effects need r= and n=, or yi= and vi=. Name the columns of one of the two pairs.")
    raw = _raw(source, sheet, ReadOptions(missing=tuple(missing), on_faults=on_faults), list(given.values()))
    findings = Findings(raw, on_faults)
    findings.long_lines()
    frame = _converted(raw, findings, given, missing)
    _check_values(frame, findings, given)
    _check_duplicates(frame, findings, given)
    _note_mixtures(frame, findings, given)
    findings.stop_if_refused()
    findings.stop_if_empty()
    kept = frame.loc[~findings.unusable].reset_index(drop=True)
    result = _with_effects(kept, given, measure)
    result.attrs["faults"] = findings.frame
    return result


def _raw(source: str | Path | pd.DataFrame, sheet: str | int, options: ReadOptions, needed: list[str]) -> RawTable:
    """The source with all its columns."""

    def choose(header: Sequence[str]) -> dict[str, int]:
        absent = [name for name in needed if name not in header]
        if absent:
            hints = " ".join(f"No column {name!r}. {did_you_mean(name, header)}" for name in absent)
            raise ColumnError(f"{count(len(absent), 'column')} not found. {hints}")
        return {name: at for at, name in enumerate(header)}

    if isinstance(source, pd.DataFrame):
        return read_frame(source, choose)
    if Path(source).suffix.lower() in _SHEETS:
        return _spreadsheet(Path(source), sheet, choose)
    return read_delimited(source, choose, options)


def _spreadsheet(path: Path, sheet: str | int, choose) -> RawTable:  # type: ignore[no-untyped-def]
    content = read_bytes(path)
    engine: Any = "calamine" if find_spec("python_calamine") else None
    try:
        # everything as text: 0007 stays what it is
        cells = pd.read_excel(path, sheet_name=sheet, dtype=str, na_filter=False, engine=engine)
    except ImportError as error:
        raise MissingExtraError(
            f"{path.name} needs a library that reads spreadsheets ({error}). Or save it as CSV."
        ) from None
    except ValueError as error:
        raise DataError(f"{path.name} cannot be read: {error}. Name a sheet that is there.") from None
    cells.columns = [str(name).strip() for name in cells.columns]
    wanted = choose(list(cells.columns))
    filled = np.flatnonzero((cells != "").any(axis=1).to_numpy())
    if not filled.size:
        raise DataError(f"{path.name} has a header and 0 rows. Check that the right sheet was named.")
    return RawTable(
        name=path.name,
        columns={name: cells.iloc[filled, at].reset_index(drop=True) for name, at in wanted.items()},
        places=filled + 2,
        place_word="row",
        sha256=hashlib.sha256(content).hexdigest(),
        n_rows=int(filled.size),
        reading={"format": "spreadsheet"},
    )


def _converted(raw: RawTable, findings: Findings, given: dict[str, str], missing: Sequence[str]) -> pd.DataFrame:
    """Columns as numbers where all values are; those that must be numbers with their faults."""
    texts = {name: number_texts(column) for name, column in raw.columns.items()}
    must = {given[role]: role for role in ("r", "n", "yi", "vi") if role in given}
    decimal = find_decimal([texts[name] for name in must], raw.reading.get("delimiter", ""))
    columns: dict[str, pd.Series] = {}
    for name, column in raw.columns.items():
        read, bad = numbers(texts[name], decimal, list(missing))
        if name in must:
            findings.rows(f"{must[name]} is no number", name, bad, column, "Correct it, or leave the cell empty.")
            columns[name] = pd.Series(read)
        elif bad.any():
            columns[name] = column.mask(column.astype(str).isin(["", *missing]))
        else:
            columns[name] = pd.Series(read)
    frame = pd.DataFrame(columns)
    who = raw.columns[given["study"]]
    frame[given["study"]] = who.mask(who.astype(str).isin(["", *missing]))
    findings.rows("no study", given["study"], frame[given["study"]].isna().to_numpy(), None, "Say which study it is.")
    return frame


def _check_values(frame: pd.DataFrame, findings: Findings, given: dict[str, str]) -> None:
    def rows(role: str, bad: np.ndarray, fault: str, way_out: str) -> None:
        findings.rows(fault, given[role], bad, frame[given[role]], way_out)

    with np.errstate(invalid="ignore"):
        if "r" in given:
            r, n = frame[given["r"]].to_numpy(), frame[given["n"]].to_numpy()
            rows("r", np.abs(r) > 1, "correlation outside [−1, 1]", "Is it a percentage, or a t value? Correct it.")
            rows("r", np.abs(r) == 1, "correlation of 1 or −1", "It has no variance. Check it.")
            rows("n", n < _FEWEST, f"sample size below {_FEWEST}", "Correct it, or leave the effect out.")
            rows("n", n % 1 > 0, "sample size is no whole number", "Correct it.")
        if "vi" in given:
            v = frame[given["vi"]].to_numpy()
            rows("vi", v <= 0, "sampling variance is not positive", "Is it a standard error, or empty? Correct it.")
        if {"yi", "vi", "n"} <= set(given):
            # Fisher's z has 1/(n − 3): a variance ten times off is a standard error, or another scale
            ratio = frame[given["vi"]].to_numpy() * (frame[given["n"]].to_numpy() - 3)
            odd = (ratio < 0.1) | (ratio > 10)
            places = [findings.raw.place(int(row)) for row in np.flatnonzero(odd)[:3]]
            findings.note(
                "variance far from 1/(n − 3)", given["vi"], int(odd.sum()), listed(places, int(odd.sum())), "Check it."
            )


def _check_duplicates(frame: pd.DataFrame, findings: Findings, given: dict[str, str]) -> None:
    keys = [given[role] for role in ("study", "rater", "outcome", "r", "n", "yi", "vi") if role in given]
    again = frame.duplicated(subset=keys).to_numpy() & frame[keys].notna().all(axis=1).to_numpy()
    what = "same study and values again"
    way_out = "Delete the repeat; or name rater= and outcome=, if these tell the effects apart."
    findings.rows(what, given["study"], again, frame[given["study"]], way_out)


def _note_mixtures(frame: pd.DataFrame, findings: Findings, given: dict[str, str]) -> None:
    for role, plural in (("rater", "raters"), ("outcome", "outcomes")):
        if role not in given:
            continue
        different = frame.groupby(given["study"])[given[role]].nunique()
        mixed = [str(name) for name in different.index[different > 1]]
        way_out = f"Pool them in levels (multilevel), with {given[role]!r} as a moderator."
        findings.note(f"several {plural} in one study", given[role], len(mixed), listed(mixed[:3], len(mixed)), way_out)


def _with_effects(kept: pd.DataFrame, given: dict[str, str], measure: str) -> pd.DataFrame:
    named = {given["study"]: STUDY}
    if "yi" in given:
        named |= {given["yi"]: EFFECT, given["vi"]: VARIANCE}
    clash = [new for old, new in named.items() if new != old and new in kept.columns]
    if clash:
        raise ColumnError(f"The source has a column {clash[0]!r} of its own, beside the one named for it. Rename one.")
    kept = kept.rename(columns=named)
    return kept if "yi" in given else effect_sizes(kept, measure, r=given["r"], n=given["n"])
