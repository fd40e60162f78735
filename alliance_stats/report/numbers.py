"""Numbers as APA 7 prints them: true minus, fixed decimals, no leading zero where a value cannot exceed 1."""

from __future__ import annotations

import math
from typing import Literal, SupportsFloat, TypeAlias

from alliance_stats.errors import DataError

#: Mark between whole and fraction: ``"."``, or ``","`` as in German.
DecimalMark: TypeAlias = Literal[".", ","]
#: What may stand where a number is wanted; ``None`` counts as missing.
Number: TypeAlias = SupportsFloat | None

MINUS = "\N{MINUS SIGN}"
MISSING = "—"
#: More decimals than this are never added to keep a small value visible.
MOST_DECIMALS = 4


def as_float(x: Number) -> float:
    """Read one value as a float; ``None`` and ``pandas.NA`` are missing.

    Raises
    ------
    DataError
        If the value is text or anything else that is no number.
    """
    if x is None or type(x).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(x, str) or not hasattr(x, "__float__"):
        raise DataError(f"1 value is no number: {x!r}. Convert the column with pandas.to_numeric first.")
    return float(x)


def decimals_for(*values: Number, least: int = 2, most: int = MOST_DECIMALS) -> int:
    """Count the decimals that leave the smallest of some values two significant digits.

    Parameters
    ----------
    *values : float
        Values that will be printed with the same number of decimals; zero and missing ones do not count.
    least, most : int
        The count stays between these.

    Returns
    -------
    int
        Decimals: 2 for 0.10, 3 for 0.036, 4 for 0.0048 and for anything smaller.
    """
    sizes = [abs(size) for size in map(as_float, values) if math.isfinite(size) and size != 0]
    if not sizes:
        return least
    needed = 1 - math.floor(math.log10(min(sizes)))
    return max(least, min(most, needed))


def percent(level: float, *, decimal: DecimalMark = ".") -> str:
    """Write the level of an interval: ``95%``, ``99.9%``."""
    share = round(100 * level, 6)
    return f"{number(share, 0 if share.is_integer() else 1, decimal=decimal)}%"


def number(x: Number, decimals: int = 2, *, keep_small: bool = True, decimal: DecimalMark = ".") -> str:
    """Write a number with a true minus sign.

    Parameters
    ----------
    x : float
        Any value; missing ones become an em dash.
    decimals : int, default 2
        Digits after the decimal mark.
    keep_small : bool, default True
        Give a small value up to four decimals, so that it keeps two significant digits (0.0048, not 0.00).
    decimal : {".", ","}
        The decimal mark.

    Returns
    -------
    str
        ``"−0.62"``; never ``"−0.00"``; ``"—"`` if missing; ``"∞"`` if infinite.

    Raises
    ------
    DataError
        If ``x`` is no number, or the decimal mark is unknown.
    """
    _check_mark(decimal)
    value = as_float(x)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    places = decimals_for(value, least=decimals, most=max(decimals, MOST_DECIMALS)) if keep_small else decimals
    digits = f"{abs(value):.{places}f}"
    negative = value < 0 and float(digits) != 0
    return (MINUS if negative else "") + digits.replace(".", decimal)


def bounded(x: Number, decimals: int = 2, *, keep_small: bool = True, decimal: DecimalMark = ".") -> str:
    """Write a value that cannot exceed 1 (*r*, ICC, R²) without its leading zero: ``".28"``, ``"−.07"``.

    Parameters are those of :func:`number`. A value of 1 keeps its digit: ``"1.00"``.
    """
    text = number(x, decimals, keep_small=keep_small, decimal=decimal)
    sign, digits = (MINUS, text[1:]) if text.startswith(MINUS) else ("", text)
    return sign + (digits[1:] if digits.startswith(f"0{decimal}") else digits)


def p_value(p: Number, *, decimal: DecimalMark = ".") -> str:
    """Write a p value with its relation sign: ``"= .034"``, ``"< .001"``, ``"> .999"``.

    Parameters
    ----------
    p : float
        Between 0 and 1; missing gives ``"= —"``.
    decimal : {".", ","}
        The decimal mark.

    Raises
    ------
    DataError
        If ``p`` lies outside 0 to 1.
    """
    _check_mark(decimal)
    value = as_float(p)
    if math.isnan(value):
        return f"= {MISSING}"
    if not 0 <= value <= 1:
        raise DataError(f"1 p value lies outside 0 to 1: {value!r}. Check that the column holds p values.")
    if value < 0.001:
        return f"< {decimal}001"
    if value >= 0.9995:
        return f"> {decimal}999"
    return f"= {bounded(value, 3, keep_small=False, decimal=decimal)}"


def interval(low: Number, high: Number, decimals: int | None = None, *, decimal: DecimalMark = ".") -> str:
    """Write an interval, both ends with the same decimals: ``"[−0.82, −0.42]"``.

    Parameters
    ----------
    low, high : float
        The ends.
    decimals : int, optional
        Digits after the decimal mark. Left out, there are two, or up to four where the interval is narrow.
        An end that is not zero gets as many as it needs (up to four) to show on which side of zero it lies.
    decimal : {".", ","}
        The decimal mark. With a comma the ends are parted by a semicolon.
    """
    ends = as_float(low), as_float(high)
    places = _places_of(*ends, decimals)
    shown = [number(end, places, keep_small=False, decimal=decimal) for end in ends]
    return f"[{('; ' if decimal == ',' else ', ').join(shown)}]"


def with_interval(estimate: Number, low: Number, high: Number, *, decimal: DecimalMark = ".") -> str:
    """Write an estimate with its interval, all with the same decimals: ``"0.291 [0.248, 0.334]"``."""
    places = _places_of(as_float(low), as_float(high), None)
    shown = number(estimate, places, keep_small=False, decimal=decimal)
    return f"{shown} {interval(low, high, places, decimal=decimal)}"


def _places_of(low: float, high: float, decimals: int | None) -> int:
    """Decimals of an interval: as many as show its width, and on which side of zero its ends lie."""
    places = decimals_for(high - low) if decimals is None else decimals
    while places < MOST_DECIMALS and any(math.isfinite(end) and end != 0 == round(end, places) for end in (low, high)):
        places += 1
    return places


def degrees_of_freedom(df: Number, *, decimal: DecimalMark = ".") -> str:
    """Write degrees of freedom: whole from 100 on (``"418"``), one decimal below (``"12.4"``) unless whole."""
    value = as_float(df)
    whole = math.isfinite(value) and (value >= 100 or abs(value - round(value)) < 0.05)
    return number(value, 0 if whole else 1, keep_small=False, decimal=decimal)


def whole(n: Number, *, decimal: DecimalMark = ".") -> str:
    """Write a count, grouped in threes: ``"12,345"`` (with a decimal comma, a narrow space instead)."""
    value = as_float(n)
    if not math.isfinite(value):
        return number(value, decimal=decimal)
    _check_mark(decimal)
    grouped = f"{abs(value):,.0f}".replace(",", "," if decimal == "." else "\N{NARROW NO-BREAK SPACE}")
    return (MINUS if round(value) < 0 else "") + grouped


def _check_mark(decimal: str) -> None:
    if decimal not in (".", ","):
        raise DataError(f"1 decimal mark is unknown: {decimal!r}. Use '.' or ','.")
