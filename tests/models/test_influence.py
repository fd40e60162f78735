"""``fit.influence``: lme4 refitted without each level, fits of the other rows, and what cannot be estimated."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.names import VARIANCE_COLUMNS
from alliance_stats.report.figures.influence import influence

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((GOLDEN / "influence" / "influence.json").read_text(encoding="utf-8"))["cases"]


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "lme4" / "data" / f"{name}.csv")


def by_level(frame: pd.DataFrame, level: str) -> pd.DataFrame:
    return frame[frame["level"] == level]


# ---- against lme4 ----


@pytest.mark.parametrize("name", CASES)
def test_each_fit_without_a_level_is_lme4s(name):
    case = CASES[name]
    found = als.mixed(case["formula"], data(case["data"])).influence(case["group"])
    table = found.table().set_index("level")
    assert len(table) == len(case["without"])
    for own in case["without"]:
        estimates, error = by_level(found.estimates(), own["level"]), np.array(own["std_error"])
        assert len(estimates) == len(case["terms"])
        assert_allclose(estimates["estimate"] / error, own["estimate"] / error, rtol=0, atol=2e-6)
        assert_allclose(estimates["std_error"], error, rtol=2e-6)
        assert_allclose(estimates["dfbetas"], own["dfbetas"], rtol=0, atol=2e-6)
        row = table.loc[own["level"]]
        assert row["n_obs"] == own["n_obs"]
        assert_allclose(row["cooks_distance"], own["cooks_distance"], rtol=1e-5, atol=1e-7)
        assert_allclose(row["cov_ratio"], own["cov_ratio"], rtol=5e-6)
        variances = by_level(found.variances(), own["level"])["vcov"]
        # lme4 lists patients, then therapists, then the residual, as we do
        assert_allclose(variances, own["vcov"], rtol=0, atol=5e-6 * max(own["vcov"]))
    assert (table["converged"]).all()
    assert (table["reason"] == "").all()


# ---- shapes and sums ----


@pytest.fixture(scope="module")
def crossed():
    return als.mixed(CASES["crossed_patients"]["formula"], data("crossed"))


@pytest.fixture(scope="module")
def therapists(crossed):
    return crossed.influence("therapist_id")


def test_the_table_is_ranked_and_counts_rows_and_other_levels(crossed, therapists):
    table, frame = therapists.table(), data("crossed")
    assert table["cooks_distance"].is_monotonic_decreasing
    groups = frame.groupby("therapist_id")
    own = table.set_index("level")
    assert own["n_obs"].to_dict() == groups.size().to_dict()
    assert own["n_patient_id"].to_dict() == groups["patient_id"].nunique().to_dict()
    assert list(table.columns) == ["level", "n_obs", "n_patient_id", "cooks_distance", "cov_ratio", "converged",
                                   "reason"]  # fmt: skip


def test_estimates_and_variances_say_how_far_they_moved(crossed, therapists):
    estimates, variances = therapists.estimates(), therapists.variances()
    assert list(estimates.columns) == ["level", "term", "estimate", "std_error", "dfbeta", "dfbetas"]
    assert list(variances.columns) == ["level", *VARIANCE_COLUMNS, "change"]
    full = crossed.table()
    for _, own in estimates.groupby("level"):
        assert own["term"].tolist() == full["term"].tolist()
        assert_allclose(own["dfbeta"].to_numpy() + own["estimate"].to_numpy(), full["estimate"])
        assert_allclose(own["dfbetas"], own["dfbeta"] / own["std_error"])
    for _, own in variances.groupby("level"):
        assert_allclose(own["vcov"].to_numpy() - own["change"].to_numpy(), crossed.variance()["vcov"])


def test_held_variances_are_close_and_change_in_proportion(crossed, therapists):
    held = crossed.influence("therapist_id", refit=False)
    both = held.table().merge(therapists.table(), on="level", suffixes=("_held", ""))
    assert_allclose(both["cooks_distance_held"], both["cooks_distance"], rtol=0.3, atol=0.02)
    full = crossed.variance()["vcov"].to_numpy()
    for _, own in held.variances().groupby("level"):
        ratios = own["vcov"].to_numpy() / full
        assert_allclose(ratios, ratios[0], rtol=1e-10)
    assert held.notes()[0] == "Variances were held at those of the full fit."
    assert therapists.notes()[0] == "Variances were estimated anew without each level."


def test_nested_groupings_have_levels_of_their_own():
    frame = data("nested")
    fit = als.mixed("outcome ~ session0 + (1 | therapist_id/patient_id)", frame)
    pairs = frame["therapist_id"].astype(str) + ":" + frame["patient_id"].astype(str)
    found = fit.influence("therapist_id:patient_id")
    assert set(found.table()["level"]) == set(pairs)
    level = found.table()["level"].iloc[0]
    alone = als.mixed(fit.formula.text, frame[pairs != level])
    own = by_level(found.estimates(), level)
    assert_allclose(own["estimate"], alone.table()["estimate"], rtol=1e-6)
    assert_allclose(own["std_error"], alone.table()["std_error"], rtol=1e-6)
    assert_allclose(by_level(found.variances(), level)["vcov"], alone.variance()["vcov"], rtol=1e-5)


def test_with_multiple_membership_all_rows_with_weight_on_the_level_go():
    sessions = als.load_dataset("simulated_alliance").frame.iloc[:900].reset_index(drop=True)
    members = als.membership(sessions, "cumulative")
    formula = "alliance ~ session + (1 | patient_id) + (1 | mm(therapist_id))"
    fit = als.mixed(formula, sessions, membership={"therapist_id": members})
    found = fit.influence("therapist_id")
    for level in found.table()["level"].iloc[[0, -1]]:
        gone = members.loc[(members["level"] == level) & (members["weight"] > 0), "row"].unique()
        kept = np.setdiff1d(np.arange(len(sessions)), gone)
        left = members[members["row"].isin(kept)]
        left = left.assign(row=np.searchsorted(kept, left["row"]))
        alone = als.mixed(formula, sessions.iloc[kept], membership={"therapist_id": left})
        assert found.table().set_index("level").loc[level, "n_obs"] == gone.size
        assert_allclose(by_level(found.estimates(), level)["estimate"], alone.table()["estimate"], rtol=1e-6)
        assert_allclose(by_level(found.variances(), level)["vcov"], alone.variance()["vcov"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("more", [{"residual": "car1", "variance": "phase"}, {"variance": "phase"}])
def test_residual_structures_are_estimated_anew_with_the_gaps_that_are_left(more):
    frame = data("unbalanced")
    formula = "outcome ~ alliance_within + session + (1 | patient_id) + (1 | therapist_id)"
    fit = als.mixed(formula, frame, **more)
    found = fit.influence("therapist_id")
    for level in ("t008", "t010"):
        alone = als.mixed(formula, frame[frame["therapist_id"] != level], **more)
        own = by_level(found.estimates(), level)
        assert_allclose(own["estimate"], alone.table()["estimate"], rtol=1e-5)
        assert_allclose(own["std_error"], alone.table()["std_error"], rtol=1e-5)
        assert_allclose(by_level(found.variances(), level)["vcov"], alone.variance()["vcov"], rtol=1e-4, atol=1e-6)
        if "residual" in more:
            rho = found.table().set_index("level").loc[level, "rho"]
            assert_allclose(rho, alone.glance()["rho"], rtol=1e-4)
    assert ("rho" in found.table()) == ("residual" in more)
    two = frame[frame["therapist_id"].isin(["t009", "t010"])]
    nothing = als.mixed(formula, two, **more).influence("therapist_id")
    assert nothing.variances().groupby("level").size().tolist() == [5, 5]
    assert nothing.variances()["vcov"].isna().all()


def test_a_fit_on_the_boundary_is_followed_off_it():
    # without some therapists their variance is no longer zero, or zero where it was not
    frame = data("unbalanced")
    fit = als.mixed(CASES["unbalanced_therapists"]["formula"], frame)
    found = fit.influence("therapist_id").variances()
    own = found[(found["group"] == "therapist_id")].set_index("level")["vcov"]
    assert (own == 0).any()
    for level in own.index:
        alone = als.mixed(fit.formula.text, frame[frame["therapist_id"] != level]).variance()
        assert_allclose(own[level], alone.loc[alone["group"] == "therapist_id", "vcov"], rtol=1e-5, atol=1e-7)


# ---- what cannot be estimated ----


@pytest.fixture(scope="module")
def one_has_a_category():
    """Only therapist T3 saw patients in the phase "late"."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"patient_id": np.repeat(range(24), 5), "session": np.tile(range(5), 24)})
    frame["therapist_id"] = np.array(["T0", "T1", "T2", "T3"])[frame["patient_id"] % 4]
    late = (frame["therapist_id"] == "T3") & (frame["session"] > 2)
    frame["phase"] = np.where(late, "late", np.where(frame["session"] > 1, "middle", "early"))
    own = rng.normal(size=24)[frame["patient_id"]] + rng.normal(size=4)[frame["patient_id"] % 4]
    frame["outcome"] = own + rng.normal(size=len(frame)) + 0.3 * frame["session"]
    return frame


def test_a_term_that_only_one_level_can_tell_is_missing_with_the_reason(one_has_a_category):
    fit = als.mixed("outcome ~ phase + (1 | patient_id) + (1 | therapist_id)", one_has_a_category)
    found = fit.influence("therapist_id")
    row = found.table().iloc[-1]
    assert row["level"] == "T3"
    assert row["reason"] == "not estimable without it: phase[T.late]"
    assert np.isnan(row["cooks_distance"])
    estimates = by_level(found.estimates(), "T3").set_index("term")
    assert estimates["estimate"].isna().to_dict() == {
        "(Intercept)": False, "phase[T.late]": True, "phase[T.middle]": False,
    }  # fmt: skip
    rest = one_has_a_category[one_has_a_category["therapist_id"] != "T3"]
    alone = als.mixed("outcome ~ phase + (1 | patient_id) + (1 | therapist_id)", rest).table().set_index("term")
    for term in ("(Intercept)", "phase[T.middle]"):
        assert_allclose(estimates.loc[term, "estimate"], alone.loc[term, "estimate"], rtol=1e-6)
        assert_allclose(estimates.loc[term, "std_error"], alone.loc[term, "std_error"], rtol=1e-6)
    assert "Without 1 of 4 levels not everything can be estimated" in " ".join(found.notes())


def test_without_the_reference_category_only_what_the_rest_can_tell_is_left(one_has_a_category):
    frame = one_has_a_category
    fit = als.mixed('outcome ~ C(phase, treatment("late")) + session + (1 | patient_id) + (1 | therapist_id)', frame)
    estimates = by_level(fit.influence("therapist_id").estimates(), "T3").set_index("term")["estimate"]
    # the mean of "late" and the distance to it are gone; the slope of session is not
    assert estimates.isna().tolist() == [True, True, True, False]
    rest = frame[frame["therapist_id"] != "T3"]
    alone = als.mixed("outcome ~ phase + session + (1 | patient_id) + (1 | therapist_id)", rest).table()
    assert_allclose(estimates["session"], alone.set_index("term").loc["session", "estimate"], rtol=1e-6)


def test_of_two_therapists_neither_can_be_left_out(one_has_a_category):
    frame = one_has_a_category[one_has_a_category["therapist_id"].isin(["T0", "T1"])]
    found = als.mixed("outcome ~ session + (1 | patient_id) + (1 | therapist_id)", frame).influence("therapist_id")
    assert found.table()["reason"].tolist() == ["without it, therapist_id has 1 level left"] * 2
    assert found.estimates()["estimate"].isna().all()
    assert found.variances()["vcov"].isna().all()
    with pytest.raises(DataError, match="0 rows"):
        found.plot()


def test_the_grouping_is_chosen_or_named(crossed):
    with pytest.raises(DataError, match="Choose a grouping: patient_id, therapist_id"):
        crossed.influence()
    with pytest.raises(DataError, match=r"No grouping 'therapist'\. Did you mean 'therapist_id'"):
        crossed.influence("therapist")


# ---- the result and its figure ----


def test_the_result_is_frozen_pickles_and_keeps_its_tables(therapists):
    again = pickle.loads(pickle.dumps(therapists))
    pd.testing.assert_frame_equal(again.table(), therapists.table())
    mine = therapists.table()
    mine.iloc[0, 1] = -1
    assert (therapists.table()["n_obs"] > 0).all()
    with pytest.raises(AttributeError):
        therapists.group = "x"
    assert "Influence of the levels of therapist_id" in repr(therapists)
    assert "<table" in therapists._repr_html_()


def test_the_figure_ranks_and_marks_what_is_beyond_the_line(therapists):
    ax = therapists.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == therapists.table()["level"].tolist()
    assert ax.data["distances"]["cooks_distance"].is_monotonic_decreasing
    assert "0 of 10 therapists lie beyond 0.40." in ax.caption


def test_the_figure_shows_the_largest_thirty_and_says_so():
    frame = pd.DataFrame({"level": [f"T{k}" for k in range(50)], "cooks_distance": np.arange(50) / 100})
    ax = influence(frame.assign(cooks_distance=lambda f: f["cooks_distance"].where(f.index > 0)), threshold=0.4)
    assert len(ax.get_yticks()) == 30
    assert ax.get_yticklabels()[0].get_text() == "T49"
    assert ax.caption.endswith(
        "9 of 49 therapists lie beyond 0.40. 19 smaller ones not shown. 1 could not be computed."
    )
