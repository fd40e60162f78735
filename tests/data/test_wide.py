"""Wide files become one row per patient and session; patterns are given, or proposed and shown."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.name_patterns import long_name
from alliance_stats.data.propose_wide import propose_wide
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.data.study_file import read_study
from alliance_stats.errors import DataError, FaultsError

SGDATA = Path(os.environ.get("ALLIANCE_STATS_DATA", "/nowhere")) / "sgdata" / "suddengains_sgdata.csv"
WIDE = """id;therapist;wai_t01_i01;wai_t01_i02;wai_t02_i01;wai_t02_i02;phq9_t01;phq9_t03
007;Weber;3;4;;;12;9
012;Huber;2;;5;1;;20
013;Huber;;;;;;
"""


@pytest.fixture
def wide(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    return path


ASKED = {"patient": "id", "therapist": "therapist", "wide": ["wai_t{session}_i{item}", "phq9_t{session}"]}
SCORES = {"one": "wai_i01", "two": "wai_i02", "outcome": {"column": "phq9", "range": (0, 27), "higher": "worse"}}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("wai_t{session}_i{item}", "wai_i{item}"),
        ("T{session}_OQ_{item}", "OQ_{item}"),
        ("phq9_s{session}", "phq9"),
        ("bdi_{session}", "bdi"),
        ("week{session}.wai", "wai"),
        ("wai_session_{session}", "wai"),
        ("wai{item}_t{session}", "wai{item}"),
        ("{measure}_s{session}", "{measure}"),
        ("pre{session}x", "prex"),
    ],
)
def test_the_session_is_taken_out_of_the_name(pattern, name):
    assert long_name(pattern) == name


def test_one_row_per_patient_and_session(wide):
    table = read_sessions(wide, **ASKED, scores=SCORES)
    frame = table.frame
    # by hand: 007 has sessions 1 and 3, 012 has 1, 2 and 3, 013 was never there
    assert frame["patient_id"].tolist() == ["007", "007", "012", "012", "012"]
    assert frame["session"].tolist() == [1, 3, 1, 2, 3]
    assert frame["therapist_id"].tolist() == ["Weber", "Weber", "Huber", "Huber", "Huber"]
    assert_array_equal(frame["one"], [3, np.nan, 2, 5, np.nan])
    assert_array_equal(frame["two"], [4, np.nan, np.nan, 1, np.nan])
    assert_array_equal(frame["outcome"], [12, 9, np.nan, np.nan, 20])


def test_sessions_without_any_value_are_counted(wide):
    faults = read_sessions(wide, **ASKED, scores=SCORES).faults.set_index("fault")
    empty = faults.loc["sessions of the wide file without any value"]
    assert (empty["n"], empty["done"], empty["places"]) == (4, "row left out", "of 9 patients and sessions")


def test_the_codebook_says_which_columns_were_put_together(wide):
    table = read_sessions(wide, **ASKED, scores=SCORES)
    assert table.codebook["one"].made_from == "wai_t01_i01 … wai_t02_i01 (2 columns, one per session)"
    assert table.codebook["session"].made_from == "the session in the names of the columns"
    assert table.source.reading["layout"] == "wide, wai_t{session}_i{item}, phq9_t{session} (given)"


def test_faults_name_line_and_session(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("id,phq_t1,phq_t2\na,3,x\nb,99,4\n")
    with pytest.raises(FaultsError, match=r"no number in column 'phq'.*line 2, session 2 \('x'\)") as caught:
        read_sessions(path, patient="id", wide="phq_t{session}", scores={"phq": {"column": "phq", "range": (0, 27)}})
    assert "line 3, session 1 ('99')" in str(caught.value)


def test_names_can_be_given(wide):
    asked = {**ASKED, "wide": {"symptoms": "phq9_t{session}"}}
    assert read_sessions(wide, **asked, scores=["symptoms"]).frame["symptoms"].tolist() == [12, 9, 20]


def test_any_field_may_stand_for_the_measure(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("id,bdi_s1,rq_s1,bdi_s2,rq_s2\na,1,2,3,4\n")
    frame = read_sessions(path, patient="id", wide="{measure}_s{session}", scores=["bdi", "rq"]).frame
    assert frame[["bdi", "rq"]].to_numpy().tolist() == [[1, 2], [3, 4]]


def test_dates_per_session_are_read_too(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("id,day_1,day_2,wai_1,wai_2\na,2021-01-05,2021-01-12,3,4\n")
    frame = read_sessions(path, patient="id", date="day", wide=["day_{session}", "wai_{session}"], scores=["wai"]).frame
    assert frame["session"].tolist() == [1, 2]
    assert frame["date"].astype(str).tolist() == ["2021-01-05", "2021-01-12"]


def test_occasions_stand_for_sessions_in_the_order_given(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("id,bdi_pre,bdi_post,bdi_fu1\na,30,12,10\n")
    asked = {"patient": "id", "wide": "bdi_{session}", "scores": ["bdi"]}
    frame = read_sessions(path, **asked, occasions=["pre", "post", "fu1"]).frame
    assert frame[["session", "bdi"]].to_numpy().tolist() == [[1, 30], [2, 12], [3, 10]]
    frame = read_sessions(path, **asked, occasions={"pre": 1, "post": 20}).frame
    assert frame["session"].tolist() == [1, 20]


def test_a_session_zero_asks_for_the_order(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("id,bdi_s0,bdi_s1\na,30,12\n")
    with pytest.raises(DataError, match=r"sessions count from 1.*occasions=\['0', '1'\]"):
        read_sessions(path, patient="id", wide="bdi_s{session}", scores=["bdi"])
    frame = read_sessions(path, patient="id", wide="bdi_s{session}", scores=["bdi"], occasions=[0, 1]).frame
    assert frame["session"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("wide", "message"),
    [
        ("bdi_{item}", "must have {session} once"),
        ("bdi_{session}_{session}", "must have {session} once"),
        (7, "must have {session} once"),
        (["a_t{session}", "t{session}_a"], "would both make 'a'.*Name them apart"),
        ("xyz_{session}", r"fits 0 of 8 columns of wide\.csv"),
        ({"x": "wai_t{session}_i{item}"}, "'wai_t01_i01' and 'wai_t01_i02' would both be 'x' at session 1"),
        ({"therapist": "phq9_t{session}"}, "has a column 'therapist' already"),
    ],
)
def test_patterns_that_do_not_fit_say_so(wide, wide_file, message):
    with pytest.raises(DataError, match=message):
        read_sessions(wide_file, patient="id", wide=wide)


@pytest.fixture
def wide_file(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    return path


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["id", "wai_t01_i01", "wai_t01_i02", "wai_t02_i01"], ["wai_t{session}_i{item}"]),
        (["T1_OQ_1", "T1_OQ_2", "T2_OQ_1", "T2_OQ_2"], ["T{session}_OQ_{item}"]),
        (["phq9_s1", "phq9_s2", "gad7_s1", "gad7_s2"], ["phq9_s{session}", "gad7_s{session}"]),
        (["phq2_s1", "phq2_s2", "phq9_s1", "phq9_s2"], ["phq2_s{session}", "phq9_s{session}"]),
        (["oq_12_t3", "oq_13_t3", "oq_12_t4"], ["oq_{item}_t{session}"]),
        (["wai.session1", "wai.session2"], ["wai.session{session}"]),
        (["wai_1", "wai_2", "wai_3"], []),  # items as likely as sessions
        (["items1", "items2"], []),  # the s belongs to a word
        (["wai_t1", "age"], []),  # one session is no series
    ],
)
def test_patterns_are_proposed_from_names_alone(names, patterns):
    assert propose_wide(pd.DataFrame(columns=names)).wide == patterns


def test_a_proposal_is_shown_before_it_is_used(wide):
    with pytest.raises(DataError) as caught:
        read_sessions(wide, patient="id")
    assert "'wai_t{session}_i{item}': 4 columns, sessions 01–02, items 01–02" in str(caught.value)
    assert "If that is right, give wide=['wai_t{session}_i{item}', 'phq9_t{session}']." in str(caught.value)


def test_a_proposal_as_a_frame(wide):
    frame = propose_wide(wide).frame
    assert frame["becomes"].tolist() == ["wai_i{item}", "phq9"]
    assert frame["n_columns"].tolist() == [4, 2]
    assert frame["sessions"].tolist() == ["01–02", "01–03"]
    assert "<table" in propose_wide(wide)._repr_html_()


def test_a_study_file_can_hold_patterns_and_occasions(wide, tmp_path):
    (tmp_path / "study.toml").write_text(
        '[file]\npath = "wide.csv"\nwide = ["phq9_t{session}"]\noccasions = {"01" = 1, "03" = 2}\n'
        '[columns]\npatient = "id"\n[scores.outcome]\ncolumn = "phq9"\n'
    )
    assert read_study(tmp_path / "study.toml").read().frame["session"].tolist() == [1, 2, 2]


def test_a_wide_frame_is_read_like_a_wide_file():
    frame = pd.DataFrame({"id": ["a", "b"], "wai_t1": [1.0, 2.0], "wai_t2": [3.0, None]})
    table = read_sessions(frame, patient="id", wide="wai_t{session}", scores=["wai"])
    assert table.frame["wai"].tolist() == [1, 3, 2]


@pytest.mark.skipif(not SGDATA.exists(), reason="ALLIANCE_STATS_DATA does not name the real data")
def test_the_wide_file_of_the_package_suddengains_is_read_end_to_end():
    proposal = propose_wide(SGDATA)
    assert proposal.wide == ["bdi_s{session}", "rq_s{session}"]
    occasions = [*(f"s{number}" for number in range(13)), "fu1", "fu2"]
    asked = {"wide": ["bdi_{session}", "rq_{session}"], "occasions": occasions, "scores": ["bdi", "rq"]}
    table = read_sessions(SGDATA, patient="id", **asked)
    raw = pd.read_csv(SGDATA)
    assert table.frame["patient_id"].nunique() == 43
    # every number of the file is there, and no other
    for score in ("bdi", "rq"):
        columns = [name for name in raw if name.startswith(f"{score}_")]
        assert len(columns) == 15
        assert table.frame[score].notna().sum() == raw[columns].notna().sum().sum()
        assert table.frame[score].sum() == raw[columns].sum().sum()
    first = table.frame[table.frame["patient_id"] == "1"]
    assert first["bdi"].tolist() == raw.loc[0, [f"bdi_{text}" for text in occasions]].tolist()


@pytest.mark.parametrize("source", [["wai_t1", "wai_t2"], None, 3])
def test_what_is_no_file_is_refused_by_its_kind(source):
    with pytest.raises(DataError, match=f"A file was expected, not {type(source).__name__}"):
        propose_wide(source)
