"""Read a delimited text file (CSV, TSV) into texts: nothing is converted, nothing is guessed about values."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.file_kind import KIND_WORDS, file_kind
from alliance_stats.data.raw_table import RawTable
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.text_format import TextFormat, decode, find_format
from alliance_stats.errors import DataError, did_you_mean

#: Rows are read in pieces, so that columns nobody asked for never stand in memory all at once.
_PIECE = 250_000
#: From this many bytes on, columns of plain numbers are read without their texts.
LARGE = 4_000_000
#: Before that release, pandas rounded some of the last digits while reading.
_EXACT = tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)
#: Name of a helper column; a column of a file cannot have it, because names of files' columns are stripped.
_FILLED = " filled "
_SKIPPED = re.compile(r"line (\d+): expected")


def read_bytes(path: str | Path) -> bytes:
    """Read a file whole.

    Raises
    ------
    DataError
        If there is no such file (the nearest name in the folder is given) or it cannot be read.
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"A file was expected, not {type(path).__name__}. Give its path, or a DataFrame.")
    path = Path(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}. {_nearby(path)}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}. Give the path of a file.") from None


def _nearby(path: Path) -> str:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except OSError:
        return f"There is no folder {str(path.parent)!r} either."
    return did_you_mean(path.name, names) if names else "Its folder is empty."


def read_delimited(
    path: str | Path, choose: Callable[[Sequence[str]], dict[str, int]], options: ReadOptions
) -> RawTable:
    """Read the chosen columns of a delimited file as texts.

    Parameters
    ----------
    path : str or Path
        The file.
    choose : callable
        Takes the header, returns the names of the wanted columns and their positions.
    options : ReadOptions
        Delimiter and encoding where they are given.

    Returns
    -------
    RawTable
        Every value as text, blank lines left out, with each row's line in the file.

    Raises
    ------
    DataError
        If the file is no delimited text, or a quotation mark is never closed.
    """
    content, name = read_bytes(path), Path(path).name
    kind = file_kind(content, name)
    if kind != "text":
        raise DataError(f"{name} is no text file, but looks like one of {KIND_WORDS[kind]}. Save the table as CSV.")
    return read_text(content, name, choose, options)


def read_text(
    content: bytes,
    name: str,
    choose: Callable[[Sequence[str]], dict[str, int]],
    options: ReadOptions,
    numeric: Callable[[], Sequence[str]] = tuple,
) -> RawTable:
    """Read the chosen columns of delimited text; see :func:`read_delimited`.

    ``numeric``, asked once the columns are chosen, names those that should hold numbers. In large files they are read
    as numbers at once, if all of them are; the numbers are the same.
    """
    text, encoding = decode(content, name, options.encoding)
    form = find_format(text, name, options)
    wanted = choose(form.header)
    body = text[form.body_from :]
    del text
    quick = tuple(numeric()) if len(content) >= LARGE and _EXACT else ()
    frame, skipped = _parse(body, form, name, wanted, quick, ["", *options.missing])
    kept, long_lines = _line_numbers(body, form, len(frame), skipped)
    filled = np.flatnonzero(frame.pop(_FILLED).to_numpy())
    if not filled.size and not long_lines.size:
        raise DataError(f"{name} has a header and 0 rows. Check that the export was finished.")
    return RawTable(
        name=name,
        columns={column: frame[column].take(filled).reset_index(drop=True) for column in wanted},
        places=kept[filled],
        place_word="line",
        sha256=hashlib.sha256(content).hexdigest(),
        n_rows=len(filled),
        reading={"encoding": encoding, **form.reading},
        long_lines=tuple(long_lines.tolist()),
        words={column: ColumnWords(form.labels[at]) for column, at in wanted.items() if form.labels},
    )


def _parse(
    body: str, form: TextFormat, name: str, wanted: dict[str, int], numeric: Sequence[str], missing: Sequence[str]
) -> tuple[pd.DataFrame, list[int]]:
    """Return the wanted columns (and whether a row holds anything), and the positions of the records left out.

    Columns in ``numeric`` come as numbers if all their cells in the file are plain numbers, empty or ``missing``.
    """
    # pandas cuts a first row that is longer than the header without a word. Behind a header of our own and one blank
    # line every row is held to the header's number of fields.
    lead = form.delimiter.join(str(number) for number in range(len(form.header))) + "\n\n"
    positions = [str(wanted[column]) for column in numeric]
    types = {str(at): str for at in range(len(form.header)) if str(at) not in positions}
    pieces: list[pd.DataFrame] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pd.read_csv(
                io.BytesIO((lead + body).encode("utf-8")),
                sep=form.delimiter,
                dtype=types,
                keep_default_na=False,
                na_values={position: list(missing) for position in positions},
                na_filter=bool(positions),
                index_col=False,
                skip_blank_lines=False,
                on_bad_lines="warn",
                chunksize=_PIECE,
            ) as reader:
                for piece in reader:
                    if not all(_is_plain(piece[position]) for position in positions):
                        return _parse(body, form, name, wanted, (), missing)
                    pieces.append(_wanted_part(piece, wanted))
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(f"{name} cannot be split into columns: {_parser_words(error, form)}") from None
    skipped = [int(record) - 3 for warning in caught for record in _SKIPPED.findall(str(warning.message))]
    return pd.concat(pieces, ignore_index=True).iloc[1:].reset_index(drop=True), skipped


def _is_plain(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _parser_words(error: Exception, form: TextFormat) -> str:
    opened = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if opened:
        line = int(opened[1]) - 2 + form.first_line
        return f"1 quotation mark is never closed (opened at line {line}). Close it, or take it out."
    return f"{str(error).strip()}. Give delimiter= and encoding=, or export the file anew."


def _wanted_part(piece: pd.DataFrame, wanted: dict[str, int]) -> pd.DataFrame:
    part = piece.iloc[:, list(wanted.values())].set_axis(list(wanted), axis=1)
    filled = np.ones(len(piece), dtype=bool)
    # A blank line has an empty last field, so only those rows are looked at whole.
    last = piece.iloc[:, -1]
    ends_empty = np.flatnonzero((last.isna() if _is_plain(last) else last == "").to_numpy())
    if ends_empty.size:
        ends = piece.iloc[ends_empty]
        filled[ends_empty] = np.any([_holds(ends[column]) for column in ends.columns], axis=0)
    part[_FILLED] = filled
    return part


def _holds(values: pd.Series) -> np.ndarray:
    return (values.notna() if _is_plain(values) else values.str.strip() != "").to_numpy()


def _line_numbers(body: str, form: TextFormat, n_rows: int, skipped: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the line of each row that was kept, and of each that was left out as too long."""
    n_records = n_rows + len(skipped)
    starts = np.arange(n_records)
    n_breaks = body.count("\n") + (body.count("\r") - body.count("\r\n") if "\r" in body else 0)
    if n_breaks + (not body.endswith(("\n", "\r"))) > n_records:
        starts = _starts_of_records(body, form.delimiter, n_records)
    left_out = np.zeros(n_records, dtype=bool)
    left_out[skipped] = True
    lines = starts + form.first_line
    return lines[~left_out], lines[left_out]


def _starts_of_records(body: str, delimiter: str, n_records: int) -> np.ndarray:
    """Count lines, not records: some quoted field holds a line break."""
    starts = np.arange(n_records)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    before = 0
    try:
        for record, _ in zip(range(n_records), reader, strict=False):
            starts[record] = before
            before = reader.line_num
    except csv.Error:
        pass  # a field beyond the csv module's limit; from here on the numbers count records
    return starts
