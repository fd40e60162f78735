"""Power against R's noncentral distributions, clubSandwich's degrees of freedom, and simulation."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.engine.pooling import power as engine
from alliance_stats.meta.power_design import _slope_df, analytic
from alliance_stats.meta.result import GLANCE
from alliance_stats.names import TABLE_COLUMNS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "power" / "goldens.json").read_text())
V, M = np.array(GOLDEN["v"]), np.array(GOLDEN["m"], float)
TAU = {"tau": 0.15}


def value(*args, **kwargs):
    return float(als.meta.power(*args, **kwargs).table()["estimate"].iloc[0])


def test_power_for_the_mean_is_that_of_rs_noncentral_distributions():
    mean = GOLDEN["mean"]
    assert_allclose(value(0.2, 10, v=V, **TAU, test="z"), mean["z"], rtol=1e-10)
    assert_allclose(value(0.2, 10, v=V, **TAU), mean["knha"], rtol=1e-8)  # R's pt stops at about 1e-10 absolute
    assert_allclose(value(0.2, 10, v=V, **TAU, alternative="greater"), mean["greater"], rtol=1e-8)
    assert_allclose(value(-0.2, 10, v=V, **TAU, alternative="less"), mean["greater"], rtol=1e-8)
    assert_allclose(value(0.2, 10, v=V, test="z"), mean["fixed"], rtol=1e-10)


def test_power_for_groups_is_that_of_rs_noncentral_distributions():
    groups = GOLDEN["groups"]
    fit = als.meta.power([0.1, 0.35], 10, v=V, **TAU, question="groups")
    assert_allclose(fit.found[0].ncp, groups["ncp"], rtol=1e-10)
    assert_allclose(fit.found[0].value, groups["knha"], rtol=1e-8)
    assert_allclose(value([0.1, 0.35], 10, v=V, **TAU, question="groups", test="z"), groups["z"], rtol=1e-8)
    three = GOLDEN["groups3"]
    assert_allclose(engine.f_power(three["ncp"], 2, 27, 0.05), three["knha"], rtol=1e-8)
    assert_allclose(engine.f_power(three["ncp"], 2, np.inf, 0.05), three["z"], rtol=1e-8)


def test_power_of_q_is_exact_for_equal_and_unequal_variances():
    assert_allclose(value(0, 10, v=V, **TAU, question="heterogeneity"), GOLDEN["q"]["power"], rtol=1e-7)  # Imhof, 1e-8
    assert_allclose(value(0, 10, n=60, **TAU, question="heterogeneity"), GOLDEN["q"]["equal"], rtol=1e-10)
    assert_allclose(value(0, 10, v=V, question="heterogeneity"), 0.05, rtol=1e-9)


def test_a_weighted_sum_of_many_very_different_terms_is_still_a_probability():
    weights = np.repeat([0.01, 1.0], 300)
    tail = engine.weighted_chi2_tail(weights, float(weights.sum()))
    rng = np.random.default_rng(1)
    drawn = 0.01 * rng.chisquare(300, 100_000) + rng.chisquare(300, 100_000)
    assert abs(tail - (drawn > weights.sum()).mean()) < 4 * np.sqrt(0.25 / 100_000)


def test_robust_degrees_of_freedom_are_clubsandwichs():
    robust = GOLDEN["robust"]
    w = 1 / engine.study_variance(V, M, 0.15**2, 0.1**2, 0.6)
    assert_allclose(w, robust["weights"], rtol=1e-12)
    assert_allclose(engine.robust_df(w), robust["mean"], rtol=1e-10)
    assert_allclose(_slope_df(np.array(robust["x"]), w), robust["slope"], rtol=1e-8)
    group = np.arange(10) % 3
    parts = [w[group == g] for g in range(3)]
    assert_allclose(engine.hotelling_df(parts) - 1, robust["groups3"], rtol=1e-8)
    assert_allclose(engine.hotelling_df([w[::2], w[1::2]]), robust["groups2"], rtol=1e-8)
    found = value(0.2, 10, v=V, effects_per_study=M, **TAU, omega=0.1)
    assert_allclose(found, robust["power"], rtol=1e-8)
    assert_allclose(engine.robust_df(np.full(7, 3.0)), 6, rtol=1e-12)  # equal weights: J − 1


def test_the_number_of_studies_is_the_smallest_with_that_power():
    for how in (
        {"effect": 0.15},
        {"effect": [0.1, 0.3], "question": "groups"},
        {"effect": 0.08, "question": "slope"},
        {"effect": 0.15, "effects_per_study": 3, "omega": 0.1},
    ):
        fit = als.meta.power(n=60, **TAU, **how, target=0.9)
        k = fit.found[0].k
        assert fit.found[0].value >= 0.9 > analytic(fit.design, k - 1).value


@pytest.mark.parametrize(
    ("how", "n"),
    [
        ({"effect": 0.15, "n": [30, 60, 120]}, 2000),
        ({"effect": 0.15, "n": 60, "tau": 0.0, "test": "z"}, 2000),
        ({"effect": [0.1, 0.3, 0.2], "n": [40, 60], "question": "groups", "shares": [2, 1, 1]}, 2000),
        ({"effect": 0.1, "n": 60, "question": "slope"}, 2000),
        ({"effect": 0.0, "n": [30, 60, 200], "question": "heterogeneity", "tau": 0.1}, 20_000),
    ],
)
def test_formula_and_simulation_agree(how, n):
    fit = als.meta.power(n_studies=18, **{**TAU, **how}, simulate=n, seed=3)
    row = fit.table().iloc[0]
    # 3.5 Monte Carlo errors, and .015 for taking the weights as known
    assert abs(row["estimate"] - row["simulated"]) < 3.5 * row["simulated_error"] + 0.015


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [{"effect": 0.15}, {"effect": [0.1, 0.35], "question": "groups"}, {"effect": 0.12, "question": "slope"}]
)
def test_formula_and_simulation_agree_for_dependent_effects(how):
    more = {"n": [40, 60, 100], "effects_per_study": [2, 4, 3], "omega": 0.1, "simulate": 1000}
    row = als.meta.power(n_studies=24, **TAU, **how, **more, seed=4).table().iloc[0]
    assert abs(row["estimate"] - row["simulated"]) < 3.5 * row["simulated_error"] + 0.02


def test_the_same_seed_gives_the_same_power():
    how = {"effect": 0.2, "n_studies": 8, "n": 50, "tau": 0.1, "simulate": 50}
    first, again = (als.meta.power(**how, seed=2).table()["simulated"][0] for _ in range(2))
    assert first == again


def test_results_have_the_one_shape():
    for fit in (
        als.meta.power(0.2, [8, 12], n=60, **TAU, simulate=20),
        als.meta.power([0.1, 0.3], 12, n=60, question="groups"),
        als.meta.power(0, 12, n=60, **TAU, question="heterogeneity"),
        als.meta.power(0.2, n=60, effects_per_study=3, **TAU),
    ):
        assert tuple(fit.table().columns[: len(TABLE_COLUMNS)]) == TABLE_COLUMNS
        assert tuple(fit.glance().columns[: len(GLANCE)]) == GLANCE
        assert len(fit.glance()) == 1
        drawn = fit.plot()
        assert drawn.caption
        assert drawn.alt_text
        assert set(drawn.data) == {"curve", "points"}
        with pytest.raises(als.errors.DataError, match="no figure 'pie'"):
            fit.plot("pie")
        assert fit.report().endswith(".")
        assert "nan" not in fit.report()
        assert fit.describe().endswith(".")
        assert "<table" in fit._repr_html_()
        assert fit.notes()
        assert pickle.loads(pickle.dumps(fit)).table().equals(fit.table())


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"effect": 0.2, "n_studies": 8}, "one of v= .* and n="),
        ({"effect": 0.2, "n_studies": 8, "n": 3}, "1 of 1 values of n are not above 3"),
        ({"effect": 0.2, "n_studies": 8, "v": -1}, "not positive"),
        ({"effect": 0.2, "n_studies": 1, "n": 60}, "1 study: this test needs at least 2"),
        ({"effect": [0.1, 0.2], "n_studies": 8, "n": 60}, "2 effects with question='mean'"),
        ({"effect": 0.0, "n": 60}, "2000 studies have a power of 0.050"),
        ({"effect": 0.2, "n_studies": 8, "n": 60, "effects_per_study": 2, "test": "z"}, "Use test='CR2'"),
        ({"effect": 0.2, "n_studies": 8, "n": 60, "rho": 1.0}, "rho in"),
        ({"effect": 0.2, "n_studies": 8, "n": 60, "question": "means"}, "No question 'means'"),
        (
            {"effect": 0.2, "n_studies": 8, "n": [60, 70], "effects_per_study": [1, 2, 3]},
            "2 studies in v= or n=, and 3",
        ),
    ],
)
def test_impossible_plans_are_named(how, words):
    with pytest.raises(als.errors.DataError, match=words):
        als.meta.power(**how)


def test_power_that_is_not_quite_certain_is_not_rounded_to_one():
    assert "is above .99 (" in als.meta.power(0.2, 20, n=60, tau=0.1).report()
    assert "give a power above .99 to find" in als.meta.power(0.9, n=60, tau=0.1, target=0.999).report()
