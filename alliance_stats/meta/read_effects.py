"""Read a coding sheet of effects, with every fault found in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.findings import Findings
from alliance_stats.data.ids import read_ids
from alliance_stats.data.numbers import decimal_words, find_decimal, number_texts, numbers
from alliance_stats.data.raw_table import RawTable, listed
from alliance_stats.data.read_file import read_file
from alliance_stats.data.read_frame import read_frame
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import ColumnError, DataError, count, did_you_mean
from alliance_stats.meta.coded_variances import NAMES, WAYS, coded, recognise, sampling_variances
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE
from alliance_stats.meta.effect_sizes import MEASURES, directions, effect_sizes
from alliance_stats.meta.settings import check_level

#: Fewest cases for which Fisher's z has a variance.
_FEWEST = 4
#: Measures that correlations and sample sizes give.
OF_CORRELATIONS = tuple(name for name, one in MEASURES.items() if one.takes == ("r", "n"))


def read_effects(
    source: str | Path | pd.DataFrame,
    *,
    study: str = STUDY,
    effect: str | None = None,
    r: str | None = None,
    n: str | None = None,
    yi: str | None = None,
    vi: str | None = None,
    se: str | None = None,
    ci_low: str | None = None,
    ci_high: str | None = None,
    ci_level: float = 0.95,
    measure: str | None = None,
    rater: str | None = None,
    outcome: str | None = None,
    higher: str | Mapping[Any, str] | None = None,
    sheet: str | None = None,
    missing: Sequence[str] = ("", "NA"),
    on_faults: str = "raise",
    options: ReadOptions | None = None,
) -> pd.DataFrame:
    """Read effects from a file or a frame, and check them.

    Parameters
    ----------
    source : str, Path or DataFrame
        A file of any kind that :func:`~alliance_stats.read_sessions` reads (CSV, Excel, SPSS, …), or a frame.
    study : str
        Column that says which study an effect is from; called ``study`` afterwards.
    effect : str, optional
        Column of the effects' ids, which tells effects of one study apart that agree in all else.
    r, n : str, optional
        Columns of correlations and sample sizes: effects are computed from them.
    yi, vi : str, optional
        Columns of effects and sampling variances, where these were coded.
    se : str, optional
        Column of standard errors, which are squared, instead of ``vi`` or beside it.
    ci_low, ci_high : str, optional
        Columns of the limits of confidence intervals from the normal distribution, on the scale of ``yi``: the variance
        is ((high − low)/(2 × 1.96))². Of several ways that are coded, each row has the first: variance, standard error,
        interval; where they disagree by more than the digits as written explain, that is a fault. With ``yi`` and none
        of them named, columns with usual names (``vi``, ``sei``, ``SE``, ``std_error``, …) are taken.
    ci_level : float
        Level of these intervals.
    measure : str, optional
        As in :func:`effect_sizes`: of ``r`` and ``n`` (``"ZCOR"`` by default), or what ``yi`` is.
    rater, outcome : str, optional
        Columns that say who rated and what was measured: studies that mix them are noted, and effects that agree in
        them and in their values count as duplicates.
    higher : {"better", "worse"}, mapping or str, optional
        What a higher score of the outcome means, as in :func:`effect_sizes`; a mapping is from the values of
        ``outcome``.
    sheet : str, optional
        Sheet of a spreadsheet; the first by default.
    missing : sequence of str
        Texts that stand for a missing value.
    on_faults : {"raise", "leave_out"}
        Stop and list all faults, or leave out what is at fault and count it in ``attrs["faults"]``.
    options : ReadOptions, optional
        All options of reading, instead of ``sheet``, ``missing`` and ``on_faults``.

    Returns
    -------
    DataFrame
        All columns of the source (numbers where all values are), ``study``, ``yi`` and ``vi``. ``attrs["faults"]``
        holds the faults as records ``fault, column, n, places, done, way_out`` (``pandas.DataFrame`` makes a table of
        them), and which variances were converted; ``attrs["source"]`` name, hash and rows of the source, how many were
        kept, and ``variances``: the columns that gave them.

    Raises
    ------
    FaultsError
        If values are impossible; all of them are listed.
    ColumnError
        If a named column is not there.
    """
    named = {"study": study, "effect": effect, "r": r, "n": n, "yi": yi, "vi": vi, "rater": rater, "outcome": outcome}
    named |= {"se": se, "ci_low": ci_low, "ci_high": ci_high}
    given = {role: column for role, column in named.items() if column is not None}
    if "yi" not in given and not {"r", "n"} <= set(given):
        raise DataError(f"Effects need r= and n=, or yi= and vi= (or {WAYS.removeprefix('vi=, ')}). Name the columns.")
    if ("ci_low" in given) != ("ci_high" in given):
        raise DataError("1 limit of the intervals is named. Name both, ci_low= and ci_high=.")
    check_level(ci_level)
    measure = _checked(measure, "yi" in given)
    options = options or ReadOptions(missing=tuple(missing), on_faults=on_faults, sheet=sheet)
    more = [higher] if isinstance(higher, str) and higher not in ("better", "worse") else []
    raw = _raw(source, options, [*given.values(), *more])
    if "yi" in given and not coded(given):
        given |= _recognised(raw)
    findings = Findings(raw, options.on_faults)
    findings.long_lines()
    frame, reading = _converted(raw, findings, given, options)
    _check_values(frame, findings, given)
    variances = sampling_variances(frame, findings, given, ci_level) if "yi" in given else None
    if variances is not None and "n" in given:
        _note_odd_variances(frame, findings, given, variances.v)
    _check_duplicates(frame, findings, given)
    _note_mixtures(frame, findings, given)
    if variances is not None:
        variances.note(findings, ~findings.unusable & frame[given["yi"]].notna().to_numpy())
    findings.stop_if_refused()
    findings.stop_if_empty()
    kept = frame.loc[~findings.unusable].reset_index(drop=True)
    if variances is not None:
        kept = _with_variances(kept, given, variances.v[~findings.unusable])
    result = _with_effects(kept, given, measure, higher)
    # plain records: pandas compares attrs when it joins frames, and frames in them cannot be compared
    result.attrs["faults"] = findings.frame.to_dict("records")
    result.attrs["source"] = {"name": raw.name, "sha256": raw.sha256, "n_rows": raw.n_rows + len(raw.long_lines)}
    result.attrs["source"] |= {"reading": reading, "n_kept": len(result)}
    if variances is not None:
        result.attrs["source"]["variances"] = {role: given[role] for role in NAMES if role in given}
    return result


def _checked(measure: str | None, coded: bool) -> str:
    """The measure; empty where effects are coded and it is not said what they are."""
    if measure is None:
        return "" if coded else "ZCOR"
    known = tuple(MEASURES) if coded else OF_CORRELATIONS
    if measure not in known:
        of = "" if coded else " of r and n; others are computed with effect_sizes()"
        raise DataError(f"No measure {measure!r}{of}. {did_you_mean(measure, known)}")
    return measure


def _raw(source: str | Path | pd.DataFrame, options: ReadOptions, needed: list[str]) -> RawTable:
    """The source with all its columns."""

    def choose(header: Sequence[str]) -> dict[str, int]:
        absent = [name for name in dict.fromkeys(needed) if name not in header]
        if absent:
            hints = " ".join(f"No column {name!r}. {did_you_mean(name, header)}" for name in absent)
            raise ColumnError(f"{count(len(absent), 'column')} not found. {hints}")
        return {name: at for at, name in enumerate(header) if name}

    if isinstance(source, pd.DataFrame):
        return read_frame(source, choose)
    return read_file(source, choose, options)


def _converted(
    raw: RawTable, findings: Findings, given: dict[str, str], options: ReadOptions
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Columns as numbers where all values are, those that must be with their faults; and how the source was read."""
    texts = {name: number_texts(column) for name, column in raw.columns.items()}
    must = {given[role]: role for role in ("r", "n", "yi", *NAMES) if role in given}
    missing = options.missing
    found = find_decimal([texts[name] for name in must], raw.reading.get("delimiter", ""))
    decimal = options.decimal or found
    reading = {"decimal": decimal_words(found, options.decimal)} if raw.reading and not raw.typed else {}
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
    studies = read_ids(raw.columns[given["study"]], missing)
    frame[given["study"]] = studies.column()
    findings.rows("no study", given["study"], studies.missing, None, "Say which study it is.")
    for role, plural in (("study", "studies"), ("rater", "raters"), ("outcome", "outcomes")):
        if role in given:
            twins = read_ids(raw.columns[given[role]], missing).near_twins()
            way_out = f"Taken as different {plural}. Give them one name, if they are one."
            what = f"names of {plural} that are nearly the same"
            findings.note(what, given[role], len(twins), listed(twins[:3], len(twins)), way_out)
    return frame, {**raw.reading, **reading}


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


def _note_odd_variances(frame: pd.DataFrame, findings: Findings, given: dict[str, str], variances: np.ndarray) -> None:
    # Fisher's z has 1/(n − 3): a variance ten times off is a standard error, or another scale
    ratio = variances * (frame[given["n"]].to_numpy() - 3)
    odd = (ratio < 0.1) | (ratio > 10)
    n = int(odd.sum())
    places = listed([findings.raw.place(int(row)) for row in np.flatnonzero(odd)[:3]], n)
    column = next(given[role] for role in NAMES if role in given)
    findings.note("variance far from 1/(n − 3)", column, n, places, "Check it.")


def _check_duplicates(frame: pd.DataFrame, findings: Findings, given: dict[str, str]) -> None:
    values = [given[role] for role in ("rater", "outcome", "r", "n", "yi", *NAMES) if role in given]
    keys = [given["study"], *([given["effect"]] if "effect" in given else values)]
    # one way of coding the variance is enough, and sample sizes beside coded effects may be unknown
    optional = {given[role] for role in ("n", *NAMES) if role in given} if "yi" in given else set()
    needed = [name for name in keys if name not in optional]
    again = frame.duplicated(subset=keys).to_numpy() & frame[needed].notna().all(axis=1).to_numpy()
    what = "same study and effect again" if "effect" in given else "same study and values again"
    way_out = "Delete the repeat; or name effect, rater or outcome, if these tell the effects apart."
    findings.rows(what, given["study"], again, frame[given["study"]], way_out)


def _note_mixtures(frame: pd.DataFrame, findings: Findings, given: dict[str, str]) -> None:
    for role, plural in (("rater", "raters"), ("outcome", "outcomes")):
        if role not in given:
            continue
        different = frame.groupby(given["study"])[given[role]].nunique()
        mixed = [str(name) for name in different.index[different > 1]]
        way_out = f"Pool them in levels (multilevel), with {given[role]!r} as a moderator."
        findings.note(f"several {plural} in one study", given[role], len(mixed), listed(mixed[:3], len(mixed)), way_out)


def _recognised(raw: RawTable) -> dict[str, str]:
    found = recognise(list(raw.columns))
    if not found:
        raise DataError(
            f"Effects in yi= need their variances: {WAYS}. No column has a usual name (vi, sei, se, std_error, …); the "
            f"columns are {listed(list(raw.columns)[:12], len(raw.columns))}."
        )
    return found


def _with_variances(kept: pd.DataFrame, given: dict[str, str], variances: np.ndarray) -> pd.DataFrame:
    """Put the variances into their column; one that was coded gives its column up."""
    column = given.get("vi")
    if VARIANCE in kept.columns and column != VARIANCE:
        raise ColumnError(f"The source has a column {VARIANCE!r} of its own, beside those named. Rename one.")
    if column is None:
        return kept.assign(**{VARIANCE: variances})
    return kept.assign(**{column: variances}).rename(columns={column: VARIANCE})


def _with_effects(
    kept: pd.DataFrame, given: dict[str, str], measure: str, higher: str | Mapping[Any, str] | None
) -> pd.DataFrame:
    named = {given["study"]: STUDY}
    if "yi" in given:
        named |= {given["yi"]: EFFECT}
    clash = [new for old, new in named.items() if new != old and new in kept.columns]
    if clash:
        raise ColumnError(f"The source has a column {clash[0]!r} of its own, beside the one named for it. Rename one.")
    kept = kept.rename(columns=named)
    outcome = given.get("outcome")
    if "yi" not in given:
        return effect_sizes(kept, measure, r=given["r"], n=given["n"], higher=higher, outcome=outcome)
    kept[EFFECT] = directions(kept, higher, outcome) * kept[EFFECT]
    if measure:
        kept.attrs["measure"] = measure
    return kept
