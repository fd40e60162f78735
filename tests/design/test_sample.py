"""The analysis sample: complete rows, counted reasons, clear refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.design.sample import take_sample
from alliance_stats.errors import ColumnError, DataError

FRAME = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b", None, "b"],
        "x": [1.0, np.nan, 3.0, np.nan, 5.0],
        "y": [1.0, 2.0, np.nan, 4.0, 5.0],
        "not_used": [np.nan] * 5,
    }
)


def test_rows_missing_any_variable_are_left_out_by_position():
    sample = take_sample(FRAME.set_axis(list("vwxyz")), ["patient_id", "x", "y"])
    assert sample.rows.tolist() == [0, 4]
    assert sample.frame.index.tolist() == ["v", "z"]
    assert list(sample.frame.columns) == ["patient_id", "x", "y"]
    assert (sample.n_read, sample.n_dropped) == (5, 3)


def test_reasons_are_counted_in_all_and_alone():
    dropped = take_sample(FRAME, ["patient_id", "x", "y"]).dropped.set_index("variable")
    # row 1 lacks only x, row 2 only y, row 3 both patient_id and x
    assert dropped["n_missing"].to_dict() == {"patient_id": 1, "x": 2, "y": 1}
    assert dropped["n_only_this"].to_dict() == {"patient_id": 0, "x": 1, "y": 1}


def test_sentence_counts_rows_and_names_variables():
    sample = take_sample(FRAME, ["patient_id", "x", "y"])
    assert sample.sentence().startswith("3 of 5 rows were left out")
    assert "x (2)" in sample.sentence()
    assert take_sample(FRAME[["y"]].dropna(), ["y"]).sentence() == "All 4 rows were used."


def test_missing_in_columns_that_the_model_does_not_name_costs_no_row():
    assert take_sample(FRAME, ["y"]).n_dropped == 1


@pytest.mark.parametrize("value", [None, pd.NA, np.nan, pd.NaT])
def test_every_kind_of_missing_is_missing(value):
    frame = pd.DataFrame({"x": pd.Series([1, value, 3], dtype=object), "y": [1.0, 2, 3]})
    assert take_sample(frame, ["x", "y"]).rows.tolist() == [0, 2]


def test_missing_raise_refuses_and_names_the_way_out():
    with pytest.raises(DataError, match=r"3 of 5 rows.*x \(2\).*missing='drop'"):
        take_sample(FRAME, ["patient_id", "x", "y"], missing="raise")
    assert take_sample(FRAME.iloc[[0, 4]], ["x", "y"], missing="raise").n_dropped == 0


def test_an_unknown_way_of_treating_missing_is_refused():
    with pytest.raises(DataError, match="missing is 'drop' or 'raise', not 'keep'"):
        take_sample(FRAME, ["x"], missing="keep")


def test_no_complete_row_is_said_with_the_reasons():
    with pytest.raises(DataError, match=r"No complete row is left. 5 of 5 rows .*not_used \(5\)"):
        take_sample(FRAME, ["y", "not_used"])


def test_a_misspelt_column_names_the_nearest():
    with pytest.raises(ColumnError, match=r"No column 'patientid'\. Did you mean 'patient_id'\?"):
        take_sample(FRAME, ["patientid"])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_counted_and_placed(value):
    frame = pd.DataFrame({"x": [1.0, value, value]}, index=["p", "q", "r"])
    with pytest.raises(DataError, match=r"Column 'x' holds 2 infinite values \(first at row q\)"):
        take_sample(frame, ["x"])


def test_an_infinite_value_in_a_row_that_is_left_out_does_no_harm():
    frame = pd.DataFrame({"x": [1.0, np.inf, 3.0], "y": [1.0, np.nan, 3.0]})
    assert take_sample(frame, ["x", "y"]).rows.tolist() == [0, 2]


def test_two_columns_of_one_name_are_refused_only_where_they_are_named():
    twice = pd.concat([FRAME, FRAME[["x"]]], axis=1)
    with pytest.raises(DataError, match="2 columns have the name 'x'"):
        take_sample(twice, ["x", "y"])
    assert take_sample(twice, ["y"]).rows.size == 4


def test_the_frame_is_not_changed():
    before = FRAME.copy()
    sample = take_sample(FRAME, ["x", "y"])
    sample.frame.loc[:, "x"] = 99.0
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize(
    "index", [[0] * 5, pd.MultiIndex.from_product([[1], list("abcde")]), pd.date_range("2021-01-01", periods=5)]
)
def test_any_index_is_accepted(index):
    assert take_sample(FRAME.set_axis(index), ["y"]).rows.tolist() == [0, 1, 3, 4]
