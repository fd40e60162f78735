"""Recognise the columns of a coding sheet by their usual names, and say what was assumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.known_columns import plain_name
from alliance_stats.data.read_file import read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import DataError
from alliance_stats.meta import coded_variances
from alliance_stats.study.meta.study_file import EffectColumns, MetaStudy
from alliance_stats.study.meta.study_template import meta_template

#: Role to usual names, the surest first; compared without case, spaces and punctuation.
NAMES = {
    "study": (
        *("studyid", "study", "studylabel", "studyname", "studynr", "studyno", "studycode", "slab", "authoryear"),
        *("reference", "citation", "trial", "article", "paper", "publication", "authors", "author", "studie"),
    ),
    "effect": ("effectid", "esid", "effectnr", "effectno", "esnr", "esno"),
    "r": ("r", "ri", "rxy", "cor", "corr", "correlation", "pearsonr", "korrelation"),
    "n": ("n", "ni", "samplesize", "nsample", "ntotal", "totaln", "nobs", "stichprobe"),
    "yi": ("yi", "es", "effectsize", "fisherz", "zr", "zi"),
    **coded_variances.NAMES,
    "rater": ("rater", "alliancerater", "predictorrater", "raterofalliance", "perspective"),
    "outcome": ("outcome", "outcomemeasure", "outcometype"),
    "year": ("year", "pubyear", "publicationyear", "yearofpublication", "jahr"),
}
WORDS = {
    "study": "the study",
    "effect": "the effect's id",
    "r": "the correlation",
    "n": "the sample size",
    "yi": "the effect",
    "vi": "the sampling variance",
    "se": "the standard error",
    "ci_low": "the lower limit of the 95% interval",
    "ci_high": "the upper limit of the 95% interval",
    "rater": "who rated",
    "outcome": "the outcome",
    "year": "the year",
}
#: Names of effects that say that they are Fisher's z.
_FISHER = ("fisherz", "zr")


def guess_meta_study(source: str | Path | pd.DataFrame, options: ReadOptions | None = None) -> MetaStudy:
    """Recognise the columns of a coding sheet by their usual names.

    Only names are looked at, never values.

    Parameters
    ----------
    source : str, Path or DataFrame
        A coding sheet.
    options : ReadOptions, optional
        How a file is written, where that is known.

    Returns
    -------
    MetaStudy
        A study whose ``assumed`` says in sentences what was taken for what.

    Raises
    ------
    DataError
        If the study, or r with n (or yi with vi), cannot be recognised. The message holds the text of a study file
        for this sheet, ready to be edited.
    """
    options = options or ReadOptions()
    named = [str(name) for name in source.columns] if isinstance(source, pd.DataFrame) else read_header(source, options)
    header = tuple(name for name in dict.fromkeys(named) if name)
    found, assumed = _recognise(header)
    name = "the frame" if isinstance(source, pd.DataFrame) else Path(source).name
    lacking = [] if "study" in found else ["a column for the study"]
    if not ({"r", "n"} <= set(found) or ("yi" in found and coded_variances.coded(found))):
        lacking.append("columns for correlation and sample size (or for effect and sampling variance)")
    if lacking:
        text = meta_template("", "" if isinstance(source, pd.DataFrame) else name, found, header)
        raise DataError(
            f"{name} has no {' and no '.join(part.removeprefix('a ') for part in lacking)} with a usual name. Save "
            f"this as study.toml, complete it, and give it with --study:\n\n{text}"
        )
    measure = "ZCOR" if "yi" in found and plain_name(found["yi"]) in _FISHER else None
    if measure:
        assumed.append("Effects are Fisher's z.")
    return MetaStudy(columns=EffectColumns(**found, measure=measure), options=options, assumed=tuple(assumed))


def _recognise(header: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Role to column, and sentences."""
    found: dict[str, Any] = {}
    assumed: list[str] = []
    for role in _roles(header):
        columns = find_columns(role, header)
        if not columns:
            continue
        found[role] = columns[0]
        others = f" ({', '.join(map(repr, columns[1:]))} would also fit.)" if len(columns) > 1 else ""
        assumed.append(f"{columns[0]!r} is {WORDS[role]}.{others}")
    return found, assumed


def _roles(header: Sequence[str]) -> list[str]:
    """Roles to look for: coded effects only where there are no correlations."""
    with_r = all(find_columns(role, header) for role in ("r", "n"))
    found = coded_variances.recognise(header)
    unwanted = {"yi", *coded_variances.NAMES} if with_r else {"r", *(set(coded_variances.NAMES) - set(found))}
    return [role for role in NAMES if role not in unwanted]


def find_columns(role: str, header: Sequence[str]) -> list[str]:
    """List the columns with a usual name for a role, the surest first."""
    names = NAMES[role]
    found = [column for column in header if plain_name(column) in names]
    return sorted(found, key=lambda column: names.index(plain_name(column)))
