"""Exports of Qualtrics: names, questions and ids in three header rows."""

import csv

import pytest

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import FaultsError

ROWS = [
    ["RecordedDate", "pid", "sess", "Q1"],
    ["Recorded Date", "Code of the patient", "Session", "How well did you\nwork together, today?"],
    ['{"ImportId":"recordedDate","timeZone":"Z"}', *(f'{{"ImportId":"QID{at}"}}' for at in (1, 2, 3))],
    ["2021-03-09 10:11:12", "007", "1", "4"],
    ["2021-03-16 10:11:12", "007", "2", "5"],
]
ASKED = {"patient": "pid", "session": "sess", "date": "RecordedDate", "scores": {"alliance": "Q1"}}


@pytest.fixture(params=["utf-8-sig", "utf-16"])
def qualtrics(request, tmp_path):
    def write(rows):
        path = tmp_path / "qualtrics.csv"
        with path.open("w", encoding=request.param, newline="") as file:
            csv.writer(file, delimiter="\t" if request.param == "utf-16" else ",").writerows(rows)
        return path

    return write


def test_rows_begin_after_the_third_header_row(qualtrics):
    table = read_sessions(qualtrics(ROWS), **ASKED)
    assert table.frame["alliance"].tolist() == [4, 5]
    assert table.frame["patient_id"].tolist() == ["007", "007"]
    assert table.source.reading["layout"] == "Qualtrics, three header rows (found)"


def test_questions_are_labels(qualtrics):
    codebook = read_sessions(qualtrics(ROWS), **ASKED).codebook
    assert codebook["alliance"].label == "How well did you work together, today?"


def test_lines_are_those_of_the_file(qualtrics):
    # the question's line break makes the header four lines long
    with pytest.raises(FaultsError, match=r"line 6 \('x'\)"):
        read_sessions(qualtrics([*ROWS[:-1], ["2021-03-16 10:11:12", "007", "x", "5"]]), **ASKED)
