"""Columns are recognised by their usual names, and what was assumed is said."""

import pytest

from alliance_stats.data.guess_study import guess_study
from alliance_stats.data.study_file import read_study
from alliance_stats.errors import DataError


@pytest.fixture
def guess(tmp_path):
    def from_header(header):
        path = tmp_path / "clinic.csv"
        path.write_text(header + "\n" + ",".join("1" * (header.count(",") + 1)) + "\n")
        return guess_study(path)

    return from_header


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("patient_id,therapist_id,session,wai", ("patient_id", "therapist_id", "session", None)),
        ("Client ID,Clinician,Visit,HAQ", ("Client ID", "Clinician", "Visit", None)),
        ("PID,Datum,WAI_SR", ("PID", None, None, "Datum")),
        ("id,sess,phq9", ("id", None, "sess", None)),
        ("id,patient,time,occasion,alliance", ("patient", None, "occasion", None)),
    ],
)
def test_usual_names_are_recognised(guess, header, keys):
    columns = guess(header).columns
    assert (columns.patient, columns.therapist, columns.session, columns.date) == keys


@pytest.mark.parametrize(
    ("column", "higher"),
    [("bai", "worse"), ("PHQ-9", "worse"), ("gad7_total", "worse"), ("BDI-II", "worse"), ("OQ45", "worse"),
     ("core_om", "worse"), ("CORE-10 mean", "worse"), ("ors", "better"), ("outcome", None)],
)  # fmt: skip
def test_direction_is_known_only_for_known_measures(guess, column, higher):
    (score,) = guess(f"patient,session,{column}").columns.scores
    assert (score.name, score.column, score.higher) == ("outcome", column, higher)


@pytest.mark.parametrize("column", ["alliance", "wai", "wai_total", "WAI_SR", "wai_mean", "haq", "SRS"])
def test_a_higher_alliance_is_better(guess, column):
    (score,) = guess(f"patient,session,{column}").columns.scores
    assert (score.name, score.column, score.higher) == ("alliance", column, "better")


def test_what_was_assumed_is_said_and_so_is_what_was_passed_over(guess):
    study = guess("patient,time,wai,phq9,gad7")
    assert study.assumed == (
        "'patient' is the patient.",
        "'time' is the session number.",
        "'wai' is the alliance; higher is better.",
        "'phq9' is the outcome; higher is worse (not used, though the name would fit: 'gad7').",
    )


def test_a_plain_outcome_has_no_assumed_direction(guess):
    assert guess("patient,time,outcome").assumed[-1] == (
        "'outcome' is the outcome; what a higher value means is not known."
    )


def test_the_guessed_study_reads_its_file(guess):
    table = guess("patient,therapist,time,wai,bai").read()
    assert list(table.frame) == ["patient_id", "therapist_id", "session", "alliance", "outcome"]


@pytest.mark.parametrize(
    ("header", "lacking"),
    [
        ("who,session,wai", "a column for the patient cannot"),
        ("patient,week,wai", "the session number or the date cannot"),
        ("patient,session,q1", "a score"),
    ],
)
def test_what_is_not_recognised_comes_with_a_study_file_to_edit(guess, tmp_path, header, lacking):
    with pytest.raises(DataError, match=lacking) as caught:
        guess(header)
    text = str(caught.value).split("\n\n", 1)[1]
    assert f"# columns of the file: {header.replace(',', ', ')}" in text
    path = tmp_path / "study.toml"
    path.write_text(text.replace("…", "x", 1).replace("…", "y", 1).replace("…", "z"), encoding="utf-8")
    assert read_study(path).file == "clinic.csv"
