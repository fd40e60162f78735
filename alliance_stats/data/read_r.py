"""Read what R saved (``.rds``, ``.RData``) through rdata. Data only: nothing in the file is ever run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.raw_table import named_list, plain_text
from alliance_stats.data.stored_table import StoredTable, need
from alliance_stats.errors import DataError, did_you_mean


def read_r(content: bytes, name: str, wanted: str | None = None) -> StoredTable:
    """Read the data frame in a file of R.

    Factors become their labels, and dates and times become dates. Matrices, and arrays of three dimensions (patient,
    time, variable), become tables with the columns ``dim1``, ``dim2``, ``v1``, ``v2``, …. What the package haven keeps
    of SPSS files (labels, value labels, user-missing values) is kept.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        File name, for messages.
    wanted : str, optional
        Name of the data frame, where an ``.RData`` file or a list holds several.

    Raises
    ------
    MissingExtraError
        If rdata is not installed.
    DataError
        If the file is damaged, or holds no data frame or several.
    """
    library = need("rdata", "r", "R")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of classes that it does not know
            held = library.conversion.convert(
                library.parser.parse_data(content),
                constructor_dict={**library.conversion.DEFAULT_CLASS_MAP, **_CLASSES},
            )
    except Exception as error:  # damaged files make it raise anything
        raise DataError(
            f"{name} cannot be read as a file of R: {str(error).strip()[:200] or type(error).__name__}. Save the data "
            "frame anew: saveRDS(frame, file)."
        ) from None
    found, frame = _only_frame(held, name, wanted)
    columns = {str(column): values for column, values in frame.columns.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise DataError(
            f"{name} holds a data frame whose columns differ in length. Save it anew: saveRDS(frame, file)."
        )
    labelled = {column: values for column, values in columns.items() if isinstance(values, _Labelled)}
    called = f", data frame {found!r}" if found else ""
    return StoredTable(
        header=tuple(columns),
        columns=[_plain(values) for values in columns.values()],
        places=np.arange(1, lengths.pop() + 1),
        reading={"format": f"R{called} (found)"},
        words={column: values.words for column, values in labelled.items()},
        declared={column: values.declared for column, values in labelled.items() if values.declared.notna().any()},
    )


@dataclass(frozen=True, eq=False)
class _Frame:
    """A data frame of R: its columns, in order, without row names."""

    columns: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _Labelled:
    """A column with labels, as haven makes it."""

    column: pd.Series
    words: ColumnWords
    declared: pd.Series

    def __len__(self) -> int:
        return len(self.column)


def _plain(values: Any) -> pd.Series:
    if isinstance(values, _Labelled):
        return values.column
    column = pd.Series(values).reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):  # a factor: its labels are its values
        return column.astype(object).astype("str")
    return column


def _only_frame(held: object, name: str, wanted: str | None) -> tuple[str, _Frame]:
    single = _table_of(held)
    if single is not None and wanted is None:
        return "", single
    tables = {str(key): _table_of(value) for key, value in held.items()} if isinstance(held, Mapping) else {}
    frames = {key: table for key, table in tables.items() if table is not None}
    if wanted is not None:
        if wanted not in frames:
            raise DataError(f"{name} has no data frame called {wanted!r}. {did_you_mean(wanted, frames)}")
        return wanted, frames[wanted]
    if len(frames) > 1:
        raise DataError(f"{name} holds {len(frames)} data frames: {named_list(list(frames))}. Say which with sheet=.")
    if not frames:
        raise DataError(f"{name} holds 0 data frames. In R: saveRDS(as.data.frame(x), file).")
    return next(iter(frames.items()))


def _table_of(held: object) -> _Frame | None:
    if isinstance(held, _Frame):
        return held
    array = (
        np.ma.filled(held, np.nan) if isinstance(held, np.ma.MaskedArray) else np.asarray(getattr(held, "data", held))
    )
    if isinstance(held, str | bytes | Mapping) or array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        return None
    rows = array.reshape(-1, array.shape[-1])
    places = [*(np.indices(array.shape[:-1]).reshape(2, -1) + 1)] if array.ndim == 3 else []
    columns = {f"dim{at}": place for at, place in enumerate(places, start=1)}
    return _Frame(columns | {f"v{at}": rows[:, at - 1] for at in range(1, rows.shape[1] + 1)})


def _frame(columns: Any, attributes: Mapping[str, Any]) -> _Frame:
    return _Frame(columns if isinstance(columns, Mapping) else {})


def _date(days: Any, attributes: Mapping[str, Any]) -> np.ndarray:
    return _moments(days, "D").astype("datetime64[D]").astype("datetime64[s]")


def _time(seconds: Any, attributes: Mapping[str, Any]) -> np.ndarray:
    zone = next((str(zone) for zone in attributes.get("tzone", ()) if zone), "UTC")
    times = pd.DatetimeIndex(_moments(seconds, "s")).tz_localize("UTC")
    with suppress(KeyError, ValueError, OSError):  # a time zone that is not known here: UTC
        times = times.tz_convert(zone)  # what the clock on the wall said
    return times.tz_localize(None).to_numpy()


def _moments(numbers: Any, unit: str) -> np.ndarray:
    """Turn days or seconds since 1970 into moments; missing where they are no number or beyond the calendar."""
    seconds: np.ndarray = np.ma.filled(np.ma.asarray(numbers, dtype="float64"), np.nan) * (86_400 if unit == "D" else 1)
    inside = np.abs(seconds) < 2e11  # some six thousand years
    whole = np.where(inside, np.floor(np.where(inside, seconds, 0)), 0).astype("int64").astype("datetime64[s]")
    whole[~inside] = np.datetime64("NaT")
    return whole


def _labelled(values: Any, attributes: Mapping[str, Any]) -> _Labelled:
    column = pd.Series(values).reset_index(drop=True)
    labels = attributes.get("labels")
    named: dict[str, str] = {}
    if labels is not None and getattr(labels, "coords", None):
        words = next(iter(labels.coords.values())).to_numpy()
        named = {plain_text(code): str(word) for code, word in zip(np.asarray(labels), words, strict=False)}
    missing = tuple(plain_text(code) for code in attributes.get("na_values", ()))
    label = next((str(text) for text in attributes.get("label", ())), "")
    texts = column.map(plain_text)
    declared = texts.isin([*missing]).to_numpy() & (texts != "").to_numpy()
    told = ColumnWords(label, named, missing)
    return _Labelled(column.mask(declared), told, column.astype(object).where(declared))


_CLASSES = {
    "data.frame": _frame,
    "Date": _date,
    "POSIXct": _time,
    **dict.fromkeys(("haven_labelled", "haven_labelled_spss", "labelled"), _labelled),
}
