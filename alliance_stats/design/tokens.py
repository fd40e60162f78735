"""Split a formula into words, numbers and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from alliance_stats.errors import FormulaError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<name>`[^`]+`|[^\W\d]\w*(?:\.\w+)*)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign>\|\||\*\*|[~+\-*/:^|(),=])""",
    re.VERBOSE,
)
#: Characters of a long formula that an error shows.
_SHOWN = 160


@dataclass(frozen=True)
class Token:
    """One piece of a formula.

    Parameters
    ----------
    kind : {"name", "number", "text", "sign", "end"}
    text : str
        As written, without the backticks of a quoted name.
    place : int
        Position of its first character.
    """

    kind: str
    text: str
    place: int


def fail(formula: str, place: int, what: str) -> NoReturn:
    """Raise a FormulaError that shows the formula (or what is around the place) with a caret under the character."""
    shown, before = re.sub(r"\s", " ", formula), place
    if len(shown) > _SHOWN:
        start = max(place - _SHOWN // 2, 0)
        shown, before = ("…" if start else "") + shown[start : start + _SHOWN] + "…", place - start + (start > 0)
    raise FormulaError(f"{what} at character {place + 1}:\n  {shown}\n  {' ' * before}^")


def tokenize(formula: str) -> list[Token]:
    """Split a formula into tokens, closed by one of kind ``"end"``.

    Raises
    ------
    FormulaError
        At a character that no formula can hold.
    """
    tokens, place = [], 0
    while place < len(formula):
        match = _TOKEN.match(formula, place)
        if match is None:
            fail(formula, place, f"Unexpected {formula[place]!r}")
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, match.group().strip("`") if kind == "name" else match.group(), place))
        place = match.end()
    return [*tokens, Token("end", "", len(formula))]
