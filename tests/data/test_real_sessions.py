"""The real 57-patient file of the IMPLEMENT trial, where it is at hand."""

import os
from pathlib import Path

import pandas as pd
import pytest

from alliance_stats.data.guess_study import guess_study
from alliance_stats.data.read_sessions import read_sessions

FOLDER = os.environ.get("ALLIANCE_STATS_DATA", "")
FILE = Path(FOLDER) / "implement" / "implement_composites.csv"
pytestmark = pytest.mark.skipif(
    not FOLDER or not FILE.exists(), reason="ALLIANCE_STATS_DATA does not name the folder of the real data"
)


def test_the_real_file_is_guessed_and_read_without_faults():
    table = guess_study(FILE).read()
    frame = table.frame
    # counts from the data's README: 855 rows, 57 patients, 13 therapists; WAI 707 and BAI 780 complete
    assert len(frame) == 855
    assert (frame["patient_id"].nunique(), frame["therapist_id"].nunique()) == (57, 13)
    assert (frame["alliance"].notna().sum(), frame["outcome"].notna().sum()) == (707, 780)
    assert table.faults.empty


def test_the_real_columns_are_taken_for_what_they_are():
    columns = guess_study(FILE).columns
    assert (columns.patient, columns.therapist, columns.session) == ("patient", "therapist", "time")
    assert [(score.name, score.column, score.higher) for score in columns.scores] == [
        ("alliance", "wai", "better"),
        ("outcome", "bai", "worse"),
    ]


REGARD = Path(FOLDER) / "positive_regard" / "positive_regard_es102.csv"


@pytest.mark.skipif(not REGARD.exists(), reason="ALLIANCE_STATS_DATA does not name the folder of the real data")
def test_correlations_of_studies_are_read_whole_although_they_are_no_sessions():
    scores = {"r": {"column": "r", "range": (-1, 1)}}
    table = read_sessions(REGARD, patient="study_id", session="es_id", scores=scores, keep=["n", "outcome_rater"])
    raw = pd.read_csv(REGARD)
    assert len(table) == len(raw) == 102
    assert table.frame["patient_id"].nunique() == 15
    assert sorted(table.frame["r"]) == sorted(raw["r"])
    assert table.frame["n"].sum() == raw["n"].sum()
    assert table.frame["outcome_rater"].value_counts().to_dict() == raw["outcome_rater"].value_counts().to_dict()
