"""The main models against metafor and clubSandwich on effects of our own, so that it can be checked anywhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metafor/models.json").read_text())
EFFECTS = pd.DataFrame({name: GOLDEN[name] for name in ("study", "yi", "vi", "x", "g")})
RESULT = GOLDEN["result"]


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("pool_REML", lambda: als.meta.pool(EFFECTS)),
        ("pool_DL_knha", lambda: als.meta.pool(EFFECTS, "DL", "knha")),
        ("regress", lambda: als.meta.regress("yi ~ x + g", EFFECTS)),
    ],
)
def test_pooling_and_regression(name, fit):
    ours, expected = fit(), RESULT[name]
    table, glance = ours.table(), ours.glance().iloc[0]
    # metafor's τ² is good to 1e-8 at its tightest threshold
    assert_allclose(glance["tau2"], expected["tau2"], rtol=1e-8)
    assert_allclose(table["estimate"], expected["beta"], rtol=1e-8)
    assert_allclose(table["std_error"], expected["se"], rtol=1e-8)
    assert_allclose(table["p_value"], expected["pval"], rtol=1e-7)
    assert_allclose([glance["i2"], glance["q"]], [expected["I2"], expected["QE"]], rtol=1e-8)


def test_q_profile_limits():
    assert_allclose(als.meta.pool(EFFECTS).tau2_interval(), RESULT["q_profile"], rtol=1e-8)


def test_three_levels_with_imputed_covariances_and_cr2():
    ours, expected = als.meta.multilevel(EFFECTS, mods="x + g"), RESULT["multilevel"]
    # nlminb's σ² are good to 5e-6, and what follows from them to about as much
    assert_allclose(ours.peak.theta, expected["sigma2"], rtol=5e-6)
    assert ours.peak.at.value >= expected["ll"] - 1e-10
    table = ours.table()
    assert_allclose(table["estimate"], expected["beta"], rtol=1e-6)
    assert_allclose(table["std_error"], expected["cr2_se"], rtol=1e-5)
    assert_allclose(table["df"], expected["cr2_df"], rtol=1e-5)
    test = ours.test().iloc[0]
    assert_allclose([test["statistic"], test["df_den"]], [expected["htz_F"], expected["htz_df"]], rtol=1e-5)


def test_robust_errors_are_exact_at_metafors_own_variances():
    from alliance_stats.engine.pooling.climb import find_peak
    from alliance_stats.meta.multilevel import robust_uncertainty

    ours, expected = als.meta.multilevel(EFFECTS, mods="x + g", robust=None), RESULT["multilevel"]
    at = find_peak(ours.problem, np.array(expected["sigma2"]), dict(enumerate(expected["sigma2"])))
    moved = replace(ours, peak=at)
    beta, covariance = at.at.coefficients()
    assert_allclose(beta, expected["beta"], rtol=1e-10)
    assert_allclose(np.sqrt(np.diag(covariance)), expected["se"], rtol=1e-10)
    robust = robust_uncertainty(moved)
    assert_allclose(robust.errors(np.eye(3)), expected["cr2_se"], rtol=1e-10)
    assert_allclose(robust.degrees_of_freedom(np.eye(3)), expected["cr2_df"], rtol=1e-9)
    joint = robust.joint("both", np.eye(3)[1:], beta).iloc[0]
    assert_allclose([joint["statistic"], joint["df_den"]], [expected["htz_F"], expected["htz_df"]], rtol=1e-9)
