"""Intervals cover and tests keep their level in simulated studies: a part of what ``benchmarks/coverage.py`` runs.

Run by ``python -m pytest -m slow tests/simulate``: 200 studies with independent residuals and 200 with CAR(1), about 40
CPU seconds. All 1 000 of every scenario: ``python benchmarks/coverage.py``, whose tables stand in ``docs/coverage.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
N_STUDIES = 200


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_on_the_path():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module", params=["independent", "car1"])
def studies(request):
    from coverage import run

    return run(request.param, range(N_STUDIES))


@pytest.mark.slow
def test_every_fit_converges(studies):
    assert studies[2]["converged"].all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kenward-roger", "satterthwaite"])
def test_intervals_cover_as_often_as_they_promise(studies, method):
    from coverage import coverage

    shares = coverage(studies[0]).query("method == @method")
    assert len(shares) == 10
    # binomial(200, .95) has a standard deviation of 1.5 points: a term is within 3 of them 997 times in 1 000
    assert shares["covered"].between(0.903, 0.997).all(), shares
    # ten terms together, correlated within a study: about as sure as five independent ones
    assert 0.93 <= shares["covered"].mean() <= 0.97
    # a standard deviation from 200 studies has a relative standard error of 1/√400 = .05: four of them
    assert shares["se_over_sd"].between(0.8, 1.25).all(), shares
    assert (shares["no_interval"] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kenward-roger", "satterthwaite"])
def test_joint_tests_of_nothing_reject_one_time_in_twenty(studies, method):
    from coverage import rejections

    shares = rejections(studies[1]).query("method == @method")
    assert len(shares) == 2
    # binomial(200, .05): 10 expected, standard deviation 3.1
    assert shares["p < .05"].between(0.005, 0.10).all(), shares


def test_coverage_counts_by_hand():
    from coverage import coverage

    rows = [(0.0, 1.0, 0.9), (1.0, 3.0, 2.0), (float("nan"), float("nan"), 1.0)]  # truth of severity: 0.8
    columns = {"term": "severity", "method": "kenward-roger", "df": 9.0, "std_error": 0.5}
    frame = pd.DataFrame(rows, columns=["ci_low", "ci_high", "estimate"]).assign(**columns)
    shares = coverage(frame).iloc[0]
    assert shares["covered"] == pytest.approx(2 / 3)  # the second misses; no interval counts as the whole line
    assert shares["no_interval"] == 1
    assert shares["bias"] == pytest.approx(1.3 - 0.8)
    assert shares["se_over_sd"] == pytest.approx(0.5 / pd.Series([0.9, 2.0, 1.0]).std())


def test_studies_have_the_stated_design():
    from coverage_studies import SCENARIOS, simulate

    frame = simulate(SCENARIOS["car1"], 3)
    assert len(frame) == 2400
    assert frame["patient_id"].nunique() == 240
    assert frame["therapist_id"].nunique() == 30
    changed = frame.groupby("patient_id")["therapist_id"].nunique().gt(1)
    assert changed.sum() == 48  # one patient in five
    assert (frame.groupby("patient_id")["after_change"].max() == changed).all()
    gaps = frame.groupby("patient_id")["time"].diff().dropna()
    assert gaps.min() > 0.5
    assert gaps.nunique() > 10  # decimals and missed weeks
    assert frame.groupby("therapist_id")[["experience", "orientation"]].nunique().eq(1).all(axis=None)
    assert not frame.equals(simulate(SCENARIOS["car1-no-therapists"], 3))
    pd.testing.assert_frame_equal(frame, simulate(SCENARIOS["car1"], 3))


def test_errors_have_the_correlation_that_the_scenario_names():
    import numpy as np
    from coverage_studies import N_SESSIONS, _correlated

    time = np.tile(np.r_[0, np.cumsum([1.0, 2.0, 0.5] * 3)], 20_000)
    e = _correlated(np.random.default_rng(1), time, 0.5).reshape(-1, N_SESSIONS)
    assert np.corrcoef(e[:, 0], e[:, 1])[0, 1] == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(e[:, 0], e[:, 2])[0, 1] == pytest.approx(0.125, abs=0.03)  # three weeks apart
    assert np.corrcoef(e[:, 2], e[:, 3])[0, 1] == pytest.approx(0.5**0.5, abs=0.02)
    assert e.std(axis=0) == pytest.approx(np.ones(N_SESSIONS), abs=0.03)
