"""Files that R saved, read without R."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_file import read_file, read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import DataError

pytest.importorskip("rdata")
GOLDEN = Path(__file__).parents[1] / "golden" / "haven"
DATA = Path(os.environ.get("ALLIANCE_STATS_DATA", "/nowhere"))


def every_column(header):
    return {name: at for at, name in enumerate(header)}


def test_a_data_frame_keeps_texts_numbers_factors_dates_and_what_is_missing():
    raw = read_file(GOLDEN / "clinic.rds", every_column, ReadOptions())
    columns = raw.columns
    assert columns["id"].tolist()[:3] == ["007", "007", "012"]
    assert columns["id"].isna().tolist() == [False, False, False, True]
    assert columns["session"].tolist() == [1, 2, 1, 1]
    assert_array_equal(columns["wai"], [3.5, np.nan, 2.25, 4])
    assert columns["phase"].tolist() == ["early", "late", "early", "late"]
    assert columns["day"].dropna().astype(str).tolist() == ["2021-01-05", "2021-01-12", "2021-02-01"]
    assert columns["day"].isna().tolist() == [False, False, True, False]
    # what the clock in Berlin said, in winter and in summer
    assert columns["at"].dropna().astype(str).tolist() == [
        "2021-01-05 09:30:00",
        "2021-07-12 10:00:00",
        "2021-02-01 00:00:00",
    ]


def test_a_saved_workspace_with_one_data_frame_is_read_and_named():
    raw = read_file(GOLDEN / "one.RData", every_column, ReadOptions())
    assert raw.reading["format"] == "R, data frame 'clinic' (found)"
    assert raw.n_rows == 4


def test_of_several_data_frames_one_has_to_be_named():
    with pytest.raises(DataError, match=r"holds 2 data frames: 'clinic', 'other'\. Say which with sheet="):
        read_header(GOLDEN / "two.RData")
    assert read_header(GOLDEN / "two.RData", ReadOptions(sheet="other")) == ("a", "b")
    with pytest.raises(DataError, match=r"no data frame called 'othr'. Did you mean 'other'"):
        read_header(GOLDEN / "two.RData", ReadOptions(sheet="othr"))


def test_what_is_no_data_frame_says_how_to_save_one():
    with pytest.raises(DataError, match=r"holds 0 data frames\. In R: saveRDS"):
        read_header(GOLDEN / "vector.rds")


def test_labels_and_user_missing_values_of_haven_are_kept():
    table = read_sessions(GOLDEN / "labelled.rds", patient="id", session="session", scores=["wai"])
    assert_array_equal(table.frame["wai"], [1, np.nan, 2])
    variable = table.codebook["wai"]
    assert (variable.label, variable.missing) == ("WAI-SR mean", ("NA", "-99"))
    assert variable.value_labels == {"1": "low", "-99": "none"}
    assert table.faults["places"].tolist()[0] == "row 2 (-99)"


def test_a_damaged_file_of_r_is_refused(tmp_path):
    path = tmp_path / "damaged.rds"
    path.write_bytes((GOLDEN / "one.RData").read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read as a file of R"):
        read_header(path)


ITEMS = [*(f"bai_p{item}" for item in (1, 2, 3)), *(f"wai_{item}" for item in range(1, 10))]


@pytest.mark.skipif(not (DATA / "implement").exists(), reason="ALLIANCE_STATS_DATA does not name the real data")
def test_the_original_of_the_real_data_is_its_text_copy_in_other_units():
    # The original is an array of 57 patients, 15 sessions and 12 items, each item divided by a constant of its own; the
    # copy holds the items before that division, with 15 significant digits.
    folder = DATA / "implement"
    scores = {name: f"v{at}" for at, name in enumerate(ITEMS, start=1)}
    path = folder / "finalcompletedata.RDS"
    original = read_sessions(path, sheet="data", patient="dim1", session="dim2", scores=scores).frame
    text = read_sessions(
        folder / "implement_long.csv", patient="patient", session="time", scores={name: name for name in ITEMS}
    ).frame
    assert len(original) == len(text) == 855
    pd.testing.assert_frame_equal(original[["patient_id", "session"]], text[["patient_id", "session"]])
    for name in ITEMS:
        assert (original[name].isna() == text[name].isna()).all()
        unit = text[name].std() / original[name].std()
        np.testing.assert_allclose(original[name] * unit, text[name], rtol=1e-12, atol=1e-13)


@pytest.mark.skipif(not (DATA / "implement").exists(), reason="ALLIANCE_STATS_DATA does not name the real data")
def test_of_the_arrays_in_the_original_one_has_to_be_named():
    with pytest.raises(DataError, match="holds 2 data frames: 'data', 'ymiss'"):
        read_header(DATA / "implement" / "finalcompletedata.RDS")
