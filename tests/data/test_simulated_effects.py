"""The simulated coding sheet: says so, can be made again, and holds the truth that it claims."""

import csv
import importlib.util

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.registry import dataset_entry, dataset_folder

FOLDER = dataset_folder("simulated_effects")
WORSE = ("BDI-II", "PHQ-9", "OQ-45")


@pytest.fixture(scope="module")
def effects():
    return als.read_meta_study(FOLDER / "study.toml").read()


def test_it_says_simulated_in_name_title_first_glossary_line_and_when_loaded():
    entry, frame = dataset_entry("simulated_effects"), als.load_dataset("simulated_effects")
    assert "SIMULATED" in entry.title
    assert "SIMULATED" in next(iter(entry.glossary.values()))
    assert "No person was asked anything" in entry.origin
    assert frame.attrs["simulated"]
    assert frame["study"].str.startswith("Simulated study").all()


def test_glossary_explains_every_column_in_order_and_the_counts_are_those_of_the_data():
    entry, frame = dataset_entry("simulated_effects"), als.load_dataset("simulated_effects")
    with (FOLDER / "effects.csv").open(encoding="utf-8") as file:
        assert list(entry.glossary) == next(csv.reader(file))
    assert (len(frame), frame["study"].nunique()) == (191, 60)
    assert "191 effects of 60 studies" in entry.title
    assert (frame["year"].min(), frame["year"].max()) == (1991, 2024)


def test_making_it_again_gives_the_identical_files(tmp_path):
    spec = importlib.util.spec_from_file_location("make_simulated_effects", FOLDER / "make.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.write(tmp_path)
    for file in ("effects.csv", "truth.csv"):
        assert (tmp_path / file).read_bytes() == (FOLDER / file).read_bytes()


def test_signs_are_aligned_by_the_study_file(effects):
    raw = als.load_dataset("simulated_effects")
    signs = np.where(raw["outcome"].isin(WORSE), -1, 1)
    np.testing.assert_allclose(effects["yi"], signs * np.arctanh(raw["r"]), rtol=1e-14)


def test_the_effects_recover_their_truth(effects):
    true = pd.read_csv(FOLDER / "truth.csv").set_index("parameter")["value"]
    patient = effects.assign(
        therapist=(effects["rater"] == "therapist") * 1.0, observer=(effects["rater"] == "observer") * 1.0
    )
    fit = als.meta.multilevel(patient, mods="therapist + observer", rho=true["rho"])
    found = fit.table().set_index("term")
    expected = {"(Intercept)": "mean_z", "therapist": "therapist_shift", "observer": "observer_shift"}
    for term, parameter in expected.items():
        # three standard errors are passed by chance once in 370 times
        assert abs(found.loc[term, "estimate"] - true[parameter]) < 3 * found.loc[term, "std_error"], term
    spread = fit.variance().set_index("level")
    for level, parameter in (("study", "study_sd"), ("study/effect", "effect_sd")):
        assert spread.loc[level, "ci_low"] < true[parameter] ** 2 < spread.loc[level, "ci_high"]
