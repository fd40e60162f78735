"""Frames one by one: Parquet is read by columns and batches, and what is no data is named."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.chunks import FrameParts
from alliance_stats.errors import ColumnError, DataError, MissingExtraError

pytest.importorskip("pyarrow")

FRAME = pd.DataFrame(
    {
        "patient_id": ["007", "007", "8", "9", "9"],
        "session": [1, 2, 1, 1, 2],
        "outcome": [4.0, np.nan, 2.0, 7.0, 1.0],
        "phase": pd.Categorical(["a", "b", "a", "b", "b"], ["b", "a"]),
        "notes": ["x"] * 5,
    }
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sessions.parquet"
    FRAME.to_parquet(path, row_group_size=2)
    return path


def test_a_file_is_read_part_by_part_in_the_order_of_its_rows(file):
    parts = list(FrameParts(file, ["outcome", "patient_id", "phase"]))
    assert [len(part) for part in parts] == [2, 2, 1]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), FRAME[["outcome", "patient_id", "phase"]])


def test_only_the_columns_of_the_formula_are_read_each_once(file):
    assert list(next(iter(FrameParts(str(file), ["session", "session"])))) == ["session"]


def test_a_folder_of_files_is_read_in_the_order_of_their_names(tmp_path):
    FRAME.iloc[2:].to_parquet(tmp_path / "b.parquet")
    FRAME.iloc[:2].to_parquet(tmp_path / "a.parquet")
    parts = list(FrameParts(tmp_path, list(FRAME)))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), FRAME)


def test_columns_may_be_the_names_of_folders(tmp_path):
    for site in ("1", "2"):
        (tmp_path / f"site={site}").mkdir()
        FRAME.to_parquet(tmp_path / f"site={site}" / "part.parquet")
    parts = pd.concat(FrameParts(tmp_path, ["site", "session"]))
    assert parts["site"].tolist() == [1] * 5 + [2] * 5


def test_a_dataset_of_pyarrow_is_read_too(file):
    from pyarrow.dataset import dataset

    assert sum(map(len, FrameParts(dataset(file), ["session"]))) == 5


def test_long_ids_lose_no_digit_where_some_are_missing(tmp_path):
    ids = [9007199254740993, None, 9007199254740992]  # 2^53 + 1 is no decimal number of 64 bits
    pd.DataFrame({"patient_id": pd.array(ids, "Int64")}).to_parquet(tmp_path / "ids.parquet")
    (part,) = FrameParts(tmp_path / "ids.parquet", ["patient_id"])
    assert part["patient_id"].dropna().map(str).tolist() == ["9007199254740993", "9007199254740992"]


def test_a_column_that_is_not_in_the_file_is_named_before_any_row_is_read(file):
    with pytest.raises(ColumnError, match=r"No column 'sesion'\. Did you mean 'session'"):
        list(FrameParts(file, ["sesion"]))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "sessions.csv").write_text("patient_id,session\n1,2\n")
    with pytest.raises(DataError, match=r"'sessions.csv' cannot be read as Parquet .*read_sessions\(\)"):
        list(FrameParts(tmp_path / "sessions.csv", ["session"]))


def test_a_file_in_the_folder_that_is_no_parquet_is_named(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("patient_id,session\n1,2\n")
    with pytest.raises(DataError, match=r"'b.csv' cannot be read as Parquet"):
        list(FrameParts(tmp_path, ["session"]))


def test_every_file_keeps_its_own_types(tmp_path):
    # a column of whole numbers becomes one of decimals in the first file that has a missing one
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.assign(session=[1.5, np.nan, 1, 2, 3]).to_parquet(tmp_path / "b.parquet")
    first, second = FrameParts(tmp_path, ["session"])
    assert first["session"].tolist() == [1, 2, 1, 1, 2]
    assert second["session"].dropna().tolist() == [1.5, 1, 2, 3]


def test_a_csv_file_can_be_read_by_pandas_in_chunks(tmp_path):
    FRAME.to_csv(tmp_path / "sessions.csv", index=False)
    with pd.read_csv(tmp_path / "sessions.csv", chunksize=2) as chunks:
        assert [len(part) for part in FrameParts(chunks, ["session"])] == [2, 2, 1]


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no file or folder"):
        list(FrameParts(tmp_path / "nothing", ["session"]))


def test_without_pyarrow_the_extra_that_brings_it_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'alliance-stats\[distributed\]'"):
        list(FrameParts(file, ["session"]))
