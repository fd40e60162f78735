"""TOML files that people write: read with messages that they can act on."""

from __future__ import annotations

import tomllib
from typing import Any

from alliance_stats.errors import DataError


def parse_toml(content: bytes, name: str, error_type: type[DataError], kind: str) -> dict[str, Any]:
    """Read the bytes of a TOML file.

    Parameters
    ----------
    content : bytes
        The file, with or without a byte-order mark.
    name : str
        What the messages call it.
    error_type : type
        The error to raise.
    kind : str
        What the file should be: ``"study file"``.

    Raises
    ------
    DataError
        Of the type given, if the file is not UTF-8 or no TOML; the line is named.
    """
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise error_type(f"{name} is not UTF-8 (line {line}). Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        paths = " Write paths with / or in single quotes." if b"\\" in content else ""
        raise error_type(f"{name} is no valid TOML: {error}.{paths} Texts need quotes, tables stand in [ ].") from None
    except RecursionError:
        raise error_type(f"{name} is no {kind}: its values are nested too deeply.") from None
