"""Names in every place of a file that can hold one: none reaches a report under pseudonyms, nor any results.json."""

import re

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als

openpyxl = pytest.importorskip("openpyxl")
#: Folder, sheets (the therapists, two of them nearly the same), patients, cells where numbers should stand.
NAMES = re.compile("Zacharias|Patientmann|Quend|Xaverine|Ypsilanti|Wolfsbane")


@pytest.fixture
def sessions(tmp_path):
    folder = tmp_path / "Zacharias Patientmann"
    folder.mkdir()
    rng = np.random.default_rng(1)
    book = openpyxl.Workbook()
    for k, name in enumerate(["Dr. Quendel", "Dr. Quendl", "Frau Xaverine"]):
        sheet = book.active if k == 0 else book.create_sheet()
        sheet.title = name
        sheet.append(["who", "nr", "wai", "phq"])
        for patient in range(12):
            for session in range(1, 7):
                sheet.append([f"Ypsilanti{k}{patient}", session, float(rng.uniform(1, 5)), int(rng.integers(0, 28))])
        sheet.append([f"Ypsilanti{k}0", 7, "call Wolfsbane", 3])
        sheet.append([f"Ypsilanti{k}0", "with Wolfsbane", 3, 3])
        sheet.append([f"Ypsilanti{k}0", 1, 3.3, 3])
    book.save(folder / "clinic.xlsx")
    return als.read_sessions(
        folder / "clinic.xlsx",
        patient="who",
        therapist="{sheet}",
        session="nr",
        sheet="*",
        scores={"alliance": {"column": "wai", "range": (1, 5)}, "outcome": "phq"},
        on_faults="leave_out",
    )


def told(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    return {path.name: set(NAMES.findall(path.read_bytes().decode("latin-1"))) for path in files}


def test_the_findings_name_people_as_long_as_they_stay_here(sessions):
    assert {"Quend", "Ypsilanti", "Wolfsbane"} <= set(NAMES.findall(sessions.faults.to_string()))


def test_no_file_of_a_report_holds_a_name(sessions, tmp_path):
    als.study_report(sessions, tmp_path / "report")
    assert not any(told(tmp_path / "report").values())


def test_with_real_ids_the_results_hold_no_name_all_the_same(sessions, tmp_path):
    als.study_report(sessions, tmp_path / "report", pseudonyms=False)
    found = told(tmp_path / "report")
    assert "Quend" in found["report.html"]
    assert not found["results.json"]


def test_no_part_of_a_pseudonymised_table_holds_a_name(sessions):
    shared = sessions.pseudonymize("0123456789abcdef0123")
    parts = [shared.frame.to_string(), shared.faults.to_string(), shared.codebook.to_html(), repr(shared.source)]
    assert not NAMES.findall(" ".join(parts))
    assert "occasions={…" in shared.faults.to_string()  # what to do is still said


def test_value_labels_of_a_column_that_may_be_people_are_taken_out(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"id": ["a", "a", "b"], "s": [1.0, 2, 1], "wai": [3.0, 4, 5], "boss": [1.0, 1, 2]})
    labels = {"boss": {1: "Dr. Quendel", 2: "Xaverine"}, "wai": {1: "never", 5: "always"}}
    pyreadstat.write_sav(frame, str(tmp_path / "clinic.sav"), variable_value_labels=labels)
    table = als.read_sessions(tmp_path / "clinic.sav", patient="id", session="s", scores=["wai"], keep="boss")
    assert NAMES.search(table.codebook.to_html())
    shared = table.pseudonymize("0123456789abcdef0123").codebook
    assert not NAMES.search(shared.to_html())
    assert shared["wai"].value_labels == {"1": "never", "5": "always"}
