import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError, FormulaError

RNG = np.random.default_rng(11)
K = 30
EFFECTS = pd.DataFrame(
    {
        "yi": RNG.normal(0.3, 0.2, K),
        "vi": RNG.uniform(0.01, 0.05, K),
        "year": RNG.integers(1976, 2020, K),
        "rater": np.tile(["patient", "therapist", "observer"], K // 3),
    }
)
GOLDEN = Path(__file__).parents[1] / "golden" / "metafor"


def test_coefficients_are_weighted_least_squares_at_the_estimated_variance():
    result = als.meta.regress("yi ~ year + rater", EFFECTS)
    w = 1 / (EFFECTS["vi"] + result.fit.tau2).to_numpy()
    x = np.column_stack(
        [np.ones(K), EFFECTS["year"], EFFECTS["rater"] == "patient", EFFECTS["rater"] == "therapist"]
    ).astype(float)
    root = np.sqrt(w)[:, None]
    beta = np.linalg.lstsq(root * x, np.sqrt(w) * EFFECTS["yi"], rcond=None)[0]
    by_name = result.table().set_index("term")["estimate"]
    # dense least squares in years since 0 loses digits to their size
    assert_allclose(by_name[["(Intercept)", "year", "rater[T.patient]", "rater[T.therapist]"]], beta, rtol=1e-8)


def test_years_may_count_from_any_start():
    plain = als.meta.regress("yi ~ year", EFFECTS).table()
    centred = als.meta.regress("yi ~ year", EFFECTS.assign(year=EFFECTS["year"] - 2000)).table()
    assert_allclose(plain["estimate"][1], centred["estimate"][1], rtol=1e-10)
    assert_allclose(plain["std_error"][1], centred["std_error"][1], rtol=1e-10)


def test_a_contrast_is_the_difference_of_two_codings():
    result = als.meta.regress("yi ~ rater", EFFECTS, test="knha")
    ours = result.contrast({"rater[T.patient]": 1, "rater[T.therapist]": -1})
    other = als.meta.regress("yi ~ C(rater, treatment('therapist'))", EFFECTS, test="knha").table()
    row = other[other["term"].str.contains("patient")].iloc[0]
    assert_allclose(
        ours[["estimate", "std_error", "p_value"]].iloc[0].astype(float),
        row[["estimate", "std_error", "p_value"]].astype(float),
    )
    with pytest.raises(DataError, match="no term 'rater'"):
        result.contrast({"rater": 1})


def test_a_joint_test_of_one_coefficient_is_its_own_squared():
    result = als.meta.regress("yi ~ year + rater", EFFECTS, test="knha")
    joint = result.test("year").iloc[0]
    row = result.table().set_index("term").loc["year"]
    assert_allclose(joint["statistic"], row["statistic"] ** 2)
    assert_allclose(joint["p_value"], row["p_value"])
    with pytest.raises(DataError, match="Did you mean 'rater'"):
        result.test("ratr")
    with pytest.raises(DesignError, match="not independent"):
        result.test(pd.DataFrame({"year": [1.0, 2.0]}))


def test_explained_variance_compares_with_the_model_without_moderators():
    result = als.meta.regress("yi ~ year", EFFECTS)
    before = als.meta.pool(EFFECTS).fit.tau2
    assert_allclose(result.glance()["r2"][0], max(0, 100 * (before - result.fit.tau2) / before))


def test_predictions_at_the_rows_are_those_at_new_rows():
    result = als.meta.regress("yi ~ poly(year, 2) + rater", EFFECTS)
    pd.testing.assert_frame_equal(result.predict(), result.predict(EFFECTS), rtol=1e-9)
    tanh = result.predict(EFFECTS.head(2), back="tanh")
    assert_allclose(tanh["ci_high"], np.tanh(result.predict().head(2)["ci_high"]))
    with pytest.raises(DataError, match="category of 'rater' that the fit did not have"):
        result.predict(pd.DataFrame({"year": [2000], "rater": ["nobody"]}))


@pytest.mark.parametrize(
    ("formula", "change", "error", "message"),
    [
        ("yi ~ year", {"year": 2000}, DesignError, "constant: 'year'"),
        ("yi ~ year + twice", {"twice": 2 * EFFECTS["year"]}, DesignError, "'twice' follows exactly from 'year'"),
        ("yi ~ rater", {"rater": "patient"}, DesignError, "constant: 'rater'"),
        ("yi ~ year + (1 | rater)", {}, FormulaError, "has 1 bar term"),
        ("z ~ year", {}, DataError, "The left side"),
        ("yi ~ yeer", {}, DataError, "Did you mean 'year'"),
    ],
)
def test_what_the_data_cannot_tell_is_refused(formula, change, error, message):
    with pytest.raises(error, match=message):
        als.meta.regress(formula, EFFECTS.assign(**change))


def test_more_coefficients_than_effects_are_refused():
    with pytest.raises(DesignError, match="1 predictor is constant"):
        als.meta.regress("yi ~ year", EFFECTS.head(1))
    with pytest.raises(DesignError, match="leave 0 degrees of freedom"):
        als.meta.regress("yi ~ year", EFFECTS.head(2), test="knha")
    with pytest.raises(DesignError, match="cannot be inflated"):
        als.meta.regress("yi ~ year", EFFECTS).vif()


def test_the_report_names_test_moderators_and_rest():
    text = als.meta.regress("yi ~ year + rater", EFFECTS, test="knha").report()
    assert text.startswith("In 30 studies, the moderators together: F(3, 26) = ")
    assert "Per unit of year" in text
    assert "Effects with rater = therapist" in text
    assert "nan" not in text.lower()


def test_prediction_intervals_are_told_for_a_mean_alone():
    alone = als.meta.multilevel(EFFECTS.assign(study=EFFECTS.index // 2), random="study/effect")
    moderated = als.meta.multilevel(EFFECTS.assign(study=EFFECTS.index // 2), random="study/effect", mods="year")
    for text, told in ((alone.report(), True), (moderated.report(), False)):
        assert ("are expected within" in text) == told
    assert "prediction interval" in alone.result_table().to_markdown()
    for fit in (moderated, als.meta.regress("yi ~ year", EFFECTS)):
        assert "prediction interval" not in fit.result_table().to_markdown()


def test_a_category_is_compared_with_its_reference_in_words():
    effects = EFFECTS.assign(rater=["patient", "therapist"] * 15, yi=[0.1, 0.5] * 15)
    text = als.meta.regress("yi ~ rater", effects, method="DL").report()
    assert "Effects with rater = therapist were larger than with rater = patient" in text
    same = als.meta.regress("yi ~ rater", effects.assign(yi=EFFECTS["yi"]), method="DL").report()
    assert "Effects with rater = therapist did not differ detectably from those with rater = patient" in same


def test_permutations_are_exact_for_few_effects():
    golden = json.loads((GOLDEN / "permutation.json").read_text())
    effects = pd.DataFrame({name: golden[name] for name in ("yi", "vi", "x", "z")})
    result = als.meta.regress("yi ~ x + z", effects, method="DL")
    ours = result.permutation_test(n=1000)
    assert_allclose(ours["p_value"], [*golden["pval"], golden["QMp"]], rtol=1e-12)  # counts of 720 orders


def test_random_permutations_come_from_the_seed():
    result = als.meta.regress("yi ~ year", EFFECTS, method="DL")
    first, again = (result.permutation_test(n=50, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert (first["p_value"] >= 1 / 51).all()


@pytest.mark.parametrize(
    ("name", "formula", "scale", "method"),
    [("REML", "yi ~ x", "z + g", "REML"), ("ML", "yi ~ x", "z + g", "ML"), ("REML_mean", "yi ~ 1", "z", "REML")],
)
def test_location_scale_models_are_those_of_metafor(name, formula, scale, method):
    golden = json.loads((GOLDEN / "location_scale.json").read_text())
    effects = pd.DataFrame({column: golden[column] for column in ("yi", "vi", "x", "z", "g")})
    expected = golden["result"][name]
    result = als.meta.regress(formula, effects, method=method, scale=scale)
    table = result.table()
    n = len(np.atleast_1d(expected["beta"]))
    # nlminb stops where the likelihood changes by 1e-10 of itself, so coefficients agree to about its root
    assert_allclose(table["estimate"], [*np.atleast_1d(expected["beta"]), *np.atleast_1d(expected["alpha"])], rtol=1e-6)
    assert_allclose(table["std_error"][:n], expected["se"], rtol=1e-6)
    assert_allclose(table["std_error"][n:], expected["se_alpha"], rtol=1e-6)
    assert_allclose(result.fit.log_likelihood, expected["ll"], rtol=1e-10)
    assert result.fit.converged
    more = table.iloc[n:][table["term"][n:].ne("log τ²: (Intercept)")]
    for row in more.to_dict("records"):
        found = "effects differed more" if row["p_value"] < 0.05 else "effects did not differ detectably more or less"
        assert f"Per unit of {row['term'].removeprefix('log τ²: ')}, {found} between studies" in result.report()
    assert result.result_table().to_markdown()


def test_a_spread_that_vanishes_is_not_called_converged():
    effects = EFFECTS.assign(g=np.repeat([0.0, 1.0], 15))
    effects.loc[:14, "yi"] = 0.3
    result = als.meta.regress("yi ~ 1", effects, scale="g")
    assert not result.glance()["converged"][0]
    assert any("no peak" in note for note in result.notes())


def test_location_scale_models_have_their_own_limits():
    with pytest.raises(DataError, match="REML or ML, not by 'DL'"):
        als.meta.regress("yi ~ 1", EFFECTS, method="DL", scale="year")
    with pytest.raises(DataError, match="tests 'z' and 't'"):
        als.meta.regress("yi ~ 1", EFFECTS, test="knha", scale="year")


def test_means_of_categories_are_told_as_means_where_there_is_no_intercept():
    report = als.meta.regress("yi ~ 0 + rater", EFFECTS).report()
    assert "all coefficients together" in report
    assert "With rater = patient the mean effect was positive" in report
    assert "Per unit of" not in report
    beside = als.meta.regress("yi ~ 0 + rater + year", EFFECTS).report()
    assert "With rater = patient (the other moderators at 0 or their reference) the mean effect" in beside


def test_categories_that_predict_the_spread_are_compared_with_their_reference():
    report = als.meta.regress("yi ~ year", EFFECTS, scale="rater").report()
    assert "between studies than with rater = observer (log τ²)" in report
    assert report.index("Per unit of year") < report.index("log τ²")


def test_no_spread_is_not_told_as_variation():
    effects = pd.DataFrame({"yi": [0.2, 0.21, 0.19, 0.2], "vi": [0.05] * 4})
    report = als.meta.pool(effects).report()
    assert "No differences between studies were found" in report
    assert "Effects varied" not in report


def test_a_column_taken_as_categories_goes_by_its_own_name():
    report = als.meta.regress("yi ~ C(rater)", EFFECTS).report()
    assert "Effects with rater = patient" in report
    assert "rater = observer" in report
    assert "C(" not in report
    assert "With rater = patient the mean effect" in als.meta.regress("yi ~ 0 + C(rater)", EFFECTS).report()


def test_an_equal_effects_model_does_not_find_a_spread_of_zero():
    report = als.meta.regress("yi ~ year", EFFECTS, "EE").report()
    assert "SD" not in report
    assert "What the moderators left was tested with Q(28) =" in report


def test_a_printed_table_names_categories_and_what_they_are_compared_with():
    frame = pd.DataFrame(
        {"yi": [0.2, 0.3, 0.1, 0.4, 0.5, 0.2], "vi": 0.02, "rater": list("ababab"), "x": [1.0, 2, 4, 3, 6, 5]}
    )
    shown = als.meta.regress("yi ~ rater + x", frame).result_table().to_markdown()
    assert "rater: b" in shown
    assert "[T." not in shown
    assert "Each category is compared with the one that has no row." in shown
    means = als.meta.regress("yi ~ 0 + rater", frame).result_table().to_markdown()
    assert "rater: a" in means
    assert "is compared with" not in means
