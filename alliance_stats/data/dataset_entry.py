"""One entry of the registry of data sets: what its ``SOURCE.toml`` says, checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from alliance_stats.errors import DataError, did_you_mean

#: ``sessions`` load as a session table; the others as a frame.
KINDS = ("sessions", "effects", "findings")
_NEEDED = ("title", "simulated", "n_rows", "licence", "citation")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DatasetFile:
    """One file that holds the data.

    Parameters
    ----------
    path : str
        Where it lies: in the data set's own folder if shipped, else under the folder of local copies and in the cache.
    sha256 : str
        Hash of its bytes.
    url : str
        Where it can be fetched; empty where it has no address.
    """

    path: str
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class DatasetEntry:
    """What is known of a data set before any of it is read.

    Parameters
    ----------
    name : str
        Name of its folder.
    folder : Path
        Where ``SOURCE.toml`` lies.
    title, licence, citation, origin : str
        As in ``SOURCE.toml``.
    simulated : bool
        True where a random generator made the numbers.
    n_rows : int
        Rows as loaded.
    kind : {"sessions", "effects", "findings"}
        What a row is.
    files : tuple of DatasetFile
        Files that hold the data, the original first; each alone will do.
    shipped : bool
        Whether the file comes with the package.
    reader : str
        How the file becomes a frame; empty where it is plain CSV.
    glossary : mapping of str to str
        Column → what it means.
    """

    name: str
    folder: Path
    title: str
    simulated: bool
    n_rows: int
    licence: str
    citation: str
    origin: str = ""
    kind: str = "sessions"
    files: tuple[DatasetFile, ...] = ()
    shipped: bool = True
    reader: str = ""
    glossary: Mapping[str, str] = field(default_factory=dict)


def read_entry(folder: Path) -> DatasetEntry:
    """Read a data set's ``SOURCE.toml``.

    Raises
    ------
    DataError
        If it cannot be read, lacks a key, or says something that is not understood.
    """
    about = _parse(folder)
    shipped = "files" not in about
    missing = [key for key in (*_NEEDED[:3], *(("sha256",) if shipped else ()), *_NEEDED[3:]) if key not in about]
    if missing:
        raise DataError(f"Data set {folder.name!r}: SOURCE.toml lacks {', '.join(missing)}. Add what is missing.")
    kind = str(about.get("kind", "sessions"))
    if kind not in KINDS:
        raise DataError(f"Data set {folder.name!r}: SOURCE.toml has kind = {kind!r}. {did_you_mean(kind, KINDS)}")
    files = [{"path": about.get("file", "sessions.csv"), "sha256": about["sha256"]}] if shipped else about["files"]
    return DatasetEntry(
        name=folder.name,
        folder=folder,
        simulated=bool(about["simulated"]),
        n_rows=int(about["n_rows"]),
        kind=kind,
        files=tuple(_file(folder.name, one) for one in files),
        shipped=shipped,
        glossary=dict(about.get("glossary", {})),
        **{key: str(about.get(key, "")) for key in ("title", "licence", "citation", "origin", "reader")},
    )


def _parse(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / "SOURCE.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Data set {folder.name!r}: SOURCE.toml cannot be read ({error}). Install anew.") from error


def _file(name: str, given: Mapping[str, Any]) -> DatasetFile:
    path, sha256, url = (str(given.get(key, "")) for key in ("path", "sha256", "url"))
    inside = path and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts
    safe = not url or url.startswith("https://")
    if not (inside and safe and _SHA256.fullmatch(sha256)):
        raise DataError(
            f"Data set {name!r}: a file in SOURCE.toml needs a path inside its folder, a sha256 of 64 digits and, if "
            f"it has an address, one with https. Found path = {path!r}, sha256 = {sha256[:12]!r}…, url = {url!r}."
        )
    return DatasetFile(path, sha256, url)
