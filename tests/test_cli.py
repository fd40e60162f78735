"""The command line: arguments, streams, exit codes; and the two data sets it must serve."""

import html
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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
from alliance_stats.models import mixed as mixed_module
from alliance_stats.report.figures import canvas
from alliance_stats.study import pipeline

STUDY = """
title = "Clinic"
[columns]
patient = "pid"
session = "sess"
[scores.alliance]
column = "wai"
range = [1, 7]
higher = "better"
label = "WAI-SR"
[scores.outcome]
column = "phq9"
higher = "worse"
label = "PHQ-9"
"""


@pytest.fixture(scope="module")
def frame():
    names = {"patient_id": "pid", "therapist_id": "tid", "session": "sess", "alliance": "wai", "outcome": "phq9"}
    return als.simulate_sessions(4, 5, 6, 0.0, seed=6).frame.rename(columns=names)


@pytest.fixture
def clinic(frame, tmp_path):
    """A small file without therapists: two models less per report."""
    path = tmp_path / "clinic.csv"
    frame.drop(columns="tid").to_csv(path, index=False)
    return path


def run(*arguments):
    return cli.main(["report", *map(str, arguments)])


def page_of(folder):
    text = re.sub(
        r"<(style|textarea).*?</\1>", "", (folder / "report.html").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


# ---- done ------------------------------------------------------------------------------------------------------------


def test_a_file_with_usual_names_needs_no_study_file(clinic, tmp_path, quick, capsys):
    assert run(clinic, "--out", tmp_path / "out") == DONE
    streams = capsys.readouterr()
    assert streams.out == f"Report: {tmp_path / 'out' / 'report.html'}\n"
    assert "Assumed: 'wai' is the alliance; higher is better." in streams.err
    assert "Assumed from the column names: 'pid' is the patient." in page_of(tmp_path / "out")


def test_a_study_file_says_what_is_what(clinic, tmp_path, quick, capsys):
    (tmp_path / "study.toml").write_text(STUDY)
    assert run(clinic, "--study", tmp_path / "study.toml", "--out", tmp_path / "out") == DONE
    assert "Assumed" not in capsys.readouterr().err
    page = page_of(tmp_path / "out")
    assert "Clinic" in page
    assert "PHQ-9 was" in page
    assert "(higher values are worse)" in page


def test_quiet_prints_nothing(clinic, tmp_path, quick, capsys):
    assert run(clinic, "--out", tmp_path / "out", "--quiet") == DONE
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_stderr_only(clinic, tmp_path, quick, capsys, monkeypatch):
    import tqdm

    shown_at_once = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda *given, **named: shown_at_once(*given, **{**named, "delay": 0}))
    assert run(clinic, "--out", tmp_path / "out") == DONE
    streams = capsys.readouterr()
    assert "section" in streams.err
    assert len(streams.out.splitlines()) == 1


def test_the_demo_is_written_from_the_data_that_come_along(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(canvas, "_render", lambda *_: b"<svg></svg>")
    assert run("--demo", "--out", tmp_path / "demo", "--quiet") == DONE
    results = json.loads((tmp_path / "demo" / "results.json").read_text(encoding="utf-8"))
    assert list(results["sections"]) == ["who", "growth", "within-between", "change", "therapists"]
    assert results["input"]["simulated"] is True
    assert "SIMULATED" in page_of(tmp_path / "demo")


@pytest.mark.parametrize(
    ("flags", "in_study", "expected"),
    [([], "true", True), (["--real-ids"], "true", False), ([], "false", False), (["--real-ids"], "false", False)],
)
def test_ids_are_pseudonyms_unless_asked_for(clinic, tmp_path, monkeypatch, flags, in_study, expected):
    asked = {}

    def study_report(sessions, out, **named):
        asked.update(named)
        return pipeline.StudyReport(out, None, {}, True)

    monkeypatch.setattr(pipeline, "study_report", study_report)
    (tmp_path / "study.toml").write_text(f"{STUDY}[report]\npseudonyms = {in_study}\n")
    assert run(clinic, "--study", tmp_path / "study.toml", *flags) == DONE
    assert asked["pseudonyms"] is expected


@pytest.mark.parametrize(
    ("flags", "in_study", "expected"),
    [([], "", 1), ([], "min_cell = 5\n", 5), (["--min-cell", 3], "min_cell = 5\n", 3)],
)
def test_the_least_count_shown_is_that_of_the_command_line_or_else_of_the_study(
    clinic, tmp_path, monkeypatch, flags, in_study, expected
):
    asked = {}

    def study_report(sessions, out, **named):
        asked.update(named)
        return pipeline.StudyReport(out, None, {}, True)

    monkeypatch.setattr(pipeline, "study_report", study_report)
    (tmp_path / "study.toml").write_text(f"{STUDY}[report]\n{in_study}")
    assert run(clinic, "--study", tmp_path / "study.toml", *flags) == DONE
    assert asked["min_cell"] == expected


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "alliance_stats", "report", str(tmp_path / "none.csv")],
        capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False,
    )  # fmt: skip
    assert done.returncode == INPUT_AT_FAULT
    assert done.stdout == ""
    assert done.stderr.startswith("alliance-stats: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_version_and_help_end_well(flag, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([flag])
    assert end.value.code == DONE
    assert "alliance-stats" in capsys.readouterr().out


# ---- the input is at fault -------------------------------------------------------------------------------------------


def broken(change):
    """A file made from the sound one by a change of its text."""
    return lambda text: change(text).encode()


FILES = {
    "empty": (broken(lambda text: ""), "clinic.csv"),
    "header only": (broken(lambda text: text.splitlines()[0]), "clinic.csv"),
    "misspelt column": (broken(lambda text: text.replace("pid", "somebody", 1)), "patient"),
    "no score": (broken(lambda text: text.replace("wai", "a1", 1).replace("phq9", "b1", 1)), "a score"),
    "twice the same session": (
        broken(lambda text: text + text.splitlines()[1] + "\n"),
        "same patient and session again",
    ),
    "session is no number": (broken(lambda text: text.replace(",1,", ",first,", 1)), "session"),
    "a picture": (lambda text: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "clinic.csv"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_at_fault_is_named_and_nothing_is_written(clinic, tmp_path, capsys, kind):
    change, message = FILES[kind]
    clinic.write_bytes(change(clinic.read_text()))
    assert run(clinic, "--out", tmp_path / "out") == INPUT_AT_FAULT
    assert_refused(capsys, message)
    assert [path.name for path in tmp_path.iterdir()] == ["clinic.csv"]


def test_faults_can_be_left_out_and_stand_in_the_report(clinic, tmp_path, quick, capsys):
    clinic.write_text(clinic.read_text() + clinic.read_text().splitlines()[1] + "\n")
    assert run(clinic, "--out", tmp_path / "out", "--on-faults", "raise") == INPUT_AT_FAULT
    assert run(clinic, "--out", tmp_path / "out", "--on-faults", "leave_out", "--quiet") == DONE
    assert "same patient and session again" in page_of(tmp_path / "out")
    with pytest.raises(SystemExit):
        run(clinic, "--on-faults", "ignore")
    assert "invalid choice" in capsys.readouterr().err


def test_the_flag_wins_over_the_study_file(clinic, tmp_path, quick):
    clinic.write_text(clinic.read_text() + clinic.read_text().splitlines()[1] + "\n")
    (tmp_path / "study.toml").write_text(STUDY + '[file]\non_faults = "leave_out"\n')
    ask = (clinic, "--study", tmp_path / "study.toml", "--quiet", "--out", tmp_path / "out")
    assert run(*ask, "--on-faults", "raise") == INPUT_AT_FAULT
    assert run(*ask) == DONE


@pytest.mark.parametrize("kind", ["xlsx", "sav", "dta", "parquet", "feather"])
def test_files_of_other_kinds_are_read(frame, tmp_path, quick, kind):
    path = tmp_path / "clinic.data"
    small = frame.drop(columns="tid")
    if kind in ("sav", "dta"):
        getattr(pytest.importorskip("pyreadstat"), f"write_{kind}")(small, path)
    elif kind == "xlsx":
        pytest.importorskip("openpyxl")
        small.to_excel(tmp_path / "clinic.xlsx", index=False)
        path = tmp_path / "clinic.xlsx"
    else:
        pytest.importorskip("pyarrow")
        getattr(small, f"to_{kind}")(path)
    assert run(path, "--out", tmp_path / "out", "--quiet") == DONE
    assert f"{len(frame)} sessions of {frame['pid'].nunique()} patients" in page_of(tmp_path / "out")


def test_a_wide_file_is_answered_with_a_study_file_that_reads_it(frame, tmp_path, quick, capsys):
    wide = frame.pivot_table(index="pid", columns="sess", values=["wai", "phq9"])
    wide.columns = [f"{score}_t{session}" for score, session in wide.columns]
    path = tmp_path / "wide.csv"
    wide.reset_index().to_csv(path, index=False)
    assert run(path, "--out", tmp_path / "out") == INPUT_AT_FAULT
    message = capsys.readouterr().err
    assert "'wai_t{session}': 6 columns, sessions 1–6" in message
    (tmp_path / "study.toml").write_text(message.partition("--study:")[2], encoding="utf-8")
    assert run(path, "--study", tmp_path / "study.toml", "--out", tmp_path / "out", "--quiet") == DONE
    assert f"{len(frame)} sessions of {frame['pid'].nunique()} patients" in page_of(tmp_path / "out")


def test_a_missing_file_and_a_folder_are_named(tmp_path, capsys):
    for path in (tmp_path / "none.csv", tmp_path):
        assert run(path, "--out", tmp_path / "out") == INPUT_AT_FAULT
        assert path.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("[columns]", "[colums]"), "Did you mean 'columns'"),
        (lambda text: text.replace("patient =", "patiant ="), "Did you mean 'patient'"),
        (lambda text: text.replace('"wai"', '"wia"'), "Did you mean 'wai'"),
        (lambda text: text.replace("[1, 7]", "[1, 2]"), "out of range"),
        (lambda text: text.replace('"better"', '"up"'), "higher"),
        (lambda text: text + "= =", "TOML"),
    ],
)
def test_a_study_file_at_fault_names_the_key(clinic, tmp_path, capsys, change, message):
    (tmp_path / "study.toml").write_text(change(STUDY))
    assert run(clinic, "--study", tmp_path / "study.toml", "--out", tmp_path / "out") == INPUT_AT_FAULT
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_study_file_is_named(clinic, tmp_path, capsys):
    assert run(clinic, "--study", tmp_path / "none.toml") == INPUT_AT_FAULT
    assert "none.toml" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_the_users_to_change(clinic, tmp_path, quick, capsys):
    assert_unwritable_is_the_users_to_change(run, clinic, tmp_path, capsys)


def test_an_existing_report_is_refused_and_replaced_only_when_asked(clinic, tmp_path, quick, capsys):
    assert_replaced_only_when_asked(run, clinic, tmp_path / "out", capsys)


def test_a_folder_that_is_no_report_is_not_replaced_even_when_asked(clinic, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.docx").write_text("")
    assert run(clinic, "--out", tmp_path / "thesis", "--overwrite") == INPUT_AT_FAULT
    assert "not a report folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["report"], ["report", "a.csv", "--demo"], ["report", "a.csv", "--oot", "x"]]
)
def test_wrong_arguments_are_the_users_too(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == INPUT_AT_FAULT
    assert "usage" in capsys.readouterr().err


# ---- our fault, and not converged ------------------------------------------------------------------------------------


def test_a_fault_of_ours_shows_where_and_leaves_the_old_report(clinic, tmp_path, quick, capsys, monkeypatch):
    error = assert_fault_of_ours(run, clinic, tmp_path / "out", capsys, monkeypatch)
    assert f"alliance-stats {als.__version__}: this is a fault of ours." in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clinic.csv", "out"]


def test_a_model_that_did_not_converge_is_written_and_said(clinic, tmp_path, quick, capsys, monkeypatch):
    fit = mixed_module.fit_mixed

    def stops_short(design, reml=True):
        solution = fit(design, reml)
        return replace(solution, story=replace(solution.story, converged=False, message="Stopped short."))

    monkeypatch.setattr(mixed_module, "fit_mixed", stops_short)
    assert run(clinic, "--out", tmp_path / "out") == NOT_CONVERGED
    streams = capsys.readouterr()
    assert streams.out.startswith("Report: ")
    assert "A model did not converge; the report says which." in streams.err
    assert "Stopped short." in page_of(tmp_path / "out")


# ---- files as clinics write them -------------------------------------------------------------------------------------


def test_german_excel_files_are_read(frame, tmp_path, quick):
    path = tmp_path / "klinik.csv"
    german = frame.rename(columns={"pid": "Patient", "tid": "Therapeut", "sess": "Sitzung"})
    german = german.assign(Therapeut="Müller " + german["Therapeut"])
    path.write_bytes(german.to_csv(sep=";", decimal=",", index=False).encode("latin-1"))
    assert run(path, "--out", tmp_path / "out", "--quiet") == DONE
    page = page_of(tmp_path / "out")
    assert f"The data hold {len(frame)} sessions of 20 patients with 4 therapists" in page
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    stored = pd.DataFrame(results["sections"]["growth"]["table"])
    own = frame.rename(columns={"pid": "patient_id", "tid": "therapist_id", "sess": "session", "wai": "alliance"})
    np.testing.assert_allclose(stored["estimate"], als.growth(own).table()["estimate"], rtol=1e-6)


AWKWARD = {
    "three patients": (lambda f: f[f["pid"].isin(f["pid"].unique()[:3])], "of 3 patients"),
    "no therapist column": (lambda f: f.drop(columns="tid"), "The data name no therapists"),
    "outcome half empty": (
        lambda f: f.drop(columns="tid").assign(phq9=f["phq9"].where(f["sess"] % 2 == 0)),
        "missing values in: outcome",
    ),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_files_give_a_page_that_says_what_cannot_be_said(frame, tmp_path, quick, case):
    change, said = AWKWARD[case]
    path = tmp_path / "clinic.csv"
    change(frame).to_csv(path, index=False)
    assert run(path, "--out", tmp_path / "out", "--quiet") == DONE
    assert said in page_of(tmp_path / "out")


# ---- the real data ---------------------------------------------------------------------------------------------------

REAL = Path(os.environ.get("ALLIANCE_STATS_DATA", "")) / "implement" / "implement_composites.csv"


@pytest.mark.skipif(
    not os.environ.get("ALLIANCE_STATS_DATA") or not REAL.exists(),
    reason="ALLIANCE_STATS_DATA does not name the folder of the real data",
)
def test_the_report_on_the_57_patients(tmp_path, quick):
    assert run(REAL, "--out", tmp_path / "out", "--quiet") == DONE
    page = page_of(tmp_path / "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    counts = {row["what"]: row["n"] for row in results["sections"]["who"]["counts"]}
    # from the data's README
    assert (counts["Patients"], counts["Therapists"], counts["Sessions with WAI"]) == (57, 13, 707)
    assert "No patient changed therapist; the section on changes of therapist is left out." in page
    assert list(results["sections"]) == ["who", "growth", "within-between", "therapists"]
    slope = pd.DataFrame(results["sections"]["growth"]["table"]).set_index("term").loc["sessions_since_start"]
    # lme4, without the therapists' term: .036008 (SE .004799)
    np.testing.assert_allclose(slope[["estimate", "std_error"]].astype(float), [0.036008, 0.004799], rtol=2e-3)
    glance = results["sections"]["therapists"]["glance"]
    assert (glance["icc_therapist"], glance["icc_ci_low"], glance["lr_p_value"], glance["singular"]) == (0, 0, 1, True)
    assert "estimated at zero (on the boundary)" in page
    assert "these data show no differences between therapists" in page


@pytest.mark.skipif(
    not os.environ.get("ALLIANCE_STATS_DATA") or not REAL.exists(),
    reason="ALLIANCE_STATS_DATA does not name the folder of the real data",
)
def test_growth_of_the_57_patients_is_that_of_lme4():
    frame = pd.read_csv(io.StringIO(REAL.read_text()), dtype={"patient": "str"})
    result = als.growth(frame, "wai", patient="patient", therapist=None, session="time")
    # lme4: wai ~ time0 + (1 + time0 | patient), REML; it stops early, hence 1e-4
    np.testing.assert_allclose(result.table()["estimate"], [0.095585, 0.036008], rtol=1e-4)
    np.testing.assert_allclose(result.table()["std_error"].iloc[1], 0.004799, rtol=1e-4)
    np.testing.assert_allclose(result.glance()["deviance"], 592.5971, rtol=1e-6)
