"""Safe names for columns while the fixed part of a formula is evaluated.

The library that evaluates it knows functions, the word ``Intercept`` and Python's own words; a column may be called
like any of them. It therefore never sees the users' names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from alliance_stats.design.tokens import tokenize

_SAFE = "column_{}__"
_TEXT = "text_{}__"


def safe_names(expression: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Write an expression with a safe name for every column, and for every text between quotes.

    Parameters
    ----------
    expression : str
        A piece of a formula that :func:`~alliance_stats.design.formula.parse_formula` has let through.

    Returns
    -------
    expression : str
    names : dict of str to str
        Safe name → column.
    texts : dict of str to str
        Safe name → text. It never becomes part of what is evaluated, so it may hold any character.
    """
    names: dict[str, str] = {}
    texts: dict[str, str] = {}
    written, end, before = "", 0, ""
    tokens = tokenize(expression)
    for token, following in pairwise(tokens):
        quoted, before, previous = expression[token.place] == "`", token.text, before
        if token.kind == "text":
            safe = _TEXT.format(len(texts))
            texts[safe] = token.text[1:-1]
        elif token.kind == "name" and (quoted or not (following.text in ("(", "=") or previous in (",", "="))):
            safe = next((known for known, name in names.items() if name == token.text), _SAFE.format(len(names)))
            names[safe] = token.text
        else:
            continue  # a sign, a number, a function, or an option of a call: only the first argument holds columns
        written += expression[end : token.place] + safe
        end = token.place + len(token.text) + 2 * quoted
    return written + expression[end:], names, texts


def user_names(text: str, names: Mapping[str, str], texts: Mapping[str, str] | None = None) -> str:
    """Put the columns' own names back, and the texts between quotes."""
    own = {**names, **{safe: f'"{text}"' for safe, text in (texts or {}).items()}}
    return re.sub("|".join(map(re.escape, own)), lambda found: own[found[0]], text) if own else text
