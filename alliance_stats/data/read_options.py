"""How a file is to be read: what counts as missing, delimiter, decimal mark, encoding, dates, faults."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alliance_stats.data import layout_options
from alliance_stats.errors import DataError, did_you_mean

ON_FAULTS = ("raise", "leave_out")
RESTARTS = ("refuse", "continue")
#: Formats of dates that are numbers: days since the end of 1899, or since the start of 1904.
SERIAL_FORMATS = ("excel", "excel-1904")
_DECIMALS = {",": ",", ".": ".", "comma": ",", "point": "."}
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "\\t": "\t"}
#: What delimiters are called in words.
DELIMITER_WORDS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
#: What decimal marks are called in words.
DECIMAL_WORDS = {",": "comma", ".": "point"}


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read. None means: find it out and report it.

    Parameters
    ----------
    missing : tuple of str
        Texts that stand for a missing value. An empty cell is always missing.
    delimiter : str or None
        One character, or ``"comma"``, ``"semicolon"``, ``"tab"``, ``"bar"``.
    decimal : {",", "."} or None
        Decimal mark; ``"comma"`` and ``"point"`` are understood too.
    encoding : str or None
        Any encoding that Python knows, e.g. ``"utf-8"``, ``"cp1252"``.
    date_format : str or None
        As in ``strftime``, e.g. ``"%d.%m.%Y"``; ``"excel"`` or ``"excel-1904"`` for serial numbers.
    on_faults : {"raise", "leave_out"}
        Whether faults stop the reading, or the rows and values at fault are left out and counted.
    sheet : str, tuple of str or None
        Sheet of a spreadsheet (several are read one below the other, ``"*"`` is all), or data frame in a file of R.
    header_rows : tuple of int or None
        First and last row of a sheet's header, counted from 1.
    wide : mapping of str to str, or None
        Name of the long column to pattern of the columns of a wide file.
    occasions : mapping of str to int, or None
        What stands in place of a session number (``"baseline"``), and the number.
    restarts : {"refuse", "continue"}
        What becomes of session numbers that begin anew with another therapist.

    Raises
    ------
    DataError
        If an option has a value that is not understood.
    """

    missing: tuple[str, ...] = ("", "NA")
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    on_faults: str = "raise"
    sheet: str | tuple[str, ...] | None = None
    header_rows: tuple[int, ...] | None = None
    wide: Mapping[str, str] | None = None
    occasions: Mapping[str, int] | None = None
    restarts: str = "refuse"

    def __post_init__(self) -> None:
        # object.__setattr__ because the class is frozen: a fresh instance settles its own spelling, then stays.
        object.__setattr__(self, "missing", _missing_texts(self.missing))
        object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
        object.__setattr__(self, "decimal", _decimal(self.decimal))
        object.__setattr__(self, "sheet", layout_options.sheet(self.sheet))
        object.__setattr__(self, "header_rows", layout_options.header_rows(self.header_rows))
        object.__setattr__(self, "wide", layout_options.wide(self.wide))
        object.__setattr__(self, "occasions", layout_options.occasions(self.occasions))
        _check_encoding(self.encoding)
        _check_date_format(self.date_format)
        for option, known in (("on_faults", ON_FAULTS), ("restarts", RESTARTS)):
            value = getattr(self, option)
            if value not in known:
                raise DataError(f"{option}={value!r} is not understood. {did_you_mean(str(value), known)}")


def _missing_texts(missing: str | Iterable[object]) -> tuple[str, ...]:
    # A bare text would be taken letter by letter: "NA" would make every N and every A missing.
    codes = (missing,) if isinstance(missing, str) else missing
    try:
        texts = tuple(str(code) for code in codes)
    except TypeError:
        raise DataError(f'missing={missing!r} is no list of texts. Write e.g. missing=("", "NA", "-99").') from None
    return texts if "" in texts else ("", *texts)


def _delimiter(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    character = _DELIMITERS.get(str(delimiter), delimiter)
    if not isinstance(character, str) or len(character) != 1 or character in '"\r\n\0' or not character.isascii():
        raise DataError(
            f"delimiter={delimiter!r} is not one plain character. Write e.g. delimiter=';' or delimiter='tab'."
        )
    return character


def _decimal(decimal: str | None) -> str | None:
    if decimal is None:
        return None
    if decimal not in _DECIMALS:
        raise DataError(f"decimal={decimal!r} is not understood. Write decimal=',' or decimal='.'.")
    return _DECIMALS[decimal]


def _check_encoding(encoding: str | None) -> None:
    if encoding is None:
        return
    try:
        codecs.lookup(encoding)
        b"".decode(encoding)
    except (LookupError, TypeError, ValueError, UnicodeError):
        known = ("utf-8", "utf-16", "latin-1", "cp1252", "mac-roman")
        raise DataError(f"encoding={encoding!r} is not known. {did_you_mean(str(encoding), known)}") from None


def _check_date_format(date_format: str | None) -> None:
    # "mixed" would let pandas guess day and month anew for every value.
    if date_format is None or date_format in SERIAL_FORMATS:
        return
    if not isinstance(date_format, str) or "%" not in date_format:
        raise DataError(f"date_format={date_format!r} is not understood. Write e.g. date_format='%d.%m.%Y'.")
