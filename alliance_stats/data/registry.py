"""The data sets: what there is, where it comes from, and how to load one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

import pandas as pd

from alliance_stats.data.dataset_entry import DatasetEntry, read_entry
from alliance_stats.data.dataset_files import find_file, place_of
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError, did_you_mean

_COLUMNS = ["name", "title", "simulated", "n_rows", "licence", "citation", "n_columns", "kind", "place", "origin"]


def datasets() -> pd.DataFrame:
    """List the data sets that come with the package or are registered with it.

    Returns
    -------
    DataFrame
        One row each:

        - ``name, title``;
        - ``simulated``: True where the numbers come from a random generator and no patient was ever asked;
        - ``n_rows, n_columns``: size as loaded;
        - ``licence, citation, origin``;
        - ``kind``: what a row is: ``sessions`` (loaded as a session table), ``effects`` (correlations of studies) or
          ``findings`` (published numbers), both loaded as a frame;
        - ``place``: where it would be loaded from now: ``shipped`` with the package, ``local copy`` (in the folder
          that ``ALLIANCE_STATS_DATA`` names), ``cache`` (fetched before), ``origin`` (would be fetched), ``nowhere``
          (has no address; a local copy is needed).

    Examples
    --------
    >>> bool(datasets().set_index("name").loc["simulated_alliance", "simulated"])
    True
    """
    entries = [read_entry(folder) for folder in _folders().values()]
    rows = [[*(getattr(e, c) for c in _COLUMNS[:6]), len(e.glossary), e.kind, place_of(e), e.origin] for e in entries]
    return pd.DataFrame(rows, columns=_COLUMNS)


@overload  # the names of frames are also texts, as mypy remarks: of the two, the first fits
def load_dataset(  # type: ignore[overload-overlap]
    name: Literal["published_findings", "positive_regard", "simulated_effects"], *, fetch: bool = ...
) -> pd.DataFrame: ...
@overload
def load_dataset(name: str, *, fetch: bool = ...) -> SessionTable: ...
def load_dataset(name: str, *, fetch: bool = True) -> SessionTable | pd.DataFrame:
    """Load one of the data sets, its file verified by its hash.

    Shipped data sets are read from the package. Registered ones are not part of it: they are read from the folder that
    the environment variable ``ALLIANCE_STATS_DATA`` names, or from the cache, or else fetched from their origin on the
    web and cached. This is the only function of the package that ever goes online, and it sends nothing of
    yours: it asks for one address.

    Parameters
    ----------
    name : str
        As in :func:`datasets`.
    fetch : bool, default True
        Whether a data set that is not on this machine may be fetched.

    Returns
    -------
    SessionTable or DataFrame
        Sessions as a table, ``source.reading`` with title, licence and citation, ``source.simulated`` saying whether
        the data are. Effects and findings as a frame, the same facts in its ``attrs``, with the ``glossary``.

    Raises
    ------
    DataError
        If there is none of that name, its file is not the registered one, or it is not on this machine and cannot be
        fetched; the message says every way out.
    MissingExtraError
        If it takes a library that is not installed (``pip install 'alliance-stats[data]'``).
    """
    entry = dataset_entry(name)
    path = find_file(entry, fetch)
    if entry.kind != "sessions":
        return _frame(entry, path)
    table = _sessions(entry, path)
    words = {key: getattr(entry, key) for key in ("title", "licence", "citation")}
    source = replace(table.source, name=name, simulated=entry.simulated, reading={**table.source.reading, **words})
    return replace(table, source=source)


def dataset_entry(name: str) -> DatasetEntry:
    """Return what is known of a data set, its glossary among it, without reading it.

    Raises
    ------
    DataError
        If there is none of that name, or its ``SOURCE.toml`` cannot be understood.
    """
    return read_entry(dataset_folder(name))


def dataset_folder(name: str) -> Path:
    """Return the folder of a data set: its ``SOURCE.toml`` and, if it is shipped, its files.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    folders = _folders()
    if name not in folders:
        raise DataError(f"There is no data set {name!r}. {did_you_mean(name, folders)}")
    return folders[name]


def _sessions(entry: DatasetEntry, path: Path) -> SessionTable:
    # Read late, so that the registry can be asked without loading the readers.
    if entry.shipped:
        from alliance_stats.data.study_file import read_study

        return read_study(entry.folder / "study.toml").read(path)
    from alliance_stats.data.dataset_tables import read_table

    return _with_hash(read_table(entry, path), entry, path)


def _with_hash(table: SessionTable, entry: DatasetEntry, path: Path) -> SessionTable:
    """Give the table the hash of the file that it came from, and say which file it was."""
    sha256 = next(file.sha256 for file in entry.files if file.path.endswith(path.name))
    return replace(table, source=replace(table.source, sha256=sha256, reading={"file": path.name}))


def _frame(entry: DatasetEntry, path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    if list(frame.columns) != list(entry.glossary) or len(frame) != entry.n_rows:
        raise DataError(f"Data set {entry.name!r}: {path.name} does not fit its glossary. Install the package anew.")
    for key in ("name", "title", "licence", "citation", "origin", "simulated"):
        frame.attrs[key] = getattr(entry, key)
    frame.attrs["glossary"] = dict(entry.glossary)
    return frame


def _folders() -> dict[str, Path]:
    """Name → folder, from the installed package or else from the checkout."""
    package = Path(__file__).resolve().parent.parent
    homes = [package / "_datasets"]
    # A folder "datasets" beside an installed package belongs to somebody else; beside ours in a checkout it is ours.
    if (package.parent / "pyproject.toml").is_file():
        homes.append(package.parent / "datasets")
    found = {path.parent.name: path.parent for home in homes for path in sorted(home.glob("*/SOURCE.toml"))}
    return dict(sorted(found.items()))
