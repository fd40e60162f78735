"""The streaming benchmark's own bookkeeping: what it simulates, fits and says. Nothing is timed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytest.importorskip("pyarrow")


@pytest.fixture
def streaming(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import streaming

    monkeypatch.setattr(streaming, "PATIENTS_PER_FILE", 1500)
    yield streaming
    sys.modules.pop("streaming", None)


def test_files_hold_other_patients_and_therapists_who_stay_in_their_clinic(streaming):
    one, two = streaming.simulate_file(0), streaming.simulate_file(1)
    for name in ("patient", "therapist"):
        assert not set(one[name]) & set(two[name])
    assert one["patient"].nunique() == 1500
    assert one["therapist"].nunique() == 20
    clinic = one["therapist"].str[1:].astype(int) // 10
    assert clinic.groupby(one["patient"]).nunique().max() == 1
    changers = one.groupby("patient")["therapist"].nunique().eq(2)
    assert changers.equals(one.groupby("patient")["changed"].any())
    assert 0.17 < changers.mean() < 0.23
    assert one.groupby("patient").size().between(5, 25).all()


def test_the_streamed_fit_is_that_of_all_files_at_once_and_near_the_truth(streaming, tmp_path):
    import alliance_stats as als

    written = streaming.write_sessions(tmp_path, 40_000)
    frame = pd.concat([pd.read_parquet(file) for file in sorted(tmp_path.iterdir())])
    assert written == len(frame) >= 40_000
    ours = streaming.step_stream(tmp_path, 0)
    expected = streaming._result(als.mixed(streaming.FORMULA, frame))
    assert streaming._difference(ours, expected) < 1e-10
    assert ours["counts"] == {"n_obs": len(frame), "n_patient": 3000, "n_therapist": 40}
    for name, error in ours["errors"].items():
        # four standard errors
        assert_allclose(ours["estimates"][name], streaming.TRUTH[name], rtol=0, atol=4 * error)


def test_the_report_names_sizes_and_sets_estimates_beside_the_truth(streaming):
    fit = {
        "counts": {"n_obs": 20_000_000, "n_patient": 1_333_333, "n_therapist": 17_778},
        "estimates": {name: truth + 0.001 for name, truth in streaming.TRUTH.items()},
        "errors": {"session": 0.00002},
        "story": {"evaluations": 6},
        **{"seconds": 90.4, "cpu": 40.0, "peak": 2.1e9},
    }
    sums = {"in_memory": 0.9e9, "seconds": 30.0, "peak": 0.8e9, "cells": 1_600_000}
    text = streaming.describe("Streamed", {"bytes": 0.2e9}, fit, sums)
    assert "20,000,000 sessions, 1,333,333 patients, 17,778 therapists; 0.20 GB as Parquet, 0.90 GB as data" in text
    assert "Whole call: 90 s (40 s CPU), peak 2.10 GB; 6 evaluations." in text
    assert "| session | 0.025 | 0.02600 | 0.00002 |" in text
