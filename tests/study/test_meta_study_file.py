"""The study file of a meta-analysis: a closed form, every problem named; and what column names tell without one."""

from dataclasses import asdict

import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.registry import dataset_folder
from alliance_stats.errors import DataError, StudyFileError
from alliance_stats.study.meta import study_file
from alliance_stats.study.meta.guess import guess_meta_study

WHOLE = """
title = "Alliance"
[file]
path = "effects.csv"
missing = ["", "-99"]
on_faults = "leave_out"
[effects]
study = "author"
r = "r_xy"
n = "N"
measure = "ZCOR"
rater = "who"
outcome = "what"
year = "year"
[effects.higher]
"BDI" = "worse"
"GAF" = "better"
[model]
random = ["study/effect", "year"]
rho = 0.5
method = "ML"
robust = "none"
test = "t"
subgroup = "who"
prediction = "riley"
level = 0.9
[moderators]
each = ["who", "year"]
together = "who + year"
[report]
title = "Page"
columns = ["who"]
by = "who"
order = "yi"
alternative = "less"
n_boot = 99
n_subsets = 70
seed = 3
topic = "alliance-outcome"
"""


def read(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return als.read_meta_study(path)


def test_every_key_reaches_its_place(tmp_path):
    study = read(tmp_path, WHOLE)
    assert (study.title, study.file, study.options.missing, study.options.on_faults) == (
        "Alliance", "effects.csv", ("", "-99"), "leave_out",
    )  # fmt: skip
    columns = asdict(study.columns)
    assert columns["higher"] == {"BDI": "worse", "GAF": "better"}
    assert (columns["study"], columns["r"], columns["n"], columns["effect"], columns["yi"]) == (
        "author", "r_xy", "N", None, None,
    )  # fmt: skip
    assert asdict(study.model) == {
        "random": ("study/effect", "year"), "rho": 0.5, "method": "ML", "test": "t", "robust": "none",
        "subgroup": "who", "prediction": "riley", "level": 0.9,
    }  # fmt: skip
    assert asdict(study.moderators) == {"each": ("who", "year"), "together": "who + year"}
    assert asdict(study.report) == {
        "title": "Page", "columns": ("who",), "by": "who", "order": "yi", "alternative": "less", "n_boot": 99,
        "n_subsets": 70, "seed": 3, "topic": "alliance-outcome",
    }  # fmt: skip


def test_the_least_that_is_needed_is_r_and_n(tmp_path):
    study = read(tmp_path, '[effects]\nr = "r"\nn = "n"\n')
    assert study.columns.study == "study"
    assert study.model == study_file.ModelOptions()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[moderators]", "[moderator]", "'moderator' is no table of a study file of a meta-analysis. Did you mean"),
        ('rater = "who"', 'rator = "who"', r"\[effects\] unknown key 'rator'. Did you mean 'rater'"),
        ("rho = 0.5", "rho = 1.0", r"\[model\] rho = 1.0 must be a number in \[0, 1\)"),
        ("rho = 0.5", "rho = true", r"rho = True must be a number"),
        ("rho = 0.5", "roh = 0.5", "unknown key 'roh'. Did you mean 'rho'"),
        ('"ML"', '"REMLL"', "method = 'REMLL' is not understood. Did you mean 'REML'"),
        ('"none"', '"CR9"', "robust = 'CR9' is not understood"),
        ("level = 0.9", "level = 95", r"\[model\] level = 95 must be a number in \(0, 1\), e.g. 0.95"),
        ("level = 0.9", "level = 1", r"\[model\] level = 1 must be a number"),
        ("level = 0.9", "level = 0.0", r"\[model\] level = 0.0 must be a number"),
        ("level = 0.9", 'level = "90%"', r"\[model\] level = '90%' must be a number"),
        ("level = 0.9", "level = nan", r"\[model\] level = nan must be a number"),
        ('"riley"', '"rily"', "prediction = 'rily' is not understood. Did you mean 'riley'"),
        ('subgroup = "who"', "subgroup = 2", r"\[model\] subgroup = 2 must be text"),
        ('"t"', '"T"', "test = 'T' is not understood. Did you mean 't'"),
        ('"ZCOR"', '"SMD"', "measure = 'SMD' is not understood"),
        ('random = ["study/effect", "year"]', "random = 3", "random = 3 must be a path of levels"),
        ('random = ["study/effect", "year"]', 'random = "study//effect"', "names no levels"),
        ('each = ["who", "year"]', 'each = "who"', r"\[moderators\] each = 'who' must be a list of columns"),
        ("n_boot = 99", "n_boot = 9", "n_boot = 9 must be a whole number, 50 or more"),
        ("n_subsets = 70", "n_subsets = -1", "n_subsets = -1 must be a whole number, 0 or more"),
        ('alternative = "less"', 'alternative = "lower"', "alternative = 'lower' is not understood"),
        ('"BDI" = "worse"', '"BDI" = "low"', r"\[effects.higher\] 'BDI' = 'low' must be"),
        ('outcome = "what"', "", r"\[effects.higher\] goes by outcome, and \[effects\] outcome is missing"),
        ('r = "r_xy"', "", "r and n .* are missing, or yi and vi"),
        ('n = "N"', "n = 3", r"\[effects\] n = 3 must be the name of a column"),
        ('path = "effects.csv"', 'wide = "a_{session}"', r"\[file\] unknown key 'wide'"),
        ("title = \"Alliance\"", "title = = 1", "no valid TOML"),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_the_way_out(tmp_path, old, new, message):
    assert old in WHOLE
    with pytest.raises(StudyFileError, match=message):
        read(tmp_path, WHOLE.replace(old, new, 1))


def test_all_problems_are_listed_together(tmp_path):
    text = WHOLE.replace("rho = 0.5", "rho = 2").replace('"ML"', '"X"').replace("n_boot = 99", 'n_boot = "x"')
    with pytest.raises(StudyFileError, match=r"3 problems in study.toml"):
        read(tmp_path, text)


def test_the_study_file_that_comes_along_is_read():
    study = als.read_meta_study(dataset_folder("simulated_effects") / "study.toml")
    assert study.moderators.each == ("rater", "year")


def test_usual_names_are_recognised_and_said():
    study = guess_meta_study(pd.DataFrame(columns=["Study ID", "ES_id", "Sample size", "Correlation", "Pub. year"]))
    columns = study.columns
    assert (columns.study, columns.effect, columns.n, columns.r, columns.year) == (
        "Study ID", "ES_id", "Sample size", "Correlation", "Pub. year",
    )  # fmt: skip
    assert "'Correlation' is the correlation." in study.assumed


def test_correlations_come_before_coded_effects_and_coded_effects_serve_without_them():
    with_r = guess_meta_study(pd.DataFrame(columns=["study", "r", "n", "yi", "vi"])).columns
    assert (with_r.r, with_r.yi) == ("r", None)
    coded = guess_meta_study(pd.DataFrame(columns=["study", "Fisher z", "vi", "n"]))
    assert (coded.columns.yi, coded.columns.measure, coded.columns.r) == ("Fisher z", "ZCOR", None)
    assert "Effects are Fisher's z." in coded.assumed


def test_several_columns_that_would_fit_are_named():
    study = guess_meta_study(pd.DataFrame(columns=["author", "study", "r", "n"]))
    assert study.columns.study == "study"
    assert "'study' is the study. ('author' would also fit.)" in study.assumed


def test_what_is_not_recognised_is_answered_with_a_study_file_that_can_be_completed(tmp_path):
    with pytest.raises(DataError, match="no column for the study") as caught:
        guess_meta_study(pd.DataFrame(columns=["=x\n[report]", "r", "n"]))
    text = str(caught.value).partition("--study:")[2]
    assert "[report]" not in text.splitlines()
    study = read(tmp_path, text.replace('"…"', '"x"'))
    assert (study.columns.study, study.columns.r) == ("x", "r")
