"""``fit.intervals()`` against lme4's profile, a search on lme4's criterion, nlme with fixed parameters, and identities.

The references stand in ``tests/golden/lme4_profile`` with the script that made them. The searched ends are roots found
to 1e-9; lme4's own profile interpolates the likelihood by splines, which is good to 1e-4 of an interval's width, and
less where it warns (non-monotonic profiles).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.models.intervals import INTERVAL_COLUMNS

GOLDEN = Path(__file__).parents[1] / "golden"
INTERVALS = json.loads((GOLDEN / "lme4_profile" / "intervals.json").read_text())
#: Ends for which lme4 gave up its splines ("bad spline fit: falling back to linear interpolation").
LINEAR = {("boundary_intercept", "sd_(Intercept)|therapist_id"), ("three_slopes", "cor_s2.(Intercept)|patient_id")}


def read(data):
    return pd.read_csv(GOLDEN / "lme4" / data)


def fit(formula, data, method="REML", **options):
    return als.mixed(formula, read(data), method, **options)


def words(name):
    """lme4 writes patient_id:(therapist_id:site_id) for site_id/therapist_id/patient_id."""
    return frozenset(re.findall(r"\w+", name))


def find(table, name):
    """The row of one of lme4's names: sd_x|g, cor_x.y|g, sigma, or a fixed effect."""
    if name == "sigma":
        return table[table["parameter"] == "residual_sd"].iloc[0]
    kind, _, rest = name.partition("_")
    if kind not in ("sd", "cor"):
        return table[(table["parameter"] == "fixed") & (table["term"] == name)].iloc[0]
    effects, _, group = rest.partition("|")
    own = table[table["group"].map(words) == words(group)]
    if kind == "sd":
        return own[(own["parameter"] == "sd") & (own["term"] == effects)].iloc[0]
    later, _, first = effects.partition(".")
    return own[(own["parameter"] == "correlation") & (own["term"] == first) & (own["term2"] == later)].iloc[0]


@pytest.mark.parametrize("case", INTERVALS["profiled"])
def test_maximum_likelihood_intervals_are_lme4s(case):
    golden = INTERVALS["profiled"][case]
    fitted = fit(golden["formula"], golden["data"], "ML")
    table = pd.concat([fitted.intervals(), fitted.intervals("fixed")])
    assert (table["parameter"] != "icc").sum() == len(golden["names"])
    for name, low, high in zip(golden["names"], golden["ci_low"], golden["ci_high"], strict=True):
        row = find(table, name)
        tolerance = (5e-3 if (case, name) in LINEAR else 2e-4) * (high - low)
        assert_allclose([row["ci_low"], row["ci_high"]], [low, high], atol=tolerance, err_msg=name)


SEARCHED = {
    "intercept_sd": ("sd", "patient_id", "(Intercept)"),
    "slope_sd": ("sd", "patient_id", "session0"),
    "correlation": ("correlation", "patient_id", "(Intercept)"),
    "therapist_sd": ("sd", "therapist_id", "(Intercept)"),
    "residual_sd": ("residual_sd", "residual", None),
    "therapist_icc": ("icc", "therapist_id", None),
    "patient_icc": ("icc", "patient_id", None),
}


@pytest.mark.parametrize("golden", INTERVALS["searched"], ids=lambda golden: golden["method"])
def test_intervals_are_those_of_a_search_on_lme4s_criterion_for_reml_as_for_ml(golden):
    table = fit(golden["formula"], golden["data"], golden["method"]).intervals()
    assert len(table) == len(SEARCHED)
    for name, (parameter, group, term) in SEARCHED.items():
        own = table[(table["parameter"] == parameter) & (table["group"] == group)]
        row = (own if term is None else own[own["term"] == term]).iloc[0]
        expected = golden["intervals"][name]
        assert_allclose(row["estimate"], expected["estimate"], rtol=2e-6)
        # both are roots of the same function, found to 1e-9 there and to 1e-7 of the half width here
        assert_allclose([row["ci_low"], row["ci_high"]], [expected["ci_low"], expected["ci_high"]], atol=2e-8)
        assert row["note"] == ""


@pytest.mark.parametrize("golden", INTERVALS["residual"], ids=lambda golden: golden["method"])
@pytest.mark.parametrize("which", ["car1", "ar1", "sd_ratio"])
def test_residual_parameters_have_the_ends_where_nlmes_deviance_has_risen_by_the_quantile(golden, which):
    frame = read(golden["data"])
    frame["half"] = np.where(frame["session0"] < 5, "early", "late")
    options = {"variance": "half"} if which == "sd_ratio" else {"residual": which, "residual_time": "session0"}
    fitted = als.mixed("alliance ~ session0 + (1 | patient_id)", frame, golden["method"], **options)
    row = fitted.intervals("sd_ratio" if which == "sd_ratio" else "rho").iloc[0]
    expected = golden[which]
    assert_allclose(row["estimate"], expected["estimate"], rtol=2e-6)
    # nlme's fits with the parameter fixed stop at about 1e-8 in the deviance
    assert_allclose([row["ci_low"], row["ci_high"]], [expected["ci_low"], expected["ci_high"]], rtol=2e-7)


def test_the_balanced_one_way_layout_has_the_interval_of_its_closed_likelihood():
    """By hand: in 20 patients × 5 sessions −2 log L depends on two mean squares only."""
    frame = read("data/intercept_only.csv")
    means = frame.groupby("patient_id")["alliance"].mean()
    between = 5 * ((means - means.mean()) ** 2).sum() / 19
    within = ((frame["alliance"] - frame["patient_id"].map(means)) ** 2).sum() / 80

    def criterion(sd, sigma2):
        of_means = sigma2 + 5 * sd**2
        return 19 * np.log(of_means) + 19 * between / of_means + 80 * np.log(sigma2) + 80 * within / sigma2

    grid = within * np.exp(np.linspace(-0.2, 0.2, 400_001))
    best = 19 * np.log(between) + 19 + 80 * np.log(within) + 80  # REML
    table = fit("alliance ~ 1 + (1 | patient_id)", "data/intercept_only.csv").intervals("sd")
    for end in table[["ci_low", "ci_high"]].iloc[0]:
        assert_allclose(criterion(end, grid).min() - best, chi2.ppf(0.95, 1), atol=2e-6)


def test_frame_and_kinds():
    fitted = fit(INTERVALS["profiled"]["crossed"]["formula"], "data/crossed.csv")
    table = fitted.intervals()
    assert tuple(table.columns) == INTERVAL_COLUMNS
    assert table["parameter"].tolist() == ["sd", "sd", "correlation", "sd", "residual_sd", "icc", "icc"]
    assert (table["method"] == "profile").all()
    variance = fitted.variance()
    assert_allclose(table["estimate"][:5], variance["sdcor"], rtol=1e-9)
    assert_allclose(table["estimate"][5:], fitted.icc()["icc"], rtol=1e-9)
    only = fitted.intervals(["icc", "correlation"], level=0.8)
    assert only["parameter"].tolist() == ["correlation", "icc", "icc"]
    assert (only["ci_low"] > table["ci_low"].iloc[[2, 5, 6]].to_numpy()).all()


def test_a_variance_estimated_at_zero_has_an_interval_from_zero():
    fitted = fit("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", "data/boundary_intercept.csv")
    table = fitted.intervals(["sd", "icc"])
    own = table[table["group"] == "therapist_id"]
    assert (own["estimate"] == 0).all()
    assert (own["ci_low"] == 0).all()
    assert (own["ci_high"] > 0).all()
    assert (own["note"] == "reaches 0: the likelihood falls too little to exclude it").all()
    assert (table.loc[table["group"] == "patient_id", "note"] == "").all()


def test_a_correlation_with_an_effect_of_zero_variance_is_missing_and_says_why():
    golden = json.loads((GOLDEN / "lme4" / "boundary_first_mirrored.json").read_text())
    fitted = fit(golden["fits"]["correlated_REML"]["formula"], golden["data"])
    row = fitted.intervals("correlation").iloc[0]
    assert np.isnan([row["estimate"], row["ci_low"], row["ci_high"]]).all()
    assert row["note"] == "not defined: a standard deviation was estimated at zero"


def test_a_perfect_correlation_has_an_interval_that_ends_there():
    fitted = fit("outcome ~ session0 + (1 + session0 | patient_id)", "data/boundary_slope.csv")
    row = fitted.intervals("correlation").iloc[0]
    assert_allclose([row["estimate"], row["ci_low"]], -1, atol=1e-9)
    assert row["ci_high"] > -1
    assert "−1" in row["note"]


def test_four_correlated_effects_have_all_their_intervals():
    golden = json.loads((GOLDEN / "lme4" / "four_effects.json").read_text())
    fitted = fit(golden["fits"]["model_REML"]["formula"], golden["data"])
    table = fitted.intervals(["sd", "correlation"])
    assert table["parameter"].value_counts().to_dict() == {"sd": 4, "correlation": 6}
    found = table.dropna(subset=["ci_low", "ci_high"])
    assert len(found) == 10, table["note"].tolist()
    assert (found["ci_low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["ci_high"]).all()


def test_multiple_membership_has_the_intervals_of_the_same_model_written_as_one_level_per_row():
    frame = read("data/crossed.csv")
    members = pd.DataFrame({"row": range(len(frame)), "level": frame["therapist_id"], "weight": 1.0})
    fixed = "alliance ~ session0 + (1 | patient_id)"
    one = als.mixed(f"{fixed} + (1 | therapist_id)", frame).intervals()
    two = als.mixed(f"{fixed} + (1 | mm(therapist_id))", frame, membership={"therapist_id": members}).intervals()
    assert_allclose(two[["ci_low", "ci_high"]], one[["ci_low", "ci_high"]], rtol=1e-6)


def test_strata_have_a_standard_deviation_each_and_ratios_to_the_first():
    frame = read("data/unbalanced.csv")
    fitted = als.mixed("outcome ~ phase + (1 | patient_id)", frame, variance="phase")
    table = fitted.intervals(["residual_sd", "sd_ratio", "icc"])
    names = ["phase[early]", "phase[late]", "phase[middle]"]
    assert table["term"].tolist() == [*names, *names[1:], None] or table["term"].isna().iloc[-1]
    assert (table.loc[table["parameter"] == "sd_ratio", "term2"] == "phase[early]").all()
    # by symmetry: with another first level the same model has the same intervals, and 1/ratio for the ratio
    order = pd.Categorical(frame["phase"], ["late", "early", "middle"])
    turned = als.mixed("outcome ~ phase + (1 | patient_id)", frame.assign(phase=order), variance="phase").intervals(
        ["residual_sd", "sd_ratio", "icc"]
    )
    ends = ["ci_low", "ci_high"]

    def of(frame, parameter, term):
        own = frame[frame["parameter"] == parameter]
        return (own if term is None else own[own["term"] == term])[ends].iloc[0].to_numpy(float)

    for name in names:
        assert_allclose(of(turned, "residual_sd", name), of(table, "residual_sd", name), rtol=1e-5)
    assert_allclose(of(turned, "icc", None), of(table, "icc", None), rtol=1e-5)
    assert_allclose(of(turned, "sd_ratio", "phase[early]"), 1 / of(table, "sd_ratio", "phase[late]")[::-1], rtol=1e-5)


def test_prior_weights_in_other_units_leave_all_but_the_residual_standard_deviation():
    """By definition of the weights: ten times the weight is ten times σ², and all else is the same."""
    frame = read("data/unbalanced.csv")
    weight = np.random.default_rng(3).uniform(0.5, 2, len(frame))
    model = "outcome ~ phase + (1 | patient_id) + (1 | therapist_id)"
    one, ten = (als.mixed(model, frame.assign(w=factor * weight), weights="w") for factor in (1, 10))
    ends = ["estimate", "ci_low", "ci_high"]
    first, second = one.intervals(), ten.intervals()
    times = np.where(first["parameter"] == "residual_sd", np.sqrt(10), 1)[:, None]
    assert_allclose(second[ends], times * first[ends], rtol=1e-6)
    assert_allclose(first.loc[first["parameter"] == "icc", "estimate"], one.icc()["icc"], rtol=1e-9)
    drawn = [fitted.bootstrap(5, 1).replicates["icc__patient_id"] for fitted in (one, ten)]
    assert_allclose(drawn[1], drawn[0], rtol=1e-4)


def test_fixed_effects_are_profiled_in_ml_fits_only():
    with pytest.raises(DataError, match="Fit with method='ML', use method='bootstrap', or take the intervals of table"):
        fit("alliance ~ session0 + (1 | patient_id)", "data/growth.csv").intervals("fixed")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parameters": "sds"}, "parameters has no kind 'sds'"),
        ({"parameters": "rho"}, "no parameter of the kind 'rho'. It has: fixed, icc, residual_sd, sd"),
        ({"method": "wald"}, "method has no value 'wald'"),
        ({"level": 95}, "level lies between 0 and 1"),
    ],
)
def test_what_cannot_be_had_is_refused(options, words):
    fitted = fit("alliance ~ session0 + (1 | patient_id)", "data/growth.csv")
    with pytest.raises(DataError, match=words):
        fitted.intervals(**options)


def test_a_fit_that_did_not_converge_has_neither_intervals_nor_tests():
    fitted = fit("alliance ~ session0 + (1 | patient_id)", "data/growth.csv")
    story = replace(fitted.solution.story, converged=False)
    unfinished = replace(fitted, solution=replace(fitted.solution, story=story))
    for ask in (unfinished.intervals, unfinished.bootstrap, unfinished.test_variance):
        with pytest.raises(DataError, match="did not converge, so its estimates are no point to start from"):
            ask()


def test_a_fit_to_data_in_parts_has_the_intervals_and_tests_of_the_whole_and_no_bootstrap():
    frame, formula = read("data/crossed.csv"), INTERVALS["profiled"]["crossed"]["formula"]
    whole, parts = als.mixed(formula, frame), als.mixed(formula, iter([frame.iloc[:150], frame.iloc[150:]]))
    ends = ["estimate", "ci_low", "ci_high"]
    assert_allclose(parts.intervals()[ends], whole.intervals()[ends], rtol=1e-7)
    assert_allclose(parts.test_variance()["statistic"], whole.test_variance()["statistic"], rtol=1e-7)
    with pytest.raises(DataError, match="needs the rows of the fit"):
        parts.bootstrap(3)
    weighted = als.mixed(formula, iter([frame.assign(w=1.0 + np.arange(len(frame)) % 3)]), weights="w").intervals()
    shares = weighted["parameter"] == "icc"
    assert weighted.loc[~shares, ends].notna().all(axis=None)
    assert weighted.loc[shares, "note"].str.contains("prior weights of the rows, which were not kept").all()


def test_patients_without_effects_of_their_own_leave_intervals_for_all_else():
    fitted = als.mixed(
        "alliance ~ session0 + (1 | therapist_id)", read("data/crossed.csv"), residual="car1", residual_time="session0"
    )
    table = fitted.intervals()
    assert table["parameter"].tolist() == ["sd", "residual_sd", "rho", "icc"]
    assert (table["ci_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["ci_high"]).all()
    assert fitted.bootstrap(2, 1).replicates["rho__patient_id"].between(0, 1).all()
    assert fitted.test_variance(method="bootstrap", n=2, seed=1)["p_value"].between(0, 1).all()


def test_bootstrap_intervals_are_the_percentiles_of_the_bootstrap():
    fitted = fit("alliance ~ session0 + (1 | patient_id)", "data/growth.csv")
    table = fitted.intervals(method="bootstrap", n=60, seed=4)
    boot = fitted.bootstrap(60, 4).table()
    boot = boot[boot["parameter"] != "fixed"].reset_index(drop=True)
    assert_allclose(table[["ci_low", "ci_high"]], boot[["ci_low", "ci_high"]])
    assert (table["method"] == "bootstrap").all()
