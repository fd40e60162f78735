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


@dataclass(frozen=True, eq=False)
class Level:
    """One level.

    Parameters
    ----------
    name : str
        As in ``variance()``: ``study``, ``study/effect``.
    codes : ndarray of int, shape (k,)
        Group of each row, from 0, in order of appearance; −1 for rows of no group.
    n : int
        Groups.
    path : tuple of str
        Columns whose combinations are the groups.
    """

    name: str
    codes: Ints
    n: int
    path: tuple[str, ...]

    def labels(self, rows: pd.DataFrame) -> list[str]:
        """Ids of the groups, such as ``12/3``, from the rows that the codes are about."""
        own = np.flatnonzero(self.codes >= 0)
        first = own[np.unique(self.codes[own], return_index=True)[1]]
        named = rows.iloc[first]
        columns = [named[name] if name in rows.columns else named.index for name in self.path]
        return ["/".join(map(_text, ids)) for ids in zip(*columns, strict=True)]


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
    codes = np.zeros(len(frame), np.int64)
    for at, name in enumerate(path):
        if name in frame.columns:
            own, ids = pd.factorize(frame[name])
            codes, unique = pd.factorize(codes * len(ids) + own)
            n = len(unique)
        else:  # every row is an effect of its own
            codes, n = np.arange(len(frame)), len(frame)
        found.append(Level("/".join(path[: at + 1]), codes.astype(np.int64), n, tuple(path[: at + 1])))
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


def check_levels(levels: Sequence[Level], frame: pd.DataFrame) -> None:
    """Refuse levels that the data cannot tell.

    Raises
    ------
    DesignError
        If a level has one group.
    """
    for level in levels:
        if level.n == 1:
            raise DesignError(
                f"The level {level.name!r} has 1 group ({level.labels(frame)[0]!r}) in {count(len(frame), 'effect')}: "
                "how groups differ cannot be told from one. Leave the level out of random=, or pool within the study."
            )


def order_of(levels: Sequence[Level]) -> Ints:
    """Order of rows in which the groups of nested levels are contiguous (outer levels first)."""
    return np.lexsort([level.codes for level in reversed(levels)]).astype(np.int64)


def in_order(codes: Ints) -> Ints:
    """Number groups anew, by their first row."""
    return pd.factorize(codes)[0].astype(np.int64)


def nested_in(inner: Ints, outer: Ints) -> bool:
    """Whether every inner group lies inside one outer group."""
    n_inner = int(inner.max()) + 1
    if inner is outer or n_inner == inner.size:  # the same groups, or (codes have no gaps) groups of one row
        return True
    owner = np.zeros(n_inner, np.int64)
    owner[inner] = outer
    return bool((owner[inner] == outer).all())
