"""study_report(): the page, the tables, the figures, every number."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import ColumnError, ConvergenceWarning, DataError, OutputExistsError
from alliance_stats.models import mixed as mixed_module
from alliance_stats.study import pipeline
from alliance_stats.study import written as written_files

ORDER = ["who", "growth", "within-between", "change", "therapists"]


class Page(HTMLParser):
    """What a browser would fetch, run and show."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.fetched, self.links, self.text = [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "background"):
                self.fetched.append(value)
            elif name == "href":
                (self.links if tag == "a" else self.fetched).append(value)
            assert not name.startswith("on"), f"{tag} runs code: {name}={value}"

    def handle_data(self, data):
        if self.lasttag not in ("style", "textarea"):
            self.text += data


def text_of(path):
    return re.sub(r"\s+", " ", Page(path).text)


@pytest.fixture(scope="module")
def report(sessions, tmp_path_factory, fitted_once):
    """One report with everything in it, figures rendered, of patients and therapists with names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_module, "fit_mixed", fitted_once)
        return als.study_report(named(sessions), tmp_path_factory.mktemp("full") / "report")


def named(sessions):
    frame = sessions.frame
    ids = {"patient_id": "Müller-" + frame["patient_id"], "therapist_id": "Dr. Zwicky " + frame["therapist_id"]}
    return sessions.with_frame(frame.assign(**ids))


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def frame_of(sessions):
    return sessions.frame


def without_therapists(sessions):
    """Two models less: for what does not hang on therapists."""
    return sessions.frame.drop(columns="therapist_id")


# ---- the folder ------------------------------------------------------------------------------------------------------


def test_the_folder_holds_page_numbers_tables_and_figures(report):
    files = written(report.folder)
    assert {"report.html", "results.json"} <= set(files)
    assert {f"figures/{key}.{kind}" for key in ORDER for kind in ("png", "svg")} <= set(files)
    assert {f"tables/{key}.{kind}" for key in ORDER for kind in ("csv", "html")} <= set(files)
    assert {"tables/growth-2.csv", "tables/within-between-2.csv", "tables/therapists-2.csv"} <= set(files)
    assert all(not name.startswith(".") for name in files)
    assert (report.folder / "figures" / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_fetches_nothing_and_runs_nothing(report):
    page = Page(report.page)
    assert "script" not in page.tags
    assert "iframe" not in page.tags
    assert all(source.startswith("data:image/") for source in page.fetched)
    assert all(link.startswith(("#", "https://doi.org/")) for link in page.links)
    style = "".join(re.findall(r"<style.*?</style>", report.page.read_text(encoding="utf-8"), re.DOTALL))
    assert "@import" not in style
    assert "url(http" not in style


def test_the_sections_stand_in_the_order_of_the_questions(report):
    assert [section.key for section in report.document.sections] == ORDER
    text = text_of(report.page)
    places = [text.rindex(section.question) for section in report.document.sections]
    assert places == sorted(places)


def test_each_section_has_a_figure_a_table_sentences_and_its_model(report):
    for section in report.document.sections:
        assert section.figure is not None
        assert section.tables
        assert len(section.sentences) > 80
        assert section.model or section.key == "who"
    assert Page(report.page).tags.count("img") == len(ORDER)


def test_simulated_data_are_marked_on_page_and_figures(report):
    assert "imulated" in text_of(report.page)[:600]
    assert "Simulated data" in (report.folder / "figures" / "change.svg").read_text(encoding="utf-8")


def test_numbers_have_version_hash_and_every_table(report, sessions):
    results = json.loads(
        (report.folder / "results.json").read_text(encoding="utf-8"),
        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"),
    )
    assert (results["package"], results["version"]) == ("alliance_stats", als.__version__)
    assert results["input"]["sha256"] == sessions.source.sha256
    assert results["input"]["simulated"] is True
    assert list(results["sections"]) == ORDER
    assert results["converged"] is True
    growth = als.growth(sessions)
    stored = pd.DataFrame(results["sections"]["growth"]["table"])
    pd.testing.assert_frame_equal(stored, growth.table(), rtol=1e-12)  # full precision
    for key in ORDER[1:]:
        assert {"formula", "table", "glance", "variance", "dropped", "optimizer", "sentences"} <= set(
            results["sections"][key]
        )
    assert {"shapes", "curve"} <= set(results["sections"]["growth"])
    assert "sensitivity" in results["sections"]["within-between"]
    assert {"aligned", "curve"} <= set(results["sections"]["change"])
    assert {"effects", "shares", "test"} <= set(results["sections"]["therapists"])


def test_the_tables_as_csv_hold_full_precision(report, sessions):
    stored = pd.read_csv(report.folder / "tables" / "growth-2.csv")
    shapes = als.growth(sessions).shapes()
    np.testing.assert_allclose(stored["aic"], shapes["aic"], rtol=1e-9)


def test_a_second_run_writes_the_same(report, sessions, tmp_path, quick):
    again = als.study_report(named(sessions), tmp_path / "again")
    assert written(again.folder) == written(report.folder)
    for name in written(report.folder):
        if name.startswith("tables/") or name == "results.json":
            assert (again.folder / name).read_bytes() == (report.folder / name).read_bytes(), name


def test_the_result_shows_in_jupyter(report):
    shown = report._repr_html_()
    assert "report.html" in shown
    assert "Who is in the data" in shown


# ---- what is left out, and said --------------------------------------------------------------------------------------


def test_without_changes_the_page_says_so_and_leaves_the_section_out(sessions, tmp_path, quick):
    frame = frame_of(sessions)
    first = frame.groupby("patient_id")["therapist_id"].transform("first")
    report = als.study_report(frame.assign(therapist_id=first), tmp_path / "r")
    assert [s.key for s in report.document.sections] == ["who", "growth", "within-between", "therapists"]
    assert "No patient changed therapist; the section on changes of therapist is left out." in text_of(report.page)


@pytest.mark.parametrize("therapists", ["no column", "all missing"])
def test_without_therapists_the_page_says_so(sessions, tmp_path, quick, therapists):
    frame = frame_of(sessions)
    empty = pd.Series([None] * len(frame), dtype="str")
    frame = frame.drop(columns="therapist_id") if therapists == "no column" else frame.assign(therapist_id=empty)
    report = als.study_report(frame, tmp_path / "r")
    assert [s.key for s in report.document.sections] == ["who", "growth", "within-between"]
    assert "The data name no therapists" in text_of(report.page)
    assert report.results["sections"]["who"]["n_changes"] == 0


@pytest.mark.parametrize(
    ("gone", "sections"),
    [("outcome", ["who", "growth", "change", "therapists"]), ("alliance", ["who", "therapists"])],
)
def test_with_one_score_the_page_says_which_is_missing(sessions, tmp_path, quick, gone, sections):
    report = als.study_report(frame_of(sessions).drop(columns=gone), tmp_path / "r")
    assert [s.key for s in report.document.sections] == sections
    assert f"The data have no column '{gone}'; the sections that need it are left out." in text_of(report.page)


UNANSWERED = {
    "one therapist": (lambda f: f.assign(therapist_id="T"), {"therapists": "1 therapist in the rows used"}),
    "one session each": (
        lambda f: f[f["session"] == 1],
        {
            "growth": "None of 20 patients has 'alliance' at two sessions",
            "within-between": "does not vary within any of 20 patients",
            "therapists": "None of 20 patients has 'outcome' at two sessions",
        },
    ),
    "outcome all missing": (
        lambda f: f.assign(outcome=np.nan),
        {"within-between": "'outcome' is missing in all", "therapists": "'outcome' is missing in all"},
    ),
    "alliance constant": (
        lambda f: f.assign(alliance=3.0),
        {"growth": "'alliance' is 3 in all", "within-between": "does not vary", "change": "'alliance' is 3 in all"},
    ),
    "one patient": (
        lambda f: f[f["patient_id"] == f["patient_id"].iloc[0]],
        {
            "growth": "1 patient with 'alliance'",
            "within-between": "1 patient: a line between patients needs three",
            "therapists": "1 therapist in the rows used",
        },
    ),
    "two sessions each": (
        lambda f: f[f["session"] < 3].assign(therapist_id=f.groupby("patient_id")["therapist_id"].transform("first")),
        {"growth": "too few for a level and a slope of each patient's own"},
    ),
    "alliance only before changes": (
        lambda f: f.assign(alliance=f["alliance"].where(als.therapist_episodes(f)["after_change"] == 0)),
        {"change": "No session after"},
    ),
}


@pytest.mark.parametrize("case", UNANSWERED)
def test_a_question_that_the_data_cannot_answer_says_so_and_the_others_stand(sessions, tmp_path, quick, case):
    change, expected = UNANSWERED[case]
    report = als.study_report(change(frame_of(sessions)), tmp_path / "r")
    sections = {section.key: section for section in report.document.sections}
    numbers = report.results["sections"]
    refused = {key for key in sections if "not_estimated" in numbers[key]}
    assert refused == set(expected)
    for key, reason in expected.items():
        assert reason in sections[key].sentences
        assert sections[key].sentences.startswith("These data cannot answer the question: ")
        assert f"{sections[key].sentences}" in text_of(report.page)
    assert report.converged
    assert (report.folder / "results.json").exists()


def test_rows_left_out_while_reading_are_counted(tmp_path, quick):
    lines = ["patient_id,session,alliance,outcome"]
    lines += [
        f"p{p},{s},{3 + (p * s) % 4 / 4},{10 - s + p % 3 + (p * s) % 5 / 7}" for p in range(8) for s in range(1, 6)
    ]
    lines += ["p1,2.5,3,9", "p2,x,3,8"]
    path = tmp_path / "clinic.csv"
    path.write_text("\n".join(lines))
    table = als.read_sessions(
        path,
        patient="patient_id",
        session="session",
        scores={"alliance": "alliance", "outcome": "outcome"},
        on_faults="leave_out",
    )
    report = als.study_report(table, tmp_path / "r")
    assert "2 of 42 rows of the file were left out" in text_of(report.page)


# ---- convergence -----------------------------------------------------------------------------------------------------


def never_converges(fit, only=lambda design: True):
    def fit_mixed(design, reml=True):
        solution = fit(design, reml)
        if not only(design):
            return solution
        return replace(
            solution, story=replace(solution.story, converged=False, message="Stopped short of the optimum.")
        )

    return fit_mixed


@pytest.mark.filterwarnings("error::alliance_stats.errors.ConvergenceWarning")
def test_a_model_that_did_not_converge_is_said_on_the_page(sessions, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(mixed_module, "fit_mixed", never_converges(mixed_module.fit_mixed))
    report = als.study_report(without_therapists(sessions), tmp_path / "r")
    assert not report.converged
    assert report.results["converged"] is False
    for section in report.document.sections[1:]:
        assert section.warnings == ("Stopped short of the optimum.",)
    assert "Stopped short of the optimum." in text_of(report.page)
    assert report.results["sections"]["growth"]["glance"]["converged"] is False


def test_a_model_beside_the_main_one_that_did_not_converge_is_said_too(sessions, tmp_path, quick, monkeypatch):
    three_fixed = lambda design: len(design.fixed) == 3  # noqa: E731  (of growth: the quadratic shape only)
    monkeypatch.setattr(mixed_module, "fit_mixed", never_converges(mixed_module.fit_mixed, three_fixed))
    report = als.study_report(frame_of(sessions).drop(columns=["outcome", "therapist_id"]), tmp_path / "r")
    assert not report.converged
    assert "A model beside the main one, shown for comparison, did not converge: Stopped short" in text_of(report.page)


def test_other_warnings_are_passed_on(sessions, tmp_path, quick, monkeypatch):
    import warnings

    fit = mixed_module.fit_mixed

    def warns(design, reml=True):
        warnings.warn("something else", UserWarning, stacklevel=1)
        return fit(design, reml)

    monkeypatch.setattr(mixed_module, "fit_mixed", warns)
    with pytest.warns(UserWarning, match="something else") as caught:
        report = als.study_report(frame_of(sessions).drop(columns=["outcome", "therapist_id"]), tmp_path / "r")
    assert report.converged
    assert not any(issubclass(one.category, ConvergenceWarning) for one in caught)


# ---- who is who ------------------------------------------------------------------------------------------------------


def everything_written(folder):
    return "\n".join((folder / name).read_text(encoding="utf-8", errors="replace") for name in written(folder))


def test_no_id_is_written_anywhere(report):
    text = everything_written(report.folder)
    assert "Zwicky" not in text
    assert "ller-" not in text
    assert "T01" in text
    assert "Zwicky" not in repr(report.results)


def test_real_ids_are_shown_when_asked_for_and_never_stand_in_the_results(sessions, tmp_path, quick):
    report = als.study_report(named(sessions), tmp_path / "r", pseudonyms=False)
    figure = next(section.figure for section in report.document.sections if section.key == "therapists")
    assert any("Dr. Zwicky" in frame.to_string() for frame in figure.data.values())
    results = (report.folder / "results.json").read_text(encoding="utf-8")
    assert "Zwicky" not in results
    levels = {row["level"] for row in report.results["sections"]["therapists"]["effects"]}
    assert all(re.fullmatch(r"T\d+", level) for level in levels)


def test_findings_of_the_reader_name_nobody(sessions, tmp_path, quick):
    frame = frame_of(sessions)
    path = tmp_path / "clinic.csv"
    gappy = frame.assign(patient_id="Huber-" + frame["patient_id"])[frame["session"] != 3].drop(columns="therapist_id")
    gappy.to_csv(path, index=False)
    table = als.read_sessions(
        path,
        patient="patient_id",
        session="session",
        scores={"alliance": "alliance", "outcome": "outcome"},
    )
    assert "Huber-" in table.faults.to_string()  # gaps are noted with the patients
    report = als.study_report(table, tmp_path / "r")
    assert "Huber-" not in everything_written(report.folder)
    assert report.results["sections"]["who"]["faults"]


# ---- hostile and bad input -------------------------------------------------------------------------------------------


def test_hostile_titles_labels_and_ids_stay_text(sessions, tmp_path, quick):
    bad = "<script>alert(1)</script>"
    codebook = Codebook((Variable("alliance", f"=HYPERLINK({bad})", "score"), Variable("outcome", bad, "score")))
    frame = without_therapists(sessions)
    frame = frame.assign(patient_id=bad + frame["patient_id"])
    report = als.study_report(
        SessionTable(frame, codebook), tmp_path / "r", title=f"{bad} & co", assumed=(bad,), pseudonyms=False
    )
    page = Page(report.page)
    assert "script" not in page.tags
    assert bad in page.text
    for path in (report.folder / "tables").glob("*.html"):
        assert "script" not in Page(path).tags


def test_cells_that_a_spreadsheet_would_run_are_defused(sessions, tmp_path, quick):
    labels = {"alliance": "=1+1", "outcome": "@SUM(A1)"}
    codebook = Codebook(tuple(Variable(name, label, "score") for name, label in labels.items()))
    report = als.study_report(SessionTable(without_therapists(sessions), codebook), tmp_path / "r")
    cells = [
        cell
        for path in (report.folder / "tables").glob("*.csv")
        for row in csv.reader(path.open(encoding="utf-8", newline=""))
        for cell in row
    ]
    risky = [
        cell
        for cell in cells
        if re.match(r"[=+@\t-]", cell) and not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|-?inf", cell)
    ]
    assert risky == []
    assert any("'=1+1" in cell for cell in cells)


def test_an_existing_report_is_refused_before_anything_is_estimated(sessions, tmp_path, quick, monkeypatch):
    als.study_report(without_therapists(sessions), tmp_path / "r")
    monkeypatch.setattr(pipeline, "_asked", lambda *_: pytest.fail("estimated first"))
    with pytest.raises(OutputExistsError, match="exists already"):
        als.study_report(sessions, tmp_path / "r")


def test_a_crash_while_writing_leaves_the_old_report(sessions, tmp_path, quick, monkeypatch):
    frame = without_therapists(sessions)
    old = als.study_report(frame, tmp_path / "r").page.read_bytes()

    def disk_full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(written_files, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        als.study_report(frame, tmp_path / "r", title="new", overwrite=True)
    assert (tmp_path / "r" / "report.html").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.drop(columns="patient_id"), ColumnError, "No column 'patient_id'"),
        (lambda f: f.drop(columns="session"), ColumnError, "No column 'session'"),
        (
            lambda f: f.rename(columns={"alliance": "aliance", "outcome": "outcom"}),
            ColumnError,
            "Did you mean 'aliance'",
        ),
        (lambda f: f.iloc[:0], DataError, "0 rows"),
        (lambda f: pd.concat([f, f.iloc[:3]]), DataError, "3 rows repeat a patient and session"),
        (list, DataError, "got list"),
    ],
)
def test_bad_data_are_refused_and_nothing_is_written(sessions, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        als.study_report(change(frame_of(sessions)), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_the_users_frame_is_left_alone(sessions, tmp_path, quick):
    frame = without_therapists(sessions)
    before = frame.copy(deep=True)
    als.study_report(frame, tmp_path / "r")
    pd.testing.assert_frame_equal(frame, before)


def test_shares_and_boundary_speak_of_patients_and_therapists(sessions, tmp_path, quick):
    frame = frame_of(sessions)
    own = frame["outcome"] - frame.groupby("patient_id")["outcome"].transform("mean")
    report = als.study_report(
        frame.assign(outcome=own + 2.0 * (frame.groupby("patient_id").ngroup() % 5)), tmp_path / "r"
    )
    text = text_of(report.page)
    assert "The variance of therapists was estimated at zero (on the boundary)" in text
    assert "no differences between therapists." in text
    shares = pd.read_csv(report.folder / "tables" / "therapists-2.csv")
    assert shares["level"].tolist() == ["Patients", "Therapists", "Residual (sessions)"]


def test_sessions_lost_to_an_unknown_therapist_are_a_warning(sessions, tmp_path, quick):
    frame = frame_of(sessions)
    known = frame["session"] > 3
    report = als.study_report(frame.assign(therapist_id=frame["therapist_id"].where(known)), tmp_path / "r")
    n = int((~known).sum())
    growth = report.document.sections[1]
    assert growth.warnings[0].startswith(f"{n} of {len(frame)} sessions are left out of this section only because")
    assert report.converged
