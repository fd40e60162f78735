"""Large files are read quickly, and to the same table as small ones."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats.data import read_delimited
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import AllianceStatsError

words = st.sampled_from(
    [
        *("1", "2.50", "-3", "+4", "1e2", ".5", "5.", " 6", "7 ", "0.1", "NA", "", "99", "inf", "nan", "NaN", "TRUE"),
        *("x", "3,5", "1_0", "0x1", "007", "9007199254740993", "18446744073709551616", "1e400"),
        *("0.30000000000000004", "٣"),
    ]
)
plain = st.one_of(st.floats(0, 60).map(repr), st.integers(0, 60).map(str), st.sampled_from(["", "NA", "99"]))
cells = st.one_of(words, plain)
rows = st.lists(st.tuples(st.sampled_from(["a", "b", "01", "NA"]), st.sampled_from("123x"), plain, cells), min_size=1)


def read(path, **options):
    asked = {"patient": "p", "session": "s", "scores": ["x", "y"], "on_faults": "leave_out", **options}
    try:
        return read_sessions(path, **asked)
    except AllianceStatsError as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(rows=rows, missing=st.sampled_from([("", "NA"), ("", "99")]))
def test_numbers_read_at_once_are_those_read_by_way_of_their_texts(tmp_path_factory, rows, missing):
    path = tmp_path_factory.mktemp("large") / "file.csv"
    text = "\n".join(["p;s;x;y", *(";".join(row) for row in rows)])
    path.write_text(text, encoding="utf-8")
    slow = read(path, missing=missing)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(read_delimited, "LARGE", 0)
        quick = read(path, missing=missing)
    assert type(quick) is type(slow)
    if isinstance(slow, str):
        assert quick == slow
        return
    pd.testing.assert_frame_equal(quick.frame, slow.frame, check_exact=True)
    columns = ["fault", "column", "n", "done"]
    pd.testing.assert_frame_equal(quick.faults[columns], slow.faults[columns])


def test_a_large_file_is_read_like_its_first_rows(tmp_path, monkeypatch):
    n = 100_000
    frame = pd.DataFrame({"p": np.arange(n) // 10, "s": np.arange(n) % 10 + 1, "x": np.random.default_rng(1).random(n)})
    frame.loc[5, "x"] = np.nan
    frame.to_csv(tmp_path / "large.csv", index=False)
    monkeypatch.setattr(read_delimited, "LARGE", 100_000)
    table = read_sessions(tmp_path / "large.csv", patient="p", session="s", scores=["x"])
    # repr of a float is read back to the same float
    np.testing.assert_array_equal(table.frame["x"], frame["x"])
    assert table.frame["patient_id"].tolist() == frame["p"].astype(str).tolist()


@pytest.mark.slow
def test_two_million_rows_take_less_than_ten_seconds_and_two_gigabytes():
    path = Path(__file__).parents[2] / "benchmarks" / "reading.py"
    spec = importlib.util.spec_from_file_location("reading", path)
    reading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reading)
    measured = reading.measure(2_000_000, 2)
    assert measured["rows"] == 2_000_000
    assert measured["faults"] == 0
    assert measured["seconds"] < 10
    assert measured["gigabytes"] < 2
