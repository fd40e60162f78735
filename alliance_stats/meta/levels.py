"""Levels of a multilevel meta-analysis: which effects share a study, a sample, a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.columns import require

Ints = NDArray[np.integer[Any]]

#: The innermost level where the frame has no such column: every row is an effect of its own.
EFFECT_LEVEL = "effect"


@dataclass(frozen=True)
class Level:
    """One level.

    Parameters
    ----------
    name : str
        As in ``variance()``: ``study``, ``study/effect``.
    codes : ndarray of int, shape (k,)
        Group of each row, from 0, in order of appearance.
    labels : tuple of str
        Ids of the groups.
    """

    name: str
    codes: Ints
    labels: tuple[str, ...]

    @property
    def n(self) -> int:
        """Groups."""
        return len(self.labels)


def read_random(random: str | Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Read ``"study/effect"``, or several such paths that cross each other: ``["study/effect", "year"]``.

    Raises
    ------
    DataError
        If a path is empty, or names a level twice.
    """
    given = [random] if isinstance(random, str) else list(random)
    paths = tuple(tuple(part.strip() for part in path.split("/")) for path in given)
    if not paths or any(not name for path in paths for name in path):
        raise DataError(f"random={random!r} names no levels. Write 'study/effect', or a list for crossed levels.")
    named = ["/".join(path[: at + 1]) for path in paths for at in range(len(path))]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice or any(len(set(path)) < len(path) for path in paths):
        raise DataError(f"random={random!r} names a level twice{f': {twice[0]}' if twice else ''}. Name each once.")
    return paths


def columns_of(paths: Sequence[Sequence[str]], frame: pd.DataFrame) -> list[str]:
    """Columns that the levels need; ``effect`` may be missing as the last of a path."""
    names = [name for path in paths for name in path]
    made = [path[-1] for path in paths if path[-1] == EFFECT_LEVEL and EFFECT_LEVEL not in frame.columns]
    needed = [name for name in dict.fromkeys(names) if name not in made]
    require(frame, *needed)
    return needed


def levels_of(path: Sequence[str], frame: pd.DataFrame) -> list[Level]:
    """Levels of one path, outer first."""
    found: list[Level] = []
    codes, labels = np.zeros(len(frame), np.int64), pd.Index([""])
    for at, name in enumerate(path):
        column = frame[name] if name in frame.columns else pd.Series(np.arange(len(frame)), index=frame.index)
        own, ids = pd.factorize(column)
        pair, unique = pd.factorize(codes * len(ids) + own)
        outer, inner = np.divmod(unique, len(ids))
        texts = [
            _text(ids[j]) if at == 0 else f"{labels[i]}/{_text(ids[j])}" for i, j in zip(outer, inner, strict=True)
        ]
        codes, labels = pair.astype(np.int64), pd.Index(texts)
        found.append(Level("/".join(path[: at + 1]), codes, tuple(texts)))
    return found


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def without_repeats(levels: Sequence[Level]) -> tuple[list[Level], list[str]]:
    """Leave out inner levels that have the same groups as the one outside; say which."""
    kept: list[Level] = []
    notes = []
    for level in levels:
        if kept and level.n == kept[-1].n:
            notes.append(
                f"Each {kept[-1].name} holds one {level.name.rpartition('/')[2]}, so {level.name} is no level of its "
                "own and was left out."
            )
        else:
            kept.append(level)
    return kept, notes


def check_levels(levels: Sequence[Level], k: int) -> None:
    """Refuse levels that the data cannot tell.

    Raises
    ------
    DesignError
        If a level has one group.
    """
    for level in levels:
        if level.n == 1:
            raise DesignError(
                f"The level {level.name!r} has 1 group ({level.labels[0]!r}) in {count(k, 'effect')}: how groups "
                "differ cannot be told from one. Leave the level out of random=, or pool within the study."
            )


def order_of(levels: Sequence[Level]) -> Ints:
    """Order of rows in which the groups of nested levels are contiguous (outer levels first)."""
    return np.lexsort([level.codes for level in reversed(levels)]).astype(np.int64)


def in_order(codes: Ints) -> Ints:
    """Number groups anew, by their first row."""
    return pd.factorize(codes)[0].astype(np.int64)


def nested_in(inner: Ints, outer: Ints) -> bool:
    """Whether every inner group lies inside one outer group."""
    n_inner, n_outer = int(inner.max()) + 1, int(outer.max()) + 1
    return np.unique(inner * n_outer + outer).size == n_inner
