"""Sentences for a results section: plain text that also knows its Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from alliance_stats.errors import ColumnError, DataError, did_you_mean
from alliance_stats.report.markup import (
    clean,
    html_text,
    latex_text,
    literal,
    markdown_line,
    markdown_text,
    spans,
    written,
)
from alliance_stats.report.numbers import (
    DecimalMark,
    as_float,
    decimals_for,
    degrees_of_freedom,
    interval,
    number,
    p_value,
)

if TYPE_CHECKING:
    import pandas as pd

#: One line of a result's ``table()``, by column name.
Row: TypeAlias = "Mapping[str, object] | Mapping[Hashable, object] | pd.Series"

__all__ = ["Sentences", "estimate_part", "full", "higher_or_lower", "join", "literal", "statistic_part"]


class Sentences(str):
    r"""Text to paste into a paper; as a ``str`` it is the plain text.

    Parameters
    ----------
    source : str
        The text, with ``*…*`` around what is italic. ``\*`` and ``\\`` are a star and a backslash;
        :func:`literal` writes them for text that comes from the data.

    Notes
    -----
    ``+`` and :func:`join` keep the italics. An f-string or ``str.join`` gives plain text.

    Examples
    --------
    >>> text = Sentences("*p* < .001")
    >>> print(text, text.markdown, text.latex, text.html, sep="\n")
    p < .001
    *p* < .001
    \emph{p} $<$ .001
    <i>p</i> &lt; .001
    """

    source: str

    def __new__(cls, source: str = "") -> Sentences:
        """Read the source; another ``Sentences`` is taken over with its italics."""
        source = source.source if isinstance(source, Sentences) else str(source)
        text = super().__new__(cls, "".join(clean(piece) for piece, _ in spans(source)))
        text.source = source
        return text

    def __getnewargs__(self) -> tuple[str]:
        """Let copies and pickles be made from the source, so that literal stars stay stars."""
        return (self.source,)

    def __add__(self, other: str) -> Sentences:
        """Join without a space, keeping italics; a plain ``str`` is taken as it is."""
        return join(self, other, separator="")

    def __radd__(self, other: str) -> Sentences:
        """Join without a space, keeping italics; a plain ``str`` is taken as it is."""
        return join(other, self, separator="")

    @classmethod
    def plain(cls, text: object) -> Sentences:
        """Take text over as it is, stars and all; ``Sentences`` keep their italics."""
        return text if isinstance(text, Sentences) else cls(literal(text))

    @property
    def markdown(self) -> str:
        """The text in Markdown."""
        return markdown_line(written(self.source, markdown_text, "*{}*"))

    @property
    def latex(self) -> str:
        r"""The text in LaTeX: ``\emph`` for italics, signs as mathematics."""
        return written(self.source, latex_text, r"\emph{{}}")

    @property
    def html(self) -> str:
        """The text in HTML, escaped, ``<i>`` for italics."""
        return written(self.source, html_text, "<i>{}</i>")

    def _repr_html_(self) -> str:
        return f"<p>{self.html}</p>"


def join(*parts: str, separator: str = " ") -> Sentences:
    """Join parts into one text, keeping italics.

    Parameters
    ----------
    *parts : Sentences or str
        What to join; empty parts are left out. A plain ``str`` is taken as it is: its stars are stars.
    separator : str, default a space
        What to put between.
    """
    return Sentences(literal(separator).join(Sentences.plain(part).source for part in parts if part))


def estimate_part(row: Row, symbol: str = "b", *, confidence: float = 0.95, decimal: DecimalMark = ".") -> Sentences:
    """Write an estimate with its standard error and interval.

    Parameters
    ----------
    row : mapping or Series
        One line of ``table()``: ``estimate, std_error, ci_low, ci_high`` in units of the outcome.
    symbol : str, default "b"
        What the estimate is called; printed in italics.
    confidence : float, default 0.95
        Confidence of the interval in ``row``; only its label.
    decimal : {".", ","}
        The decimal mark.

    Returns
    -------
    Sentences
        ``*b* = −0.62, *SE* = 0.10, 95% CI [−0.82, −0.42]``. All have the decimals that give the standard
        error two significant digits (two to four). A missing standard error or interval is left out.
    """
    estimate, error, low, high = (_value(row, name) for name in ("estimate", "std_error", "ci_low", "ci_high"))
    # Digits beyond the precision that the standard error shows are noise, so it sets the decimals for all.
    places = decimals_for(estimate if math.isnan(error) else error)
    small = math.isnan(error)
    parts = [f"*{literal(symbol)}* = {number(estimate, places, keep_small=small, decimal=decimal)}"]
    if not math.isnan(error):
        parts.append(f"*SE* = {number(error, places, keep_small=False, decimal=decimal)}")
    if not (math.isnan(low) and math.isnan(high)):
        percent = number(100 * confidence, 0 if float(100 * confidence).is_integer() else 1, decimal=decimal)
        parts.append(f"{percent}% CI {interval(low, high, places, decimal=decimal)}")
    return Sentences(", ".join(parts))


def statistic_part(row: Row, *, decimal: DecimalMark = ".") -> Sentences:
    """Write a test: ``*t*(418) = −6.20, *p* < .001``; *z* where the degrees of freedom are infinite or missing.

    Parameters
    ----------
    row : mapping or Series
        One line of ``table()``: ``statistic, df, p_value``.
    decimal : {".", ","}
        The decimal mark.
    """
    df = _value(row, "df", missing=math.nan)
    name = f"*t*({degrees_of_freedom(df, decimal=decimal)})" if math.isfinite(df) else "*z*"
    value = number(_value(row, "statistic"), keep_small=False, decimal=decimal)
    return Sentences(f"{name} = {value}, *p* {p_value(_value(row, 'p_value'), decimal=decimal)}")


def full(row: Row, symbol: str = "b", *, confidence: float = 0.95, decimal: DecimalMark = ".") -> Sentences:
    """Write the estimate and its test, as :func:`estimate_part` and :func:`statistic_part` do."""
    return join(
        estimate_part(row, symbol, confidence=confidence, decimal=decimal),
        statistic_part(row, decimal=decimal),
        separator=", ",
    )


def higher_or_lower(x: float, higher: str = "higher", lower: str = "lower", equal: str = "equal") -> str:
    """Name the direction of a value: above, below or at zero.

    Parameters
    ----------
    x : float
        A difference or a slope.
    higher, lower, equal : str
        The words to choose from.

    Raises
    ------
    DataError
        If ``x`` is missing: a missing estimate has no direction.
    """
    value = as_float(x)
    if math.isnan(value):
        raise DataError("1 estimate is missing and has no direction. Leave its sentence out, and say why.")
    return higher if value > 0 else lower if value < 0 else equal


_REQUIRED = object()


def _value(row: Row, name: str, missing: object = _REQUIRED) -> float:
    keys = list(row.keys())
    if name not in keys:
        if missing is _REQUIRED:
            raise ColumnError(f"The row has no {name!r}. {did_you_mean(name, map(str, keys))}")
        return as_float(missing)  # type: ignore[arg-type]
    return as_float(row[name])  # type: ignore[arg-type]
