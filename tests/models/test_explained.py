"""``icc()`` and ``r2()`` against the R package performance (``tests/golden/lme4_inference``) and by hand.

For ``||`` performance 0.10.2 leaves the slope out; there the reference is the written formula, computed in R.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError

GOLDEN = Path(__file__).parents[1] / "golden"
RECORD = json.loads((GOLDEN / "lme4_inference" / "inference.json").read_text())
SHARES = {f"{golden['formula'].replace(' ', '')} {golden['method']}": golden for golden in RECORD["shares"]}
SLOPES = "outcome ~ alliance_within + alliance_between + (1 + alliance_within | patient_id)"


def read(case):
    return pd.read_csv(GOLDEN / "lme4" / "data" / f"{case}.csv")


def centred():
    frame = read("unbalanced")
    between = frame.groupby("patient_id")["alliance"].transform("mean")
    return frame.assign(alliance_between=between, alliance_within=frame["alliance"] - between)


@pytest.fixture(params=SHARES, scope="module")
def pair(request):
    golden = SHARES[request.param]
    return als.mixed(golden["formula"], pd.read_csv(GOLDEN / "lme4" / golden["data"]), golden["method"]), golden


@pytest.fixture(scope="module")
def slopes():
    return als.mixed(SLOPES, centred())


def test_marginal_and_conditional_are_those_of_performance(pair):
    fit, golden = pair
    r2 = fit.r2()
    assert r2["kind"].tolist() == ["marginal", "conditional"]
    assert_allclose(r2["r2"], [golden["marginal"], golden["conditional"]], rtol=1e-5)


def test_the_groupings_shares_sum_to_the_icc_of_performance(pair):
    fit, golden = pair
    for definition in ("adjusted", "unadjusted"):
        icc = fit.icc(definition)
        assert tuple(icc.columns) == ("group", "icc", "definition")
        assert icc["group"].tolist() == list(fit.arrays.group_names)
        assert_allclose(icc["icc"].sum(), golden[f"icc_{definition}"], rtol=1e-5)
        assert (icc["definition"] == definition).all()


def test_icc_of_a_balanced_design_is_that_of_the_mean_squares():
    frame = read("intercept_only")  # 20 patients × 5 sessions
    scores = frame["alliance"].to_numpy().reshape(20, 5)
    assert (frame["patient_id"].to_numpy().reshape(20, 5) == frame["patient_id"].to_numpy()[::5, None]).all()
    between = 5 * scores.mean(axis=1).var(ddof=1)
    within = scores.var(axis=1, ddof=1).mean()
    icc = als.mixed("alliance ~ 1 + (1 | patient_id)", frame).icc()
    assert icc["group"].tolist() == ["patient_id"]
    assert_allclose(icc["icc"], (between - within) / (between + 4 * within), rtol=1e-6)  # ICC(1)


def test_without_slopes_intercept_and_adjusted_are_the_same():
    fit = als.mixed("outcome ~ phase + (1 | patient_id) + (1 | therapist_id)", read("unbalanced"))
    assert_allclose(fit.icc("intercept")["icc"], fit.icc("adjusted")["icc"], rtol=1e-12)
    variances = fit.variance()["vcov"].to_numpy()  # patient, therapist, residual
    assert_allclose(fit.icc()["icc"], variances[:2] / variances.sum(), rtol=1e-12)


def test_with_slopes_the_intercepts_share_depends_on_where_time_is_zero_and_the_adjusted_does_not():
    frame = read("growth").assign(later=lambda f: f["session0"] - 5.0)
    early = als.mixed("alliance ~ session0 + (1 + session0 | patient_id)", frame)
    late = als.mixed("alliance ~ later + (1 + later | patient_id)", frame)
    assert abs(early.icc()["icc"].item() - late.icc()["icc"].item()) > 0.01
    assert_allclose(early.icc("adjusted")["icc"], late.icc("adjusted")["icc"], rtol=1e-6)


def test_variance_with_slopes_is_averaged_row_by_row(slopes):
    frame, covariance = centred(), slopes.solution.random_covariances[0]
    by_row = [np.array([1, x]) @ covariance @ np.array([1, x]) for x in frame["alliance_within"]]
    mean = np.mean(by_row)
    assert_allclose(slopes.icc("adjusted")["icc"], mean / (mean + slopes.solution.sigma2), rtol=1e-10)


def test_a_variance_at_zero_has_a_share_of_zero():
    fit = als.mixed("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", read("boundary_intercept"))
    shares = fit.icc().set_index("group")["icc"]
    assert shares["therapist_id"] == 0.0
    assert 0 < shares["patient_id"] < 1


def test_a_grouping_without_intercept_has_no_share_at_zero():
    fit = als.mixed("alliance ~ session0 + (0 + session0 | patient_id)", read("growth"))
    with pytest.raises(DataError, match=r"'patient_id' has no random intercept \(its effects: session0\).*adjusted"):
        fit.icc()
    assert 0 < fit.icc("adjusted")["icc"].item() < 1


def test_memberships_count_with_their_squared_weights():
    from dataclasses import replace

    from alliance_stats.engine.mixed.design import Membership

    fit = als.mixed("outcome ~ phase + (1 | patient_id) + (1 | therapist_id)", read("unbalanced"))
    before = fit.icc("adjusted").set_index("group")["icc"]
    design = fit.arrays.design
    therapist = design.factors[1]
    n_levels = therapist.n_levels
    level = np.column_stack([np.arange(n_levels), (np.arange(n_levels) + 1) % n_levels]).ravel()
    halves = Membership(np.repeat(np.arange(n_levels), 2), level, np.full(2 * n_levels, 0.5))
    factors = (design.factors[0], replace(therapist, membership=halves))
    shared = replace(fit, arrays=replace(fit.arrays, design=replace(design, factors=factors)))
    odds = shared.icc("adjusted").set_index("group")["icc"]
    # ½² + ½² = ½: half the variance, against the same patients' variance
    assert_allclose(odds["therapist_id"] / odds["patient_id"], before["therapist_id"] / before["patient_id"] / 2)


# ---- Rights and Sterba -----------------------------------------------------------------------------------------------


def split(fit, level="total"):
    shares = fit.r2("rights-sterba")
    return shares[shares["level"] == level].set_index("kind")["r2"]


@pytest.mark.parametrize("level", ["total", "within", "between"])
def test_full_split_is_that_of_the_written_formulas(level, slopes):
    golden = RECORD["rights_sterba"][level]
    ours = split(slopes, level)
    assert ours.index.tolist() == list(golden)
    assert_allclose(ours, list(golden.values()), rtol=1e-4, atol=1e-6)
    assert ours.sum() == pytest.approx(1)


def test_the_split_agrees_with_nakagawa_but_for_the_divisor_of_the_variance(slopes):
    total, nakagawa = split(slopes), slopes.r2().set_index("kind")["r2"]
    assert total["fixed_within"] + total["fixed_between"] == pytest.approx(nakagawa["marginal"], rel=5e-3)
    assert 1 - total["residual"] == pytest.approx(nakagawa["conditional"], rel=5e-3)


def test_a_model_without_slopes_has_no_slope_share():
    fit = als.mixed("outcome ~ alliance_within + (1 | patient_id)", centred())
    total = split(fit)
    assert total["slope"] == 0
    assert total["fixed_between"] == pytest.approx(0, abs=1e-12)  # a centred predictor has no means to differ
    assert split(fit, "between")["mean"] == pytest.approx(1)


def test_a_slope_that_is_not_centred_leaves_the_split_by_levels_out():
    fit = als.mixed("outcome ~ alliance + (1 + alliance | patient_id)", read("unbalanced"))
    shares = fit.r2("rights-sterba")
    assert shares["level"].unique().tolist() == ["total"]
    assert shares["r2"].sum() == pytest.approx(1)


def test_scores_that_were_rounded_after_centring_are_still_centred():
    assert set(als.mixed(SLOPES, centred().round(2)).r2("rights-sterba")["level"]) == {"total", "within", "between"}


def test_two_groupings_have_no_full_split():
    fit = als.mixed("outcome ~ phase + (1 | patient_id) + (1 | therapist_id)", read("unbalanced"))
    with pytest.raises(DataError, match=r"this model has 2 groupings \(patient_id, therapist_id\).*nakagawa"):
        fit.r2("rights-sterba")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda fit: fit.icc("adjust"), "icc has no definition 'adjust'. Did you mean 'adjusted'"),
        (lambda fit: fit.r2("rights_sterba"), "r2 has no definition 'rights_sterba'. Did you mean 'rights-sterba'"),
        (lambda fit: fit.r2(None), "r2 has no definition None"),
    ],
)
def test_an_unknown_definition_names_the_nearest(call, match, slopes):
    with pytest.raises(DataError, match=match):
        call(slopes)
