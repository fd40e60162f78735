"""Texts to numbers: decimal mark, missing codes, and what is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from alliance_stats.data.raw_table import distinct_texts
from alliance_stats.data.read_options import DECIMAL_WORDS

#: Decimal mark of a source, as far as its values tell.
Decimal = Literal[",", ".", "none", "unclear"]
#: "1,234" in a comma-delimited file may be a thousand or one and a bit.
_THOUSANDS = r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+"


@dataclass(frozen=True, eq=False)
class NumberTexts:
    """A column of numbers, read as far as that is possible without knowing the decimal mark.

    Work is done on distinct values: two million ratings on a scale of 28 points are 28 conversions.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
        Position of each row's value among the distinct ones.
    numbers : ndarray of float, shape (n_distinct,)
        What could be read with a decimal point; nan elsewhere.
    words : Series of str, length n_distinct, or None
        The distinct values as texts; None where the source holds numbers.
    """

    codes: np.ndarray
    numbers: np.ndarray
    words: pd.Series | None

    def odd_words(self) -> pd.Series:
        """Return the distinct words that are no number with a decimal point, without spaces around them."""
        if self.words is None:
            return pd.Series([], dtype="str")
        return self.words[np.isnan(self.numbers)].str.strip()

    def comma_words(self) -> pd.Series:
        """Return the distinct words that are numbers once their comma is a decimal mark."""
        words = self.odd_words()
        return words[words.str.fullmatch(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?|[+-]?[0-9]{1,3}(?:,[0-9]{3})+")]

    def pointed(self) -> np.ndarray:
        """Say which distinct values are numbers with a decimal point."""
        if self.words is None:
            return np.zeros(len(self.numbers), dtype=bool)
        return self.words.str.contains(".", regex=False).to_numpy() & np.isfinite(self.numbers)

    def any_fraction(self) -> bool:
        """Say whether a number is not whole (then it was written with a point)."""
        return bool((np.nan_to_num(self.numbers) % 1 != 0).any())


def number_texts(values: pd.Series) -> NumberTexts:
    """Read a column as numbers with a decimal point, and set the rest aside."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        return NumberTexts(np.arange(len(values)), values.to_numpy(dtype="float64", na_value=np.nan), None)
    codes, texts = distinct_texts(values)
    words = pd.Series(texts, dtype="str")
    read = pd.to_numeric(words, errors="coerce").to_numpy(dtype="float64", copy=True)
    read[~np.isfinite(read)] = np.nan  # "inf" is no rating
    return NumberTexts(codes, read, words)


def find_decimal(columns: Iterable[NumberTexts], delimiter: str) -> Decimal:
    """Find the decimal mark that the numbers of a source use.

    Parameters
    ----------
    columns : iterable of NumberTexts
        The columns that may hold fractions.
    delimiter : str
        What stands between the columns, in words; in a comma-delimited file ``"1,234"`` decides nothing.

    Returns
    -------
    {",", ".", "none", "unclear"}
        ``"none"`` where no number has either mark; ``"unclear"`` where both occur, or the commas may mark thousands.
    """
    columns = list(columns)
    commas = [words for column in columns if len(words := column.comma_words())]
    if not commas:
        return "." if any(column.any_fraction() for column in columns) else "none"
    thousands = delimiter.startswith("comma") and pd.concat(commas).str.fullmatch(_THOUSANDS).all()
    return "unclear" if thousands or any(column.pointed().any() for column in columns) else ","


def decimal_words(found: Decimal, given: str | None) -> str:
    """Say in words what the decimal mark is and how that is known."""
    if given:
        return f"{DECIMAL_WORDS[given]} (given)"
    return f"{DECIMAL_WORDS[found]} (found)" if found in DECIMAL_WORDS else "point (no value decides)"


def numbers(column: NumberTexts, decimal: str, missing: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Finish reading a column as numbers.

    Parameters
    ----------
    column : NumberTexts
        From :func:`number_texts`.
    decimal : {",", ".", "none", "unclear"}
        Decimal mark; a point unless it is a comma.
    missing : sequence of str
        Texts that stand for a missing value. One that is a number (``"-99"``) also stands for ``-99.0``.

    Returns
    -------
    values : ndarray of float, shape (n_rows,)
        The numbers; nan where missing or bad.
    bad : ndarray of bool, shape (n_rows,)
        Where something stands that is no (finite) number.
    """
    read = column.numbers.copy()
    if column.words is None:
        bad = np.isinf(read)
    else:
        odd = column.odd_words()
        empty = odd.isin(["", *missing])
        if decimal == ",":
            read[column.pointed()] = np.nan
            commas = odd.where(~odd.str.contains(".", regex=False), "").str.replace(",", ".", n=1, regex=False)
            read[odd.index] = pd.to_numeric(commas, errors="coerce")
            read[~np.isfinite(read)] = np.nan
        read[odd.index[empty]] = np.nan
        bad = np.isnan(read)
        bad[odd.index[empty]] = False
    coded = np.isin(read, _missing_numbers(missing))
    bad &= ~coded
    read[bad | coded] = np.nan
    if column.words is None:  # every row is a value of its own
        return read, bad
    return read[column.codes], bad[column.codes]


def _missing_numbers(missing: Sequence[str]) -> list[float]:
    codes = []
    for text in missing:
        try:
            codes.append(float(text))
        except ValueError:
            continue
    return [code for code in codes if not math.isnan(code)]
