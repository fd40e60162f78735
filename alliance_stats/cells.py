"""Cells of CSV and spreadsheet files, made harmless: no text of the data is ever run as a formula."""

from __future__ import annotations

import numbers
import re
from datetime import date, timedelta

#: A cell that begins so is run as a formula; the wide forms are read so in East Asian settings.
_STARTS = "=+\\-@＝＋－＠"
#: What programs skip before they look for a formula: space of any kind, characters without width, quotes.
_SKIPPED = '[\\s\u200b-\u200f\u2060\ufeff"]*'
#: At the start of a cell, or where another program may start one: it may split at semicolons, tabs or lines.
_FORMULA = re.compile(f"(?:^|[;\\t\\r\\n]){_SKIPPED}(?=[{_STARTS}])")
_LEADING = re.compile("^[\\t\\r\\n]")
#: Classes that keep MathJax away from tables in notebooks: between dollar signs a text of the data could make a link.
NO_MATHJAX = "tex2jax_ignore mathjax_ignore"
#: Characters that no spreadsheet file may hold, and halves of characters that cannot be written at all.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_HALVES = re.compile("[\ud800-\udfff]")


def harmless(text: str) -> str:
    """Put an apostrophe before whatever a spreadsheet would run, and take out what it cannot hold.

    Parameters
    ----------
    text : str
        Any text of the data: an id, a label, a column name.

    Returns
    -------
    str
        The text itself where it is harmless. An apostrophe stands before ``=``, ``+``, ``-`` and ``@`` (and their wide
        forms) at the start, also after spaces and quotes; after a semicolon, a tab or a line break inside the text,
        where a program that expects another delimiter starts a new cell; and before a tab or line break at the start.
        Control characters vanish; halves of characters become ``�``.

    Examples
    --------
    >>> harmless("=1+1")
    "'=1+1"
    >>> harmless("mild; =1+1")
    "mild; '=1+1"
    """
    whole = _HALVES.sub("\ufffd", _UNWRITABLE.sub("", text))
    safe = _FORMULA.sub(lambda found: f"{found[0]}'", whole)
    return f"'{safe}" if _LEADING.match(safe) else safe


def harmless_cell(value: object) -> object:
    """Make one cell harmless: numbers and dates stay what they are, everything else is taken as the text it prints."""
    if value is None or isinstance(value, numbers.Number | date | timedelta):
        return value
    text = value if isinstance(value, str) else str(value)
    safe = harmless(text)
    return value if safe == text else safe
