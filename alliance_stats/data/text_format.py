"""Find out how a text file is written: encoding, delimiter, header."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import islice

from alliance_stats.data.raw_table import named_list
from alliance_stats.data.read_options import DELIMITER_WORDS, ReadOptions
from alliance_stats.errors import DataError, count

_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_RECORDS = 200
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_ENCODING_WORDS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with byte order mark", "cp1252": "Windows-1252 (cp1252)"}


@dataclass(frozen=True)
class TextFormat:
    """How a text file is written.

    Parameters
    ----------
    delimiter : str
        One character.
    header : tuple of str
        Column names, without the spaces around them.
    body_from : int
        Where in the text the first record after the header begins.
    first_line : int
        Line of the first record after the header (the first line of the file is 1).
    reading : dict of str to str
        What was found, in words.
    labels : tuple of str
        Text of the question per column, where the file has it (Qualtrics).
    """

    delimiter: str
    header: tuple[str, ...]
    body_from: int
    first_line: int
    reading: dict[str, str]
    labels: tuple[str, ...] = ()


def decode(content: bytes, name: str, encoding: str | None) -> tuple[str, str]:
    """Decode a file, finding the encoding out where it is not given.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        File name, for messages.
    encoding : str or None
        Encoding, or None to find out: a byte order mark decides, then UTF-8 where the bytes are valid UTF-8,
        then Windows-1252 (which holds the letters of Western European files), then Latin-1.

    Returns
    -------
    text, words : str
        The text without byte order mark, and the encoding in words.

    Raises
    ------
    DataError
        If the file is empty, is no text, or does not have the given encoding.
    """
    if not content.strip():
        raise DataError(f"{name} is empty (0 rows). Check that the export was finished.")
    candidates = (encoding,) if encoding else _encodings(content)
    for candidate in candidates:
        try:
            text = content.decode(candidate)
        except UnicodeError as error:
            problem = error
            continue
        if "\0" in text:
            raise DataError(f"{name} is no text file: it holds NUL characters. Export it as CSV, or give encoding=.")
        words = f"{_ENCODING_WORDS.get(candidate, candidate.upper())} ({'given' if encoding else 'found'})"
        return text.removeprefix("\ufeff"), words
    raise DataError(
        f"{name} cannot be read as {candidates[-1]}: {problem}. Give another encoding=, or none to find it out."
    )


def _encodings(content: bytes) -> tuple[str, ...]:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return (encoding, "latin-1")
    start = content[:1000]
    # Plain letters in UTF-16 have a zero for every second byte; which one tells the byte order.
    if start[1::2].count(0) > len(start) / 4:
        return ("utf-16-le", "utf-8", "latin-1")
    if start[::2].count(0) > len(start) / 4:
        return ("utf-16-be", "utf-8", "latin-1")
    return ("utf-8", "cp1252", "latin-1")


def find_format(text: str, name: str, options: ReadOptions) -> TextFormat:
    """Find the delimiter and the header of a decoded file.

    Raises
    ------
    DataError
        If there is no header, only a header, or only one column.
    """
    sample = _sample(text)
    hint = re.match(r"sep=([^\r\n])\r?\n", sample)  # Excel's own first line
    delimiter = options.delimiter or (hint[1] if hint else None)
    given = "given" if options.delimiter else "found"
    records = _records(sample, delimiter or _likely_delimiter(sample))
    start = next((k for k, (fields, _) in enumerate(records) if _filled(fields) and not (hint and k == 0)), None)
    if start is None:
        raise DataError(f"{name} has no header line. The first line must name the columns.")
    header = tuple(field.strip() for field in records[start][0])
    delimiter = delimiter or _likely_delimiter(sample)
    word = DELIMITER_WORDS.get(delimiter, repr(delimiter))
    if len(header) < 2:
        raise DataError(
            f"{name} has 1 column only ({named_list(header)[:200]}), split at {word}. "
            "Give delimiter= with the character that stands between the columns."
        )
    reading = {"delimiter": f"{word} ({given})"}
    labels = _qualtrics_labels(records, start)
    if labels:
        start += 2
        reading["layout"] = "Qualtrics, three header rows (found)"
    _check_first_row(records, start, header, name)
    last_line = records[start][1]
    body_from = sum(map(len, islice(io.StringIO(sample, newline=""), last_line)))
    return TextFormat(delimiter, header, body_from, last_line + 1, reading, labels)


def _qualtrics_labels(records: list[tuple[list[str], int]], start: int) -> tuple[str, ...]:
    """Return the texts of the questions where the third row holds the ids by which Qualtrics knows its columns."""
    if len(records) < start + 3:
        return ()
    (names, _), (texts, _), (ids, _) = records[start : start + 3]
    if len(texts) != len(names) or not ids or not all(re.match(r'\s*\{"ImportId":', field) for field in ids):
        return ()
    return tuple(re.sub(r"\s+", " ", text).strip() for text in texts)


def _sample(text: str) -> str:
    sample = text[:_SAMPLE_CHARACTERS]
    if len(sample) == len(text):
        return sample
    # A line that the sample cuts in two would look as if it had too few fields.
    return sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample


def _records(sample: str, delimiter: str) -> list[tuple[list[str], int]]:
    """Split the sample into records, each with the number of its last line."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    records: list[tuple[list[str], int]] = []
    try:
        for fields in reader:
            records.append((fields, reader.line_num))
            if len(records) > _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass  # what can be read up to here is enough to see the header
    return records


def _filled(fields: list[str]) -> bool:
    return any(field.strip() for field in fields)


def _likely_delimiter(sample: str) -> str:
    """Choose the delimiter that splits most lines into as many fields as the header; among equals, the most fields."""
    scores = {}
    for delimiter in DELIMITER_WORDS:
        counts = [len(fields) for fields, _ in _records(sample, delimiter) if _filled(fields)]
        if counts and counts[0] > 1:
            agree = sum(number == counts[0] for number in counts) / len(counts)
            scores[delimiter] = (agree, counts[0])
    return max(scores, key=lambda delimiter: scores[delimiter], default=",")


def _check_first_row(records: list[tuple[list[str], int]], start: int, header: tuple[str, ...], name: str) -> None:
    filled = [(fields, line) for fields, line in records[start + 1 :] if _filled(fields)]
    if not filled:
        if len(records) <= _SAMPLE_RECORDS:
            raise DataError(
                f"{name} has a header ({count(len(header), 'column')}) and 0 rows. Check that the export was finished."
            )
        return
    longer = [len(fields) > len(header) for fields, _ in filled]
    # One long line is a fault of that line and is listed with the others; when all are long, the header is at fault.
    if all(longer):
        raise DataError(
            f"{name}: the header has {len(header)} fields, but line {filled[0][1]} has {len(filled[0][0])}, and so on. "
            "Name every column (R: write.csv(…, row.names = FALSE)); decimal commas need semicolons between columns."
        )
