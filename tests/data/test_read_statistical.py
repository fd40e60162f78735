"""SPSS, Stata and SAS files, written by the libraries that write them."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data import read_file, statistical_child, stored_table
from alliance_stats.data.pseudonyms import with_pseudonyms
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import DataError, FaultsError, MissingExtraError

pyreadstat = pytest.importorskip("pyreadstat")
GOLDEN = Path(__file__).parents[1] / "golden" / "haven"

CLINIC = pd.DataFrame(
    {
        "id": [17.0, 17, 3, 3],
        "tid": ["Weber", "Weber", "Huber", "Huber"],
        "sess": [1.0, 2, 1, 2],
        "wai": [3.5, -99, 2.25, np.nan],
        "ph": [1.0, 2, 9, 1],
        "day": [datetime.date(2021, 1, 5), datetime.date(2021, 1, 12), None, datetime.date(2021, 2, 1)],
    }
)
ASKED = {"patient": "id", "therapist": "tid", "session": "sess", "date": "day", "phase": "ph", "scores": {"wai": "wai"}}


@pytest.fixture(params=["clinic.sav", "clinic.zsav", "export.dat"])
def spss(request, tmp_path):
    path = tmp_path / request.param
    pyreadstat.write_sav(
        CLINIC,
        path,
        compress=request.param.endswith("zsav"),
        column_labels={"wai": "WAI-SR, mean of items", "id": "Number of the patient"},
        variable_value_labels={"ph": {1: "early", 2: "late", 9: "no answer"}},
        missing_ranges={"wai": [-99], "ph": [{"lo": 8, "hi": 9}]},
    )
    return path


def test_spss_files_are_read_whatever_they_are_called(spss):
    table = read_sessions(spss, **ASKED)
    frame = table.frame
    assert frame["patient_id"].tolist() == ["3", "3", "17", "17"]
    assert frame["therapist_id"].tolist() == ["Huber", "Huber", "Weber", "Weber"]
    assert_array_equal(frame["wai"], [2.25, np.nan, 3.5, np.nan])
    assert frame["date"].astype(str).tolist()[1:] == ["2021-02-01", "2021-01-05", "2021-01-12"]
    assert table.source.reading["format"] == "SPSS (found)"
    assert table.source.n_rows == 4


def test_user_missing_values_are_missing_counted_and_placed(spss):
    table = read_sessions(spss, **ASKED)
    found = table.faults.set_index(["fault", "column"])
    declared = found.loc[("values that the file declares as missing", "wai")]
    assert (declared["n"], declared["places"], declared["done"]) == (1, "row 2 (-99)", "value set to missing")
    assert found.loc[("values that the file declares as missing", "ph"), "places"] == "row 3 (9)"
    assert table.frame["phase"].isna().tolist() == [True, False, False, False]


def test_labels_and_codes_go_to_the_codebook(spss):
    codebook = read_sessions(spss, **ASKED, missing=("", "NA", "-77")).codebook
    wai, phase = codebook["wai"], codebook["phase"]
    assert (wai.label, wai.missing, wai.type) == ("WAI-SR, mean of items", ("NA", "-77", "-99"), "number")
    assert phase.value_labels == {"1": "early", "2": "late", "9": "no answer"}
    assert (phase.missing, phase.type) == (("NA", "-77", "8 to 9"), "coded answer")
    assert codebook["patient_id"].label == "Patient"
    assert codebook["date"].type == "date"


def test_a_label_of_the_users_own_wins(spss):
    asked = {**ASKED, "scores": {"wai": {"column": "wai", "label": "Alliance"}}}
    assert read_sessions(spss, **asked).codebook["wai"].label == "Alliance"


def test_faults_in_spss_files_name_rows(tmp_path):
    path = tmp_path / "faulty.sav"
    pyreadstat.write_sav(CLINIC.assign(sess=[1.0, 1.5, 1, 2]), path)
    with pytest.raises(FaultsError, match=r"session is no positive whole number.*row 2 \(1\.5\)"):
        read_sessions(path, **ASKED)


def test_haven_and_pyreadstat_agree_on_what_is_missing():
    table = read_sessions(GOLDEN / "labelled.zsav", patient="id", session="session", scores=["wai"])
    assert_array_equal(table.frame["wai"], [1, np.nan, 2])
    variable = table.codebook["wai"]
    assert (variable.label, variable.missing) == ("WAI-SR mean", ("NA", "-99"))
    assert variable.value_labels == {"1": "low", "-99": "none"}


@pytest.mark.parametrize("version", [15, 10, 8])
def test_stata_files_of_several_releases_are_read(tmp_path, version):
    path = tmp_path / "clinic"
    pyreadstat.write_dta(
        CLINIC, path, version=version, column_labels={"wai": "WAI-SR"}, variable_value_labels={"ph": {1: "early"}}
    )
    table = read_sessions(path, **ASKED, missing=("", "-99"))
    assert_array_equal(table.frame["wai"], [2.25, np.nan, 3.5, np.nan])
    assert table.frame["date"].astype(str).tolist()[1:] == ["2021-02-01", "2021-01-05", "2021-01-12"]
    assert table.codebook["wai"].label == "WAI-SR"
    assert table.source.reading["format"] == "Stata (found)"


@pytest.mark.parametrize(
    ("file", "words"), [("numbers.sas7bdat", "SAS (sas7bdat)"), ("numbers.xpt", "SAS transport (xpt)")]
)
def test_sas_files_that_haven_wrote_are_read(file, words):
    table = read_sessions(GOLDEN / file, patient="id", session="session", scores=["wai"])
    assert table.frame["patient_id"].tolist() == ["a", "b"]
    assert_array_equal(table.frame["wai"], [1.5, np.nan])
    assert table.codebook["wai"].label == "WAI-SR mean"
    assert table.source.reading["format"] == f"{words} (found)"


def test_transport_files_that_pyreadstat_wrote_are_read(tmp_path):
    path = tmp_path / "clinic.xpt"
    pyreadstat.write_xport(CLINIC, path, file_format_version=5)
    assert_array_equal(read_sessions(path, **ASKED, missing=("-99",)).frame["wai"], [2.25, np.nan, 3.5, np.nan])


@pytest.mark.parametrize("start", [b"$FL2@(#) SPSS", b"<stata_dta><header>", b"HEADER RECORD*******LIBRARY"])
def test_damaged_files_say_what_they_should_have_been(tmp_path, start):
    path = tmp_path / "damaged.csv"
    path.write_bytes(start + b"rest" * 50)
    with pytest.raises(DataError, match=r"damaged\.csv cannot be read as a file of .*export it as CSV"):
        read_sessions(path, patient="id", session="s")


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        (b"$FL2", "spss"),
        (b"<stata_dta", "stata"),
        (b"HEADER RECORD*******LIB", "sas"),
        (b"PK\x03\x04", "excel"),
        (b"RDX3\n", "r"),
        (b"PAR1", "parquet"),
        (b"ARROW1", "parquet"),
    ],
)
def test_a_library_that_is_not_there_is_named_on_one_line_with_its_extra(tmp_path, monkeypatch, content, extra):
    path = tmp_path / "file"
    path.write_bytes(content + b"rest")

    def no_module(name):
        raise ImportError(name)

    monkeypatch.setattr(stored_table, "import_module", no_module)
    with pytest.raises(MissingExtraError, match=rf"pip install 'alliance-stats\[{extra}\]'") as caught:
        read_file.read_header(path)
    assert "\n" not in str(caught.value)


def test_every_extra_that_a_message_names_is_in_pyproject():
    import tomllib

    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {"spss", "stata", "sas", "excel", "r", "parquet"} <= set(extras)


def test_a_library_that_breaks_down_takes_nothing_with_it(spss, tmp_path, monkeypatch):
    (tmp_path / "breaks.py").write_text("import os\nos.abort()\n")
    monkeypatch.setattr(statistical_child, "__file__", str(tmp_path / "breaks.py"))
    with pytest.raises(DataError, match="cannot be read as a file of SPSS: it is damaged"):
        read_sessions(spss, **ASKED)


def test_where_no_process_can_be_started_this_one_reads(spss, monkeypatch):
    expected = read_sessions(spss, **ASKED)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    pd.testing.assert_frame_equal(read_sessions(spss, **ASKED).frame, expected.frame)


def test_names_in_value_labels_do_not_survive_pseudonyms(tmp_path):
    path = tmp_path / "named.sav"
    labels = {"tid": {1: "Dr. Weber", 2: "Dr. Huber"}}
    pyreadstat.write_sav(CLINIC.assign(tid=[1.0, 1, 2, 2]), path, variable_value_labels=labels)
    table = read_sessions(path, patient="id", therapist="tid", session="sess", scores=["wai"])
    assert table.codebook["therapist_id"].value_labels == {"1": "Dr. Weber", "2": "Dr. Huber"}
    for shared in (table.pseudonymize("0123456789abcdef"), with_pseudonyms(table)):
        assert "Weber" not in shared.codebook.to_html()
        assert "Weber" not in repr(shared.faults.to_dict())
