"""``als.mixed`` against statsmodels' MixedLM: a second implementation, by row algebra, in another hand.

What statsmodels is good for here is its likelihood; its search stops early. So the criterion is compared twice: at our
estimates, where only the two formulas can differ, and at its own optimum, which lies above ours by what its search left
(lbfgs with centred time; the default search can end 10 units off). Its ``params`` hold variance / scale, so ``cov_re``
and ``scale`` are read.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als


@pytest.fixture(scope="module")
def frame():
    """Sessions of 40 patients; dropout makes the courses unequal, so that the weights of patients matter."""
    frame = als.simulate_sessions(5, 8, 12, 0.0, seed=3, alliance_slope_sd=0.06, alliance_therapist_sd=0.0).frame
    assert frame["patient_id"].value_counts().nunique() > 3
    return frame.assign(time=frame["session"] - frame["session"].mean())


@pytest.fixture(scope="module", params=["REML", "ML"])
def pair(request, frame):
    """Our fit and statsmodels' fit of the same growth model."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    ours = als.mixed("alliance ~ time + (1 + time | patient_id)", frame, request.param)
    x = np.column_stack([np.ones(len(frame)), frame["time"]])
    model = MixedLM(frame["alliance"].to_numpy(), x, groups=frame["patient_id"].to_numpy(), exog_re=x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own boundary checks on the way
        return ours, model.fit(reml=request.param == "REML", method=["lbfgs"])


def test_criterion_is_minus_twice_statsmodels_log_likelihood_at_the_same_estimates(pair):
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    ours, theirs = pair[0].solution, pair[1]
    at_ours = MixedLMParams.from_components(fe_params=ours.beta, cov_re=ours.random_covariances[0] / ours.sigma2)
    # 1e-10: rounding in sums over some 400 rows and 40 determinants
    assert_allclose(ours.criterion, -2 * theirs.model.loglike(at_ours, profile_fe=False), rtol=1e-10)


def test_statsmodels_search_ends_near_and_never_below_our_criterion(pair):
    ours, theirs = pair
    assert -1e-8 < -2 * theirs.llf - ours.solution.criterion < 1e-4


def test_estimates_agree_as_far_as_statsmodels_search_goes(pair):
    # The criterion is flat at its optimum: 1e-4 in it is √1e-4 = 1 % of a variance's standard error, and with 40
    # patients that standard error is about a quarter of the variance (√(2/39) = .23). So variances may differ by .0025.
    # Fixed effects feel a variance only through the patients' weights: a thousandth of their standard error.
    ours, theirs = pair
    table, solution = ours.table(), ours.solution
    assert_allclose(solution.random_covariances[0], theirs.cov_re, rtol=2.5e-3)
    assert_allclose(solution.sigma2, theirs.scale, rtol=2.5e-3)
    assert_allclose(table["std_error"], theirs.bse_fe, rtol=2.5e-3)
    assert_allclose(table["estimate"], theirs.fe_params, rtol=0, atol=1e-3 * table["std_error"].min())
