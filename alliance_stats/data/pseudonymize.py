"""Keyed pseudonyms and shifted dates, for data that leave the clinic."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pandas as pd

from alliance_stats.data.codebook import Codebook
from alliance_stats.data.pseudonyms import without_quotes
from alliance_stats.data.session_table import SessionTable, require_columns
from alliance_stats.errors import DataError, count
from alliance_stats.names import KEYS, PATIENT, PHASE, SESSION, SITE, THERAPIST

#: Column → what every pseudonym in it begins with, so that none can be taken for a number.
PREFIXES = {PATIENT: "P", THERAPIST: "T", SITE: "S"}
#: Hexadecimal digits of a pseudonym: 64 bits. Among a million ids two agree with odds of 1 in 37 million.
_DIGITS = 16
_SHORTEST_KEY = 16
_MOST_DAYS = 36_500


def pseudonymized(
    sessions: SessionTable, key: str | bytes, shift_dates: int | None, keep: tuple[str, ...]
) -> SessionTable:
    """Do the work of :meth:`SessionTable.pseudonymize`, which says what it is."""
    secret = _secret(key)
    frame = sessions.frame
    require_columns(frame, PATIENT, *keep)
    _refuse_texts(frame, keep)
    shifts = None if shift_dates is None else _shifts(frame, secret, _days(shift_dates))
    replaced = {column: _pseudonyms(frame[column], column, secret) for column in PREFIXES if column in frame}
    fresh = frame.assign(**replaced)
    if shifts is not None:
        fresh = fresh.assign(**{name: _shifted(frame[name], shifts) for name in _dates_of(frame)})
    # Rows sorted by the old ids would give their order away.
    fresh = fresh.sort_values([PATIENT, *([SESSION] if SESSION in fresh else [])], kind="stable", ignore_index=True)
    codebook = _codebook(sessions.codebook, tuple(replaced), _dates_of(frame) if shifts is not None else (), keep)
    return without_quotes(replace(sessions, frame=fresh, codebook=codebook))


def _secret(key: str | bytes) -> bytes:
    if not isinstance(key, str | bytes):
        raise DataError(f"key is {type(key).__name__}. Give a text or bytes, e.g. of secrets.token_hex().")
    secret = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    if len(secret) < _SHORTEST_KEY or len(set(secret)) < _SHORTEST_KEY // 2:
        # The length may be told, the key never.
        raise DataError(
            f"The key has {count(len(secret), 'byte')} and can be guessed. Make one with secrets.token_hex(), and keep "
            "it apart from the data."
        )
    return secret


def _days(shift_dates: int) -> int:
    if isinstance(shift_dates, bool) or not isinstance(shift_dates, int) or not 1 <= shift_dates <= _MOST_DAYS:
        raise DataError(f"shift_dates is {shift_dates!r}. Give the longest shift in whole days, 1 to {_MOST_DAYS}.")
    return shift_dates


def _digest(secret: bytes, purpose: str, word: str) -> bytes:
    # The purpose keeps a patient and a therapist of the same id apart, and shifts apart from pseudonyms.
    message = f"alliance_stats/{purpose}\x00{word}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, hashlib.sha256).digest()


def _pseudonyms(ids: pd.Series, column: str, secret: bytes) -> pd.Series:
    names = {name: _digest(secret, column, str(name)).hex()[:_DIGITS] for name in ids.dropna().unique()}
    if len(set(names.values())) < len(set(map(str, names))):
        raise DataError(f"Two ids in {column!r} get the same pseudonym with this key. Use another key.")
    return (
        ids.astype("object")
        .map(names, na_action="ignore")
        .map(PREFIXES[column].__add__, na_action="ignore")
        .astype("str")
    )


def _dates_of(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(name) for name in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[name]))


def _shifts(frame: pd.DataFrame, secret: bytes, most: int) -> pd.Series:
    """Days by which each row's dates move: from 1 to ``most``, forward or back, one number per patient."""
    if not _dates_of(frame):
        raise DataError("There are 0 columns of dates to shift. Leave shift_dates out, or read the dates with date=.")
    days = {}
    for name in frame[PATIENT].dropna().unique():
        drawn = int.from_bytes(_digest(secret, f"dates/{most}", str(name)), "big") % (2 * most)
        days[name] = drawn - most if drawn < most else drawn - most + 1  # every day but 0, equally likely
    return frame[PATIENT].astype("object").map(days)


def _shifted(dates: pd.Series, shifts: pd.Series) -> pd.Series:
    try:
        return dates + pd.to_timedelta(shifts, unit="D").astype("timedelta64[s]")
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise DataError(
            f"Dates in {dates.name!r} lie too near the end of what can be written to be shifted. Correct them first."
        ) from error


def _refuse_texts(frame: pd.DataFrame, keep: tuple[str, ...]) -> None:
    """Refuse columns that are no ids and may name people all the same: texts, and ids that were carried along."""
    known = {*PREFIXES, PHASE, *keep}
    telling = [str(name) for name in frame.columns if name not in known and _may_name(frame[name], frame)]
    if telling:
        it = "it" if len(telling) == 1 else "them"
        raise DataError(
            f"{count(len(telling), 'column')} may name people: {', '.join(map(repr, telling))}. Leave {it} out of "
            f"the table, or list {it} in keep=."
        )


def _may_name(values: pd.Series, frame: pd.DataFrame) -> bool:
    return not _is_harmless(values) or (
        values.name not in KEYS and any(_repeats(values, frame[column]) for column in PREFIXES if column in frame)
    )


def _repeats(values: pd.Series, ids: pd.Series) -> bool:
    """Whether a column of numbers is the ids once more."""
    if not pd.api.types.is_numeric_dtype(values) or ids.nunique() < 2:
        return False
    numbers = pd.to_numeric(ids.astype("object"), errors="coerce")
    return bool(numbers.notna().all() and (numbers == values).all())


def _is_harmless(values: pd.Series) -> bool:
    kinds = pd.api.types
    return bool(
        kinds.is_numeric_dtype(values) or kinds.is_datetime64_any_dtype(values) or kinds.is_timedelta64_dtype(values)
    )


def _codebook(codebook: Codebook, ids: tuple[str, ...], dates: tuple[str, ...], keep: tuple[str, ...]) -> Codebook:
    made = dict.fromkeys(ids, "pseudonym (keyed)") | dict.fromkeys(dates, "shifted per patient (keyed)")
    named = (replace(codebook[name], made_from=words, missing=()) for name, words in made.items() if name in codebook)
    fresh = codebook.with_variables(*named)
    # Value labels of ids, and of columns that may be ids, are names: files of SPSS label therapists so.
    may_name = (v for v in fresh if v.role != "score" and v.name not in (PHASE, *keep))
    return fresh.with_variables(*(replace(variable, value_labels={}) for variable in may_name))
