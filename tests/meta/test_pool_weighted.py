import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError

FRAME = pd.DataFrame(
    {
        "study": list("abcdef"),
        "yi": [0.12, 0.61, 0.35, -0.08, 0.44, 0.72],
        "vi": [0.02, 0.05, 0.01, 0.04, 0.03, 0.09],
        "n": [53, 23, 103, 28, 36, 14],
    }
)


def test_the_mean_is_that_of_the_weights():
    fit = als.meta.pool_weighted(FRAME, "n")
    assert_allclose(fit.table()["estimate"][0], np.average(FRAME["yi"], weights=FRAME["n"]), rtol=1e-12)
    assert_allclose(fit.weights(), 100 * FRAME["n"] / FRAME["n"].sum())
    equal = als.meta.pool_weighted(FRAME)
    assert_allclose(equal.table()["estimate"][0], FRAME["yi"].mean(), rtol=1e-12)


def test_the_best_weights_give_what_pool_gives():
    pooled = als.meta.pool(FRAME, "DL")
    tau2 = pooled.glance()["tau2"][0]
    fit = als.meta.pool_weighted(FRAME.assign(w=1 / (FRAME["vi"] + tau2)), "w", "DL")
    assert_allclose(fit.table().drop(columns="term"), pooled.table().drop(columns="term"), rtol=1e-10)
    for name in ("i2", "h2", "q", "tau2", "tau2_ci_low", "tau2_ci_high", "pi_low", "pi_high"):
        assert_allclose(fit.glance()[name], pooled.glance()[name], rtol=1e-8, atol=1e-12)
    assert als.meta.pool_weighted(FRAME, "n", "DL").table()["std_error"][0] > pooled.table()["std_error"][0]


def test_the_words_say_which_weights():
    fit = als.meta.pool_weighted(FRAME, "n", measure="ZCOR")
    assert "weights of the column 'n'; τ² by the Q statistic of these weights" in fit.describe()
    assert "(r = .30" in str(fit.report())
    assert_allclose(fit.back_transformed()["estimate"], np.tanh(fit.table()["estimate"]))
    assert "equal weights; τ² taken as 0" in als.meta.pool_weighted(FRAME, method="FE").describe()


def test_rows_without_a_weight_are_left_out_and_counted():
    fit = als.meta.pool_weighted(FRAME.assign(n=[53, np.nan, 103, 28, 36, 14]), "n")
    assert fit.glance()["k"][0] == 5
    assert fit.notes()[0].startswith("1 row without effect, variance or weight")


def test_one_effect_and_effects_that_agree_have_answers():
    one = als.meta.pool_weighted(FRAME.head(1), "n")
    assert_allclose(one.table()["std_error"][0] ** 2, 0.02)
    assert "nan" not in str(one.report())
    same = als.meta.pool_weighted(FRAME.assign(yi=0.3), "n")
    assert same.glance()["tau2"][0] == 0
    assert "the interval of τ² is empty" in same.notes()[0]


def test_many_effects_have_a_mean_but_no_exact_interval():
    many = pd.concat([FRAME] * 200, ignore_index=True)
    fit = als.meta.pool_weighted(many, "n")
    assert np.isnan(fit.glance()["tau2_ci_low"][0])
    assert fit.notes() == ("τ² by GENQ has an interval for at most 1000 effects.",)


@pytest.mark.parametrize("bad", [0, -3, np.inf, "many"])
def test_weights_that_cannot_be_are_named(bad):
    frame = FRAME.assign(n=FRAME["n"].astype(object))
    frame.loc[2, "n"] = bad
    with pytest.raises(DataError, match=r"1 of 6 weights 'n' are not numbers above 0 .*Correct them"):
        als.meta.pool_weighted(frame, "n")


def test_unknown_estimators_are_named():
    with pytest.raises(DataError, match=r"No estimator 'GENQM'. Did you mean 'GENQ'"):
        als.meta.pool_weighted(FRAME, "n", "GENQM")


def test_one_effect_by_assumption_predicts_nothing():
    result = als.meta.pool_weighted(FRAME, "n", "EE")
    assert result.glance()[["pi_low", "pi_high"]].isna().all(axis=None)
    assert "τ² taken as 0" in result.describe()
