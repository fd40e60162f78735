"""Answers to the items of a measure: which columns hold them, what they hold, and what cannot be an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.columns import Bools, Floats, column_of, first_rows
from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.numbers import number_texts, numbers
from alliance_stats.data.session_table import require_columns
from alliance_stats.errors import ColumnError, DataError, FaultsError, count
from alliance_stats.questionnaires.key import MeasureKey

#: How the item columns are named: a pattern, all names in order, or number → name.
Items = str | Sequence[str] | Mapping[int, str]

_N_SHOWN = 3


def item_columns(key: MeasureKey, items: Items) -> dict[int, str]:
    """Name the column of each item.

    Parameters
    ----------
    key : MeasureKey
    items : str, sequence of str, or mapping of int to str
        A pattern for the item number (``"wai_{:02d}"``, ``"phq{}"``), all columns in the order of the items, or the
        column of each item number.

    Raises
    ------
    DataError
        If the pattern has no place for the number, or the columns are too few, too many, or not distinct.
    """
    numbers_ = range(1, key.n_items + 1)
    if isinstance(items, str):
        columns = {item: _written(items, item) for item in numbers_}
    elif isinstance(items, Mapping):
        foreign = [item for item in items if item not in numbers_]
        if foreign or len(items) != key.n_items:
            raise DataError(f"{key.name} has the items 1 to {key.n_items}; columns were given for {_listed(items)}.")
        columns = {item: str(items[item]) for item in numbers_}
    else:
        if len(items) != key.n_items:
            raise DataError(
                f"{key.name} has {count(key.n_items, 'item')}, but {count(len(items), 'column')} were named. "
                "Name all of them, in the order of the questionnaire."
            )
        columns = dict(zip(numbers_, map(str, items), strict=True))
    if len(set(columns.values())) < key.n_items:
        raise DataError(
            f"The columns of the {key.n_items} items are not distinct ({_listed(columns.values())}). "
            'A pattern needs a place for the number: items="wai_{:02d}" or items="wai_{}".'
        )
    return columns


def _written(pattern: str, item: int) -> str:
    try:
        return pattern.format(item)
    except (IndexError, KeyError, ValueError, AttributeError, TypeError):
        raise DataError(
            f"items = {pattern!r} is no pattern for a number. Write {{}} (1, 2, 3) or {{:02d}} (01, 02, 03) once."
        ) from None


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one measure.

    Parameters
    ----------
    given : ndarray of shape (n_rows, n_items)
        In the units of the response range, as given (not reversed); nan where there is no answer.
    columns : tuple of str
        Column of each item.
    response : tuple of float
        Lowest and highest answer.
    faults : DataFrame
        What was left out, one row per item: ``fault, column, n, places, done, way_out``.
    """

    given: Floats
    columns: tuple[str, ...]
    response: tuple[float, float]
    faults: pd.DataFrame

    def reversed(self, items: frozenset[int]) -> Floats:
        """Answers with these items reversed inside the response range: low + high − answer."""
        turned = self.given.copy()
        at = [item - 1 for item in sorted(items)]
        turned[:, at] = self.response[0] + self.response[1] - turned[:, at]
        return turned


def read_answers(
    frame: pd.DataFrame,
    key: MeasureKey,
    items: Items,
    response: tuple[float, float] | None = None,
    missing: Sequence[float | str] = (),
    on_faults: str = "raise",
) -> Answers:
    """Read the answers to every item of a measure.

    Parameters
    ----------
    frame : DataFrame
        Holds the item columns; numbers, or texts that are numbers.
    key : MeasureKey
    items : str, sequence or mapping
        See :func:`item_columns`.
    response : tuple of float, optional
        Response range of the form used, where the key names several.
    missing : sequence of float or str
        Codes that stand for no answer.
    on_faults : {"raise", "leave_out"}
        Whether answers that are no numbers or lie outside the response range stop the scoring, or count as not given.

    Raises
    ------
    ColumnError
        If an item column is not there.
    FaultsError
        If answers cannot be right; every item is named.
    """
    if on_faults not in ("raise", "leave_out"):
        raise DataError(f"on_faults is 'raise' or 'leave_out', not {on_faults!r}.")
    span = response_range(key, response)
    columns = item_columns(key, items)
    _require_items(frame, key, columns)
    codes = [str(code) for code in missing]
    values, faults = np.empty((len(frame), key.n_items)), []
    lowest, highest = np.inf, -np.inf
    done = "value set to missing" if on_faults == "leave_out" else "refused"
    for item, name in columns.items():
        column = column_of(frame, name)
        if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            raise DataError(f"Column {name!r} (item {item}) holds no answers (dtype {column.dtype}). Name its column.")
        read, bad = numbers(number_texts(column), ".", codes)
        there = read[~np.isnan(read)]
        lowest, highest = min(lowest, there.min(initial=np.inf)), max(highest, there.max(initial=-np.inf))
        outside = ~np.isnan(read) & ((read < span[0]) | (read > span[1]))
        between = np.zeros_like(outside) if key.continuous else ~np.isnan(read) & ~outside & (read % 1 != 0)
        for rows, what in (
            (bad, "item is no number"),
            (outside, f"item lies outside {span[0]:g} to {span[1]:g}"),
            (between, "item lies between two answers"),
        ):
            if rows.any():
                faults.append(Fault(what, name, int(rows.sum()), _places(column, rows), done, _way_out(what)))
        read[outside | between] = np.nan
        values[:, item - 1] = read
    if faults and on_faults == "raise":
        raise _refusal(key, faults, span, (lowest, highest))
    return Answers(values, tuple(columns.values()), span, faults_frame(faults))


def response_range(key: MeasureKey, response: tuple[float, float] | None) -> tuple[float, float]:
    """Return the response range to use: the key's, or another one that the key names.

    Raises
    ------
    DataError
        If the range is not one of the measure's.
    """
    if response is None:
        return key.response
    ranges = (key.response, *key.other_responses)
    if tuple(map(float, response)) not in ranges:
        known = " or ".join(f"({low:g}, {high:g})" for low, high in ranges)
        raise DataError(
            f"{key.name} is answered on {known}, not {tuple(response)!r}. For another form write a key file of its "
            "own (register_measure)."
        )
    return float(response[0]), float(response[1])


def _require_items(frame: pd.DataFrame, key: MeasureKey, columns: Mapping[int, str]) -> None:
    absent = [name for name in columns.values() if name not in frame.columns]
    if len(absent) > _N_SHOWN:
        raise ColumnError(
            f"{len(absent)} of the {key.n_items} item columns of {key.name} are not there ({_listed(absent)}). "
            f"The data have: {_listed(map(str, frame.columns), 8)}. Read item columns with read_sessions(…, keep=[…])."
        )
    require_columns(frame, *absent)


def _places(column: pd.Series, rows: Bools) -> str:
    shown = column[rows].head(_N_SHOWN).tolist()
    return f"{first_rows(rows)} ({', '.join(repr(value) for value in shown)})"


def _way_out(what: str) -> str:
    if "between" in what:
        return "check whether the column holds a mean, or answers on a line"
    return "correct the file, or name the code for no answer: missing=[…]"


def _refusal(
    key: MeasureKey, faults: list[Fault], span: tuple[float, float], found: tuple[float, float]
) -> FaultsError:
    lines = "\n".join(f"  - {fault.column}: {count(fault.n, 'answer')}, {fault.fault}: {fault.places}"
                      for fault in faults)  # fmt: skip
    n = sum(fault.n for fault in faults)
    message = (
        f"{count(n, 'answer')} in {count(len(faults), 'item column')} cannot be answers to {key.name} "
        f"({span[0]:g} to {span[1]:g}); none was changed or cut off:\n{lines}\n"
        "Correct them, name the codes for no answer (missing=[99]), or count them as not answered "
        "(on_faults='leave_out')."
    )
    return FaultsError(message + _other_range(key, span, found), faults_frame(faults))


def _other_range(key: MeasureKey, span: tuple[float, float], found: tuple[float, float]) -> str:
    """Say so where the answers fill another response range of the measure, or the same one moved by one."""
    low, high = found
    for other in key.other_responses:
        if other != span and other[0] <= low and high <= other[1]:
            return f" All lie in {other[0]:g} to {other[1]:g}: if that is the form used, give response={other}."
    for step in (-1.0, 1.0):
        if (low, high) == (span[0] + step, span[1] + step):
            way = "subtract" if step > 0 else "add"
            return f" All answers run from {low:g} to {high:g}: if the file counts from {low:g}, {way} 1 first."
    return ""


def _listed(names: object, most: int = _N_SHOWN) -> str:
    texts = [str(name) for name in names]  # type: ignore[attr-defined]
    return ", ".join(texts[:most]) + (", …" if len(texts) > most else "")
