"""read_sessions: from a file or a frame to the session table."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import ColumnError, DataError

CLINIC = """pid;tid;sess;day;wai;phq;note
010;T2;2;12.01.2021;4,5;9;warm
010;T1;1;05.01.2021;3,5;12;
2;T1;1;13.01.2021;;7;"late; left early"
"""


@pytest.fixture
def clinic(tmp_path):
    path = tmp_path / "clinic.csv"
    path.write_text(CLINIC, encoding="utf-8")
    return path


def read_clinic(path, **changed):
    asked = {"patient": "pid", "therapist": "tid", "session": "sess", "date": "day"}
    asked["scores"] = {"alliance": {"column": "wai", "range": (1, 5), "higher": "better", "label": "WAI-SR"}}
    return read_sessions(path, **{**asked, **changed})


def test_canonical_columns_come_first_then_scores_then_kept_ones(clinic):
    frame = read_clinic(clinic, keep=["note", "phq"]).frame
    assert list(frame) == ["patient_id", "therapist_id", "session", "date", "alliance", "note", "phq"]


def test_dtypes_are_those_of_the_house(clinic):
    frame = read_clinic(clinic, keep=["note", "phq"]).frame
    assert isinstance(frame["patient_id"].dtype, pd.StringDtype)
    assert isinstance(frame["therapist_id"].dtype, pd.StringDtype)
    assert isinstance(frame["note"].dtype, pd.StringDtype)
    assert [str(frame[name].dtype) for name in ("session", "alliance", "phq")] == ["int64", "float64", "float64"]
    assert str(frame["date"].dtype).startswith("datetime64")


def test_leading_zeros_survive_and_patients_are_in_natural_order(clinic):
    assert read_clinic(clinic).frame["patient_id"].tolist() == ["2", "010", "010"]  # 2 before 10


def test_sessions_are_in_order_within_patient(clinic):
    frame = read_clinic(clinic).frame
    assert frame["session"].tolist() == [1, 1, 2]
    assert_array_equal(frame["alliance"], [np.nan, 3.5, 4.5])  # patient 2, then patient 010's sessions 1 and 2
    assert list(frame.index) == [0, 1, 2]


def test_what_was_found_out_is_reported(clinic):
    source = read_clinic(clinic).source
    assert source.reading == {
        "encoding": "UTF-8 (found)",
        "delimiter": "semicolon (found)",
        "decimal": "comma (found)",
        "dates": "day first (found)",  # 13.01.2021 decides
    }
    assert (source.name, source.n_rows) == ("clinic.csv", 3)
    assert source.sha256 == hashlib.sha256(CLINIC.encode()).hexdigest()


def test_codebook_holds_range_direction_label_and_origin(clinic):
    variable = read_clinic(clinic).codebook["alliance"]
    assert (variable.low, variable.high, variable.higher) == (1.0, 5.0, "better")
    assert (variable.label, variable.role, variable.made_from) == ("WAI-SR", "score", "wai")
    assert read_clinic(clinic).codebook["patient_id"].made_from == "pid"


def test_dates_number_the_sessions_where_there_is_no_session_column(clinic):
    table = read_clinic(clinic, session=None)
    assert table.frame["session"].tolist() == [1, 1, 2]
    assert table.frame["alliance"].tolist()[1:] == [3.5, 4.5]  # 5 January before 12 January
    assert table.codebook["session"].made_from == "order of 'day' within patient"


def test_only_default_names_become_scores_by_themselves():
    frame = pd.DataFrame({"p": ["a"], "s": [1], "alliance": [3.0], "outcome": [9], "wai": [2.0]})
    assert list(read_sessions(frame, patient="p", session="s").frame) == [
        "patient_id",
        "session",
        "alliance",
        "outcome",
    ]


def test_a_list_of_scores_keeps_their_names():
    frame = pd.DataFrame({"p": ["a"], "s": [1], "wai": [3.0]})
    assert read_sessions(frame, patient="p", session="s", scores=["wai"]).frame["wai"].tolist() == [3.0]


def test_frame_ids_that_are_whole_numbers_lose_no_point_zero():
    frame = pd.DataFrame({"p": [17.0, 3.5, 2], "t": [7, 7, 8], "s": [1.0, 1, 1]})
    read = read_sessions(frame, patient="p", therapist="t", session="s", scores={}).frame
    assert read["patient_id"].tolist() == ["2", "3.5", "17"]
    assert read["therapist_id"].tolist() == ["8", "7", "7"]


def test_the_source_frame_is_not_changed():
    frame = pd.DataFrame({"p": ["b ", "a"], "s": ["2", "1"], "alliance": [-99, 3]}, index=[5, 5])
    before = frame.copy(deep=True)
    read_sessions(frame, patient="p", session="s", missing=("", "-99"))
    pd.testing.assert_frame_equal(frame, before)


def test_missing_codes_hold_in_every_column_and_as_numbers(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("p,t,s,wai\nNA,-99,1,-99.0\nb,T1,1,3\n")
    read = read_sessions(
        path, patient="p", therapist="t", session="s", scores={"alliance": "wai"}, missing=("-99",)
    ).frame
    assert read["patient_id"].tolist() == ["b", "NA"]  # NA is not in missing=, so it is somebody's id
    assert read["therapist_id"].isna().tolist() == [False, True]
    assert read["alliance"].isna().tolist() == [False, True]  # −99.0 is the number that "-99" stands for


def test_a_bare_text_in_missing_is_one_code(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("p,s,wai\nA,1,NA\nN,1,3\n")
    read = read_sessions(path, patient="p", session="s", scores=["wai"], missing="NA").frame
    assert read["patient_id"].tolist() == ["A", "N"]  # not taken letter by letter


def test_kept_codes_with_leading_zeros_stay_texts(tmp_path):
    path = tmp_path / "kept.csv"
    path.write_text("p,s,zip,age\na,1,01234,30\nb,1,,41\n")
    read = read_sessions(path, patient="p", session="s", scores={}, keep=("zip", "age")).frame
    assert read["zip"].tolist()[0] == "01234"
    assert read["zip"].isna().tolist() == [False, True]
    assert read["age"].tolist() == [30.0, 41.0]


def test_whole_numbers_written_with_a_point_are_sessions(tmp_path):
    path = tmp_path / "spss.csv"
    path.write_text("p,s\na,3.0\na,1.\n")
    assert read_sessions(path, patient="p", session="s", scores={}).frame["session"].tolist() == [1, 3]


def test_decimal_comma_in_quotes_is_read_from_a_comma_file(tmp_path):
    path = tmp_path / "quoted.csv"
    path.write_text('p,s,wai\na,1,"3,5"\na,2,4\n')
    table = read_sessions(path, patient="p", session="s", scores=["wai"])
    assert table.frame["wai"].tolist() == [3.5, 4.0]
    assert table.source.reading["decimal"] == "comma (found)"


def test_given_decimal_mark_makes_the_other_one_a_fault(tmp_path):
    path = tmp_path / "mixed.csv"
    path.write_text("p;s;wai\na;1;3,5\na;2;3.5\n")
    table = read_sessions(path, patient="p", session="s", scores=["wai"], decimal=",", on_faults="leave_out")
    assert_array_equal(table.frame["wai"], [3.5, np.nan])
    assert table.faults.loc[0, "places"] == "line 3 ('3.5')"


def test_misspelt_columns_are_all_named_with_the_nearest(clinic):
    with pytest.raises(ColumnError, match=r"2 columns not found in clinic\.csv.*'pidd'.*'pid'.*'sesion'.*'sess'"):
        read_clinic(clinic, patient="pidd", session="sesion")


def test_without_session_and_date_the_way_out_is_named(clinic):
    with pytest.raises(DataError, match=r"Neither session nor date is given.*Give session="):
        read_clinic(clinic, session=None, date=None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"therapist": "pid"}, "'pid' is given twice: for patient and for therapist"),
        ({"scores": {"alliance": {"colum": "wai"}}}, "unknown key 'colum'. Did you mean 'column'"),
        ({"scores": {"alliance": {"column": "wai", "range": (5, 1)}}}, r"range = \(5, 1\) must be two numbers"),
        ({"scores": {"alliance": {"column": "wai", "higher": "up"}}}, "higher = 'up' must be 'better' or 'worse'"),
        ({"scores": {"my wai": "wai"}}, "'my wai' cannot be a score's name"),
        ({"scores": {"session": "wai"}}, "'session' cannot be a score's name"),
        ({"scores": "wai"}, r'scores=\["wai"\]'),
        ({"scores": 5}, "scores=5 is not understood"),
        ({"keep": ["phq", "phq"]}, "keep='phq' would stand twice"),
        ({"on_faults": "leaveout"}, "Did you mean 'leave_out'"),
        ({"delimiter": ";;"}, "delimiter=';;' is not one plain character"),
        ({"decimal": ";"}, "decimal=';' is not understood"),
        ({"encoding": "utf-9"}, "encoding='utf-9' is not known. Did you mean 'utf-8'"),
        ({"date_format": "mixed"}, "date_format='mixed' is not understood"),
        ({"missing": 5}, "missing=5 is no list of texts"),
        ({"patient": 3}, "column for patient must be given by its name"),
    ],
)
def test_arguments_that_make_no_sense_say_what_would(clinic, changed, message):
    with pytest.raises(DataError, match=message):
        read_clinic(clinic, **changed)


@pytest.mark.parametrize("source", [["a"], None, 7])
def test_a_source_of_another_kind_is_refused(source):
    with pytest.raises(DataError, match="Give the path of a CSV file, or a DataFrame"):
        read_sessions(source, patient="p", session="s")


def test_a_frame_without_rows_is_refused():
    with pytest.raises(DataError, match="0 rows"):
        read_sessions(pd.DataFrame({"p": [], "s": []}), patient="p", session="s")


def test_cells_that_hold_lists_are_refused():
    frame = pd.DataFrame({"p": [["a"], ["b"]], "s": [1, 2]})
    with pytest.raises(DataError, match="'p' has cells that are no text"):
        read_sessions(frame, patient="p", session="s", scores={})
