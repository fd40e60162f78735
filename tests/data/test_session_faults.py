"""All faults are found in one pass, told apart, placed, and dealt with as asked."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import FaultsError

# Line numbers in the tests count from the header, which is line 1.
FAULTY = """pid;tid;sess;day;wai;phq
P1;T1;1;05.01.2021;3,5;10
P1;T1;1;05.01.2021;3,5;10
P1;T1;2;12.01.2021;4,5;30
P1;T1;2;12.01.2021;4,6;3
;T1;3;19.01.2021;4,1;x
P2;;2.5;32.01.2021;4;7

P2;;1;;4;7
P10; T2;1;;NULL;-99
p2;T2;1;1.2.2021;;7
P3;T2;x;1.2.2021;2;7
P3;T2;0;1.2.2021;2;7
P3;T2;;1.2.2021;2;7
P3;T2;1;1.2.2021;2;7;9
"""
ASKED = {
    "patient": "pid",
    "therapist": "tid",
    "session": "sess",
    "date": "day",
    "scores": {
        "alliance": {"column": "wai", "range": (1, 5)},
        "outcome": {"column": "phq", "range": (0, 27), "higher": "worse"},
    },
}


@pytest.fixture
def faulty(tmp_path):
    path = tmp_path / "faulty.csv"
    path.write_text(FAULTY)
    return path


def found(faults):
    return {(row.fault, row.column): (row.n, row.places) for row in faults.itertuples()}


def test_all_faults_are_listed_together(faulty):
    with pytest.raises(FaultsError) as caught:
        read_sessions(faulty, **ASKED)
    listed = found(caught.value.faults)
    assert listed[("line has more fields than the header", "")] == (1, "line 15")
    assert listed[("patient id is missing", "pid")] == (1, "line 6")
    assert listed[("session is missing", "sess")] == (1, "line 14")
    whole = listed[("session is no positive whole number", "sess")]
    assert whole == (3, "line 7 ('2.5'), line 12 ('x'), line 13 ('0')")
    assert listed[("date cannot be read", "day")] == (1, "line 7 ('32.01.2021')")
    assert listed[("score is no number", "wai")] == (1, "line 10 ('NULL')")
    assert listed[("score is no number", "phq")] == (1, "line 6 ('x')")
    assert listed[("score out of range 0 to 27", "phq")] == (2, "line 4 ('30'), line 10 ('-99')")
    same = listed[("same patient and session again, values identical", "sess")]
    assert same == (1, "line 3 (patient 'P1', session 1, first at line 2)")
    conflict = listed[("same patient and session again, values in conflict", "sess")]
    assert conflict == (1, "line 5 (patient 'P1', session 2, first at line 4)")


def test_the_message_has_one_line_per_fault_and_the_way_out(faulty):
    with pytest.raises(FaultsError) as caught:
        read_sessions(faulty, **ASKED)
    lines = str(caught.value).splitlines()
    assert lines[0] == "10 kinds of fault in faulty.csv (12 rows):"  # 12 that could be split; line 15 could not
    assert sum(line.startswith("  - ") for line in lines) == 10
    assert "on_faults='leave_out'" in lines[-1]
    assert (caught.value.faults["done"] == "refused").sum() == 10


def test_leaving_out_keeps_what_is_sound(faulty):
    frame = read_sessions(faulty, **ASKED, on_faults="leave_out").frame
    assert frame["patient_id"].tolist() == ["P1", "P1", "P2", "p2", "P10"]
    assert frame["session"].tolist() == [1, 2, 1, 1, 1]
    # NULL is set to missing; of the doubled sessions the first row stays
    assert_array_equal(frame["alliance"], [3.5, 4.5, 4, np.nan, np.nan])
    assert_array_equal(frame["outcome"], [10, np.nan, 7, 7, np.nan])  # 30 and −99 are out of range, and not clipped


def test_leaving_out_is_counted_with_what_was_done(faulty):
    table = read_sessions(faulty, **ASKED, on_faults="leave_out")
    done = {(row.fault, row.column): row.done for row in table.faults.itertuples()}
    assert done[("patient id is missing", "pid")] == "row left out"
    assert done[("date cannot be read", "day")] == "value set to missing"
    assert done[("score is no number", "wai")] == "value set to missing"
    assert done[("ids differ only by case or leading zeros", "pid")] == "kept"
    assert table.source.n_rows == 13  # 14 lines after the header, one of them blank


def test_notes_stop_nothing(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("p,t,s,d\na,T1,1,2021-01-05\na, T1,3,2021-01-01\n01,,1,\n1,T1,1,\n")
    listed = found(read_sessions(path, patient="p", therapist="t", session="s", date="d", scores={}).faults)
    assert listed[("ids differ only by case or leading zeros", "p")] == (1, "'01', '1'")
    assert listed[("no therapist", "t")] == (1, "line 4")
    assert listed[("spaces around ids taken off", "t")] == (1, "line 3 (' T1')")
    assert listed[("patients with gaps in their session numbers", "s")] == (1, "patient 'a'")  # 1, 3
    assert listed[("patients with one session only", "s")] == (2, "patients '01', '1'")
    assert listed[("patients whose dates run against their session numbers", "s")] == (1, "patient 'a'")
    assert listed[("no scores were asked for", "")][0] == 4


def test_more_than_three_places_end_in_an_ellipsis():
    frame = pd.DataFrame({"p": ["a"] * 5, "s": [1, -1, 2.5, 0, 1e300]})
    with pytest.raises(FaultsError, match=r"row 1 \(-1\), row 2 \(2.5\), row 3 \(0\), …"):
        read_sessions(frame, patient="p", session="s", scores={})


@pytest.mark.parametrize("on_faults", ["raise", "leave_out"])
def test_an_empty_therapist_column_always_stops(on_faults):
    frame = pd.DataFrame({"p": ["a", "b"], "s": [1, 1], "t": ["", None]})
    with pytest.raises(FaultsError, match="therapist column is empty in column 't': 2") as caught:
        read_sessions(frame, patient="p", session="s", therapist="t", scores={}, on_faults=on_faults)
    assert "leave_out" not in str(caught.value)  # it would not help


def test_an_empty_score_column_stops_unless_faults_are_left_out():
    frame = pd.DataFrame({"p": ["a"], "s": [1], "wai": [None]})
    with pytest.raises(FaultsError, match="score column is empty in column 'wai': 1"):
        read_sessions(frame, patient="p", session="s", scores=["wai"])
    table = read_sessions(frame, patient="p", session="s", scores=["wai"], on_faults="leave_out")
    assert table.frame["wai"].isna().all()


def test_two_sessions_on_one_date_are_a_fault_where_dates_order():
    frame = pd.DataFrame({"p": ["a", "a", "b"], "d": ["2021-01-05"] * 3, "alliance": [1.0, 2.0, 3.0]})
    with pytest.raises(FaultsError, match=r"same patient and date again, values in conflict.*date 2021-01-05"):
        read_sessions(frame, patient="p", date="d")


def test_a_missing_date_is_a_fault_only_where_dates_order():
    frame = pd.DataFrame({"p": ["a", "a"], "d": ["2021-01-05", None], "s": [1, 2]})
    with pytest.raises(FaultsError, match="date is missing in column 'd': 1"):
        read_sessions(frame, patient="p", date="d", scores={})
    assert len(read_sessions(frame, patient="p", date="d", session="s", scores={})) == 2


@pytest.mark.parametrize("on_faults", ["raise", "leave_out"])
def test_unclear_order_of_day_and_month_is_never_guessed(on_faults):
    frame = pd.DataFrame({"p": ["a", "a"], "d": ["01/02/2021", "05/05/2021"]})
    with pytest.raises(
        FaultsError, match=r"no value decides in column 'd': 1 \(row 0 \('01/02/2021'\)\).*date_format="
    ):
        read_sessions(frame, patient="p", date="d", scores={}, on_faults=on_faults)
    table = read_sessions(frame, patient="p", date="d", scores={}, date_format="%d/%m/%Y", on_faults=on_faults)
    assert table.frame["date"].dt.month.tolist() == [2, 5]


@pytest.mark.parametrize("on_faults", ["raise", "leave_out"])
def test_unclear_decimal_marks_are_never_guessed(tmp_path, on_faults):
    path = tmp_path / "both.csv"
    path.write_text("p;s;wai\na;1;3,5\na;2;3.5\n")
    with pytest.raises(FaultsError, match=r"comma may be a decimal mark.*line 2 \('3,5'\).*Give decimal="):
        read_sessions(path, patient="p", session="s", scores=["wai"], on_faults=on_faults)


def test_thousands_in_a_comma_file_are_not_taken_for_decimals(tmp_path):
    path = tmp_path / "thousands.csv"
    path.write_text('p,s,wai\na,1,"1,234"\na,2,"2,500"\n')
    with pytest.raises(FaultsError, match="comma may be a decimal mark"):
        read_sessions(path, patient="p", session="s", scores=["wai"])


def test_rounding_errors_at_the_ends_of_a_range_are_no_faults():
    frame = pd.DataFrame({"p": ["a"], "s": [1], "wai": [5 + 1e-12]})
    table = read_sessions(frame, patient="p", session="s", scores={"wai": {"column": "wai", "range": (1, 5)}})
    assert table.faults["fault"].tolist() == ["patients with one session only"]


@pytest.mark.parametrize("word", ["inf", "nan", "1_000", "0x10", "12 000", "--3", "3;5", "True"])
def test_texts_that_only_look_like_numbers_are_faults(word):
    frame = pd.DataFrame({"p": ["a", "a"], "s": [1, 2], "wai": [word, "3"]})
    with pytest.raises(FaultsError, match=r"score is no number in column 'wai': 1 \(row 0"):
        read_sessions(frame, patient="p", session="s", scores=["wai"])


def test_when_every_row_is_left_out_the_reasons_are_listed():
    frame = pd.DataFrame({"p": ["", "a"], "s": [1, -1]})
    with pytest.raises(FaultsError, match=r"(?s)patient id is missing.*positive whole number.*That leaves 0 rows"):
        read_sessions(frame, patient="p", session="s", scores={}, on_faults="leave_out")
