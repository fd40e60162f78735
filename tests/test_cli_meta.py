"""The command line of meta-analyses: arguments, streams, exit codes."""

import html
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cli_streams import (
    DONE,
    INPUT_AT_FAULT,
    NOT_CONVERGED,
    assert_fault_of_ours,
    assert_refused,
    assert_replaced_only_when_asked,
    assert_unwritable_is_the_users_to_change,
)

import alliance_stats as als
from alliance_stats import cli
from alliance_stats.data.registry import dataset_folder
from alliance_stats.report.figures import canvas

STUDY = """
title = "Four studies"
[effects]
study = "author"
r = "correlation"
n = "N"
[report]
n_boot = 50
"""


def run(*arguments):
    return cli.main(["meta", *map(str, arguments)])


@pytest.fixture
def frame():
    return pd.DataFrame({"author": list("abcd"), "correlation": [0.2, 0.3, 0.25, 0.4], "N": [40, 60, 80, 50]})


@pytest.fixture
def sheet(frame, tmp_path):
    path = tmp_path / "effects.csv"
    frame.to_csv(path, index=False)
    return path


def sections(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["sections"]


# ---- done ------------------------------------------------------------------------------------------------------------


def test_a_sheet_with_usual_names_needs_no_study_file(sheet, tmp_path, quick, capsys):
    assert run(sheet, "--out", tmp_path / "out") == DONE
    streams = capsys.readouterr()
    assert streams.out == f"Report: {tmp_path / 'out' / 'report.html'}\n"
    assert "Assumed: 'correlation' is the correlation." in streams.err
    page = html.unescape((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "Assumed from the column names: 'author' is the study." in page


def test_a_study_file_says_what_is_what_and_quiet_prints_nothing(sheet, tmp_path, quick, capsys):
    (tmp_path / "study.toml").write_text(STUDY)
    ask = (sheet, "--study", tmp_path / "study.toml", "--out", tmp_path / "out", "--quiet")
    assert run(*ask) == DONE
    assert capsys.readouterr() == ("", "")
    assert "<title>Four studies</title>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_demo_is_written_from_the_effects_that_come_along(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas, "_render", lambda *_: b"<svg></svg>")
    study = als.read_meta_study(dataset_folder("simulated_effects") / "study.toml")
    monkeypatch.setattr(
        "alliance_stats.study.meta.study_file.read_meta_study",
        lambda path: replace(study, report=replace(study.report, n_boot=50)),
    )
    assert run("--demo", "--out", tmp_path / "demo", "--quiet") == DONE
    assert list(sections(tmp_path / "demo")) == [
        *("methods", "flow", "results", "forest", "moderators", "bias", "sensitivity", "published"),
    ]
    results = json.loads((tmp_path / "demo" / "results.json").read_text(encoding="utf-8"))
    assert results["input"]["simulated"] is True
    assert "SIMULATED" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["xlsx", "sav", "parquet"])
def test_sheets_of_other_kinds_are_read(frame, tmp_path, quick, kind):
    path = tmp_path / f"effects.{kind}"
    if kind == "xlsx":
        pytest.importorskip("openpyxl")
        frame.to_excel(path, index=False)
    elif kind == "sav":
        pytest.importorskip("pyreadstat").write_sav(frame, path)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    assert run(path, "--out", tmp_path / "out", "--quiet") == DONE
    expected = als.meta.pool(als.meta.effect_sizes(frame, r="correlation", n="N"), test="adhoc").table()
    found = sections(tmp_path / "out")["results"]["table"][0]
    assert found["estimate"] == pytest.approx(expected["estimate"][0], rel=1e-12)


# ---- the input is at fault -------------------------------------------------------------------------------------------

FILES = {
    "empty": (lambda text: b"", "effects.csv"),
    "header only": (lambda text: text.splitlines()[0].encode(), "effects.csv"),
    "no coding sheet": (lambda text: b"a,b\n1,2\n", "no column for the study"),
    "no correlation": (lambda text: text.replace("correlation", "x").encode(), "correlation and sample size"),
    "beyond 1": (lambda text: text.replace("0.3", "1.3").encode(), "correlation outside"),
    "no number": (lambda text: text.replace("0.3", "high").encode(), "r is no number"),
    "nothing coded": (lambda text: b"study,r,n\na,,40\nb,,50\n", "0 of 2 rows have an effect"),
    "a picture": (lambda text: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "effects.csv"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_sheet_at_fault_is_named_and_nothing_is_written(sheet, tmp_path, capsys, kind):
    change, message = FILES[kind]
    sheet.write_bytes(change(sheet.read_text()))
    assert run(sheet, "--out", tmp_path / "out") == INPUT_AT_FAULT
    assert_refused(capsys, message)
    assert [path.name for path in tmp_path.iterdir()] == ["effects.csv"]


def test_a_missing_sheet_and_a_missing_study_file_are_named(sheet, tmp_path, capsys):
    assert run(tmp_path / "effect.csv") == INPUT_AT_FAULT
    assert "Did you mean 'effects.csv'" in capsys.readouterr().err
    assert run(sheet, "--study", tmp_path / "none.toml") == INPUT_AT_FAULT
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[effects]", "[effect]", "Did you mean 'effects'"),
        ('r = "correlation"', 'r = "corelation"', "Did you mean 'correlation'"),
        ("n_boot = 50", 'order = "yera"', "no column 'yera'"),
    ],
)
def test_a_study_file_at_fault_names_the_key(sheet, tmp_path, capsys, old, new, message):
    (tmp_path / "study.toml").write_text(STUDY.replace(old, new))
    assert run(sheet, "--study", tmp_path / "study.toml", "--out", tmp_path / "out") == INPUT_AT_FAULT
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_faults_can_be_left_out_and_stand_in_the_report(sheet, tmp_path, quick, capsys):
    sheet.write_text(sheet.read_text() + "e,1.5,30\n")
    (tmp_path / "study.toml").write_text(STUDY)
    ask = (sheet, "--study", tmp_path / "study.toml", "--out", tmp_path / "out", "--quiet")
    assert run(*ask) == INPUT_AT_FAULT
    assert "1 kind of fault in effects.csv" in capsys.readouterr().err
    assert run(*ask, "--on-faults", "leave_out") == DONE
    flow = sections(tmp_path / "out")["flow"]
    assert (flow["n_rows"], flow["k"]) == (5, 4)
    assert flow["faults"][0]["fault"] == "correlation outside [−1, 1]"
    (tmp_path / "study.toml").write_text(STUDY + '[file]\non_faults = "leave_out"\n')
    assert run(*ask, "--overwrite", "--on-faults", "raise") == INPUT_AT_FAULT
    assert run(*ask, "--overwrite") == DONE


def test_a_folder_that_cannot_be_written_is_the_users_to_change(sheet, tmp_path, quick, capsys):
    assert_unwritable_is_the_users_to_change(run, sheet, tmp_path, capsys)


def test_an_existing_report_is_replaced_only_when_asked(sheet, tmp_path, quick, capsys):
    assert_replaced_only_when_asked(run, sheet, tmp_path / "out", capsys)


@pytest.mark.parametrize("arguments", [[], ["a.csv", "--demo"], ["a.csv", "--min-cell", "3"], ["a.csv", "--real-ids"]])
def test_wrong_arguments_are_the_users_too(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == INPUT_AT_FAULT
    assert "usage" in capsys.readouterr().err


# ---- our fault, and not converged ------------------------------------------------------------------------------------


def test_a_fault_of_ours_shows_where_and_leaves_the_old_report(sheet, tmp_path, quick, capsys, monkeypatch):
    assert_fault_of_ours(run, sheet, tmp_path / "out", capsys, monkeypatch)


def test_a_model_that_did_not_converge_has_its_own_code(tmp_path, quick, capsys, monkeypatch):
    from alliance_stats.engine.pooling import climb

    find = climb.find_peak
    monkeypatch.setattr(climb, "find_peak", lambda *given: replace(find(*given), converged=False))
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"study": list("aabbccdd"), "r": draw.uniform(0.1, 0.5, 8).round(2), "n": 50})
    frame.to_csv(tmp_path / "several.csv", index=False)
    assert run(tmp_path / "several.csv", "--out", tmp_path / "out") == NOT_CONVERGED
    assert "did not converge" in capsys.readouterr().err
