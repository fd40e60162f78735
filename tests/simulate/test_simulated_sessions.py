import pickle
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError
from alliance_stats.simulate.parameters import Parameters
from alliance_stats.simulate.sessions import SimulatedSessions

NOBODY_LEAVES = {"dropout_intercept": float("-inf")}
NO_CHANCE = {f.name: 0.0 for f in fields(Parameters) if f.name.endswith("_sd")}


@pytest.fixture(scope="module")
def big():
    """200 therapists × 20 patients × 12 sessions, nobody drops out."""
    return als.simulate_sessions(200, 20, 12, 0.3, seed=11, **NOBODY_LEAVES)


def grid(sessions, column):
    """Patients × sessions, where nobody has dropped out: rows are sorted by both."""
    frame = sessions.frame
    return frame[column].to_numpy().reshape(-1, frame["session"].max())


def stayed(sessions):
    """Whether each patient has one therapist throughout."""
    therapists = grid(sessions, "therapist_id")
    return (therapists == therapists[:, :1]).all(axis=1)


def test_same_seed_gives_the_same_data():
    one, two, other = (als.simulate_sessions(4, 3, seed=seed) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert one.source.sha256 == two.source.sha256
    assert one.source.sha256 != other.source.sha256


def test_truth_has_every_parameter_and_the_rates():
    truth = als.simulate_sessions(2, 2, seed=1, change_jump=-0.5).truth
    assert list(truth) == [*(f.name for f in fields(Parameters)), "change_rate", "return_rate"]
    assert truth["change_jump"] == -0.5


def test_truth_frame_says_units_and_meanings():
    frame = als.simulate_sessions(2, 2, seed=1).truth_frame
    assert list(frame.columns) == ["parameter", "value", "unit", "meaning"]
    assert (frame[["unit", "meaning"]] != "").all(axis=None)


def test_docstring_shows_the_defaults_that_hold():
    for field in fields(Parameters):
        assert f"``{field.name}={field.default}``" in als.simulate_sessions.__doc__


def test_table_says_that_it_is_simulated():
    sessions = als.simulate_sessions(2, 2, seed=1)
    assert sessions.source.simulated
    assert sessions.source.name == "simulated sessions"
    assert "SIMULATED" in repr(sessions)
    assert "SIMULATED" in next(iter(sessions.codebook)).label


def test_table_is_a_session_table_with_canonical_columns():
    sessions = als.simulate_sessions(2, 2, seed=1)
    assert isinstance(sessions, SessionTable)
    assert {name: str(kind) for name, kind in sessions.frame.dtypes.items()} == {
        "patient_id": "str",
        "therapist_id": "str",
        "session": "int64",
        "alliance": "float64",
        "outcome": "float64",
    }
    assert sessions.frame.loc[0, ["patient_id", "therapist_id", "session"]].tolist() == ["P0001", "T01", 1]


def test_truth_survives_design_steps_and_pickling():
    sessions = als.therapist_episodes(als.center(als.simulate_sessions(2, 2, seed=1), "alliance"))
    assert isinstance(sessions, SimulatedSessions)
    assert pickle.loads(pickle.dumps(sessions)).truth == sessions.truth


def test_truth_cannot_be_changed_from_outside():
    sessions = als.simulate_sessions(2, 2, seed=1)
    sessions.truth["change_jump"] = 99.0
    shown = sessions.truth_frame
    shown["value"] = 99.0
    assert sessions.truth["change_jump"] == -0.3


def test_without_chance_the_alliance_is_the_formula():
    sessions = als.simulate_sessions(
        3, 2, 8, 1.0, 1, return_rate=0.5, alliance_intercept=3.0, alliance_slope=0.1, change_jump=-0.5,
        change_recovery=0.2, **NO_CHANCE, **NOBODY_LEAVES,
    )  # fmt: skip
    frame = als.therapist_episodes(sessions).frame
    by_hand = 3.0 + 0.1 * (frame["session"] - 1) - 0.5 * frame["after_change"] + 0.2 * frame["sessions_since_change"]
    assert_allclose(frame["alliance"], by_hand, atol=1e-12)
    assert frame["returned_to_former"].any()


def test_without_chance_the_outcome_is_the_formula_on_the_sessions_that_took_place():
    sessions = als.simulate_sessions(
        5, 10, 8, 0.4, 1, outcome_intercept=20.0, outcome_slope=-0.5, outcome_within=-1.0, outcome_between=-3.0,
        dropout_intercept=-1.5, **NO_CHANCE | {"alliance_residual_sd": 0.4, "alliance_intercept_sd": 0.5},
    )  # fmt: skip
    frame = als.center(sessions, "alliance").frame
    by_hand = 20.0 - 0.5 * (frame["session"] - 1) - 1.0 * frame["alliance_within"] - 3.0 * frame["alliance_between"]
    assert_allclose(frame["outcome"], by_hand, atol=1e-12)
    assert len(frame) < 5 * 10 * 8  # some did drop out, so the means are over the kept sessions


def test_growth_without_a_change_of_therapist(big):
    alliance = grid(big, "alliance")[stayed(big)]
    # slope from first to last session: sd of (u1 * 11 + e12 - e1) / 11 over patients
    spread = np.hypot(0.015, np.sqrt(2) * 0.22 / 11)
    slopes = (alliance[:, -1] - alliance[:, 0]) / 11
    assert abs(slopes.mean() - 0.025) < 4 * spread / np.sqrt(slopes.size)
    # a sample SD has standard error SD / sqrt(2n)
    assert abs(slopes.std(ddof=1) - spread) < 4 * spread / np.sqrt(2 * slopes.size)


def test_alliance_at_the_first_session(big):
    first = grid(big, "alliance")[:, 0]
    # 4000 patients with intercept and chance of their own, 200 therapists
    se = np.sqrt((0.35**2 + 0.22**2) / 4000 + 0.15**2 / 200)
    assert abs(first.mean() - 3.3) < 4 * se
    variance = 0.35**2 + 0.22**2 + 0.15**2
    # the therapists' part has 200 draws only: SE of a variance s2 over m draws is s2 * sqrt(2 / m)
    se_variance = np.hypot((0.35**2 + 0.22**2) * np.sqrt(2 / 4000), 0.15**2 * np.sqrt(2 / 200))
    assert abs(first.var(ddof=1) - variance) < 4 * se_variance


def test_intercepts_and_slopes_correlate_as_told():
    lines = NO_CHANCE | {"alliance_intercept_sd": 0.5, "alliance_slope_sd": 0.1}
    sessions = als.simulate_sessions(200, 20, 2, 0.0, 3, alliance_correlation=0.6, **lines, **NOBODY_LEAVES)
    alliance = grid(sessions, "alliance")
    seen = np.corrcoef(alliance[:, 0], alliance[:, 1] - alliance[:, 0])[0, 1]
    assert abs(np.arctanh(seen) - np.arctanh(0.6)) < 4 / np.sqrt(4000 - 3)  # Fisher's z


def test_jump_at_the_change(big):
    frame = als.lag(als.therapist_episodes(big), "alliance").frame
    first_after = frame.query("therapist_episode == 2 and sessions_since_change == 0")
    step = first_after["alliance"] - first_after["previous_alliance"]
    # jump + one session's growth; spread: two residuals, two therapists, slope
    spread = np.sqrt(2 * 0.22**2 + 2 * 0.15**2 + 0.015**2)
    # therapists are shared by about 12 changers (1200 of 200 therapists, twice), so their part counts 200 draws
    se = np.sqrt(spread**2 / len(step) + 2 * 0.15**2 / 200)
    assert abs(step.mean() - (-0.30 + 0.025)) < 4 * se


def test_outcome_residuals_have_the_variances_of_their_parts(big):
    frame = als.center(big, "alliance").frame
    time = frame["session"] - 1
    expected = 22 - 0.2 * time - 1.2 * frame["alliance_within"] - 2 * frame["alliance_between"]
    rest = (frame["outcome"] - expected).to_numpy().reshape(4000, 12)
    # with one therapist throughout, a patient's rest varies by chance alone: 11 degrees of freedom each
    within = rest[stayed(big)].var(axis=1, ddof=1)
    assert abs(within.mean() - 1.6**2) < 4 * 1.6**2 * np.sqrt(2 / (11 * within.size))
    assert abs(rest.mean()) < 4 * np.sqrt(2.2**2 / 4000 + 0.8**2 / 200 + 1.6**2 / 48000)


def test_misspelt_parameter_gets_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'change_jump'"):
        als.simulate_sessions(change_jmp=-0.5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alliance_residual_sd", -0.1, "A standard deviation is 0 or more"),
        ("alliance_correlation", 1.1, "between -1 and 1"),
        ("alliance_intercept", float("nan"), "Give a finite number"),
        ("outcome_slope", float("-inf"), "Give a finite number"),
        ("outcome_between", "-2", "Give a finite number"),
        ("outcome_within", None, "Give a finite number"),
        ("change_rate", 1.2, "share between 0 and 1"),
        ("return_rate", float("nan"), "share between 0 and 1"),
        ("change_rate", "all", "share between 0 and 1"),
        ("change_rate", None, "share between 0 and 1"),
        ("n_therapists", 0, "whole number, 1 or more"),
        ("n_sessions", 2.0, "whole number, 1 or more"),
        ("seed", -1, "Give a whole number, 0 or more"),
        ("seed", "monday", "Give a whole number, 0 or more"),
    ],
)
def test_impossible_value_is_refused_by_name(name, value, message):
    with pytest.raises(DataError, match=f"{name} is .*{message}"):
        als.simulate_sessions(**{name: value})
