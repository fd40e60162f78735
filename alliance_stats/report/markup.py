"""A line of text with italics, and how plain text is made safe in Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

#: ``\\*`` and ``\\\\`` are literal; ``*word*`` is italic when the stars touch the word.
_TOKEN = re.compile(r"\\(?P<literal>[\\*])|\*(?P<italic>(?=\S)(?:\\.|[^*\\])+(?<=\S))\*", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")  # they reorder what is read, within and beyond their cell

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    '"': "''",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "²": "$^2$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "ρ": r"$\rho$",
    "χ": r"$\chi$",
    "Δ": r"$\Delta$",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{NO-BREAK SPACE}": "~",
}


def clean(text: object) -> str:
    """Turn a value into one line: line breaks become spaces, control and direction characters vanish."""
    one_line = re.sub(r"[\t\r\n]+", " ", str(text))
    return _DIRECTION.sub("", _CONTROL.sub("", one_line))


def literal(text: object) -> str:
    """Escape text (a label, an id) so that it can stand inside the source of ``Sentences`` as it is."""
    return re.sub(r"([\\*])", r"\\\1", str(text))


def html_text(text: object) -> str:
    """Escape text for HTML."""
    return html.escape(clean(text), quote=True)


def latex_text(text: object) -> str:
    """Escape text for LaTeX; signs such as the true minus become mathematics."""
    return "".join(_LATEX.get(character, character) for character in clean(text))


def markdown_text(text: object) -> str:
    """Escape text for the middle of a Markdown line or table cell; ``alliance_within`` and ``< .001`` stay readable."""
    escaped = re.sub(r"([\\`*|$~]|<(?=[A-Za-z/!?])|&(?=#?\w+;))", r"\\\1", clean(text))
    escaped = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)
    return re.sub(r"\](?=[(\[:])", r"\\]", escaped)


def markdown_line(line: str) -> str:
    """Escape what would make a heading, a quotation or a list of a finished line, by how it begins."""
    line = re.sub(r"^\s+", "", line)
    line = re.sub(r"^(\d+)(?=[.)]\s)", r"\1\\", line)
    return re.sub(r"^(?=#{1,6}\s|[>=]|[-+]\s|---|===)", r"\\", line)


def spans(source: str) -> list[tuple[str, bool]]:
    """Split a source into pieces of text, each with whether it is italic."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for token in _TOKEN.finditer(source):
        pieces.append((source[end : token.start()], False))
        italic = token["italic"]
        pieces.append((token["literal"], False) if italic is None else (re.sub(r"\\([\\*])", r"\1", italic), True))
        end = token.end()
    pieces.append((source[end:], False))
    return _merged([piece for piece in pieces if piece[0]])


def written(source: str, escape: Callable[[object], str], italic: str) -> str:
    """Write a source in another language: every piece escaped, italic ones put into a pattern with ``{}``."""
    return "".join(
        italic.replace("{}", escape(text)) if is_italic else escape(text) for text, is_italic in spans(source)
    )


def _merged(pieces: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    # Joined before escaping, so that a rule about two neighbouring characters sees both.
    merged: list[tuple[str, bool]] = []
    for text, is_italic in pieces:
        if merged and not is_italic and not merged[-1][1]:
            merged[-1] = (merged[-1][0] + text, False)
        else:
            merged.append((text, is_italic))
    return merged
