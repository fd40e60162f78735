"""therapist_change(): the jump, the slope after it, and the means around it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.design.episodes import change_summary
from alliance_stats.errors import ColumnError, DataError, DesignError

ALMOST_NO_NOISE = {
    "alliance_intercept_sd": 0.0,
    "alliance_slope_sd": 0.0,
    "alliance_therapist_sd": 0.0,
    "alliance_residual_sd": 1e-4,
    "dropout_intercept": float("-inf"),
}
#: a changes twice, the second time back to x; b changes once; c stays.
TOY = pd.DataFrame(
    {
        "patient_id": list("aaaaabbbcc"),
        "therapist_id": list("xxyyxxyyzz"),
        "session": [1, 2, 3, 4, 5, 1, 2, 3, 1, 2],
        "alliance": [1.0, 2, 3, 4, 5, 2, 4, 6, 9, 9],
    }
)


@pytest.fixture(scope="module")
def sessions():
    return als.simulate_sessions(6, 6, 8, 0.5, seed=7)


@pytest.fixture(scope="module")
def result(sessions):
    return als.therapist_change(sessions)


def on_toy(result, frame=TOY):
    """Put a frame whose means can be taken by hand in place of the simulated one."""
    return replace(result, frame=als.therapist_episodes(frame), changes=change_summary(frame))


def test_it_is_the_mixed_model_on_episodes(sessions, result):
    frame = als.therapist_episodes(sessions.frame)
    frame = frame.assign(time=frame["session"] - 1.0)
    formula = "alliance ~ time + after_change + sessions_since_change + (1 + time | patient_id) + (1 | therapist_id)"
    numbers = ["estimate", "std_error", "df"]
    assert_allclose(result.table()[numbers], als.mixed(formula, frame).table()[numbers], rtol=1e-6)
    assert result.table()["term"].tolist()[2:] == ["after_change", "sessions_since_change"]


def test_jump_and_recovery_come_back_from_data_without_noise():
    sessions = als.simulate_sessions(4, 6, 8, 0.5, seed=8, return_rate=0.0, **ALMOST_NO_NOISE)
    estimates = als.therapist_change(sessions).table()["estimate"]
    # the truth: 3.3 at session 1, .025 per session, a jump of −.3, .06 more per session after it
    assert_allclose(estimates, [3.3, 0.025, -0.3, 0.06], atol=2e-4)


def test_aligned_means_count_a_patient_at_each_of_the_changes(result):
    aligned = on_toy(result).aligned().set_index("sessions_from_change")
    # a, change 1 (session 3): −2, −1, 0, 1 → 1, 2, 3, 4;  a, change 2 (session 5): −2, −1, 0 → 3, 4, 5
    # b (session 2): −1, 0, 1 → 2, 4, 6;  c is not part of it
    assert aligned.index.tolist() == [-2, -1, 0, 1]
    assert aligned["n"].tolist() == [2, 3, 3, 2]
    assert_allclose(aligned["mean"], [(1 + 3) / 2, (2 + 4 + 2) / 3, (3 + 5 + 4) / 3, (4 + 6) / 2])
    # two values 2 apart: SD = √2, SE = 1, t(1) quantile = 12.706
    assert_allclose(aligned.loc[-2, ["ci_low", "ci_high"]], [2 - 12.706, 2 + 12.706], atol=1e-3)


def test_aligned_leaves_out_missing_scores_and_what_is_outside_the_window(result):
    gappy = TOY.assign(alliance=TOY["alliance"].where(TOY["alliance"] != 4))
    aligned = on_toy(result, gappy).aligned(window=1).set_index("sessions_from_change")
    # gone: a's session 4 (place 1 of change 1, −1 of change 2) and b's session 2 (place 0)
    assert aligned["n"].to_dict() == {-1: 2, 0: 2, 1: 1}
    assert_allclose(aligned["mean"], [(2 + 2) / 2, (3 + 5) / 2, 6])
    assert np.isnan(aligned.loc[1, "ci_low"])  # one value has no interval


def test_the_curve_is_that_of_a_change_at_the_mean_session(result):
    b0, time, jump, since = result.table()["estimate"]
    curve = result.curve().set_index("sessions_from_change")["estimate"]
    at = result.changes["session"].mean() - 1
    assert_allclose(curve[-1], b0 + time * (at - 1))
    assert_allclose(curve[0], b0 + time * at + jump)
    assert_allclose(curve[2], b0 + time * (at + 2) + jump + 2 * since)
    assert (result.curve().groupby("part")["sessions_from_change"].agg(["min", "max"]).loc["before", "max"]) == -1


def test_the_words_count_changes_and_follow_the_signs(result):
    report = result.report()
    changes = result.changes
    n = result.frame["patient_id"].nunique()
    assert report.startswith(
        f"{changes['patient_id'].nunique()} of {n} patients changed therapist ({len(changes)} changes in all)."
    )
    jump, since = result.table()["estimate"].iloc[2:]
    assert jump < 0 < since
    assert f"was {-jump:.3f} points lower than expected without a change, *b* = −" in report.markdown
    assert "its change per session was" in report
    assert "points higher than without a change" in report


def test_a_turned_scale_turns_the_words(sessions):
    frame = sessions.frame.assign(alliance=-sessions.frame["alliance"])
    report = als.therapist_change(frame).report()
    assert "points higher than expected without a change" in report
    assert "points lower than without a change" in report


def test_the_whole_slope_after_the_change_is_the_sum_of_two(result):
    b = result.table().set_index("term")["estimate"]
    whole = b["sessions_since_start"] + b["sessions_since_change"]
    assert whole > 0
    assert f"alliance (simulated) rose by {whole:.3f} points per session (95% CI [" in result.report()


def test_returns_repeated_changes_and_leavers_are_remarked():
    ids = [f"p{k}" for k in range(6)]
    rng = np.random.default_rng(1)
    rows = pd.DataFrame([(p, s) for p in ids for s in range(1, 7)], columns=["patient_id", "session"])
    with_whom = {"p0": "xxyyxx", "p1": "yyyyyz", "p2": "xxxzzz"}
    rows["therapist_id"] = [with_whom.get(p, "zzzzzz" if p > "p3" else "yyyyyy")[s - 1] for p, s in rows.to_numpy()]
    rows["alliance"] = rng.normal(4, 1, len(rows))
    remarks = " ".join(als.therapist_change(rows).remarks)
    assert "1 change is a return to a former therapist" in remarks  # p0 comes back to x
    assert "1 patient changes therapist more than once" in remarks  # p0
    assert "1 of 3 patients who change have at most one scored session after it" in remarks  # p1 leaves at session 6


def first_after(frame):
    """Courses that end with the first session after the first change."""
    episodes = als.therapist_episodes(frame)
    before = episodes["after_change"] == 0
    return frame[before | ((episodes["therapist_episode"] == 2) & (episodes["sessions_since_change"] == 0))]


def test_a_change_at_the_last_session_has_a_jump_and_no_slope(sessions):
    result = als.therapist_change(first_after(sessions.frame))
    assert "sessions_since_change" not in set(result.table()["term"])
    assert "course after a change could not be estimated" in result.report()
    assert result.curve()["sessions_from_change"].max() == 0
    result.plot()


def test_sessions_after_the_change_without_a_score_count_as_not_there(sessions):
    frame = sessions.frame
    gone = frame.index.difference(first_after(frame).index)
    unscored = frame.assign(alliance=frame["alliance"].where(~frame.index.isin(gone)))
    assert_allclose(
        als.therapist_change(unscored).table()["estimate"],
        als.therapist_change(first_after(frame)).table()["estimate"],
        rtol=1e-6,
    )


def test_no_score_after_any_change_is_refused(sessions):
    frame = als.therapist_episodes(sessions.frame)
    unscored = frame.assign(alliance=frame["alliance"].where(frame["after_change"] == 0))
    n = len(change_summary(sessions.frame))
    with pytest.raises(DesignError, match=rf"No session after {n} changes of therapist has a value of 'alliance'"):
        als.therapist_change(unscored)


def test_columns_may_have_any_name(sessions, result):
    names = {"patient_id": "pid", "therapist_id": "the rapist", "session": "Sitzung", "alliance": "WAI 1"}
    frame = sessions.frame.rename(columns=names)
    other = als.therapist_change(frame, "WAI 1", patient="pid", therapist="the rapist", session="Sitzung")
    assert_allclose(other.table()["estimate"], result.table()["estimate"], rtol=1e-7)
    pd.testing.assert_frame_equal(other.aligned(), result.aligned())
    assert_allclose(other.curve()["estimate"], result.curve()["estimate"], rtol=1e-7)
    assert other.report().replace("WAI 1", "x") == result.report().replace("Working alliance (simulated)", "x")


def test_the_users_frame_is_left_alone(sessions):
    frame = sessions.frame
    before = frame.copy(deep=True)
    als.therapist_change(frame).plot()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(therapist_id="T"), DataError, "0 of 36 patients change therapist.*Use growth"),
        (lambda f: f.assign(therapist_id=f["patient_id"]), DataError, "0 of 36 patients change therapist"),
        (lambda f: f.drop(columns="therapist_id"), ColumnError, "No column 'therapist_id'"),
        (lambda f: f.assign(therapist_id=pd.Series([None] * len(f), dtype="str")), DataError, "have a 'therapist_id'"),
        (lambda f: f.assign(alliance=np.nan), DataError, "'alliance' is missing in all"),
        (lambda f: f.assign(session=f["session"] + 0.5), DataError, "no whole number in 'session'"),
        (lambda f: pd.concat([f, f.iloc[:2]]), DataError, "2 rows repeat a patient × session"),
    ],
)
def test_bad_data_are_refused_with_the_way_out(sessions, change, error, message):
    with pytest.raises(error, match=message):
        als.therapist_change(change(sessions.frame))
