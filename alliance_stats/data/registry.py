"""The data sets that come with the package: what there is, and how to load one."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError, did_you_mean

_COLUMNS = ["name", "title", "simulated", "n_rows", "licence", "citation"]
_NEEDED = ("title", "simulated", "n_rows", "sha256", "licence", "citation")


def datasets() -> pd.DataFrame:
    """List the data sets that come with the package.

    Returns
    -------
    DataFrame
        One row each: ``name, title, simulated, n_rows, licence, citation``. ``simulated`` is True where the
        numbers come from a random generator and no patient was ever asked.

    Examples
    --------
    >>> bool(datasets().set_index("name").loc["simulated_alliance", "simulated"])
    True
    """
    rows = [(name, *(_source(folder)[key] for key in _COLUMNS[1:])) for name, folder in _folders().items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


def load_dataset(name: str) -> SessionTable:
    """Load one of the data sets that come with the package.

    Parameters
    ----------
    name : str
        As in :func:`datasets`.

    Returns
    -------
    SessionTable
        The sessions; ``source`` carries title, licence and citation under ``reading``, and says whether the
        data are simulated.

    Raises
    ------
    DataError
        If there is none of that name, or its file is not the one that was shipped.
    """
    folder = dataset_folder(name)
    about = _source(folder)
    sessions = folder / "sessions.csv"
    _verify(sessions, about["sha256"])
    # Read late, so that the registry can be asked without loading the readers.
    from alliance_stats.data.study_file import read_study

    table = read_study(folder / "study.toml").read(sessions)
    words = {key: str(about[key]) for key in ("title", "licence", "citation")}
    source = replace(
        table.source, name=name, simulated=bool(about["simulated"]), reading={**table.source.reading, **words}
    )
    return replace(table, source=source)


def dataset_folder(name: str) -> Path:
    """Return the folder of a data set, with its ``SOURCE.toml``, ``study.toml`` and ``sessions.csv``.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    folders = _folders()
    if name not in folders:
        raise DataError(f"There is no data set {name!r}. {did_you_mean(name, folders)}")
    return folders[name]


def _folders() -> dict[str, Path]:
    """Name → folder, from the installed package or else from the checkout."""
    package = Path(__file__).resolve().parent.parent
    homes = [package / "_datasets"]
    # A folder "datasets" beside an installed package belongs to somebody else; beside ours in a checkout it is ours.
    if (package.parent / "pyproject.toml").is_file():
        homes.append(package.parent / "datasets")
    found = {path.parent.name: path.parent for home in homes for path in sorted(home.glob("*/SOURCE.toml"))}
    return dict(sorted(found.items()))


def _source(folder: Path) -> dict[str, Any]:
    path = folder / "SOURCE.toml"
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Data set {folder.name!r}: SOURCE.toml cannot be read ({error}). Install anew.") from error
    missing = [key for key in _NEEDED if key not in about]
    if missing:
        raise DataError(f"Data set {folder.name!r}: SOURCE.toml lacks {', '.join(missing)}. Add what is missing.")
    return about


def _verify(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise DataError(f"Data set {path.parent.name!r} has no file {path.name}. Install the package anew.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise DataError(
            f"Data set {path.parent.name!r}: {path.name} is not the file that was shipped (sha256 {found[:12]}…, "
            f"expected {sha256[:12]}…). Install the package anew, or read the file with read_sessions()."
        )
