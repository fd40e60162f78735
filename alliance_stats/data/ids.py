"""Ids as texts: leading zeros survive, spaces around them do not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from alliance_stats.data.raw_table import distinct_texts, shown_list

#: What ids are sorted by.
NaturalKey = tuple[str | tuple[int, str], ...]
_DIGITS = re.compile(r"([0-9]+)")
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_WHOLE = re.compile(r"([0-9]+)[.,]0+")


@dataclass(frozen=True, eq=False)
class Ids:
    """One column of ids, factorised.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
        Position in ``words``; −1 where missing.
    words : tuple of str
        The distinct ids.
    stripped : ndarray of bool, shape (n_rows,)
        Where spaces around an id were taken off.
    decimals : ndarray of bool, shape (n_rows,)
        Where an id was written ``17.0`` and read as ``17``.
    """

    codes: np.ndarray
    words: tuple[str, ...]
    stripped: np.ndarray
    decimals: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Where there is no id."""
        return self.codes < 0

    def column(self) -> pd.Series:
        """Return the ids as a column of texts; missing where there is none."""
        words = pd.Series([*self.words, np.nan], dtype="str")  # code −1 picks the last
        return words.take(self.codes % len(words)).reset_index(drop=True)

    @cached_property
    def keys(self) -> tuple[NaturalKey, ...]:
        """Sort key of each word."""
        return tuple(map(natural_key, self.words))

    def near_twins(self) -> list[str]:
        """List the ids that differ only by upper and lower case or by leading zeros, each group as a text."""
        if len(set(self.keys)) == len(self.words):
            return []
        groups: dict[NaturalKey, list[str]] = defaultdict(list)
        for key, word in zip(self.keys, self.words, strict=True):
            groups[key].append(word)
        return [shown_list(sorted(group)) for group in groups.values() if len(group) > 1]

    def order(self) -> np.ndarray:
        """Return the rank of each row's id in natural order ("2" before "10"); missing ids come last."""
        ranked = sorted(range(len(self.words)), key=lambda code: (self.keys[code], self.words[code]))
        ranks = np.full(len(self.words) + 1, len(self.words))
        ranks[ranked] = np.arange(len(self.words))
        return ranks[self.codes]


def read_ids(values: pd.Series, missing: Sequence[str]) -> Ids:
    """Turn a column into ids.

    Parameters
    ----------
    values : Series of length n_rows
        Texts of a file, or any column of a frame; whole floats become ``"17"``, not ``"17.0"``, and so do
        texts where every id with a decimal mark is whole.
    missing : sequence of str
        Texts that stand for a missing id.
    """
    codes, texts = distinct_texts(values)
    plain = [text.strip() for text in texts]
    words = _whole(plain)
    shortened = [word != text for word, text in zip(words, plain, strict=True)]
    known: dict[str, int] = {}
    gone = {"", *missing}
    merged = [-1 if word in gone else known.setdefault(word, len(known)) for word in words]
    trimmed = [code >= 0 and word != text for code, word, text in zip(merged, plain, texts, strict=True)]
    return Ids(
        np.array(merged, dtype=np.int64)[codes],
        tuple(known),
        np.array(trimmed, dtype=bool)[codes],
        np.array(shortened, dtype=bool)[codes],
    )


def _whole(words: list[str]) -> list[str]:
    """Take ``.0`` off ids where all with a decimal mark are whole: a float's spelling, not a part of the id."""
    marked = [word for word in words if _DECIMAL.fullmatch(word)]
    if not marked or not all(_WHOLE.fullmatch(word) for word in marked):
        return words
    return [word[: _WHOLE.fullmatch(word).end(1)] if _WHOLE.fullmatch(word) else word for word in words]  # type: ignore[union-attr]


def natural_key(word: str) -> NaturalKey:
    """Return a sort key that reads runs of digits as numbers and ignores upper and lower case."""
    # Splitting at runs of digits gives text, digits, text, …: numbers always meet numbers, and "" comes before text.
    parts = _DIGITS.split(word.casefold())
    return tuple(_number(part) if position % 2 else part for position, part in enumerate(parts))


def _number(digits: str) -> tuple[int, str]:
    # Comparing lengths first is comparing numbers, and holds for ids with thousands of digits, too.
    plain = digits.lstrip("0")
    return len(plain), plain
