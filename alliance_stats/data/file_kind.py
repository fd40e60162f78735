"""Find out what kind of file this is: by its first bytes, never by its name."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import Literal

from alliance_stats.errors import DataError

Kind = Literal["text", "excel", "spss", "stata", "sas", "xport", "r", "parquet", "feather"]
#: What kinds are called.
KIND_WORDS: dict[str, str] = {
    "text": "delimited text",
    "excel": "Excel or OpenDocument",
    "spss": "SPSS",
    "stata": "Stata",
    "sas": "SAS (sas7bdat)",
    "xport": "SAS transport (xpt)",
    "r": "R",
    "parquet": "Parquet",
    "feather": "Feather",
}
_STARTS: dict[bytes, Kind] = {
    b"PK\x03\x04": "excel",
    b"\xd0\xcf\x11\xe0": "excel",
    b"$FL2": "spss",
    b"$FL3": "spss",
    b"<stata_dta": "stata",
    bytes(12) + b"\xc2\xea\x81\x60": "sas",
    b"HEADER RECORD*******LIB": "xport",
    b"PAR1": "parquet",
    b"ARROW1": "feather",
    b"FEA1": "feather",
    b"RDX": "r",
    b"RDA": "r",
    b"X\n\0\0\0": "r",
    b"A\n2\n": "r",
    b"A\n3\n": "r",
}
#: Releases 8 to 12 of Stata begin with their number, the byte order (1, 2) and 1, 0.
_OLD_STATA = re.compile(rb"[\x69\x6c\x6e-\x73][\x01\x02]\x01\x00")
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_HEAD = 64


def file_kind(content: bytes, name: str) -> Kind:
    """Say what kind of file this is.

    Parameters
    ----------
    content : bytes
        The whole file, or at least its first thousand bytes.
    name : str
        File name, for messages.

    Returns
    -------
    str
        ``"text"`` where the first bytes are those of no format that is known here.

    Raises
    ------
    DataError
        If it is a compressed file that holds no R data, or a PDF.
    """
    kind = _by_start(content)
    if kind is not None:
        return kind
    if content.startswith(b"%PDF"):
        raise DataError(f"{name} is a PDF, and no table. Export the data as CSV.")
    if content.startswith(_COMPRESSED):
        # R compresses what it saves.
        if _by_start(_unpacked_head(content)) == "r":
            return "r"
        raise DataError(f"{name} is compressed (gzip, bzip2 or xz) and holds no R data. Unpack it first.")
    return "text"


def _by_start(content: bytes) -> Kind | None:
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind
    return "stata" if _OLD_STATA.match(content) else None


def _unpacked_head(content: bytes) -> bytes:
    try:
        if content.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(content, _HEAD)
        if content.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(content, _HEAD)
        return lzma.LZMADecompressor().decompress(content, _HEAD)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return b""
