"""Find the file of a data set on this machine, or fetch it from its origin, and check that it is the right one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from alliance_stats.data.dataset_entry import DatasetEntry, DatasetFile
from alliance_stats.errors import DataError, MissingExtraError

#: Environment variable that names the folder of local copies.
LOCAL = "ALLIANCE_STATS_DATA"


def find_file(entry: DatasetEntry, fetch: bool) -> Path:
    """Return the path of one of a data set's files, verified.

    Looked for in this order: the package itself; the folder of local copies (original first); the cache of files
    fetched before; the origin.

    Parameters
    ----------
    entry : DatasetEntry
        The data set.
    fetch : bool
        Whether the origin may be asked.

    Raises
    ------
    DataError
        If a file is not the registered one, or there is none and it could not be fetched; the message says every way
        out.
    MissingExtraError
        If it has to be fetched and pooch is not installed.
    """
    if entry.shipped:
        return _shipped(entry)
    for file in entry.files:
        local = local_path(file)
        if local is not None and local.is_file():
            return _verified_copy(entry, file, local)
    for file in entry.files:
        cached = cache_folder() / file.path
        if file.url and cached.is_file() and _sha256(cached) == file.sha256:
            return cached
    original = entry.files[0]
    if not (fetch and original.url):
        raise DataError(_absent(entry, "" if not original.url else "fetch=False forbids to fetch it. "))
    return _fetched(entry, original)


def place_of(entry: DatasetEntry) -> str:
    """Say where a data set would be loaded from: ``shipped, local copy, cache, origin`` or ``nowhere``."""
    if entry.shipped:
        return "shipped"
    paths = [local_path(file) for file in entry.files]
    if any(path is not None and path.is_file() for path in paths):
        return "local copy"
    if any(file.url and (cache_folder() / file.path).is_file() for file in entry.files):
        return "cache"
    return "origin" if entry.files[0].url else "nowhere"


def local_path(file: DatasetFile) -> Path | None:
    """Return where a local copy would lie; None where no folder of local copies is named."""
    home = os.environ.get(LOCAL, "")
    return Path(home, file.path) if home else None


def cache_folder() -> Path:
    """Return the folder that keeps what was fetched: the user's cache, as the system has it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(home) / "alliance_stats"


def _shipped(entry: DatasetEntry) -> Path:
    file = entry.files[0]
    path = entry.folder / file.path
    if not path.is_file():
        raise DataError(f"Data set {entry.name!r} has no file {file.path}. Install the package anew.")
    found = _sha256(path)
    if found != file.sha256:
        raise DataError(
            f"Data set {entry.name!r}: {file.path} is not the file that was shipped ({_hashes(found, file)}). Install "
            "the package anew, or read the file with read_sessions()."
        )
    return path


def _verified_copy(entry: DatasetEntry, file: DatasetFile, path: Path) -> Path:
    found = _sha256(path)
    if found != file.sha256:
        raise DataError(
            f"Data set {entry.name!r}: {file.path} in the folder that {LOCAL} names is not the registered file "
            f"({_hashes(found, file)}). Replace it by the original, or move it away"
            f"{' so that it is fetched' if entry.files[0].url else ''}."
        )
    return path


def _fetched(entry: DatasetEntry, file: DatasetFile) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise MissingExtraError(
            f"Data set {entry.name!r} has to be fetched, and pooch is not installed. Run pip install "
            f"'alliance-stats[data]', or put a copy where {LOCAL} points. {_way_out(entry)}"
        ) from error
    target = cache_folder() / file.path
    try:
        pooch.retrieve(
            url=file.url, known_hash=f"sha256:{file.sha256}", fname=target.name, path=target.parent, progressbar=False
        )
    except OSError as error:  # of the network (requests) and of the disk
        why = f"It could not be fetched from {file.url} ({type(error).__name__}). "
        raise DataError(_absent(entry, why)) from error
    except ValueError as error:  # what pooch says of another hash
        raise DataError(
            f"Data set {entry.name!r}: what {file.url} sent is not the registered file, and was thrown away. The "
            f"origin may have changed. {_way_out(entry)}"
        ) from error
    return target


def _absent(entry: DatasetEntry, why: str) -> str:
    online = "Go online and call load_dataset() again, or do without: " if entry.files[0].url else ""
    return f"Data set {entry.name!r} is not on this machine. {why}{online}{_way_out(entry)}"


def _way_out(entry: DatasetEntry) -> str:
    wanted = " or ".join(f"{file.path} (sha256 {file.sha256[:12]}…)" for file in entry.files)
    return f"Put {wanted} into a folder of your choice and name that folder in the environment variable {LOCAL}."


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hashes(found: str, file: DatasetFile) -> str:
    return f"sha256 {found[:12]}…, expected {file.sha256[:12]}…"
