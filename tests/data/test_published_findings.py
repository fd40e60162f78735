"""The table of published findings holds what was verified, and nothing that was only remembered."""

import os
from pathlib import Path

import pandas as pd
import pytest

import alliance_stats as als


@pytest.fixture(scope="module")
def findings():
    return als.load_dataset("published_findings")


def test_it_is_a_frame_with_a_glossary_for_every_column(findings):
    assert list(findings.columns) == list(findings.attrs["glossary"])
    assert findings.attrs["simulated"] is False
    assert len(findings) == als.datasets().set_index("name").loc["published_findings", "n_rows"]


def test_nothing_that_was_only_remembered_is_shipped(findings):
    assert not findings["status"].str.contains("recalled", case=False).any()
    assert findings["status"].str.startswith("verified").all()
    assert findings["address"].notna().all()
    assert findings.loc[findings["status"].str.contains("N only"), "estimate"].isna().all()
    studies = findings["study"].tolist()
    assert "Martin, Garske & Davis 2000" not in studies
    assert "Eubanks, Muran & Safran 2018" not in studies


def test_estimates_lie_inside_their_intervals_and_metrics_in_their_ranges(findings):
    inside = findings.dropna(subset=["low", "high"])
    assert ((inside["low"] <= inside["estimate"]) & (inside["estimate"] <= inside["high"])).all()
    assert inside["interval"].isin(["confidence interval", "range"]).all()
    assert findings.loc[findings["low"].isna(), "interval"].isna().all()
    bounded = findings[findings["metric"].isin(["r", "ICC", "prop"])]
    assert bounded["estimate"].between(-1, 1).all()
    assert set(findings["metric"].dropna()) == {"r", "g", "d", "prop", "OR", "ICC", "B", "beta"}


def test_known_numbers_are_those_that_were_published(findings):
    # Flückiger, Del Re, Wampold & Horvath (2018): r = .278, 95% CI [.256, .299], k = 295
    row = findings.set_index("study").loc["Flückiger, Del Re, Wampold & Horvath 2018"]
    assert (row["estimate"], row["low"], row["high"], row["k"]) == (0.278, 0.256, 0.299, 295)


REFERENCE = Path(os.environ.get("ALLIANCE_STATS_DATA", ""), "..", "reference", "published_findings.csv")


@pytest.mark.skipif(
    not os.environ.get("ALLIANCE_STATS_DATA") or not REFERENCE.exists(), reason="the list it was taken from is not here"
)
def test_every_number_is_that_of_the_list_it_was_taken_from(findings):
    listed = pd.read_csv(REFERENCE)
    kept = listed[~listed["status"].str.startswith("RECALLED")].reset_index(drop=True)
    assert kept["quantity"].tolist() == findings["quantity"].tolist()
    for ours, theirs in {"low": "lo", "high": "hi", "k": "k", "n": "N"}.items():
        pd.testing.assert_series_equal(findings[ours], kept[theirs], check_names=False, check_dtype=False)
    doubtful = kept["status"].str.contains("RECALLED")
    expected = kept["estimate"].mask(doubtful)
    pd.testing.assert_series_equal(findings["estimate"], expected, check_names=False)
    assert doubtful.sum() == 1
