"""Longitudinal exports of REDCap: events, repeated forms, identifiers in one row, checkboxes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import DataError, FaultsError

# Forms that repeat: a baseline form names therapist and age; WAI and PHQ are forms of their own, repeated per session.
OWN = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance"
REPEATED = f"""{OWN},therapist,age,why___1,why___2,wai,phq
1,main_arm_1,,,Weber,34,1,0,,
1,main_arm_1,wai_form,1,,,,,3.5,
1,main_arm_1,wai_form,2,,,,,4.5,
1,main_arm_1,phq_form,1,,,,,,12
1,main_arm_1,phq_form,3,,,,,,9
1,main_arm_1,adverse_events,1,,,,,,
2,main_arm_1,,,Huber,51,0,0,,
2,main_arm_1,wai_form,1,,,,,2,
"""
EVENTS = """record_id,redcap_event_name,therapist,age,day,wai
A1,baseline_arm_1,Weber,34,,
A1,session_1_arm_1,,,2021-01-05,3
A1,session_2_arm_1,,,2021-01-12,4
A2,baseline_arm_1,Huber,51,,
A2,session_10_arm_2,,,2021-03-12,2
"""


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "redcap.csv"
        path.write_text(text)
        return path

    return write_text


ASKED = {"patient": "record_id", "therapist": "therapist", "keep": ["age", "why"]}


def test_repeated_forms_become_sessions_and_share_a_row(write):
    table = read_sessions(write(REPEATED), **ASKED, scores=["wai", "phq"])
    frame = table.frame
    # by hand: instances 1, 2, 3 of record 1, instance 1 of record 2
    assert frame["patient_id"].tolist() == ["1", "1", "1", "2"]
    assert frame["session"].tolist() == [1, 2, 3, 1]
    assert_array_equal(frame["wai"], [3.5, 4.5, np.nan, 2])
    assert_array_equal(frame["phq"], [12, np.nan, 9, np.nan])
    assert table.source.reading["layout"] == "REDCap (found)"


def test_identifiers_that_are_blank_on_repeat_rows_are_carried_over(write):
    table = read_sessions(write(REPEATED), **ASKED, scores=["wai", "phq"])
    assert table.frame["therapist_id"].tolist() == ["Weber", "Weber", "Weber", "Huber"]
    assert table.frame["age"].tolist() == [34, 34, 34, 51]
    faults = table.faults.set_index("fault")
    # five rows of sessions, four columns each
    assert faults.loc["blank cells got the value of their record", "n"] == 5 * 4
    assert faults.loc["rows of REDCap that are no session", "n"] == 3  # two of baseline, one adverse event
    assert faults.loc["forms of one session put into one row", "n"] == 1


def test_a_checkbox_question_is_kept_as_its_boxes(write):
    table = read_sessions(write(REPEATED), **ASKED, scores=["wai", "phq"])
    assert table.frame[["why___1", "why___2"]].to_numpy().tolist() == [[1, 0], [1, 0], [1, 0], [0, 0]]
    assert table.codebook["why___1"].type == "checkbox"


def test_scores_are_never_carried_over(write):
    text = REPEATED.replace("1,main_arm_1,,,Weber,34,1,0,,", "1,main_arm_1,,,Weber,34,1,0,5,")
    table = read_sessions(write(text), **ASKED, scores=["wai", "phq"])
    assert_array_equal(table.frame["wai"], [3.5, 4.5, np.nan, 2])


def test_forms_that_contradict_each_other_stay_a_fault(write):
    text = REPEATED + "2,main_arm_1,wai_form_b,1,,,,,4,\n"
    with pytest.raises(FaultsError, match=r"same patient and session again, values in conflict.*first at line 9"):
        read_sessions(write(text), **ASKED, scores=["wai", "phq"])


def test_events_number_the_sessions(write):
    table = read_sessions(write(EVENTS), patient="record_id", therapist="therapist", date="day", scores=["wai"])
    assert table.frame["session"].tolist() == [1, 2, 1]  # date= is given, so dates number them
    table = read_sessions(write(EVENTS), patient="record_id", therapist="therapist", scores=["wai"])
    assert table.frame["session"].tolist() == [1, 2, 10]
    assert table.frame["therapist_id"].tolist() == ["Weber", "Weber", "Huber"]
    assert table.codebook["session"].made_from == "redcap_event_name"


def test_events_can_be_numbered_by_hand(write):
    occasions = {"session_1_arm_1": 1, "session_2_arm_1": 2, "session_10_arm_2": 3}
    table = read_sessions(write(EVENTS), patient="record_id", scores=["wai"], occasions=occasions)
    assert table.frame["session"].tolist() == [1, 2, 3]


def test_the_export_of_labels_is_known_too(write):
    text = EVENTS.replace("redcap_event_name", "Event Name").replace(
        "session_10_arm_2", "Session 10 (Arm 2: Control 5)"
    )
    text = text.replace("session_1_arm_1", "Session 1 (Arm 1: Main)").replace(
        "session_2_arm_1", "Session 2 (Arm 1: Main)"
    )
    assert read_sessions(write(text), patient="record_id", scores=["wai"]).frame["session"].tolist() == [1, 2, 10]


def test_repeated_forms_within_several_events_have_no_number_of_their_own(write):
    text = REPEATED.replace("2,main_arm_1,wai_form,1", "2,other_arm_1,wai_form,1")
    with pytest.raises(DataError, match=r"repeated within 2 events.*Give session="):
        read_sessions(write(text), **ASKED, scores=["wai", "phq"])


def test_an_export_without_sessions_says_so(write):
    with pytest.raises(DataError, match=r"0 of 2 rows are sessions"):
        read_sessions(
            write("record_id,redcap_event_name,wai\n1,baseline_arm_1,\n2,baseline_arm_1,\n"),
            patient="record_id",
            scores=["wai"],
        )


def test_a_therapist_who_changes_within_a_record_is_not_carried(write):
    text = EVENTS.replace("A1,session_1_arm_1,,", "A1,session_1_arm_1,Huber,")
    table = read_sessions(write(text), patient="record_id", therapist="therapist", scores=["wai"])
    assert table.frame["therapist_id"].isna().tolist() == [False, True, False]


def test_a_redcap_frame_is_read_like_its_file(write):
    path = write(REPEATED)
    from_file = read_sessions(path, **ASKED, scores=["wai", "phq"]).frame
    from_frame = read_sessions(pd.read_csv(path), **ASKED, scores=["wai", "phq"]).frame
    pd.testing.assert_frame_equal(from_file, from_frame)
