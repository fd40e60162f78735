"""A report with ``min_cell``: no small count in any file, no figure of single patients, no section on a few people."""

import json
import re

import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.errors import DataError
from alliance_stats.report.small_cells import is_count
from alliance_stats.study.disclosure import _names_few

LEAST = 6


@pytest.fixture(scope="module")
def sessions():
    """Thirty-two patients; caseloads from 3 on, eight changes, a few of them far from the change."""
    return als.simulate_sessions(8, (3, 3, 4, 4, 4, 4, 5, 5), 8, 0.25, seed=3)


def report_of(sessions, folder, **options):
    return als.study_report(sessions, folder, **{"min_cell": LEAST, **options})


def counts(value, path=""):
    """Every count in ``results.json``, with where it stands."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if is_count(key) and isinstance(entry, int):
                yield f"{path}/{key}", entry
            yield from counts(entry, f"{path}/{key}")
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from counts(entry, f"{path}/{place}")


def small(results):
    return {where: n for where, n in counts(results["sections"]) if 0 < n < LEAST}


def read(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_no_small_count_is_left_in_the_numbers(sessions, tmp_path, quick):
    everything = als.study_report(sessions, tmp_path / "all")
    assert small(read(everything.folder))  # there is something to hide
    shown = read(report_of(sessions, tmp_path / "few").folder)
    assert small(shown) == {}
    assert shown["min_cell"] == LEAST
    assert read(everything.folder)["min_cell"] == 1


def test_numbers_that_rest_on_enough_people_are_the_same(sessions, tmp_path, quick):
    everything = read(als.study_report(sessions, tmp_path / "all").folder)["sections"]
    shown = read(report_of(sessions, tmp_path / "few").folder)["sections"]
    for key in ("growth", "within-between", "change", "therapists"):
        assert shown[key]["table"] == everything[key]["table"]
        assert shown[key]["variance"] == everything[key]["variance"]
        assert shown[key]["glance"]["n_obs"] == everything[key]["glance"]["n_obs"]
    hidden = [row for row in shown["change"]["aligned"] if row["n"] is None]
    assert hidden
    assert all(row["mean"] is row["ci_low"] is row["ci_high"] is None for row in hidden)
    kept = [row for row in shown["change"]["aligned"] if row["n"] is not None]
    assert kept == [row for row in everything["change"]["aligned"] if row["n"] >= LEAST]


def test_tables_on_disk_hold_no_small_count(sessions, tmp_path, quick):
    report = report_of(sessions, tmp_path / "few")
    who = pd.read_csv(report.folder / "tables" / "who.csv", dtype=str, keep_default_na=False).set_index("what")
    assert who.loc["Patients", "n"] == "32"
    assert who.loc["Patients per therapist", "value"].startswith("< 6 (< 6–")
    for path in (report.folder / "tables").glob("*.csv"):
        for column in pd.read_csv(path, dtype=str):
            if is_count(column) and column != "n_parameters":
                assert not pd.read_csv(path, dtype=str)[column].isin([str(n) for n in range(1, LEAST)]).any()


def test_figures_of_single_patients_are_left_out_and_the_page_says_so(sessions, tmp_path, quick):
    report = report_of(sessions, tmp_path / "few")
    figures = {section.key: section.figure for section in report.document.sections}
    assert {key for key, figure in figures.items() if figure is not None} == {"change", "therapists"}
    assert sorted(path.stem for path in (report.folder / "figures").glob("*.svg")) == ["change", "therapists"]
    assert report.page.read_text(encoding="utf-8").count("No figure of single patients is shown (min_cell = 6)") == 3
    everything = als.study_report(sessions, tmp_path / "all").document.sections
    assert all(section.figure is not None for section in everything)


def test_figures_that_stay_draw_no_mean_of_few_and_no_small_caseload(sessions, tmp_path, quick):
    figures = {s.key: s.figure for s in report_of(sessions, tmp_path / "few").document.sections}
    assert (figures["change"].data["means"]["n"] >= LEAST).all()
    assert "n_patients" not in figures["therapists"].data["effects"]
    assert "aseload" not in figures["therapists"].caption
    assert figures["change"].caption.startswith("Simulated data. ")
    assert figures["therapists"].caption.startswith("Simulated data. ")


def test_no_sentence_or_note_names_a_few_people(sessions, tmp_path, quick):
    report = report_of(sessions, tmp_path / "few")
    said = []
    for section in report.document.sections:
        said += [str(section.sentences), *section.notes, *section.warnings]
        said += [note for table in section.tables for note in table.notes]
    assert [text for text in said if re.search(r"\b[1-5](?: of \d+)? (?:patient|therapist|change)", text)] == []
    assert any("A note on fewer than 6 people or sessions is not shown." in text for text in said)


def test_a_section_on_a_few_changes_is_refused(tmp_path, quick):
    few = als.simulate_sessions(8, 4, 8, 0.1, seed=3)
    n = few.frame.groupby("patient_id")["therapist_id"].nunique().gt(1).sum()
    assert 0 < n < LEAST
    report = report_of(few, tmp_path / "r")
    section = {s.key: s for s in report.document.sections}["change"]
    assert str(section.sentences).startswith("This section would rest on fewer than 6 patients; it is not shown")
    assert (section.tables, section.figure) == ((), None)
    assert list(read(report.folder)["sections"]["change"]) == ["not_shown"]
    who = str(report.document.sections[0].sentences)
    assert "At least one patient, but fewer than 6 patients, changed therapist." in who


def test_a_section_on_a_few_therapists_is_refused(tmp_path, quick):
    report = report_of(als.simulate_sessions(4, 8, 6, 0, seed=3), tmp_path / "r")
    section = {s.key: s for s in report.document.sections}["therapists"]
    assert "fewer than 6 therapists" in str(section.sentences)
    assert "with fewer than 6 therapists" in str(report.document.sections[0].sentences)


def test_findings_on_a_few_rows_are_not_counted(sessions, tmp_path, quick):
    faults = faults_frame([Fault("score is no number", "wai", 2, "line 3", "row left out", "Correct them.")])
    source = Source("clinic.csv", "0" * 64, len(sessions) + 2)
    report = report_of(SessionTable(sessions.frame, faults=faults, source=source), tmp_path / "r")
    results = read(report.folder)
    assert results["input"]["n_rows"] is None
    assert results["sections"]["who"]["faults"][0]["n"] is None
    assert "Rows of the file were left out: score is no number." in str(report.document.sections[0].sentences)
    assert "< 6" in (report.folder / "tables" / "who-2.csv").read_text(encoding="utf-8")


def test_fewer_patients_than_may_be_shown_are_refused_before_anything_is_written(sessions, tmp_path):
    with pytest.raises(DataError, match="fewer than 33 patients, so that with min_cell=33 nothing may be shown"):
        report_of(sessions, tmp_path / "r", min_cell=33)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("1 of 45 patients who change have at most one scored session after it.", True),
        ("3 changes are returns to a former therapist.", True),
        ("24 therapists with 10 patients each in the median (range 3–14).", True),
        ("2 of 240 rows were left out because outcome is missing.", True),
        ("24 therapists with 10 patients each in the median (range 6–14).", False),
        ("All 240 rows were used.", False),
        ("All 2248 rows were used.", False),
        ("Degrees of freedom after Satterthwaite.", False),
        ("With 24 therapists the variance is estimated imprecisely.", False),
    ],
)
def test_notes_that_name_a_few_are_known(note, expected):
    assert _names_few(note, LEAST) is expected
