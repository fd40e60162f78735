"""Made-up frames as models hand them to the figures."""

import numpy as np
import pandas as pd
import pytest

HOSTILE = '<script>alert(1)</script> =HYPERLINK("x") $\\frac{ $'


@pytest.fixture
def hostile():
    return HOSTILE


@pytest.fixture
def patients():
    # A: sessions 1 2 3, B: 1 2 . 4 (3 is missing), C: 2 only
    return pd.DataFrame(
        {
            "patient_id": ["B", "B", "B", "A", "A", "A", "C"],
            "session": [4, 1, 2, 1, 2, 3, 2],
            "value": [4.0, 1.0, 2.0, 3.0, 3.5, 4.0, 2.5],
        }
    )


@pytest.fixture
def curve():
    x = np.arange(1, 5)
    return pd.DataFrame({"session": x, "estimate": 2 + 0.5 * x, "ci_low": 1.8 + 0.5 * x, "ci_high": 2.2 + 0.5 * x})


@pytest.fixture
def means():
    at = np.arange(-3, 4)
    return pd.DataFrame(
        {"sessions_from_change": at, "mean": 4.0, "ci_low": 3.5, "ci_high": 4.5, "n": [9, 10, 11, 12, 11, 10, 9]}
    )


@pytest.fixture
def change_curve():
    at = np.arange(-3, 4)
    part = np.where(at < 0, "before", "after")
    return pd.DataFrame({"sessions_from_change": at, "estimate": 4.0, "ci_low": 3.9, "ci_high": 4.1, "part": part})


@pytest.fixture
def effects():
    return pd.DataFrame(
        {
            "level": ["T1", "T2", "T3"],
            "estimate": [0.5, -1.0, 0.1],
            "ci_low": [0.1, -1.5, -0.4],
            "ci_high": [0.9, -0.5, 0.6],
            "n_patients": [12, 3, 7],
        }
    )


@pytest.fixture
def distances():
    return pd.DataFrame({"level": ["T1", "T2", "T3"], "cooks_distance": [0.1, 0.45, np.nan]})


@pytest.fixture
def refits():
    values = pd.DataFrame({"SD": np.linspace(0.1, 0.5, 30), "r": np.linspace(-0.4, 0.6, 30)})
    values.loc[3, "r"] = np.nan
    estimates = pd.DataFrame(
        {"name": ["SD", "r"], "estimate": [0.3, 0.1], "ci_low": [0.12, -0.3], "ci_high": [0.48, 0.5]}
    )
    return values, estimates


@pytest.fixture
def sessions():
    # A comes to 1, 2 and 4; B to 1 and 2; C to 1. Session 3 of A has a row without a score.
    return pd.DataFrame(
        {
            "patient_id": ["C", "A", "A", "A", "A", "B", "B"],
            "session": [1, 1, 2, 3, 4, 1, 2],
            "observed": [True, True, True, False, True, True, True],
        }
    )


@pytest.fixture
def between_and_within():
    between = pd.DataFrame({"patient_id": ["A", "B"], "predictor": [3.0, 5.0], "outcome": [20.0, 10.0]})
    within = pd.DataFrame({"predictor": [-0.5, 0.5], "outcome": [1.0, -1.0]})
    lines = pd.DataFrame(
        {
            "level": ["between"] * 2 + ["within"] * 2,
            "x": [3.0, 5.0, -0.5, 0.5],
            "estimate": [20.0, 10.0, 0.5, -0.5],
            "ci_low": [18.0, 8.0, 0.2, -0.8],
            "ci_high": [22.0, 12.0, 0.8, -0.2],
        }
    )
    return between, within, lines
