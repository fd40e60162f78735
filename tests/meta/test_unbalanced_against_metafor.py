"""Every estimator with every test, deletion and several levels, on 1 to 30 effects per study and on 2 and 3 studies.

The numbers are R's (``tests/golden/metafor/make_unbalanced.R``), on effects simulated there.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metafor/unbalanced.json").read_text())
EFFECTS = pd.DataFrame(GOLDEN["effects"])
ONE = EFFECTS.drop_duplicates("study").reset_index(drop=True)
WITHOUT_RATER = ONE.assign(rater=ONE["rater"].mask(ONE.index.isin(GOLDEN["missing_rater"])))
MEAN = ["estimate", "std_error", "p_value", "ci_low", "ci_high"]
#: Closed forms; τ² climbed to 1e-13; roots that metafor looks for with tolerances of its own (uniroot).
CLOSED, CLIMBED, ROOT = 1e-9, 1e-7, 1e-4


def tolerance(method: str) -> float:
    return ROOT if method in ("PM", "PMM") else CLIMBED if method in ("ML", "REML", "EB", "SJ") else CLOSED


@pytest.mark.parametrize("name", GOLDEN["pool"])
def test_each_estimator_with_each_test(name):
    rows, method, test = name.split()
    expected, effects = GOLDEN["pool"][name], ONE.head(int(rows))
    ours = als.meta.pool(effects, method, test)
    glance, rtol = ours.glance().iloc[0], tolerance(method)
    assert_allclose(ours.table()[MEAN].iloc[0].to_numpy(float), expected["table"], rtol=rtol)
    assert_allclose(
        glance[["tau2", "i2", "h2"]].to_numpy(float), [expected[one] for one in ("tau2", "i2", "h2")], rtol=rtol
    )
    assert_allclose(glance[["q", "q_p"]].to_numpy(float), expected["q"], rtol=CLOSED)
    fit = [glance["log_likelihood"], glance["aic"], glance["bic"]]
    assert_allclose(fit, expected["fit"], rtol=rtol, atol=rtol)
    riley = als.meta.pool(effects, method, test, prediction="riley").glance()[["pi_low", "pi_high"]].iloc[0]
    for ends, theirs in ((glance[["pi_low", "pi_high"]], expected["pi"]), (riley, expected["riley"])):
        if method == "EE":  # one effect by assumption: nothing to predict
            assert ends.isna().all()
            continue
        if ends is riley and rows == "2":  # k − 2 = 0 degrees of freedom, where metafor 3.8 takes 1
            assert ends.isna().all()
            continue
        assert_allclose(ends.to_numpy(float), theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", GOLDEN["regress"])
def test_regressions_leave_rows_without_a_category_out(name):
    method, test = name.split()
    expected = GOLDEN["regress"][name]
    ours = als.meta.regress("yi ~ rater + year", WITHOUT_RATER, method, test)
    table, glance = ours.table(), ours.glance().iloc[0]
    assert glance["n_dropped"] == 2
    for mine, theirs in {"estimate": "beta", "std_error": "se", "p_value": "pval"}.items():
        assert_allclose(table[mine], expected[theirs], rtol=CLIMBED)
    assert_allclose(glance["tau2"], expected["tau2"], rtol=CLIMBED)
    assert_allclose(glance["r2"], expected["r2"], rtol=1e-6, atol=1e-6)
    assert_allclose([glance["qm"], glance["qm_p"]], expected["qm"], rtol=CLIMBED)
    fit = [glance["log_likelihood"], glance["aic"], glance["bic"]]
    assert_allclose(fit, expected["fit"], rtol=CLIMBED)
    rater = ours.test("rater").iloc[0]
    statistic = rater["statistic"] * (rater["df_num"] if test == "z" else 1)
    assert_allclose([statistic, rater["p_value"]], expected["rater"], rtol=CLIMBED)
    difference = ours.contrast({"rater[T.patient]": 1, "rater[T.therapist]": -1}).iloc[0]
    assert_allclose(
        [difference[one] for one in ("estimate", "std_error", "statistic", "p_value")],
        expected["contrast"],
        rtol=CLIMBED,
    )
    new = pd.DataFrame({"rater": ["patient", "observer"], "year": [1999.0, 2010.0]})
    assert_allclose(ours.predict(new).to_numpy().T.ravel(), expected["predict"], rtol=1e-6)


def test_variance_inflation_of_coefficients_and_of_terms():
    fit = als.meta.regress("yi ~ rater + year", WITHOUT_RATER)
    assert_allclose(fit.vif()["vif"], GOLDEN["vif"]["each"], rtol=CLIMBED)
    of_terms = fit.vif(["rater", "year"])
    assert of_terms["term"].tolist() == ["rater", "year"]
    # of two terms, each inflates the other as much
    assert_allclose(of_terms["vif"], [GOLDEN["vif"]["rater"]] * 2, rtol=CLIMBED)


def test_deletion_diagnostics():
    ours = als.meta.influence(ONE)
    for name, expected in GOLDEN["influence"].items():
        # metafor refits without each effect at its default threshold of 1e-5
        rtol = CLIMBED if name in ("q", "hat") else 2e-5
        assert_allclose(ours[name], expected, rtol=rtol, atol=1e-6)


def test_a_location_scale_model_with_categories():
    expected = GOLDEN["location_scale"]
    ours = als.meta.regress("yi ~ rater", ONE.assign(since=ONE["year"] - 2000), scale="since")
    table = ours.table()
    # nlminb stops where the likelihood changes by 1e-10 of itself, so coefficients agree to about its root
    assert_allclose(table["estimate"], [*expected["beta"], *expected["alpha"]], rtol=1e-5, atol=1e-6)
    assert_allclose(table["std_error"], [*expected["se"], *expected["se_alpha"]], rtol=1e-5)
    assert_allclose(ours.fit.log_likelihood, expected["ll"], rtol=1e-9)
    assert_allclose(ours.glance()["tau2"], expected["tau2"], rtol=1e-5)


def test_each_study_left_out_of_a_model_of_several_levels():
    ours = als.meta.leave_one_out(als.meta.multilevel(EFFECTS))
    estimate, error, df, *variances = np.array(GOLDEN["left_out"], dtype=float).T
    names = ["variance (study)", "variance (study/effect)"]
    assert_allclose(ours[names].to_numpy().T, variances, rtol=1e-4, atol=1e-6)  # nlminb's σ², some at the edge
    assert_allclose(ours["estimate"], estimate, rtol=1e-4)
    assert_allclose(ours["std_error"], error, rtol=1e-4)
    assert_allclose(ours["df"], df, rtol=1e-3)
