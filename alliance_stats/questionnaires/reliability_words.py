"""Sentences about reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.report.numbers import bounded
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from alliance_stats.questionnaires.reliability_result import ReliabilityResult

_SYMBOLS = {"alpha": "α", "omega": "ω", "RC": "*R*_C", "RkF": "*R*_kF"}


def reliability_report(result: ReliabilityResult) -> Sentences:
    """Reliability of one occasion, between patients, and of change."""
    counts, table = result.counts, result.table()
    percent = f"{100 * result.level:g}%"
    n = int(counts["n_patients"])
    occasion = _listed(table, "occasion", ("alpha", "omega"), percent)
    parts = [
        Sentences.plain(f"At the first form of {n} patients, the reliability of {result.name} was ") + occasion + "."
    ]
    if (table["level"] == "within").any():
        forms = f"Over {int(counts['n_forms'])} forms, it was "
        between = _listed(table, "between", ("alpha", "omega", "RkF"), percent)
        within = _listed(table, "within", ("alpha", "omega", "RC"), percent)
        parts.append(
            Sentences.plain(forms) + between + " between patients and " + within + " for change within patients."
        )
    return join(*parts)


def _listed(table: pd.DataFrame, level: str, names: tuple[str, ...], percent: str) -> Sentences:
    own = table[table["level"] == level].set_index("coefficient")
    texts = [_one(str(row.name), row, percent) for _, row in own.iterrows() if row.name in names]
    return join(*texts, separator=", ") if texts else Sentences("not estimated")


def _one(name: str, row: pd.Series, percent: str) -> Sentences:
    text = Sentences(_SYMBOLS[name]) + " = " + bounded(row["estimate"], 2, keep_small=False)
    if np.isnan(row["ci_low"]):
        return text
    low, high = (bounded(row[end], 2, keep_small=False) for end in ("ci_low", "ci_high"))
    return text + f" ({percent} CI [{low}, {high}])"
