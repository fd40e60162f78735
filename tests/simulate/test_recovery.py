"""Parameter recovery: 100 simulated studies, two models each, against the truth that they were made from.

Run by ``python -m pytest -m slow tests/simulate``. Seeds 0 to 99 were fixed before the first run; with 30 therapists,
240 patients and up to 12 sessions a study is of ordinary size. A quarter of its patients change therapist; a third
drop out, more often after a low alliance. About 14 CPU seconds for all.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.errors import ConvergenceWarning

pytestmark = pytest.mark.slow

SEEDS = range(100)
STUDY = {"n_therapists": 30, "patients_per_therapist": 8, "n_sessions": 12, "change_rate": 0.3}
ALLIANCE = "alliance ~ time + after_change + sessions_since_change + (1 + time | patient_id) + (1 | therapist_id)"
OUTCOME = "outcome ~ time + alliance_within + alliance_between + (1 | patient_id) + (1 | therapist_id)"

#: Model → term → name of its true value.
FIXED = {
    "alliance": {
        "(Intercept)": "alliance_intercept",
        "time": "alliance_slope",
        "after_change": "change_jump",
        "sessions_since_change": "change_recovery",
    },
    "outcome": {
        "(Intercept)": "outcome_intercept",
        "time": "outcome_slope",
        "alliance_within": "outcome_within",
        "alliance_between": "outcome_between",
    },
}
#: Model → (group, term) → name of its true standard deviation.
DEVIATIONS = {
    "alliance": {
        ("patient_id", "(Intercept)"): "alliance_intercept_sd",
        ("patient_id", "time"): "alliance_slope_sd",
        ("therapist_id", "(Intercept)"): "alliance_therapist_sd",
        ("residual", None): "alliance_residual_sd",
    },
    "outcome": {
        ("patient_id", "(Intercept)"): "outcome_intercept_sd",
        ("therapist_id", "(Intercept)"): "outcome_therapist_sd",
        ("residual", None): "outcome_residual_sd",
    },
}
FIXED_TERMS = [pytest.param(model, term, id=f"{model}: {term}") for model, terms in FIXED.items() for term in terms]
DEVIATION_TERMS = [
    pytest.param(model, *place, id=f"{model}: {place[0]} {place[1] or ''}")
    for model, places in DEVIATIONS.items()
    for place in places
]


@pytest.fixture(scope="module")
def studies():
    """Fit both models in every study; tables and variances stacked, with ``seed`` and ``model``."""
    tables, variances = [], []
    for seed in SEEDS:
        for model, fit in _fit_study(seed).items():
            assert fit.converged, f"{model} at seed {seed}: {fit.optimizer()['message']}"
            tables.append(fit.table().assign(seed=seed, model=model))
            variances.append(fit.variance().assign(seed=seed, model=model))
    return pd.concat(tables, ignore_index=True), pd.concat(variances, ignore_index=True)


def _fit_study(seed):
    sessions = als.therapist_episodes(als.simulate_sessions(**STUDY, seed=seed))
    frame = als.center(sessions, "alliance").frame.assign(time=lambda frame: frame["session"] - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        return {"alliance": als.mixed(ALLIANCE, frame), "outcome": als.mixed(OUTCOME, frame)}


@pytest.fixture(scope="module")
def truth():
    return als.simulate_sessions(**STUDY, seed=0).truth


def _rows(frame, model, **values):
    chosen = frame[frame["model"] == model]
    for column, value in values.items():
        chosen = chosen[chosen[column].isna() if value is None else chosen[column] == value]
    assert len(chosen) == len(SEEDS)
    return chosen


def _monte_carlo_error(values):
    return values.std(ddof=1) / np.sqrt(values.size)


@pytest.mark.parametrize(("model", "term"), FIXED_TERMS)
def test_fixed_effects_are_unbiased(studies, truth, model, term):
    estimates = _rows(studies[0], model, term=term)["estimate"].to_numpy()
    bias = estimates.mean() - truth[FIXED[model][term]]
    # 4 Monte-Carlo standard errors: an unbiased estimator is beyond them once in 8 000 (t, 99 df)
    assert abs(bias) < 4 * _monte_carlo_error(estimates)


@pytest.mark.parametrize(("model", "term"), FIXED_TERMS)
def test_standard_errors_are_the_spread_of_the_estimates(studies, model, term):
    rows = _rows(studies[0], model, term=term)
    ratio = rows["std_error"].mean() / rows["estimate"].std(ddof=1)
    # a spread from 100 studies has a relative standard error of 1/√(2·99) = .071: four of them
    assert 1 / 1.28 < ratio < 1.28


@pytest.mark.parametrize(("model", "term"), FIXED_TERMS)
def test_intervals_cover_the_truth_as_often_as_they_promise(studies, truth, model, term):
    rows = _rows(studies[0], model, term=term)
    covered = rows["ci_low"].lt(truth[FIXED[model][term]]) & rows["ci_high"].gt(truth[FIXED[model][term]])
    # binomial(100, .95) lies in 90 … 99 with probability .98
    assert 90 <= covered.sum() <= 99


@pytest.mark.parametrize("model", FIXED)
def test_intervals_of_all_terms_together_cover(studies, truth, model):
    rows = studies[0][studies[0]["model"] == model]
    true = rows["term"].map(FIXED[model]).map(truth)
    covered = (rows["ci_low"] < true) & (true < rows["ci_high"])
    # 400 intervals; terms of one study are correlated, so their share is as sure as that of 200 or so: twice SE .015
    assert 0.92 <= covered.mean() <= 0.98


@pytest.mark.parametrize(("model", "group", "term"), DEVIATION_TERMS)
def test_variances_are_unbiased(studies, truth, model, group, term):
    variances = _rows(studies[1], model, group=group, term=term, term2=None)["vcov"].to_numpy()
    bias = variances.mean() - truth[DEVIATIONS[model][group, term]] ** 2
    # REML variances are unbiased but for the bound at zero, which here is more than two standard errors away
    assert abs(bias) < 4 * _monte_carlo_error(variances)


@pytest.mark.parametrize(("model", "group", "term"), DEVIATION_TERMS)
def test_standard_deviations_are_within_a_tenth(studies, truth, model, group, term):
    deviations = _rows(studies[1], model, group=group, term=term, term2=None)["sdcor"].to_numpy()
    # The root of an unbiased variance is too small by 1/8 of the variance's squared coefficient of variation: largest
    # for the 30 therapists, .41² / 8 = 2 %. Chance adds 4 × (.41 / 2) / √100 = 8 %.
    assert abs(deviations.mean() / truth[DEVIATIONS[model][group, term]] - 1) < 0.10


def test_covariance_of_intercept_and_slope_is_unbiased(studies, truth):
    covariances = _rows(studies[1], "alliance", group="patient_id", term2="time")["vcov"].to_numpy()
    true = truth["alliance_correlation"] * truth["alliance_intercept_sd"] * truth["alliance_slope_sd"]
    assert abs(covariances.mean() - true) < 4 * _monte_carlo_error(covariances)
