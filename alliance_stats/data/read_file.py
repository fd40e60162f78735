"""Read a file of any kind that is known here: the kind is found by content, the reader chosen by kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from alliance_stats.data.file_kind import KIND_WORDS, file_kind
from alliance_stats.data.raw_table import RawTable
from alliance_stats.data.read_columnar import read_columnar
from alliance_stats.data.read_delimited import read_bytes, read_text
from alliance_stats.data.read_excel import read_excel
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.read_r import read_r
from alliance_stats.data.read_statistical import read_statistical
from alliance_stats.data.stored_table import StoredTable
from alliance_stats.data.text_format import decode, find_format
from alliance_stats.errors import DataError

Choose = Callable[[Sequence[str]], dict[str, int]]


def read_file(
    path: str | Path, choose: Choose, options: ReadOptions, numeric: Callable[[], Sequence[str]] = tuple
) -> RawTable:
    """Read the chosen columns of a file.

    Parameters
    ----------
    path : str or Path
        The file.
    choose : callable
        Takes the header, returns the names of the wanted columns and their positions.
    options : ReadOptions
        How the file is written, where that is known.
    numeric : callable
        Asked once the columns are chosen; names those that should hold numbers.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged, empty or of no known kind.
    MissingExtraError
        If its kind needs a library that is not installed.
    """
    content = read_bytes(path)
    name = Path(path).name
    kind = file_kind(content, name)
    _check_options(kind, name, options)
    if kind == "text":
        return read_text(content, name, choose, options, numeric)
    table = _stored(content, name, options, choose)
    return table.take(choose, name, hashlib.sha256(content).hexdigest())


def _check_options(kind: str, name: str, options: ReadOptions) -> None:
    """Refuse options that this kind of file has no use for: they would be ignored without a word."""
    for option, kinds in (("sheet", ("excel", "r")), ("header_rows", ("excel",))):
        if getattr(options, option) is not None and kind not in kinds:
            raise DataError(f"{option}= is given, but {name} is a file of {KIND_WORDS[kind]}. Leave {option}= out.")


def read_header(path: str | Path, options: ReadOptions | None = None) -> tuple[str, ...]:
    """Return the column names of a file.

    Raises
    ------
    DataError
        If the file is missing, empty, or of no known kind.
    """
    options = options or ReadOptions()
    content = read_bytes(path)
    name = Path(path).name
    kind = file_kind(content, name)
    _check_options(kind, name, options)
    if kind == "text":
        text, _ = decode(content, name, options.encoding)
        return find_format(text, name, options).header
    return _stored(content, name, options, None).header


def _stored(content: bytes, name: str, options: ReadOptions, choose: Choose | None) -> StoredTable:
    kind = file_kind(content, name)
    if kind == "excel":
        return read_excel(content, name, options, choose)
    if kind == "r":
        if isinstance(options.sheet, tuple):
            raise DataError(f"{name} is a file of R; sheet= must name one data frame in it.")
        return read_r(content, name, options.sheet)
    if kind in ("parquet", "feather"):
        return read_columnar(content, kind, name)
    return read_statistical(content, kind, name, options.encoding)
