"""Study files: read, written, and refused with every problem named."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats.data.column_map import ColumnMap, ScoreColumn
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.study_file import ReportOptions, Study, read_study, study_text
from alliance_stats.errors import DataError, StudyFileError

STUDY = """
title = "Alliance in my clinic"
[file]
path = "sessions.csv"
missing = ["NA", "-99"]
decimal = ","
[columns]
patient = "pid"
therapist = "tid"
session = "sess"
[scores.alliance]
column = "wai_total"
range = [1, 5]
higher = "better"
label = "Working alliance (WAI-SR mean)"
[scores.outcome]
column = "phq9"
range = [0, 27]
higher = "worse"
[report]
pseudonyms = true
"""
SMALL = '[columns]\npatient = "p"\nsession = "s"\n'


@pytest.fixture
def study(tmp_path):
    def read(text):
        path = tmp_path / "study.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return read_study(path)

    return read


def test_a_study_file_is_read_into_plain_data(study, tmp_path):
    assert study(STUDY) == Study(
        title="Alliance in my clinic",
        columns=ColumnMap(
            patient="pid",
            therapist="tid",
            session="sess",
            scores=(
                ScoreColumn("alliance", "wai_total", 1, 5, "better", "Working alliance (WAI-SR mean)"),
                ScoreColumn("outcome", "phq9", 0, 27, "worse"),
            ),
        ),
        file="sessions.csv",
        options=ReadOptions(missing=("", "NA", "-99"), decimal=","),
        report=ReportOptions(alliance="alliance", outcome="outcome"),
        folder=tmp_path,
    )


def test_the_study_reads_its_file_from_its_own_folder(study, tmp_path):
    (tmp_path / "sessions.csv").write_text("pid;tid;sess;wai_total;phq9\n01;T;1;3,5;-99\n01;T;2;4;9\n")
    table = study(STUDY).read()
    assert table.frame["alliance"].tolist() == [3.5, 4.0]
    assert table.frame["outcome"].isna().tolist() == [True, False]  # −99 is a missing code, and no score out of range
    assert table.codebook["outcome"].higher == "worse"


def test_a_path_overrides_the_file_of_the_study(study, tmp_path):
    (tmp_path / "other.csv").write_text("pid;tid;sess;wai_total;phq9\n01;T;1;3,5;9\n")
    assert study(STUDY).read(tmp_path / "other.csv").source.name == "other.csv"


def test_a_study_without_a_file_asks_for_a_path(study):
    with pytest.raises(StudyFileError, match=r"names no data file.*\[file\] path"):
        study(SMALL).read()


def test_a_byte_order_mark_is_no_fault(study):
    assert study(b"\xef\xbb\xbf" + SMALL.encode()).columns.patient == "p"


def test_several_problems_are_listed_together(study):
    text = (
        STUDY.replace('higher = "worse"', 'hgiher = "up"')
        .replace("therapist =", "terapist =")
        .replace("[report]", "[reprot]")
    )
    with pytest.raises(StudyFileError) as caught:
        study(text)
    message = str(caught.value)
    assert message.startswith("3 problems in study.toml:")
    assert "'reprot' is no table of a study file. Did you mean 'report'?" in message
    assert "[columns] unknown key 'terapist'. Did you mean 'therapist'?" in message
    assert "[scores.outcome] unknown key 'hgiher'. Did you mean 'higher'?" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "patient is missing"),
        ('[columns]\npatient = "p"\n', r"session is missing \(or date\)"),
        ('[columns]\npatient = 3\nsession = "s"\n', "patient = 3 must be the name of a column"),
        ('[columns]\npatient = "p"\nsession = "p"\n', "'p' is given twice"),
        ("columns = 3\n", "'columns' must be a table"),
        ("title = 3\n" + SMALL, "title = 3 must be text"),
        (SMALL + "[scores]\nalliance = 'wai'\n", r"\[scores.alliance\] it must be a table"),
        (SMALL + "[scores.alliance]\n", "'column' is missing"),
        (SMALL + "[scores.alliance]\ncolumn = 'w'\nhigher = 'up'\n", "higher = 'up' must be 'better' or 'worse'"),
        (SMALL + "[scores.alliance]\ncolumn = 'w'\nrange = [5, 1]\n", r"range = \[5, 1\] must be two numbers"),
        (SMALL + "[scores.alliance]\ncolumn = 'w'\nrange = [nan, 1]\n", "must be two numbers"),
        (SMALL + "[scores.alliance]\ncolumn = 'w'\nrange = [true, 5]\n", "must be two numbers"),
        (SMALL + f"[scores.alliance]\ncolumn = 'w'\nrange = [0, {10**400}]\n", "must be two numbers"),
        (SMALL + "[scores.'my wai']\ncolumn = 'w'\n", "'my wai' cannot be a score's name"),
        (SMALL + "[file]\ndecimal = 'dot'\n", "decimal='dot' is not understood"),
        (SMALL + "[file]\nmissing = 'NA'\n", "must be a list of texts"),
        (SMALL + "[file]\non_fault = 'raise'\n", "Did you mean 'on_faults'"),
        (SMALL + "[file]\nencoding = 'latin-9-ish'\n", "encoding='latin-9-ish' is not known"),
        (SMALL + "[report]\npseudonyms = 'yes'\n", "pseudonyms = 'yes' must be true or false"),
        (SMALL + "[report]\nmin_cell = 0\n", "min_cell = 0 must be a whole number, 1 or more"),
        (SMALL + "[report]\nmin_cell = true\n", "min_cell = True must be a whole number, 1 or more"),
        (
            SMALL + "[scores.wai]\ncolumn = 'w'\n[report]\nalliance = 'wia'\n",
            "'wia' is none of the scores. Did you mean 'wai'",
        ),
    ],
)
def test_wrong_keys_and_values_are_named(study, text, message):
    with pytest.raises(StudyFileError, match=message):
        study(text)


def test_a_syntax_error_names_the_line(study):
    with pytest.raises(StudyFileError, match=r"no valid TOML: .*line 2"):
        study("title = 'x'\npatient = pid\n")


def test_a_windows_path_in_double_quotes_gets_advice(study):
    with pytest.raises(StudyFileError, match="single quotes"):
        study(SMALL + '[file]\npath = "C:\\Users\\me.csv"\n')


def test_a_study_file_that_is_not_utf8_says_so(study):
    with pytest.raises(StudyFileError, match=r"not UTF-8 \(line 2\)"):
        study("title = 'x'\n# Größe\n".encode("cp1252"))


def test_deep_nesting_is_refused(study):
    with pytest.raises(StudyFileError):
        study("x = " + "[" * 5000)


def test_a_missing_study_file_is_named(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_study(tmp_path / "study.toml")


def test_a_study_file_runs_nothing(study):
    text = '__import__("os").system("true")'
    assert study(f"title = '{text}'\n" + SMALL).title == text


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(title=words, names=st.lists(words, min_size=3, max_size=3, unique=True), codes=st.lists(words, max_size=2))
def test_what_is_written_is_read_back(tmp_path_factory, title, names, codes):
    score = ScoreColumn("größe", names[2], 0.5, 27, "worse", title)
    columns = ColumnMap(names[0], date=names[1], scores=(score,))
    made = Study(title, columns, "f.csv", ReadOptions(tuple(codes), "tab"), ReportOptions(title, "größe"), (title,))
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(study_text(made, tuple(names)), encoding="utf-8", newline="")
    assert read_study(path) == replace(made, assumed=())


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=80) | st.text(max_size=60).map(lambda text: (SMALL + text).encode("utf-8", "replace"))
)
def test_any_content_is_read_or_refused_on_purpose(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_bytes(content)
    try:
        study = read_study(path)
    except StudyFileError:
        return
    assert study.columns.patient == "p"


def test_options_of_layout_survive_being_written(tmp_path):
    options = ReadOptions(
        sheet=("2020", "2021"),
        header_rows=(2, 3),
        wide={"wai_i{item}": "wai_t{session}_i{item}"},
        occasions={"pre": 1, "post, late": 2},
        restarts="continue",
        date_format="excel-1904",
    )
    score = ScoreColumn("alliance", "wai_i01", 1.0, 5.0, "better", "WAI", ("99", "-9"))
    study = Study("Clinic", ColumnMap("pid", session="s", scores=(score,)), "clinic.xlsx", options)
    (tmp_path / "study.toml").write_text(study_text(study), encoding="utf-8")
    again = read_study(tmp_path / "study.toml")
    assert again.options == options
    assert again.columns == study.columns
