import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.simulate.parameters import Parameters
from alliance_stats.simulate.scores import draw_kept


def ends_and_goes_on(sessions, n_sessions):
    """Alliance at sessions after which the patient left, and at those after which they stayed."""
    frame = sessions.frame
    last = ~frame.duplicated("patient_id", keep="last")
    at_risk = frame["session"] < n_sessions
    return frame.loc[at_risk & last, "alliance"], frame.loc[at_risk & ~last, "alliance"]


@pytest.mark.parametrize("effect", [-1.5, 1.5])
def test_dropout_follows_the_last_alliance_with_the_sign_told(effect):
    left, stayed = ends_and_goes_on(als.simulate_sessions(50, 20, 10, seed=2, dropout_alliance=effect), 10)
    se = np.sqrt(left.var() / left.size + stayed.var() / stayed.size)
    assert np.sign(effect) * (left.mean() - stayed.mean()) > 4 * se


def test_hazard_is_the_logit_of_the_alliance():
    true = Parameters(alliance_intercept=3.0, dropout_intercept=-1.0, dropout_alliance=-2.0)
    alliance = np.repeat([[2.5, 0.0], [3.5, 0.0]], 20_000, axis=0)
    stays = draw_kept(true, alliance, np.random.default_rng(1))[:, 1].reshape(2, -1).mean(axis=1)
    for share, log_odds in zip(1 - stays, (-1 - 2 * (2.5 - 3), -1 - 2 * (3.5 - 3)), strict=True):
        hazard = 1 / (1 + np.exp(-log_odds))  # .5 and .119
        assert abs(share - hazard) < 4 * np.sqrt(hazard * (1 - hazard) / 20_000)


def test_alliance_of_the_next_session_does_not_matter():
    alliance = np.random.default_rng(3).normal(3, 1, (50, 6))
    later = alliance.copy()
    later[:, 5] += 100  # no session follows the last
    kept = [draw_kept(Parameters(), scores, np.random.default_rng(4)) for scores in (alliance, later)]
    assert (kept[0] == kept[1]).all()


def test_who_leaves_does_not_come_back():
    frame = als.simulate_sessions(10, 10, 12, seed=1, dropout_intercept=-1.0).frame
    runs = frame.groupby("patient_id")["session"].agg(["min", "max", "size"])
    assert (runs["min"] == 1).all()
    assert (runs["max"] == runs["size"]).all()
    assert runs["size"].nunique() > 3


def test_minus_infinity_keeps_everybody():
    assert len(als.simulate_sessions(3, 4, 5, seed=1, dropout_intercept=float("-inf"))) == 3 * 4 * 5


def test_outcome_does_not_decide_who_leaves():
    plain = als.simulate_sessions(10, 10, seed=5).frame
    other = als.simulate_sessions(10, 10, seed=5, outcome_intercept=0.0, outcome_residual_sd=9.0).frame
    pd.testing.assert_frame_equal(plain.drop(columns="outcome"), other.drop(columns="outcome"))


def test_another_dropout_leaves_the_alliance_of_the_kept_sessions():
    few = als.simulate_sessions(10, 10, seed=5).frame
    full = als.simulate_sessions(10, 10, seed=5, dropout_intercept=float("-inf")).frame
    both = few.merge(full, on=["patient_id", "session"], validate="one_to_one")
    assert len(both) == len(few) < len(full)
    assert (both["alliance_x"] == both["alliance_y"]).all()
