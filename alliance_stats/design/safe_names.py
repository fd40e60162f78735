"""Safe names for columns while the fixed part of a formula is evaluated.

The library that evaluates it knows functions, the word ``Intercept`` and Python's own words; a column may be called
like any of them. It therefore never sees the users' names.
"""

from __future__ import annotations

from itertools import pairwise

from alliance_stats.design.tokens import tokenize

_SAFE = "column_{}__"


def safe_names(expression: str) -> tuple[str, dict[str, str]]:
    """Write an expression with a safe name for every column.

    Parameters
    ----------
    expression : str
        A piece of a formula that :func:`~alliance_stats.design.formula.parse_formula` has let through.

    Returns
    -------
    expression : str
    names : dict of str to str
        Safe name → column.
    """
    names: dict[str, str] = {}
    written, end = "", 0
    tokens = tokenize(expression)
    for token, following in pairwise(tokens):
        quoted = expression[token.place] == "`"
        if token.kind != "name" or (not quoted and following.text in ("(", "=")):
            continue  # a function, or the keyword of an argument
        safe = next((known for known, name in names.items() if name == token.text), _SAFE.format(len(names)))
        names[safe] = token.text
        written += expression[end : token.place] + safe
        end = token.place + len(token.text) + 2 * quoted
    return written + expression[end:], names


def user_names(text: str, names: dict[str, str]) -> str:
    """Put the columns' own names back."""
    for safe, name in names.items():
        text = text.replace(safe, name)
    return text
