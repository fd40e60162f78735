"""A study file asks for scores made from items; they are those of ``score``, and the codebook and the page say how."""

import json

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.study_file import study_text
from alliance_stats.errors import DataError, FaultsError, StudyFileError

STUDY = """
[file]
path = "items.csv"

[columns]
patient = "pid"
therapist = "tid"
session = "s"

[scores.alliance]
measure = "WAI-SR"
items = "wai_{:02d}"
rater = "patient"
min_items = {total = 10, task = 3, goal = 3, bond = 3}

[scores.outcome]
measure = "PHQ-9"
items = "phq{}"
missing = [99]
label = "Depression"
"""
KEY = """
name = "Mine"
title = "A questionnaire of our own"
n_items = 2
response = [0, 4]
higher = "worse"
reversed = [2]
status = "verified"
source = "the clinic's manual"

[total]
range = [0, 8]
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"pid": np.repeat(np.arange(30), 5), "tid": "T", "s": np.tile(np.arange(1, 6), 30)})
    frame["tid"] = np.where(frame["pid"] % 2, "A", "B")
    for item in range(1, 13):
        frame[f"wai_{item:02d}"] = rng.integers(1, 6, len(frame))
    for item in range(1, 10):
        frame[f"phq{item}"] = rng.integers(0, 4, len(frame))
    frame = frame.astype(object)
    frame.loc[3, "wai_02"] = None
    frame.loc[4, ["wai_01", "wai_02", "wai_04"]] = None
    frame.loc[7, "phq3"] = 99
    frame.to_csv(tmp_path / "items.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def test_the_scores_are_those_by_hand(folder):
    sessions = als.read_study(folder / "study.toml").read()
    raw = pd.read_csv(folder / "items.csv")
    wai = raw.filter(regex="^wai")
    by_hand = (wai.mean(axis=1) * 12).where(wai.notna().sum(axis=1) >= 10)  # the mean for what is missing
    np.testing.assert_allclose(sessions.frame["alliance"], by_hand, rtol=1e-14)
    assert sessions.frame["alliance"].isna().tolist() == [row == 4 for row in range(150)]
    bond = raw[["wai_03", "wai_05", "wai_07", "wai_09"]].sum(axis=1)
    np.testing.assert_array_equal(sessions.frame["alliance_bond"], bond)
    assert sessions.frame["outcome"].isna().tolist() == [row == 7 for row in range(150)]  # 99 is no answer


def test_the_codebook_says_how_they_were_made(folder):
    codebook = als.read_study(folder / "study.toml").read().codebook()
    assert codebook["alliance"].made_from.startswith(
        "WAI-SR, total: prorated sum of 12 items answered from 1 to 5, at least 10 answered; 1 score from fewer than"
    )
    assert (codebook["alliance"].low, codebook["alliance"].high, codebook["alliance"].higher) == (12, 60, "better")
    assert codebook["alliance"].type == "number"
    assert codebook["outcome"].label == "Depression"
    assert "99 taken as not answered" in codebook["outcome"].made_from


def test_the_report_is_about_them_and_says_how_they_were_made(folder):
    study = als.read_study(folder / "study.toml")
    assert (study.report.alliance, study.report.outcome) == ("alliance", "outcome")
    report = als.study_report(study.read(), folder / "report")
    page = report.page.read_text(encoding="utf-8")
    assert "was made from items: WAI-SR, total: prorated sum of 12 items" in page
    assert {"growth", "within-between"} <= set(json.loads((folder / "report/results.json").read_text())["sections"])
    guarded = als.study_report(study.read(), folder / "guarded", min_cell=5).page.read_text(encoding="utf-8")
    assert "1 of 150 not scored" in page
    assert "1 of 150 not scored" not in guarded


def test_answers_outside_the_range_follow_on_faults(folder):
    text = STUDY.replace("missing = [99]\n", "")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(FaultsError, match="phq3: 1 answer"):
        als.read_study(folder / "study.toml").read()
    (folder / "study.toml").write_text(text.replace("[columns]", 'on_faults = "leave_out"\n[columns]'))
    sessions = als.read_study(folder / "study.toml").read()
    assert sessions.faults["column"].tolist() == ["phq3"]


def test_a_key_file_beside_the_study_file_is_used(folder):
    (folder / "mine.toml").write_text(KEY, encoding="utf-8")
    items = '[scores.own]\nmeasure = "mine.toml"\nitems = ["phq1", "phq2"]\n'
    (folder / "study.toml").write_text(STUDY + items + '[report]\nalliance = "alliance_bond"\n', encoding="utf-8")
    study = als.read_study(folder / "study.toml")
    raw = pd.read_csv(folder / "items.csv")
    np.testing.assert_array_equal(study.read().frame["own"], raw["phq1"] + 4 - raw["phq2"])
    assert study.report.alliance == "alliance_bond"


def test_items_of_a_wide_file_are_scored_by_session(tmp_path):
    names = [f"g_t{session}_i{item}" for session in (1, 2) for item in range(1, 8)]
    values = [*([1] * 7), *([2] * 7)]
    (tmp_path / "wide.csv").write_text("id," + ",".join(names) + "\n7," + ",".join(map(str, values)) + "\n")
    (tmp_path / "study.toml").write_text(
        '[file]\npath = "wide.csv"\nwide = "g_t{session}_i{item}"\n[columns]\npatient = "id"\n'
        '[scores.outcome]\nmeasure = "GAD-7"\nitems = "g_i{}"\n'
    )
    assert als.read_study(tmp_path / "study.toml").read().frame["outcome"].tolist() == [7, 14]


def test_answers_of_intake_are_never_lent_to_a_session(tmp_path):
    header = "record_id,redcap_event_name," + ",".join(f"gad{k}" for k in range(1, 8))
    rows = ["1,intake_arm_1,3,3,3,3,3,3,3", "1,s_1_arm_1,1,1,1,1,1,1,1", "1,s_2_arm_1,,1,1,1,1,1,1"]
    (tmp_path / "redcap.csv").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "study.toml").write_text(
        '[file]\npath = "redcap.csv"\n[columns]\npatient = "record_id"\nsession = "{session}"\n'
        '[scores.outcome]\nmeasure = "GAD-7"\nitems = "gad{}"\n'
    )
    sessions = als.read_study(tmp_path / "study.toml").read()
    assert sessions.frame["outcome_answered"].tolist() == [7, 6]
    assert sessions.frame["outcome"].isna().tolist() == [False, True]
    kept = als.read_sessions(tmp_path / "redcap.csv", patient="record_id", keep=["gad1"], scores=["gad2"])
    assert kept.frame["gad1"].isna().tolist() == [False, True]  # read_sessions(keep=…) lends nothing either


def test_what_is_written_is_read_back(folder):
    study = als.read_study(folder / "study.toml")
    (folder / "again.toml").write_text(study_text(study), encoding="utf-8")
    assert als.read_study(folder / "again.toml") == study


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('items = "phq{}"\n', "", "'items' is missing: a score is made from items by measure and items"),
        ('rater = "patient"', 'ratre = "patient"', r"\[scores.alliance\] unknown key 'ratre'. Did you mean 'rater'"),
        ("missing = [99]", "missing = 99", "missing = 99 must be a list of codes"),
        ('items = "phq{}"', "items = 9", "items = 9 must be a pattern"),
        ('items = "phq{}"', 'items = {first = "a"}', "must be a pattern"),
        ("min_items = {total = 10,", "min_items = {total = 1.5,", "min_items = .* must be a whole number"),
    ],
)
def test_wrong_keys_and_values_are_named(folder, old, new, message):
    assert old in STUDY
    (folder / "study.toml").write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyFileError, match=message):
        als.read_study(folder / "study.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PHQ-9", "PHQ-10", "There is no measure 'PHQ-10'. Did you mean 'PHQ-9'"),
        ("phq{}", "phq", r"\[scores.outcome\] The columns of the 9 items are not distinct"),
        ("phq{}", "phq_{}", "9 columns not found in items.csv"),
        ("PHQ-9", "mine.toml", "There is no file"),
    ],
)
def test_what_only_reading_can_find_out_is_named(folder, old, new, message):
    (folder / "study.toml").write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        als.read_study(folder / "study.toml").read()
