"""Pseudonyms: stable, told apart, and nothing of the ids in them."""

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.pseudonyms import with_pseudonyms
from alliance_stats.data.session_table import SessionTable

FRAME = pd.DataFrame(
    {
        "patient_id": ["Anna", "Anna", "Bert", "Cleo"],
        "therapist_id": ["Dr. X", "Dr. Y", "Dr. X", None],
        "session": [1, 2, 1, 1],
        "alliance": [3.0, 4, np.nan, 5],
    }
).astype({"patient_id": "str", "therapist_id": "str"})


def pairs(frame):
    """Who got which pseudonym, by the sessions they share."""
    shown = with_pseudonyms(SessionTable(frame)).frame
    both = frame.fillna({"alliance": -1}).merge(shown.fillna({"alliance": -1}), on=["session", "alliance"])
    return set(zip(both["patient_id_x"], both["patient_id_y"], strict=True))


def test_every_id_gets_a_pseudonym_of_its_own():
    shown = with_pseudonyms(SessionTable(FRAME)).frame
    assert sorted(shown["patient_id"].unique()) == ["P01", "P02", "P03"]
    assert sorted(shown["therapist_id"].dropna().unique()) == ["T01", "T02"]
    at = dict(zip(shown["alliance"].fillna(-1), shown.to_dict("records"), strict=True))
    assert at[3]["patient_id"] == at[4]["patient_id"]
    assert at[3]["therapist_id"] == at[-1]["therapist_id"]
    assert [pd.isna(at[score]["therapist_id"]) for score in (3, 4, -1, 5)] == [False, False, False, True]
    assert shown["patient_id"].dtype == "str"
    assert {(score, row["session"]) for score, row in at.items()} == {(3, 1), (4, 2), (-1, 1), (5, 1)}


def test_the_same_data_give_the_same_pseudonyms_in_any_order_of_rows():
    assert pairs(FRAME) == pairs(FRAME)
    assert pairs(FRAME.iloc[::-1]) == pairs(FRAME)


def test_other_data_give_other_pseudonyms():
    # Otherwise a list of names and their pseudonyms would hold for every later report.
    ids = pd.DataFrame({"patient_id": [f"name {k}" for k in range(40)], "session": 1, "alliance": np.arange(40.0)})
    assert len(pairs(ids)) == 40
    assert pairs(ids) != pairs(ids.assign(alliance=ids["alliance"] + 1))


def test_the_order_of_pseudonyms_is_not_that_of_the_ids():
    ids = pd.DataFrame({"patient_id": [f"{k:03d}" for k in range(60)], "session": 1})
    shown = with_pseudonyms(SessionTable(ids.assign(alliance=np.arange(60.0)))).frame
    assert abs(np.corrcoef(shown["alliance"], shown["patient_id"].str[1:].astype(int))[0, 1]) < 0.4


def test_more_than_99_patients_get_longer_numbers():
    ids = pd.DataFrame({"patient_id": [f"{k}" for k in range(120)], "session": 1})
    assert set(with_pseudonyms(SessionTable(ids)).frame["patient_id"].str.len()) == {4}


@pytest.mark.parametrize("kind", ["category", "int64"])
def test_ids_of_other_types_work_too(kind):
    frame = FRAME.assign(patient_id=pd.Series([1, 1, 2, 3]).astype(kind))
    assert with_pseudonyms(SessionTable(frame)).frame["patient_id"].nunique() == 3


def test_what_was_found_while_reading_names_nobody():
    faults = faults_frame(
        [Fault("same patient and session again", "sess", 1, "line 3 (patient 'Anna')", "kept", "Look.")]
    )
    table = SessionTable(FRAME, faults=faults)
    shown = with_pseudonyms(table)
    assert "Anna" not in shown.faults.to_string()
    assert shown.faults["n"].tolist() == [1]
    assert table.faults["places"].tolist() == ["line 3 (patient 'Anna')"]


def test_the_table_itself_is_left_alone():
    frame = FRAME.copy(deep=True)
    with_pseudonyms(SessionTable(frame))
    pd.testing.assert_frame_equal(frame, FRAME)


def test_rows_do_not_stand_in_the_order_of_the_ids():
    ids = pd.DataFrame({"patient_id": [f"{k:03d}" for k in range(60)], "session": 1, "alliance": np.arange(60.0)})
    shown = with_pseudonyms(SessionTable(ids)).frame
    assert shown["patient_id"].is_monotonic_increasing
    assert abs(np.corrcoef(np.arange(60), shown["alliance"])[0, 1]) < 0.4
