"""Texts to dates. The order of day and month is read from the values or asked for, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from alliance_stats.data.raw_table import distinct_texts
from alliance_stats.errors import DataError

#: Dates with the year first (2021-01-05, 2021/1/5, 20210105), a time and an offset after it are understood.
_YEAR_FIRST = (
    r"(?P<year>[0-9]{4})(?:(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})|(?P<short>[0-9]{4}))"
)
_YEAR_LAST = r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})"
_TIME = r"(?:[T ]+(?P<clock>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,][0-9]+)?\s*(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"

_MONTHS = dict(
    zip(
        (
            *("january", "february", "march", "april", "may", "june"),
            *("july", "august", "september", "october", "november", "december"),
        ),
        map(str, range(1, 13)),
        strict=True,
    )
)
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()}
_WITH_NAME = r"(?P<day>[0-9]{1,2})[-/. ]*(?P<month>[A-Za-z]{3,9})[-/., ]*(?P<year>[0-9]{4})"
#: Serial numbers of spreadsheets that can be dates of sessions: 1954 to 2064.
_SERIAL = r"(?P<serial>[2-5][0-9]{4})(?:\.[0-9]+)?"
_STARTS = {"excel": "1899-12-30", "excel-1904": "1904-01-01"}

Order = Literal["day first", "month first", "undecided", "contradictory", "none"]


@dataclass(frozen=True, eq=False)
class Dates:
    """A column read as dates.

    Parameters
    ----------
    dates : Series of datetime64
        The dates (clock time included where there is one; an offset from UTC is dropped); NaT where missing or bad.
    bad : ndarray of bool, shape (n_rows,)
        Where something stands that is no date.
    unclear : ndarray of bool, shape (n_rows,)
        Where day and month could be swapped and nothing decides.
    order : str
        Order of day and month in dates that have the year last: ``"day first"``, ``"month first"``, ``"undecided"``
        (no value decides), ``"contradictory"`` (some values need one order, some the other), ``"none"`` (no such date).
    serial : ndarray of bool, shape (n_rows,)
        Where a spreadsheet's serial number was read as a date.
    """

    dates: pd.Series
    bad: np.ndarray
    unclear: np.ndarray
    order: Order
    serial: np.ndarray


def read_dates(values: pd.Series, missing: Sequence[str], date_format: str | None = None) -> Dates:
    """Turn a column into dates.

    Parameters
    ----------
    values : Series of length n_rows
        Texts, or dates already.
    missing : sequence of str
        Texts that stand for a missing date.
    date_format : str, optional
        As in ``strftime``, or ``"excel"``, ``"excel-1904"``. Without it, dates with the year first are read as ISO; day
        and month of the others are told apart by the values (a 13 or more must be a day); English names of months
        (09-Mar-2021) and serial numbers of spreadsheets (44264, days since the end of 1899) are understood.

    Raises
    ------
    DataError
        If the format cannot be understood.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        if isinstance(values.dtype, pd.ArrowDtype):  # days and moments of arrow: the clock on the wall, as below
            values = pd.Series([pd.NaT if pd.isna(moment) else pd.Timestamp(moment) for moment in values])
        plain = values.dt.tz_localize(None) if values.dt.tz is not None else values
        nowhere = np.zeros(len(values), dtype=bool)
        return Dates(plain.astype("datetime64[us]").reset_index(drop=True), nowhere, nowhere, "none", nowhere)
    codes, texts = distinct_texts(values)
    words = pd.Series(texts, dtype="str").str.strip()
    absent = words.isin(["", *missing]).to_numpy()
    unclear = np.zeros(len(words), dtype=bool)
    order: Order = "none"
    serial = np.zeros(len(words), dtype=bool)
    if date_format in _STARTS:
        read = _serial_dates(pd.to_numeric(words, errors="coerce"), _STARTS[date_format])
        serial = read.notna().to_numpy()
    elif date_format is not None:
        read = _with_format(words.mask(absent), date_format)
    else:
        read, unclear, order = _without_format(words)
        counted = words.where(words.str.fullmatch(_SERIAL))
        from_numbers = _serial_dates(pd.to_numeric(counted), _STARTS["excel"])
        serial = from_numbers.notna().to_numpy()
        read = read.fillna(from_numbers).fillna(_named_dates(words))
    read = read.mask(absent)
    bad = (read.isna() & ~absent & ~unclear).to_numpy()
    unclear &= ~absent
    return Dates(read.take(codes).reset_index(drop=True), bad[codes], unclear[codes], order, (serial & ~absent)[codes])


def _serial_dates(days: pd.Series, start: str) -> pd.Series:
    number = days.to_numpy(dtype="float64", na_value=np.nan)
    inside = (number > 0) & (number < 2_958_466)  # the calendar of spreadsheets ends with the year 9999
    seconds = np.round(np.where(inside, number, 0) * 86_400).astype("int64")
    dates = (np.datetime64(start, "s") + seconds.astype("timedelta64[s]")).astype("datetime64[us]")
    dates[~inside] = np.datetime64("NaT")
    return pd.Series(dates, index=days.index)


def _named_dates(words: pd.Series) -> pd.Series:
    found = words.str.extract(f"^{_WITH_NAME}{_TIME}$")
    month = found["month"].str.lower().map(_MONTHS)
    return _dates(found["year"], month.astype("str"), found["day"], found["clock"])


def _with_format(words: pd.Series, date_format: str) -> pd.Series:
    try:
        read = pd.to_datetime(words, format=date_format, errors="coerce")
    except (ValueError, TypeError) as error:
        raise DataError(f"date_format={date_format!r} is not understood: {error}. Write e.g. '%d.%m.%Y'.") from None
    if not pd.api.types.is_datetime64_dtype(read):  # offsets from UTC: keep the clock on the wall
        read = pd.Series([pd.NaT if pd.isna(date) else date.replace(tzinfo=None) for date in read], index=words.index)
    return read.astype("datetime64[us]")


def _without_format(words: pd.Series) -> tuple[pd.Series, np.ndarray, Order]:
    iso = words.str.extract(f"^{_YEAR_FIRST}{_TIME}$")
    local = words.str.extract(f"^{_YEAR_LAST}{_TIME}$")
    month = iso["month"].fillna(iso["short"].str[:2])
    day = iso["day"].fillna(iso["short"].str[2:])
    read = _dates(iso["year"], month, day, iso["clock"])
    first, second = (pd.to_numeric(local[name]).to_numpy("float64") for name in ("first", "second"))
    order = _order(first, second)
    unclear = np.isfinite(first) & (first != second) & (first <= 12) & (second <= 12)
    if order == "contradictory":
        return read, np.isfinite(first), order
    if order == "undecided":
        # Where day and month are the same number, their order does not matter.
        same = local.where(pd.Series(first == second, index=local.index))
        return read.fillna(_dates(same["year"], same["first"], same["second"], same["clock"])), unclear, order
    if order == "month first":
        local = local.rename(columns={"first": "second", "second": "first"})
    dates = _dates(local["year"], local["second"], local["first"], local["clock"])
    return read.fillna(dates), np.zeros_like(unclear), order


def _order(first: np.ndarray, second: np.ndarray) -> Order:
    days_first = ((first > 12) & (first <= 31) & (second <= 12)).any()
    months_first = ((second > 12) & (second <= 31) & (first <= 12)).any()
    if days_first and months_first:
        return "contradictory"
    if days_first or months_first:
        return "day first" if days_first else "month first"
    return "undecided" if np.isfinite(first).any() else "none"


def _dates(year: pd.Series, month: pd.Series, day: pd.Series, clock: pd.Series) -> pd.Series:
    texts = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
    whole_clock = clock.where(clock.str.len() > 5, clock + ":00").fillna("00:00:00").str.zfill(8)
    return pd.to_datetime(texts + " " + whole_clock, format="%Y-%m-%d %H:%M:%S", errors="coerce").astype(
        "datetime64[us]"
    )
