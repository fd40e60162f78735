"""How a file is to be read: what counts as missing, delimiter, decimal mark, encoding, dates, faults."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

from alliance_stats.errors import DataError, did_you_mean

ON_FAULTS = ("raise", "leave_out")
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
        As in ``strftime``, e.g. ``"%d.%m.%Y"``.
    on_faults : {"raise", "leave_out"}
        Whether faults stop the reading, or the rows and values at fault are left out and counted.

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

    def __post_init__(self) -> None:
        # object.__setattr__ because the class is frozen: a fresh instance settles its own spelling, then stays.
        object.__setattr__(self, "missing", _missing_texts(self.missing))
        object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
        object.__setattr__(self, "decimal", _decimal(self.decimal))
        _check_encoding(self.encoding)
        _check_date_format(self.date_format)
        if self.on_faults not in ON_FAULTS:
            raise DataError(
                f"on_faults={self.on_faults!r} is not understood. {did_you_mean(self.on_faults, ON_FAULTS)}"
            )


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
    if date_format is not None and (not isinstance(date_format, str) or "%" not in date_format):
        raise DataError(f"date_format={date_format!r} is not understood. Write e.g. date_format='%d.%m.%Y'.")
