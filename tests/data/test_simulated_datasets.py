"""Every simulated data set: says so, can be made again, and holds the truth that it claims."""

import csv
import importlib.util
import re

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.registry import dataset_entry, dataset_folder
from alliance_stats.errors import DataError
from alliance_stats.simulate.files import check_ranges, write_simulated

LISTED = als.datasets()
ALL = LISTED.loc[LISTED["simulated"] & (LISTED["kind"] == "sessions"), "name"].tolist()
every_set = pytest.mark.parametrize("name", ALL)


def truth(name):
    return pd.read_csv(dataset_folder(name) / "truth.csv").set_index("parameter")["value"]


def estimates(fit):
    return fit.table().set_index("term")[["estimate", "std_error"]]


def check_near(found, expected, n_errors=3):
    """Compare estimates with the truth; three standard errors are passed by chance once in 370 times."""
    for term, value in expected.items():
        estimate, error = found.loc[term]
        assert abs(estimate - value) < n_errors * error, (term, estimate, value, error)


def test_there_is_one_for_each_kind_of_question():
    assert ALL == ["simulated_alliance", "simulated_dropout", "simulated_ratings", "simulated_sites"]
    effects = LISTED.loc[LISTED["simulated"] & (LISTED["kind"] == "effects"), "name"].tolist()
    assert effects == ["simulated_effects"]


@every_set
def test_it_says_simulated_in_name_title_first_glossary_line_and_when_loaded(name):
    entry, table = dataset_entry(name), als.load_dataset(name)
    assert name.startswith("simulated_")
    assert "SIMULATED" in entry.title
    assert "SIMULATED" in next(iter(entry.glossary.values()))
    assert table.source.simulated
    assert "SIMULATED" in repr(table)
    assert "No person was asked anything" in entry.origin


@every_set
def test_every_figure_of_it_says_simulated(name):
    table = als.load_dataset(name)
    drawn = als.mixed("outcome ~ session + (1 | patient_id) + (1 | therapist_id)", table).plot("caterpillar")
    stamped = [text.get_text() for text in drawn.figure.findobj() if hasattr(text, "get_text")]
    assert any("simulated" in text.lower() for text in stamped)
    assert drawn.caption.startswith("Simulated data. ")


@every_set
def test_glossary_explains_every_column_in_order(name):
    with (dataset_folder(name) / "sessions.csv").open(encoding="utf-8") as file:
        assert list(dataset_entry(name).glossary) == next(csv.reader(file))
    assert set(als.load_dataset(name).frame.columns) == set(dataset_entry(name).glossary)


@every_set
def test_making_it_again_gives_the_identical_files(name, tmp_path):
    folder = dataset_folder(name)
    spec = importlib.util.spec_from_file_location(f"make_{name}", folder / "make.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.write(tmp_path) if hasattr(made, "write") else write_simulated(tmp_path, made.make())
    for file in ("sessions.csv", "truth.csv"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


@every_set
def test_it_has_no_fault_worth_a_row_and_the_registered_size(name):
    table = als.load_dataset(name)
    assert (table.faults["done"] == "kept").all()
    assert len(table) == dataset_entry(name).n_rows


@every_set
def test_numbers_in_title_and_glossary_are_those_of_the_data(name):
    entry, frame = dataset_entry(name), als.load_dataset(name).frame
    words = entry.title + " ".join(entry.glossary.values())
    for pattern, n in (
        (r"(\d+) (?:patients|courses of)", frame["patient_id"].nunique()),
        (r"P0001 to P0*(\d+)", frame["patient_id"].nunique()),
        (r"T01 to T(\d+)", frame["therapist_id"].nunique()),
        (r"(?:patient, 1 to) (\d+)", frame["session"].max()),
    ):
        assert {int(number) for number in re.findall(pattern, words)} <= {n}
        assert re.search(pattern, words)


def test_therapists_ratings_recover_their_truth():
    frame, true = als.center(als.load_dataset("simulated_ratings"), "alliance").frame, truth("simulated_ratings")
    data = frame.assign(patients_mean=frame["alliance_between"] - 3.5)
    formula = "alliance_therapist ~ patients_mean + alliance_within + (1 | patient_id) + (1 | therapist_id)"
    fit = als.mixed(formula, data)
    expected = {"(Intercept)": 3.5 + true["bias"], "patients_mean": true["truth_between"]}
    check_near(estimates(fit), {**expected, "alliance_within": true["truth_within"]})
    spread = fit.variance().set_index("group")["sdcor"]
    # a standard deviation of 120 patients, 20 therapists, 950 ratings is known to 10 %, 20 %, 3 %
    assert spread["patient_id"] == pytest.approx(true["therapist_view_patient_sd"], rel=0.3)
    assert spread["therapist_id"] == pytest.approx(true["therapist_view_therapist_sd"], rel=0.6)
    assert spread["residual"] == pytest.approx(true["therapist_view_residual_sd"], rel=0.09)
    assert frame["alliance_therapist"].isna().sum() == 32  # as the glossary says


def test_dropout_recovers_its_hazard():
    import statsmodels.api as sm

    frame, true = als.load_dataset("simulated_dropout").frame, truth("simulated_dropout")
    at_risk = frame[frame["session"] < 16]
    x = sm.add_constant(at_risk["alliance"] - true["alliance_intercept"])
    fit = sm.Logit(at_risk["dropped_out"], x).fit(disp=0)
    found = pd.DataFrame({"estimate": fit.params, "std_error": fit.bse})
    check_near(found, {"const": true["dropout_intercept"], "alliance": true["dropout_alliance"]})


def test_dropout_is_marked_at_the_last_session_of_a_course_cut_short_and_nowhere_else():
    frame = als.load_dataset("simulated_dropout").frame
    last = frame.groupby("patient_id")["session"].transform("max")
    assert (frame["dropped_out"] == ((frame["session"] == last) & (last < 16))).all()
    assert frame["dropped_out"].sum() == 73  # as the title says


def test_sites_recover_their_effects():
    frame, true = als.load_dataset("simulated_sites").frame, truth("simulated_sites")
    data = als.center(frame.assign(time=frame["session"] - 1), "alliance")
    for formula, score in (
        ("alliance ~ time + site_id + (1 + time | patient_id) + (1 | therapist_id)", "alliance"),
        (
            "outcome ~ time + alliance_within + alliance_between + site_id + (1 | patient_id) + (1 | therapist_id)",
            "outcome",
        ),
    ):
        found = estimates(als.mixed(formula, data))
        first = true[f"{score}_site_S1"]
        sites = {f"site_id[T.S{k}]": true[f"{score}_site_S{k}"] - first for k in range(2, 7)}
        check_near(found, {"time": true[f"{score}_slope"], **sites}, n_errors=3.5)


def test_each_therapist_of_a_site_works_there_alone():
    frame = als.load_dataset("simulated_sites").frame
    assert len(frame[["therapist_id", "site_id"]].drop_duplicates()) == 30
    assert frame.groupby("site_id")["therapist_id"].nunique().tolist() == [8, 6, 5, 4, 4, 3]


def test_a_score_outside_its_scale_asks_for_another_seed():
    frame = pd.DataFrame({"alliance": [1.0, 5.01, np.nan, 0.5]})
    with pytest.raises(DataError, match=r"2 values of alliance fall outside 1 to 5. Choose another seed"):
        check_ranges(frame, {"alliance": (1, 5)})
