"""Propose patterns for a wide file from its column names. A proposal is shown; it is used once it is given."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from alliance_stats.cells import NO_MATHJAX
from alliance_stats.data.name_patterns import SESSION_WORDS, long_name
from alliance_stats.data.read_file import read_header
from alliance_stats.data.read_frame import frame_header
from alliance_stats.data.read_options import ReadOptions

_ITEM_WORDS = ("item", "i", "q", "it", "frage", "question", "no", "nr")
_DIGITS = re.compile(r"([0-9]+)")
_LAST_LETTERS = re.compile(r"([A-Za-z]*)[_.\- ]?$")
_COLUMNS = ["pattern", "becomes", "n_columns", "sessions", "items", "complete", "example"]


@dataclass(frozen=True)
class WidePattern:
    """One pattern and what it would do.

    Parameters
    ----------
    pattern : str
        ``"wai_t{session}_i{item}"``.
    becomes : str
        Name of the columns that it makes: ``"wai_i{item}"``.
    columns : tuple of str
        The columns that it fits.
    sessions, items : tuple of str
        What stands in the fields; no items where there is one column per session.
    """

    pattern: str
    becomes: str
    columns: tuple[str, ...]
    sessions: tuple[str, ...]
    items: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every item stands at every session."""
        return len(self.columns) == len(self.sessions) * max(len(self.items), 1)

    def words(self) -> str:
        """Say on one line what the pattern does."""
        items = f", items {_span(self.items)}" if self.items else ""
        gaps = "" if self.complete else ", not every one at every session"
        return f"{self.pattern!r}: {len(self.columns)} columns, sessions {_span(self.sessions)}{items}{gaps}"


class WideProposal:
    """Patterns that the names of columns suggest.

    Parameters
    ----------
    patterns : tuple of WidePattern
        What was found, in the order of the columns.
    """

    def __init__(self, patterns: Sequence[WidePattern]) -> None:
        self.patterns = tuple(patterns)

    @property
    def wide(self) -> list[str]:
        """The patterns, as ``read_sessions(wide=…)`` takes them once they are found to be right."""
        return [pattern.pattern for pattern in self.patterns]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per pattern: ``pattern, becomes, n_columns, sessions, items, complete, example``."""
        rows = [
            (p.pattern, p.becomes, len(p.columns), _span(p.sessions), _span(p.items), p.complete, p.columns[0])
            for p in self.patterns
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def __repr__(self) -> str:
        if not self.patterns:
            return "No column name looks as if it had a session in it."
        lines = ["The names of columns suggest:", *(f"  {pattern.words()}" for pattern in self.patterns)]
        return "\n".join([*lines, f"If that is right, give wide={self.wide}."])

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False, escape=True, classes=NO_MATHJAX)


def propose_wide(source: str | Path | pd.DataFrame, *, sheet: str | None = None) -> WideProposal:
    """Propose patterns for a wide file from its column names; values play no part.

    A number is a session where a word for it stands before it (``t``, ``s``, ``w``, ``session``, ``time``, ``visit``,
    …) and it changes from column to column. Columns that only count (``wai_1 … wai_12``) may be items, and are not
    proposed.

    Parameters
    ----------
    source : str, Path or DataFrame
        A file of any kind that :func:`~alliance_stats.read_sessions` reads, or a frame.
    sheet : str, optional
        The sheet, where a file has several.

    Returns
    -------
    WideProposal
        To be looked at; ``.wide`` is what to give to ``read_sessions(wide=…)``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(columns=["id", "phq9_s1", "phq9_s2", "wai_s1_i01", "wai_s1_i02"])
    >>> propose_wide(frame).wide
    ['phq9_s{session}']
    """
    header = frame_header(source) if isinstance(source, pd.DataFrame) else read_header(source, ReadOptions(sheet=sheet))
    return propose(header)


def propose(header: Sequence[str]) -> WideProposal:
    """Propose patterns for these names."""
    shapes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in header:
        parts = _DIGITS.split(name)
        if len(parts) > 1:
            shapes[tuple(parts[::2])].append(name)
    found: list[WidePattern] = []
    for letters, names in shapes.items():
        found += _patterns(letters, names)
    place = {name: at for at, name in reversed(list(enumerate(header)))}
    return WideProposal(sorted(found, key=lambda pattern: place[pattern.columns[0]]))


def _patterns(letters: tuple[str, ...], names: list[str]) -> list[WidePattern]:
    numbers = [_DIGITS.split(name)[1::2] for name in names]
    at = next((slot for slot in range(len(letters) - 1) if _is_session(letters[slot])), None)
    if at is None:
        return []
    items = [slot for slot in range(len(letters) - 1) if slot != at and _is_item(letters[slot])]
    # Other numbers belong to the name of the measure (phq9, gad7), one pattern for each.
    fixed = [slot for slot in range(len(letters) - 1) if slot != at and slot not in items[-1:]]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, digits in enumerate(numbers):
        groups[tuple(digits[slot] for slot in fixed)].append(row)
    made = []
    for rows in groups.values():
        sessions = tuple(dict.fromkeys(numbers[row][at] for row in rows))
        if len(sessions) > 1:
            item = items[-1] if items else None
            made.append(_pattern(letters, [(names[row], numbers[row]) for row in rows], at, item))
    return made


def _pattern(letters: tuple[str, ...], members: list[tuple[str, list[str]]], at: int, item: int | None) -> WidePattern:
    first = members[0][1]
    values = {} if item is None else dict.fromkeys(digits[item] for _, digits in members)
    slots = list(first)
    slots[at] = "{session}"
    if item is not None and len(values) > 1:
        slots[item] = "{item}"
    else:
        values = {}
    pattern = "".join(part for pair in zip(letters, [*slots, ""], strict=True) for part in pair)
    sessions = tuple(dict.fromkeys(digits[at] for _, digits in members))
    return WidePattern(pattern, long_name(pattern), tuple(name for name, _ in members), sessions, tuple(values))


def _is_session(before: str) -> bool:
    found = _LAST_LETTERS.search(before)
    return bool(found) and found[1].casefold() in SESSION_WORDS  # type: ignore[index]


def _is_item(before: str) -> bool:
    found = _LAST_LETTERS.search(before)
    word = found[1].casefold() if found else ""
    # "T3_OQ_12": a number behind a separator counts items; "phq9" is part of a name.
    return word in _ITEM_WORDS or before[-1:] in ("_", ".", "-", " ")


def _span(numbers: Sequence[str]) -> str:
    if not numbers:
        return ""
    ordered = sorted(numbers, key=int)
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]}–{ordered[-1]}"
