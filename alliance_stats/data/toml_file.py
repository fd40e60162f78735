"""TOML files that people write: read with messages that they can act on."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alliance_stats.data.read_delimited import read_bytes
from alliance_stats.errors import DataError, count, did_you_mean


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


def refuse_problems(problems: list[str], name: str, error_type: type[DataError]) -> None:
    """Raise for all problems of a file at once.

    Raises
    ------
    DataError
        Of the type given, with a line per problem, if there is any.
    """
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise error_type(f"{count(len(problems), 'problem')} in {name}:\n{lines}")


def read_tables(
    path: Path, tables: Sequence[str], error_type: type[DataError], kind: str
) -> tuple[dict[str, Any], list[str]]:
    """Read a TOML file; return its contents, and a problem for each table that such a file does not have.

    Parameters
    ----------
    path : Path
    tables : sequence of str
        Names at the top that are known.
    error_type : type
        The error to raise if the file is no TOML.
    kind : str
        What the file should be: ``"study file"``.
    """
    contents = parse_toml(read_bytes(path), path.name, error_type, kind)
    return contents, [
        f"{key!r} is no table of a {kind}. {did_you_mean(key, tables)}" for key in contents if key not in tables
    ]


def table_of(contents: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    """Return a table; what is no table is added to ``problems``, and an empty one returned."""
    table = contents.get(name, {})
    if isinstance(table, Mapping):
        return table
    problems.append(f"{name!r} must be a table: write [{name}] on a line of its own, its keys below")
    return {}


def text_of(table: Mapping[str, Any], key: str, where: str, problems: list[str]) -> str:
    """Return a text; what is none is added to ``problems``, and an empty one returned."""
    value = table.get(key, "")
    if isinstance(value, str):
        return value
    problems.append(f"{where}{key} = {value!r} must be text, in quotes")
    return ""


def unknown_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str, problems: list[str]) -> None:
    """Add the keys of a table that are not known to ``problems``, each with the nearest known one."""
    problems += [f"[{where}] unknown key {key!r}. {did_you_mean(key, known)}" for key in table if key not in known]
