"""Settle how options about sheets, wide files and occasions are written, or say what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alliance_stats.data.name_patterns import long_name, pattern_problem
from alliance_stats.errors import DataError


def sheet(given: Any) -> str | tuple[str, ...] | None:
    """Return one name as text, several as a tuple.

    Raises
    ------
    DataError
        If it is neither. A number is refused: some programs count sheets from 0, others from 1.
    """
    if given is None or isinstance(given, str):
        return given
    names = tuple(given) if isinstance(given, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"sheet={given!r} is not understood. Give the name of a sheet, a list of names, or '*' for all."
        )
    return names


def header_rows(given: Any) -> tuple[int, ...] | None:
    """Return first and last row as a tuple.

    Raises
    ------
    DataError
        If it is no row number, nor two of them.
    """
    if given is None:
        return None
    rows = (given,) if isinstance(given, int) else tuple(given) if isinstance(given, Iterable) else ()
    sound = all(isinstance(row, int) and not isinstance(row, bool) and row >= 1 for row in rows)
    if not sound or len(rows) not in (1, 2) or rows[0] > rows[-1]:
        raise DataError(
            f"header_rows={given!r} is not understood. Give the number of the row, counted as the spreadsheet counts, "
            "or the first and the last: header_rows=3 or header_rows=(2, 3)."
        )
    return rows


def wide(given: Any) -> dict[str, str] | None:
    """Return patterns by the name of what they become.

    Raises
    ------
    DataError
        If one of them is no pattern.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        patterns = dict(given)
    else:
        several = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
        problems = [problem for pattern in several if (problem := pattern_problem(pattern))]
        if problems:
            raise DataError("; ".join(problems))
        patterns = {}
        for pattern in several:
            name = long_name(pattern)
            if name in patterns:
                raise DataError(
                    f"wide={pattern!r} and {patterns[name]!r} would both make {name!r}. Name them apart: "
                    'wide={"name": "pattern", …}.'
                )
            patterns[name] = pattern
    problems = [problem for pattern in patterns.values() if (problem := pattern_problem(pattern))]
    problems += [f"wide has the name {name!r}, which is no text" for name in patterns if not isinstance(name, str)]
    if problems:
        raise DataError("; ".join(problems))
    return patterns or None


def occasions(given: Any) -> dict[str, int] | None:
    """Return the number of each occasion; a list is numbered 1, 2, ….

    Raises
    ------
    DataError
        If a number is none, or stands twice.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        numbered = {str(text).strip(): number for text, number in given.items()}
    else:
        texts = (
            [] if isinstance(given, str) or not isinstance(given, Iterable) else [str(text).strip() for text in given]
        )
        numbered = {text: at for at, text in enumerate(texts, start=1)}
        if not texts or len(numbered) < len(texts):
            raise DataError(
                f"occasions={given!r} is not understood. List each occasion once, in order, or give "
                "{occasion: number}."
            )
    for text, number in numbered.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise DataError(f"occasions: {text!r} has the number {number!r}; sessions are numbered 1, 2, 3, ….")
    return numbered or None
