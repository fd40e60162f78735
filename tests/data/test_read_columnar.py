"""Parquet and Feather files, written by pyarrow."""

import struct

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import DataError

pyarrow = pytest.importorskip("pyarrow")
FRAME = pd.DataFrame(
    {
        "id": pd.Categorical(["a", "a", "b"]),
        "session": pd.array([1, 2, 1], dtype="Int8"),
        "wai": [3.5, None, 2.0],
        "day": pd.to_datetime(["2021-01-05", "2021-01-12", None]),
    },
    index=pd.Index([7, 8, 9], name="row"),
)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_types_survive_and_the_stored_index_is_a_column(tmp_path, kind):
    path = tmp_path / "file.xyz"
    if kind == "parquet":
        FRAME.to_parquet(path)
    else:
        FRAME.reset_index().to_feather(path)
    table = read_sessions(path, patient="id", session="session", date="day", scores=["wai"], keep="row")
    frame = table.frame
    assert frame["patient_id"].tolist() == ["a", "a", "b"]
    assert_array_equal(frame["wai"], [3.5, np.nan, 2])
    assert frame["date"].isna().tolist() == [False, False, True]
    assert frame["row"].tolist() == [7, 8, 9]
    assert table.source.reading["format"].lower() == f"{kind} (found)"


@pytest.mark.parametrize("start", [b"PAR1", b"ARROW1\0\0"])
def test_damaged_files_are_refused(tmp_path, start):
    path = tmp_path / "damaged"
    path.write_bytes(start + bytes(40))
    with pytest.raises(DataError, match="cannot be read as a file of"):
        read_sessions(path, patient="id", session="session")


def test_a_damaged_length_of_a_text_does_not_break_the_process_down(tmp_path):
    path = tmp_path / "damaged"
    pd.DataFrame({"id": ["a", "a", "b", "b"], "session": [1, 2, 1, 2]}).to_feather(path, compression="uncompressed")
    content = path.read_bytes()
    at = content.index(struct.pack("<5q", 0, 1, 2, 3, 4))  # where each text begins and the last one ends
    path.write_bytes(content[: at + 32] + struct.pack("<q", 1 << 62) + content[at + 40 :])
    # Without a check, arrow asks for that much memory and takes the interpreter with it.
    with pytest.raises(DataError, match="cannot be read as a file of Feather"):
        read_sessions(path, patient="id", session="session")
