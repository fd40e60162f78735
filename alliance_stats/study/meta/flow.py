"""Which studies and effects the report is about: rows read, left out and why, effects per study, participants."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta.columns import STUDY
from alliance_stats.report.numbers import whole
from alliance_stats.report.sentences import Sentences, join
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.meta.coded import Coded
from alliance_stats.study.meta.part import Asked, Part, section

_HEADINGS = {"what": "", "n": "n", "value": "Median (range)"}
_FAULT_HEADINGS = {
    "fault": "Finding",
    "n": "n",
    "places": "Where",
    "done": "What was done",
    "way_out": "What you can do",
}
_READING = ("format", "sheet", "encoding", "delimiter", "decimal")
#: Above this many categories a role is counted, not listed.
_MOST_LISTED = 12


def flow(asked: Asked) -> Part:
    """Count rows, effects, studies and participants."""
    coded = asked.coded
    counts, categories = _counts(coded), _categories(coded)
    tables = [
        ResultTable(counts, "Effects and Studies", formats={"value": "text", "n": "whole"}, headings=_HEADINGS),
    ]
    if len(categories):
        headings = {"category": "", "k": "Effects", "n_studies": "Studies"}
        tables.append(
            ResultTable(
                categories,
                "Effects by Category",
                ("A study with effects in several categories counts in each of them.",),
                formats={"k": "whole", "n_studies": "whole"},
                headings=headings,
                stub="category",
            )
        )
    if len(coded.faults):
        shown = coded.faults.assign(fault=_with_column(coded.faults))[list(_FAULT_HEADINGS)]
        tables.append(ResultTable(shown, "What Was Found While Reading the Sheet", headings=_FAULT_HEADINGS))
    answer = section(
        "flow",
        "Studies and effects",
        "What was read, what was left out and why, and what is analysed?",
        join(*_sentences(coded)),
        {
            "counts": counts,
            "categories": categories,
            "faults": coded.faults,
            "n_rows": coded.n_rows,
            "k": len(coded.frame),
            "n_studies": coded.n_studies,
            "n_participants": participants(coded),
        },
        tables=tuple(tables),
        notes=_notes(coded),
    )
    return Part(answer)


def _with_column(faults: pd.DataFrame) -> list[str]:
    """Findings with the column in which they were made, in one cell: the table is wide enough without another."""
    pairs = zip(faults["fault"], faults["column"], strict=True)
    return [f"{fault} (column {column!r})" if column else str(fault) for fault, column in pairs]


def participants(coded: Coded) -> int | None:
    """Participants: each study's largest sample, summed; None where sample sizes are not known for every study."""
    sizes = _sizes(coded)
    return None if sizes is None or sizes.isna().any() else round(sizes.sum())


def _sizes(coded: Coded) -> pd.Series | None:
    """The largest sample of each study."""
    column = coded.columns.get("n")
    if column is None or column not in coded.frame or not pd.api.types.is_numeric_dtype(coded.frame[column]):
        return None
    return coded.frame[column].groupby(coded.frame[STUDY], sort=False).max()


def _counts(coded: Coded) -> pd.DataFrame:
    rows: list[tuple[str, int, str]] = [("Rows of the sheet", coded.n_rows, "")]
    for fault in coded.faults.to_dict("records"):
        if fault["done"] == "row left out":
            rows.append((f"Left out: {fault['fault']}", int(fault["n"]), ""))
    without = coded.n_read - len(coded.frame)
    if without:
        rows.append(("Left out: no effect or no variance", without, ""))
    rows.append(("Effects analysed", len(coded.frame), ""))
    rows.append(("Studies", coded.n_studies, ""))
    rows.append(("Effects per study", coded.n_studies, _median_range(coded.frame.groupby(STUDY).size())))
    total, sizes = participants(coded), _sizes(coded)
    if total is not None and sizes is not None:
        rows.append(("Participants (largest sample of each study)", total, _median_range(sizes)))
    year = _years(coded)
    if year is not None:
        rows.append(("Year", int(year.notna().sum()), _median_range(year)))
    return pd.DataFrame(rows, columns=["what", "n", "value"])


def _years(coded: Coded) -> pd.Series | None:
    column = coded.columns.get("year")
    if column is None or column not in coded.frame or not pd.api.types.is_numeric_dtype(coded.frame[column]):
        return None
    return coded.frame[column]


def _categories(coded: Coded) -> pd.DataFrame:
    """Effects and studies by rater and by outcome, where these have few categories."""
    rows = []
    for role, word in (("rater", "Rater"), ("outcome", "Outcome")):
        column = coded.columns.get(role)
        if column is None or column not in coded.frame or coded.frame[column].nunique() > _MOST_LISTED:
            continue
        for name, own in coded.frame.groupby(coded.frame[column].astype("object"), dropna=False, sort=False):
            named = "not coded" if name is None or name != name else str(name)
            rows.append((f"{word} ({column})", named, len(own), own[STUDY].nunique()))
    return pd.DataFrame(rows, columns=["block", "category", "k", "n_studies"])


def _median_range(values: pd.Series) -> str:
    known = values.dropna().to_numpy(np.float64)
    if not known.size:
        return ""
    return f"{np.median(known):g} ({known.min():g}–{known.max():g})"


def _sentences(coded: Coded) -> list[str | Sentences]:
    k, m = len(coded.frame), coded.n_studies
    left_out = coded.n_rows - k
    found: list[str | Sentences] = []
    lead = f"The sheet has {count(coded.n_rows, 'row')}"
    found.append(
        f"{lead}; {left_out} of them {'was' if left_out == 1 else 'were'} left out." if left_out else f"{lead}."
    )
    per_study = coded.frame.groupby(STUDY).size()
    words = f"{count(k, 'effect')} of {count(m, 'study', 'studies')} {'was' if k == 1 else 'were'} analysed"
    if coded.dependent:
        words += f" (effects per study: median {per_study.median():g}, range {per_study.min()} to {per_study.max()})"
    total = participants(coded)
    if total is not None:
        words += f", with {whole(total)} participants"
    found.append(words + ".")
    return found


def _notes(coded: Coded) -> tuple[str, ...]:
    found = [f"{key} {value}" for key, value in coded.reading.items() if key in _READING]
    notes = [f"Read with {', '.join(found)}."] if found else []
    if participants(coded) is not None and coded.dependent:
        notes.append("Effects of one study are taken to share participants: its largest sample counts once.")
    return tuple(notes)
