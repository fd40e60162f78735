"""Frames of every dtype that pandas has, in every column: a table, or an error of ours."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import AllianceStatsError

pyarrow = pytest.importorskip("pyarrow")
COLUMNS = {
    "Int64": pd.array([1, None, 2, 3], dtype="Int64"),
    "boolean": pd.array([True, None, False, True], dtype="boolean"),
    "string": pd.array(["a", None, "b", "1"], dtype="string"),
    "arrow whole": pd.array([1, None, 2, 3], dtype="int64[pyarrow]"),
    "arrow text": pd.array(["1", None, "x", "3"], dtype="string[pyarrow]"),
    "arrow date": pd.array([datetime.date(2021, 1, 5), None] * 2, dtype="date32[pyarrow]"),
    "arrow moment": pd.array([datetime.datetime(2021, 1, 5, 9), None] * 2, dtype="timestamp[us, tz=UTC][pyarrow]"),
    "categories": pd.Categorical(["a", "b", None, "a"]),
    "whole categories": pd.Categorical([1, 2, None, 1]),
    "period": pd.period_range("2021-01", periods=4, freq="M"),
    "interval": pd.interval_range(0, 4),
    "timedelta": pd.to_timedelta([1, 2, 3, 4], unit="D"),
    "zoned": pd.date_range("2021-01-01", periods=4, tz="Europe/Berlin"),
    "dates of Python": [datetime.date(2021, 1, 5)] * 4,
    "complex": np.array([1 + 1j] * 4),
    "bytes": [b"a", b"b", b"\xff", None],
    "decimal": [decimal.Decimal("1.5")] * 4,
    "lists": [[1]] * 4,
    "sparse": pd.arrays.SparseArray([1.0, 2, np.nan, 3]),
    "huge": [10**400, 1, 2, 3],
    "infinite": [np.inf, 1, 2, -np.inf],
    "all missing": [pd.NaT, pd.NA, None, np.nan],
    "uint64": np.array([2**64 - 1, 1, 2, 3], dtype="uint64"),
    "half a character": pd.Series(["\ud800a", "b", "c", "d"], dtype=object),
}


@pytest.mark.parametrize("on_faults", ["raise", "leave_out"])
@pytest.mark.parametrize("column", list("ptsdxk"))
@pytest.mark.parametrize("kind", COLUMNS)
def test_any_dtype_in_any_column_is_read_or_refused_on_purpose(kind, column, on_faults):
    frame = pd.DataFrame(
        {"p": ["a", "a", "b", "b"], "t": "T", "s": [1, 2, 1, 2], "x": [1.0, 2, 3, 4], "k": [1, 2, 3, 4]}
    )
    frame["d"] = pd.date_range("2021-01-01", periods=4)
    frame[column] = COLUMNS[kind]
    asked = {"patient": "p", "therapist": "t", "session": "s", "date": "d", "scores": ["x"], "keep": "k"}
    try:
        table = read_sessions(frame, **asked, on_faults=on_faults)
    except AllianceStatsError:
        return
    assert 0 < len(table.frame) <= len(frame)
    assert "<table" in table.describe()._repr_html_()
    assert table.codebook().to_html().encode()


def test_days_of_arrow_are_dates():
    frame = pd.DataFrame({"p": ["a", "a"], "x": [1.0, 2], "d": ""})
    frame["d"] = pd.array([datetime.date(2021, 1, 5), datetime.date(2021, 1, 12)], dtype="date32[pyarrow]")
    table = read_sessions(frame, patient="p", date="d", scores=["x"])
    assert table.frame["date"].tolist() == [pd.Timestamp("2021-01-05"), pd.Timestamp("2021-01-12")]


def test_half_a_character_is_replaced():
    frame = pd.DataFrame({"p": COLUMNS["half a character"], "s": 1, "x": 1.0})
    assert read_sessions(frame, patient="p", session="s", scores=["x"]).frame["patient_id"].tolist()[-1] == "\ufffda"
