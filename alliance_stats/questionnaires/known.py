"""The measures that can be scored: those that come with the package, and those that were registered."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.questionnaires.key import MeasureKey
from alliance_stats.questionnaires.key_file import read_key

_COLUMNS = ("measure", "title", "about", "raters", "n_items", "response", "scales", "higher", "cutoff",
            "reliable_change", "status", "source")  # fmt: skip
_REGISTERED: dict[str, MeasureKey] = {}


def measures(name: str | None = None) -> pd.DataFrame:
    """List the measures that can be scored, or every value of one.

    Parameters
    ----------
    name : str, optional
        A measure, e.g. ``"WAI-SR"``.

    Returns
    -------
    DataFrame
        One row per measure: ``measure, title, about, raters, n_items, response, scales, higher, cutoff,
        reliable_change, status, source``. With ``name`` one row per value of its key: ``what, value, status,
        source``. Values that are not verified are left out of the keys that come with the package.

    Raises
    ------
    DataError
        If there is no such measure.

    Examples
    --------
    >>> measures("PHQ-9").set_index("what").loc["reliable change of total", "value"]
    6.0
    """
    if name is not None:
        return measure_key(name).values()
    return pd.DataFrame([_row(key) for key in _all().values()], columns=list(_COLUMNS))


def register_measure(path: str | Path, *, replace: bool = False) -> MeasureKey:
    """Add a measure from a key file, for this session of Python.

    Parameters
    ----------
    path : str or Path
        A TOML file like those in ``alliance_stats/questionnaires/keys``.
    replace : bool
        Whether it may take the place of a measure of the same name.

    Returns
    -------
    MeasureKey
        The key that was read.

    Raises
    ------
    MeasureKeyError
        If the key is not understood or does not hold together; all that is wrong is listed.
    DataError
        If there is a measure of that name already, or no such file.
    """
    key = read_key(path)
    there = _all().get(folded(key.name))
    if there is not None and not replace and there != key:
        raise DataError(
            f"There is a measure {there.name!r} already. Give yours another name, or register it with replace=True."
        )
    _REGISTERED[folded(key.name)] = key
    return key


def measure_key(name: str | MeasureKey) -> MeasureKey:
    """Return the key of a measure; capitals, spaces and hyphens in its name play no part.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if isinstance(name, MeasureKey):
        return name
    known = _all()
    key = known.get(folded(str(name)))
    if key is None:
        hint = did_you_mean(str(name), [key.name for key in known.values()])
        raise DataError(f"There is no measure {name!r}. {hint} measures() lists them; register_measure() adds one.")
    return key


def folded(name: str) -> str:
    """Bring a name to the form in which it is looked up."""
    return re.sub(r"[\s_-]+", "", name).casefold()


@cache
def _shipped() -> dict[str, MeasureKey]:
    keys = [read_key(path) for path in sorted((Path(__file__).parent / "keys").glob("*.toml"))]
    return {folded(key.name): key for key in keys}


def _all() -> dict[str, MeasureKey]:
    return {**_shipped(), **_REGISTERED}


def _row(key: MeasureKey) -> tuple[object, ...]:
    change = key.reliable_change
    return (
        *(key.name, key.title, key.about, ", ".join(key.raters), key.n_items),
        f"{key.response[0]:g} to {key.response[1]:g}",
        ", ".join(scale.name for scale in key.scales),
        key.higher,
        ", ".join(f"{cut.value:g}" for cut in key.cutoffs),
        None if change is None else change.value,
        *(key.status, key.source),
    )
