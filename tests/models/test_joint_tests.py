"""``MixedResult.test`` against lmerTest and pbkrtest (``tests/golden/lme4_inference``), by hand; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.models.distributions import f_p_value
from alliance_stats.models.joint_tests import expand_term, fai_cornelius

GOLDEN = Path(__file__).parents[1] / "golden"
RECORD = json.loads((GOLDEN / "lme4_inference" / "inference.json").read_text())
JOINT, TYPE_THREE = RECORD["joint_tests"], RECORD["type_three"]
TESTS = [(case, name) for case, golden in JOINT.items() for name in golden["tests"]]
UNBALANCED = pd.read_csv(GOLDEN / "lme4" / "data" / "unbalanced.csv")
NUMBERS = ["statistic", "df_num", "df_den", "p_value"]


@pytest.fixture(scope="module")
def fit_once():
    known = {}

    def fit(case, df="satterthwaite"):
        if (case, df) not in known:
            golden = JOINT[case]
            frame = pd.read_csv(GOLDEN / "lme4" / golden["data"])
            known[case, df] = als.mixed(golden["formula"], frame, golden["method"], df=df)
        return known[case, df]

    return fit


def weights(fit, golden):
    return pd.DataFrame(np.atleast_2d(golden["weights"]), columns=list(fit.arrays.fixed_names))


@pytest.mark.parametrize(("case", "name"), TESTS)
def test_satterthwaite_is_that_of_lmertest(case, name, fit_once):
    fit, golden = fit_once(case), JOINT[case]["tests"][name]
    ours, theirs = fit.test(weights(fit, golden)).iloc[0], golden["satterthwaite"]
    assert ours["df_num"] == theirs["df_num"]
    assert_allclose(ours["statistic"], theirs["statistic"], rtol=1e-5)
    assert_allclose(ours["df_den"], theirs["df_den"], rtol=1e-3)  # lmerTest's Hessian is numerical
    assert_allclose(ours["p_value"], theirs["p_value"], rtol=2e-2)


@pytest.mark.parametrize(("case", "name"), [at for at in TESTS if "kenward_roger" in JOINT[at[0]]["tests"][at[1]]])
def test_kenward_roger_is_that_of_pbkrtest(case, name, fit_once):
    fit, golden = fit_once(case, "kenward-roger"), JOINT[case]["tests"][name]
    ours, theirs = fit.test(weights(fit, golden)).iloc[0], golden["kenward_roger"]
    assert ours["df_num"] == theirs["df_num"]
    assert_allclose(ours[["statistic", "df_den"]].astype(float), [theirs["statistic"], theirs["df_den"]], rtol=1e-5)
    assert_allclose(ours["p_value"], theirs["p_value"], rtol=1e-3)


@pytest.mark.parametrize(("df", "key"), [("satterthwaite", "satterthwaite"), ("kenward-roger", "kenward_roger")])
def test_terms_are_those_of_lmertests_anova(df, key):
    fit, golden = als.mixed(TYPE_THREE["formula"], UNBALANCED, df=df), TYPE_THREE[key]
    ours = pd.concat([fit.test(term) for term in golden["terms"]])
    assert ours["test"].tolist() == golden["terms"]
    assert ours["df_num"].tolist() == golden["df_num"]
    assert_allclose(ours["statistic"], golden["statistic"], rtol=1e-4)
    assert_allclose(ours["df_den"], golden["df_den"], rtol=1e-3)


def test_kenward_roger_was_compared_for_several_effects():
    compared = [JOINT[case]["tests"][name] for case, name in TESTS]
    assert sum("kenward_roger" in golden and golden["kenward_roger"]["df_num"] > 1 for golden in compared) >= 7


# ---- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "normal"])
def test_one_effect_is_the_square_of_its_t(df, fit_once):
    fit = fit_once("unbalanced_REML", df)
    row = fit.table().set_index("term").loc["alliance_between"]
    test = fit.test("alliance_between").iloc[0]
    assert tuple(test.index) == ("test", *NUMBERS)
    assert_allclose([test["statistic"], test["p_value"]], [row["statistic"] ** 2, row["p_value"]], rtol=1e-8)
    assert test["df_den"] == pytest.approx(row["df"])


def test_normal_is_a_wald_chi_square(fit_once):
    fit = fit_once("unbalanced_REML", "normal")
    test = fit.test("phase").iloc[0]
    beta, covariance = fit.solution.beta[2:4], fit.solution.covariance[2:4, 2:4]
    wald = beta @ np.linalg.inv(covariance) @ beta
    assert_allclose(test["statistic"], wald / 2, rtol=1e-8)
    assert test["df_den"] == np.inf
    assert_allclose(test["p_value"], stats.chi2.sf(wald, 2), rtol=1e-8)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([7.5], 7.5),
        ([4.0, 4.0], 4.0),  # equal parts give their own
        ([4.0, 6.0], 14 / 3),  # E = 4/2 + 6/4 = 3.5; 2E / (E − 2) = 7 / 1.5
        ([6.0, np.inf], 10.0),  # E = 6/4 + 1 = 2.5; 5 / 0.5
        ([np.inf, np.inf], np.inf),
        ([2.0, 50.0], 2.0),  # F(1, 2) has no mean
        ([1.5, 1.5], 1.5),
    ],
)
def test_degrees_of_freedom_of_several_parts(parts, whole):
    assert fai_cornelius(np.array(parts)) == pytest.approx(whole)


def test_many_degrees_of_freedom_lose_no_digits():
    assert fai_cornelius(np.array([1e12, 3e12])) == pytest.approx(1.5e12, rel=1e-9)  # harmonic mean in the limit


def test_tail_of_f():
    assert f_p_value(3.2, 3, 17.5) == pytest.approx(stats.f.sf(3.2, 3, 17.5))
    assert f_p_value(3.2, 3, np.inf) == pytest.approx(stats.chi2.sf(9.6, 3))


def test_units_of_the_predictors_change_no_kenward_roger_test():
    formula = "outcome ~ alliance_within + alliance_between + (1 | patient_id)"
    frame = UNBALANCED.assign(alliance_within=UNBALANCED["alliance_within"] * 1e6)
    terms = ["alliance_within", "alliance_between"]
    usual, scaled = (als.mixed(formula, data, df="kenward-roger").test(terms) for data in (UNBALANCED, frame))
    assert_allclose(scaled[NUMBERS], usual[NUMBERS], rtol=1e-7)


def test_satterthwaite_stands_extreme_units():
    formula = "outcome ~ alliance_within + alliance_between + (1 | patient_id)"
    frame = UNBALANCED.assign(alliance_within=UNBALANCED["alliance_within"] * 1e6)
    terms = ["alliance_within", "alliance_between"]
    usual, scaled = (als.mixed(formula, data).test(terms).iloc[0] for data in (UNBALANCED, frame))
    assert_allclose(scaled["statistic"], usual["statistic"], rtol=1e-7)
    assert scaled["df_num"] == 2
    assert_allclose(scaled["df_den"], usual["df_den"], rtol=0.05)  # as in lmerTest, units matter a little


def test_rows_that_follow_from_others_count_once(fit_once):
    fit = fit_once("unbalanced_REML")
    one = pd.DataFrame([{"phase[T.late]": 1.0}, {"phase[T.middle]": 1.0}])
    twice = pd.DataFrame([{"phase[T.late]": 1.0}, {"phase[T.middle]": 1.0}, {"phase[T.late]": -2.0}]).fillna(0.0)
    assert fit.test(twice)["df_num"].item() == 2
    assert_allclose(fit.test(twice)["statistic"], fit.test(one.fillna(0.0))["statistic"], rtol=1e-10)


def test_a_name_given_twice_counts_once(fit_once):
    fit = fit_once("unbalanced_REML")
    pd.testing.assert_frame_equal(
        fit.test(["phase", "phase[T.late]"])[NUMBERS], fit.test("phase")[NUMBERS], check_exact=True
    )


# ---- names -----------------------------------------------------------------------------------------------------------

NAMES = (
    *("(Intercept)", "phase[T.late]", "phase[T.12:30]", "alliance"),
    *("alliance:phase[T.late]", "alliance:phase[T.12:30]"),
    *("poly(session, 2)[1]", "poly(session, 2)[2]", "C(site)[T.2]", "my score", "phase_two"),
)
VARIABLES = ("phase", "alliance", "session", "site", "my score", "phase_two", "outcome")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("(Intercept)", [0]),
        ("phase[T.late]", [1]),
        ("phase", [1, 2]),  # the colon inside the brackets divides nothing; phase_two is another variable
        ("alliance", [3]),
        ("alliance:phase", [4, 5]),
        ("phase : alliance", [4, 5]),
        ("poly(session,2)", [6, 7]),
        ("session", [6, 7]),
        ("site", [8]),
        ("my score", [9]),
        ("`my score`", [9]),
    ],
)
def test_names_stand_for_their_coefficients(asked, found):
    assert expand_term(asked, NAMES, VARIABLES) == found


def test_the_label_is_what_was_asked(fit_once):
    fit = fit_once("unbalanced_REML")
    assert fit.test(["phase", "alliance_between"])["test"].item() == "phase, alliance_between"
    assert fit.test(pd.DataFrame({"alliance_between": [1.0]}, index=["b"]))["test"].item() == "b"


@pytest.mark.parametrize(("asked", "near"), [("phas", "'phase'"), ("alliance_betwen", "'alliance_between'")])
def test_a_misspelt_term_names_the_nearest(asked, near, fit_once):
    with pytest.raises(DataError, match=f"no fixed effect '{asked}'. Did you mean {near}"):
        fit_once("unbalanced_REML").test(asked)


@pytest.mark.parametrize("asked", ["outcome", "patient_id", "", ":", "(", "phase[T.nowhere]", "a" * 10_000])
def test_what_is_no_effect_is_refused(asked, fit_once):
    with pytest.raises(DataError, match="no fixed effect"):
        fit_once("unbalanced_REML").test(asked)


def test_a_test_of_nothing(fit_once):
    fit = fit_once("unbalanced_REML")
    for nothing in ([], pd.DataFrame({"phase[T.late]": [0.0]}), pd.DataFrame()):
        with pytest.raises(DataError, match="needs at least one effect"):
            fit.test(nothing)


def test_weights_that_are_no_numbers(fit_once):
    fit = fit_once("unbalanced_REML")
    with pytest.raises(DataError, match=r"1 weight is not finite \(first in row 1\)"):
        fit.test(pd.DataFrame({"phase[T.late]": [1.0, np.nan]}))
    with pytest.raises(DataError, match="no term 'phase'"):
        fit.test(pd.DataFrame({"phase": [1.0]}))
