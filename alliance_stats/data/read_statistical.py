"""Read files of statistics programs through pyreadstat: SPSS, Stata, SAS."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data import statistical_child
from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.file_kind import KIND_WORDS
from alliance_stats.data.raw_table import plain_text
from alliance_stats.data.stored_table import StoredTable, need
from alliance_stats.errors import DataError

_READERS = {"spss": "read_sav", "stata": "read_dta", "sas": "read_sas7bdat", "xport": "read_xport"}
_EXTRAS = {"spss": "spss", "stata": "stata", "sas": "sas", "xport": "sas"}


def read_statistical(content: bytes, kind: str, name: str, encoding: str | None = None) -> StoredTable:
    """Read an SPSS, Stata or SAS file.

    Values that the file declares as missing (SPSS) become missing; the codes are kept beside the column, with variable
    labels and value labels. Extended missing values of Stata and SAS (``.a``, ``.b``, …) are missing.

    Parameters
    ----------
    content : bytes
        The whole file.
    kind : {"spss", "stata", "sas", "xport"}
        As :func:`~alliance_stats.data.file_kind.file_kind` found it.
    name : str
        File name, for messages.
    encoding : str or None
        Encoding of its texts; the file's own statement if None.

    Raises
    ------
    MissingExtraError
        If pyreadstat is not installed.
    DataError
        If the file is damaged or of a release that is not understood.
    """
    need("pyreadstat", _EXTRAS[kind], KIND_WORDS[kind])
    try:
        held, told = _read(content, _READERS[kind], encoding)
    except Exception as error:  # the library raises whatever its layers raise
        raise DataError(
            f"{name} cannot be read as a file of {KIND_WORDS[kind]}: {_short(error)}. Save it anew, "
            "give encoding=, or export it as CSV."
        ) from None
    about = SimpleNamespace(**told)
    header = tuple(str(column) for column in held)
    columns = [pd.Series(values) for values in held.values()]
    words, declared = {}, {}
    for at, column in enumerate(header):
        words[column], at_fault = _words(column, columns[at], about)
        if at_fault.any():
            declared[column] = columns[at].astype(object).where(at_fault)
            columns[at] = columns[at].mask(at_fault)
    return StoredTable(
        header=header,
        columns=columns,
        places=np.arange(1, len(next(iter(columns), [])) + 1),
        reading={"format": f"{KIND_WORDS[kind]} (found)", "encoding": str(about.file_encoding or "unknown")},
        words=words,
        declared=declared,
    )


def _read(content: bytes, reader: str, encoding: str | None) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Read in a process of its own, which may break down; where none can be started, in this one."""
    command = [sys.executable, "-P", statistical_child.__file__, reader, encoding or ""]
    seconds = 60 + len(content) / 100_000
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=seconds, check=False)
    except OSError:
        return statistical_child.read(content, reader, encoding)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it was not read within {seconds:.0f} seconds") from None
    if done.returncode or not done.stdout:
        raise ValueError("it is damaged")
    answer = pickle.loads(done.stdout)
    if isinstance(answer, str):
        raise ValueError(answer)
    return answer


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


def _words(column: str, values: pd.Series, about: Any) -> tuple[ColumnWords, np.ndarray]:
    """Return what the file says about a column, and where it declares the value as missing."""
    labels = _of(about.variable_value_labels, column) or {}
    ranges = _of(getattr(about, "missing_ranges", None), column) or []
    named = {plain_text(code): str(words) for code, words in labels.items()}
    declared = np.zeros(len(values), dtype=bool)
    for part in ranges:
        declared |= _within(values, part["lo"], part["hi"])
    missing = tuple(_range_words(part["lo"], part["hi"]) for part in ranges)
    return ColumnWords(str(_of(about.column_names_to_labels, column) or ""), named, missing), declared


def _of(known: Mapping[str, Any] | None, column: str) -> Any:
    return known.get(column) if known else None


def _within(values: pd.Series, low: object, high: object) -> np.ndarray:
    if isinstance(low, str) or isinstance(high, str):
        return np.array([isinstance(value, str) and value.rstrip() == str(low).rstrip() for value in values])
    if not pd.api.types.is_numeric_dtype(values):  # a date, whose codes are seconds that nobody wrote
        return np.zeros(len(values), dtype=bool)
    number = values.to_numpy(dtype="float64", na_value=np.nan)
    return (number >= float(low)) & (number <= float(high))  # type: ignore[arg-type]


def _range_words(low: object, high: object) -> str:
    ends = [plain_text(end) for end in (low, high)]
    if low == high:
        return ends[0]
    if isinstance(low, float) and not low > -1e300:
        return f"{ends[1]} and below"
    if isinstance(high, float) and not high < 1e300:
        return f"{ends[0]} and above"
    return f"{ends[0]} to {ends[1]}"
