"""What one section of a report holds: the page's part, and its numbers at full precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from alliance_stats.models.question import QuestionResult
from alliance_stats.report.document import Section


@dataclass(frozen=True, eq=False)
class Answer:
    """One answered (or unanswered) question.

    Parameters
    ----------
    section : Section
        The page's part.
    numbers : mapping
        Everything that was estimated, ready for JSON.
    converged : bool
        False if a model behind it did not converge.
    """

    section: Section
    numbers: Mapping[str, object] = field(default_factory=dict)
    converged: bool = True


def plain(value: object) -> object:
    """Turn frames, arrays and numpy numbers into what JSON can hold; what is not finite becomes null."""
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    return str(value)


def numbers_of(result: QuestionResult) -> dict[str, object]:
    """Every number of a result: estimates, fit, variances, rows left out, the optimiser's story."""
    return {
        "formula": result.fit.formula.text,
        "table": plain(result.table()),
        "glance": plain(result.glance().iloc[0].to_dict()),
        "variance": plain(result.variance()),
        "dropped": plain(result.dropped),
        "optimizer": plain(result.fit.optimizer().to_dict()),
        "notes": list(result.notes()),
        "sentences": str(result.report()),
    }
