"""Ids to levels of a grouping: codes in order of appearance, and labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

#: What pandas makes of text.
_TEXT = pd.Index([], dtype=str).dtype


def levels_of(frame: pd.DataFrame, group: tuple[str, ...]) -> tuple[np.ndarray, pd.Index]:
    """Level of each row, in order of appearance, and the levels' labels (``a:b`` for combinations)."""
    codes, labels = _ids(frame[group[0]])
    for name in group[1:]:
        more, more_labels = _ids(frame[name])
        combined, unique = pd.factorize(codes.astype(np.int64) * len(more_labels) + more)
        first, second = np.divmod(unique, len(more_labels))
        labels = pd.Index([f"{labels[i]}:{more_labels[j]}" for i, j in zip(first, second, strict=True)])
        codes = combined
    return codes.astype(np.int64, copy=False), labels


def _ids(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Codes in order of appearance, and the ids as text."""
    codes, labels = pd.factorize(column)
    if labels.dtype == _TEXT:
        return codes, pd.Index(labels)
    return codes, pd.Index(id_texts(labels), dtype=str)


def id_texts(values: Iterable[object]) -> list[str]:
    """Write ids as text; 7.0, a number only for its missing neighbours, is 7."""
    return [str(int(v)) if isinstance(v, float | np.floating) and v == np.floor(v) else str(v) for v in values]
