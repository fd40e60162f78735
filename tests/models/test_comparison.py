"""``als.anova`` against R's ``anova()`` (``tests/golden/lme4_inference``), by hand, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, stats

import alliance_stats as als
from alliance_stats.errors import ConvergenceWarning, DataError
from alliance_stats.models import comparison
from alliance_stats.models.likelihood_ratio import mixture_p_value

GOLDEN = Path(__file__).parents[1] / "golden"
COMPARISONS = json.loads((GOLDEN / "lme4_inference" / "inference.json").read_text())["comparisons"]
COLUMNS = (
    *("model", "formula", "n_parameters", "deviance", "log_likelihood", "aic", "bic", "statistic", "df", "p_value"),
    *("reference", "refitted", "converged"),
)
GROWTH = pd.read_csv(GOLDEN / "lme4" / "data" / "growth.csv")
UNBALANCED = pd.read_csv(GOLDEN / "lme4" / "data" / "unbalanced.csv")
SLOPE, INTERCEPT = "alliance ~ session0 + (1 + session0 | patient_id)", "alliance ~ session0 + (1 | patient_id)"


def growth(fixed="session0", random="(1 | patient_id)", frame=GROWTH, **options):
    return als.mixed(f"alliance ~ {fixed} + {random}", frame, **options)


def unbalanced(random, fixed="1"):
    return als.mixed(f"outcome ~ {fixed} + {random}", UNBALANCED)


@pytest.fixture(scope="module")
def tables():
    fitted = {
        name: [als.mixed(formula, pd.read_csv(GOLDEN / "lme4" / golden["data"])) for formula in golden["formulas"]]
        for name, golden in COMPARISONS.items()
    }
    return {name: als.anova(*fits) for name, fits in fitted.items()}


@pytest.mark.parametrize("name", COMPARISONS)
def test_criteria_and_statistics_are_those_of_lme4(name, tables):
    table, golden = tables[name], COMPARISONS[name]
    assert tuple(table.columns) == COLUMNS
    assert table["model"].tolist() == golden["model"]
    assert table["n_parameters"].tolist() == golden["n_parameters"]
    for column in ("deviance", "aic", "bic"):
        assert_allclose(table[column], golden[column], rtol=1e-8)
    assert_allclose(table["statistic"][1:], golden["statistic"][1:], atol=1e-5)
    assert table["df"][1:].tolist() == golden["df"][1:]
    assert table.loc[0, ["statistic", "df", "p_value"]].isna().all()
    assert table["refitted"].all()


def test_the_reference_is_the_mixture_where_one_variance_is_added(tables):
    table, golden = tables["unbalanced"], COMPARISONS["unbalanced"]
    assert table["reference"].tolist() == ["", "χ²(4)", "½χ²(0)+½χ²(1)", "½χ²(1)+½χ²(2)"]
    statistic = golden["statistic"]
    assert_allclose(table["p_value"][1], golden["plain_p_value"][1], rtol=1e-4)  # four fixed effects: plain χ²
    assert_allclose(table["p_value"][2], golden["plain_p_value"][2] / 2, rtol=1e-4)  # χ²(0) adds nothing above 0
    mixed = (stats.chi2.sf(statistic[3], 1) + stats.chi2.sf(statistic[3], 2)) / 2
    assert_allclose(table["p_value"][3], mixed, rtol=1e-4)


def test_a_correlation_has_no_boundary(tables):
    # (1 | p) → || adds a variance; || → | adds a covariance only
    assert tables["growth"]["reference"].tolist() == ["", "½χ²(0)+½χ²(1)", "χ²(1)"]


def test_half_the_plain_p_value_for_one_variance():
    # by hand: the 90 % quantile of χ²(1) is 2.7055, so ½ · .10 = .05
    assert_allclose(mixture_p_value(2.705543454, (0, 1)), 0.05, rtol=1e-8)


def test_a_variance_estimated_at_zero_has_p_1():
    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "boundary_intercept.csv")
    small = als.mixed("outcome ~ session0 + (1 | patient_id)", frame)
    large = als.mixed("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", frame)
    last = als.anova(small, large).iloc[-1]
    assert (last["statistic"], last["p_value"]) == (0.0, 1.0)


def test_three_slopes_with_one_more_effect_use_two_neighbouring_chi_squares():
    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "three_slopes.csv")
    two = als.mixed("outcome ~ s + s2 + (1 + s | patient_id)", frame)
    three = als.mixed("outcome ~ s + s2 + (1 + s + s2 | patient_id)", frame)
    # Stram & Lee's case 3: one variance and two covariances
    assert als.anova(two, three)["reference"].iloc[-1] == "½χ²(2)+½χ²(3)"


def test_two_variances_at_once_are_conservative_and_say_so():
    table = als.anova(
        unbalanced("(1 | patient_id)"), unbalanced("(1 + alliance_within || patient_id) + (1 | therapist_id)")
    )
    assert table["reference"].iloc[-1] == "χ²(2), conservative"
    assert_allclose(table["p_value"].iloc[-1], stats.chi2.sf(table["statistic"].iloc[-1], 2))


def test_fixed_effects_and_a_variance_together():
    table = als.anova(unbalanced("(1 | patient_id)"), unbalanced("(1 | patient_id) + (1 | therapist_id)", "phase"))
    assert table["reference"].iloc[-1] == "½χ²(2)+½χ²(3)"  # two coefficients of phase, one variance


def test_reml_fits_are_fitted_anew_and_the_table_says_so():
    reml, ml = growth("1"), growth(method="ML")
    table = als.anova(ml, reml)
    assert dict(zip(table["model"], table["refitted"], strict=True)) == {1: False, 2: True}
    own = growth("1", method="ML").glance().iloc[0]
    assert_allclose(table["deviance"][0], own["deviance"], rtol=1e-10)
    assert reml.glance()["method"].iloc[0] == "REML"  # the fit that was given stays as it was


def test_criteria_are_those_of_glance_for_a_model_fitted_by_ml():
    fit = growth(method="ML")
    row, glance = als.anova(fit, growth("1", method="ML")).iloc[1], fit.glance().iloc[0]
    for column in ("deviance", "log_likelihood", "aic", "bic", "n_parameters"):
        assert row[column] == glance[column]


def test_the_result_of_a_question_is_taken_as_its_model():
    sessions = als.simulate_sessions(4, 5, 6, 0.5, seed=3)
    question = als.within_between(sessions)
    assert als.anova(question, question.fit)["reference"].tolist() == ["", "as many parameters"]


# ---- nesting ---------------------------------------------------------------------------------------------------------


def test_models_of_which_none_is_a_case_of_the_other_have_no_test():
    table = als.anova(unbalanced("(1 | patient_id)", "phase"), unbalanced("(1 | patient_id)", "alliance_between"))
    assert table["reference"].iloc[-1] == "not nested"
    assert table.loc[1, ["statistic", "df", "p_value"]].isna().all()


def test_other_levels_are_not_nested():
    table = als.anova(unbalanced("(1 | therapist_id)"), unbalanced("(1 + alliance_within | patient_id)"))
    assert table["reference"].iloc[-1] == "not nested"


def test_correlated_effects_are_no_case_of_uncorrelated_ones():
    table = als.anova(
        unbalanced("(1 + alliance_within | patient_id)"),
        unbalanced("(1 + alliance_within || patient_id) + (1 | therapist_id)", "phase"),
    )
    assert table["reference"].iloc[-1] == "not nested"


def test_a_time_axis_that_starts_elsewhere_is_the_same_axis():
    frame = GROWTH.assign(year=GROWTH["session0"] + 2020.0)
    small = growth("session0", "(1 + session0 | patient_id)", frame)
    large = growth("year + I(year ** 2)", "(1 + year | patient_id)", frame)
    assert als.anova(small, large)["reference"].iloc[-1] == "χ²(1)"


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "said"), [(0, "0 were given"), (1, "1 was given")])
def test_fewer_than_two_models(n, said):
    with pytest.raises(DataError, match=f"two or more fitted models; {said}.*test\\(\\)"):
        als.anova(*[growth()] * n)


@pytest.mark.parametrize("wrong", [GROWTH, SLOPE, None, [1]])
def test_what_is_no_model_is_named(wrong):
    with pytest.raises(DataError, match=f"Argument 2 of anova is a {type(wrong).__name__}, not a fitted model"):
        als.anova(growth(), wrong)


def test_other_rows_are_counted_and_the_way_out_is_shown():
    frame = GROWTH.assign(x=np.where(np.arange(len(GROWTH)) < 7, np.nan, np.arange(len(GROWTH)) % 5))
    with pytest.raises(
        DataError, match=r"Models 1 and 3 .* different rows: 240 and 233 \(7 rows in one only\)"
    ) as caught:
        als.anova(growth(frame=frame), growth("1", frame=frame), growth("x", frame=frame))
    assert "data.dropna(subset=['alliance', 'session0', 'patient_id', 'x'])" in str(caught.value)
    complete = frame.dropna(subset=["x"])
    assert len(als.anova(growth("1", frame=complete), growth("x", frame=frame))) == 2  # the way out works


def test_as_many_rows_but_others():
    place = np.arange(len(GROWTH))
    frame = GROWTH.assign(x=np.where(place == 3, np.nan, place % 5), z=np.where(place == 9, np.nan, place % 7))
    with pytest.raises(DataError, match=r"different rows: 239 and 239 \(2 rows in one only\)"):
        als.anova(growth("x", frame=frame), growth("x + z - x", frame=frame.assign(x=1.0)))


def test_another_outcome():
    frame = GROWTH.assign(other=GROWTH["alliance"] ** 2)
    with pytest.raises(DataError, match="different outcomes, 'alliance' and 'other'"):
        als.anova(growth(frame=frame), als.mixed("other ~ session0 + (1 | patient_id)", frame))


def test_the_same_outcome_in_another_frame():
    frame = GROWTH.assign(alliance=np.where(np.arange(len(GROWTH)) == 5, 3.0, GROWTH["alliance"]))
    with pytest.raises(DataError, match=r"the outcome differs in 1 of 240 rows \(first at row 5"):
        als.anova(growth(), growth("1", frame=frame))


def test_a_refit_that_does_not_converge_warns_and_is_marked(monkeypatch):
    from dataclasses import replace

    def stuck(design, reml):
        solution = als.mixed(INTERCEPT, GROWTH, "ML").solution
        return replace(solution, story=replace(solution.story, converged=False, message="No optimum was reached."))

    fits = growth(), growth("1", method="ML")
    monkeypatch.setattr(comparison, "fit_mixed", stuck)
    with pytest.warns(ConvergenceWarning, match=r"Model 1 of anova: No optimum was reached\."):
        table = als.anova(*fits)
    assert dict(zip(table["model"], table["converged"], strict=True)) == {1: False, 2: True}


# ---- the level of the tests ------------------------------------------------------------------------------------------


def _rejections(frame, small, large, level, n=1000, seed=11):
    """Share of p values below each level when the smaller model is true, and the share that plain χ² would give."""
    rng, patient = np.random.default_rng(seed), frame["patient_id"].cat.codes.to_numpy()
    p_values, plain = [], []
    for _ in range(n):
        y = rng.normal(size=len(frame)) + rng.normal(size=patient.max() + 1)[patient]
        simulated = frame.assign(y=y)
        last = als.anova(als.mixed(small, simulated, "ML"), als.mixed(large, simulated, "ML")).iloc[-1]
        p_values.append(last["p_value"])
        plain.append(stats.chi2.sf(last["statistic"], last["df"]))
    return np.mean(np.array(p_values) < level), np.mean(np.array(plain) < level)


def _exact_level(critical, n_therapists=100, n_patients=4):
    """Exact level of the ML ratio test of a therapist variance in a balanced design, from the F distribution.

    Patients' means are a one-way layout (the patients' own variance is above zero): −2 log-likelihood of the larger
    model is k(m−1) log MSW + k log(SSB/k), that of the smaller km log((SSB + SSW)/km).
    """
    k, m = n_therapists, n_patients

    def ratio(f):  # f = MSB/MSW, in units where MSW = 1
        between, within = f * (k - 1), k * (m - 1)
        return k * m * np.log((between + within) / (k * m)) - k * np.log(between / k) - critical

    return stats.f.sf(optimize.brentq(ratio, k / (k - 1), 5), k - 1, k * (m - 1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::alliance_stats.errors.ConvergenceWarning")
def test_the_test_of_one_variance_keeps_its_level():
    row = np.arange(100 * 4 * 3)
    frame = pd.DataFrame({"patient_id": pd.Categorical(row // 3), "therapist_id": row // 12})
    small, large = "y ~ 1 + (1 | patient_id)", "y ~ 1 + (1 | patient_id) + (1 | therapist_id)"
    own, plain = _rejections(frame, small, large, 0.10, n=1000)
    # the mixture holds for many therapists; with 100 its exact level is .086, and that of plain χ²(1) .042
    exact = _exact_level(stats.chi2.isf(0.20, 1)), _exact_level(stats.chi2.isf(0.10, 1))
    assert_allclose(exact, [0.0860, 0.0420], atol=1e-4)
    for share, expected in zip((own, plain), exact, strict=True):
        assert abs(share - expected) < 3 * np.sqrt(expected * (1 - expected) / 1000)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::alliance_stats.errors.ConvergenceWarning")
def test_the_test_of_a_slope_keeps_its_level():
    row = np.arange(150 * 5)
    frame = pd.DataFrame({"patient_id": pd.Categorical(row // 5), "time": row % 5 - 2.0})
    own, plain = _rejections(frame, "y ~ time + (1 | patient_id)", "y ~ time + (1 + time | patient_id)", 0.10)
    # 10 % of 1 000 has a standard error of .0095
    assert 0.0715 < own < 0.1285
    assert plain < own - 0.02
