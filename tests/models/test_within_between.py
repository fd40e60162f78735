"""within_between(): two effects, their difference, and what time does to them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError, DesignError
from alliance_stats.models.estimates import estimates_table
from alliance_stats.names import TABLE_COLUMNS

NO_OUTCOME_NOISE = {
    "outcome_intercept_sd": 0.0,
    "outcome_therapist_sd": 0.0,
    "outcome_residual_sd": 1e-4,
}
#: Two patients would be too few to fit; the means of these four can be taken by eye.
TOY = pd.DataFrame(
    {
        "patient_id": list("aaabbbcccddd"),
        "session": [1, 2, 3] * 4,
        "alliance": [1.0, 2, 3, 4, 4, 7, 2, 6, 4, 5, 5, np.nan],
        "outcome": [9.0, 8, 8, 7, 6, 2, 9, 5, np.nan, 4, 6, 5],
    }
)


@pytest.fixture(scope="module")
def sessions():
    return als.simulate_sessions(6, 5, 8, 0.0, seed=4)


@pytest.fixture(scope="module")
def result(sessions):
    return als.within_between(sessions)


def effects(result):
    return result.table().set_index("term")["estimate"]


def test_it_is_the_mixed_model_on_centred_scores(sessions, result):
    frame = als.center(sessions.frame, "alliance")
    frame = frame.assign(time=frame["session"] - 1.0)
    formula = "outcome ~ alliance_within + alliance_between + time + (1 | patient_id) + (1 | therapist_id)"
    plain = als.mixed(formula, frame)
    numbers = ["estimate", "std_error", "df", "p_value"]
    assert_allclose(result.fit.table()[numbers], plain.table()[numbers], rtol=1e-6)


def test_both_effects_come_back_from_data_without_noise():
    sessions = als.simulate_sessions(4, 6, 8, 0.0, seed=5, **NO_OUTCOME_NOISE)
    found = effects(als.within_between(sessions, therapist=None))
    # the truth: −1.2 within, −2 between, −.2 per session
    assert_allclose(
        found[["alliance_within", "alliance_between", "sessions_since_start"]], [-1.2, -2.0, -0.2], atol=1e-3
    )
    assert_allclose(found["alliance_contextual"], -0.8, atol=1e-3)


def test_the_contextual_effect_is_between_minus_within_with_its_own_error(result):
    names = list(result.fit.arrays.fixed_names)
    weights = np.zeros(len(names))
    weights[names.index("alliance_between")], weights[names.index("alliance_within")] = 1, -1
    last = result.table().iloc[-1]
    assert last["term"] == "alliance_contextual"
    assert_allclose(last["estimate"], weights @ result.fit.solution.beta)
    error = np.sqrt(weights @ result.fit.solution.covariance @ weights)
    assert_allclose(last["std_error"], error)
    assert_allclose(last["p_value"], 2 * stats.t.sf(abs(last["estimate"] / error), last["df"]))
    assert list(result.table().columns) == list(TABLE_COLUMNS)


def test_the_within_effect_is_that_of_patient_dummies(sessions):
    # Deviations are orthogonal to everything constant within patients, so the effect is least squares with one
    # intercept per patient.
    frame = sessions.frame
    own = frame.groupby("patient_id")[["alliance", "outcome"]].transform("mean")
    x, y = frame["alliance"] - own["alliance"], frame["outcome"] - own["outcome"]
    result = als.within_between(sessions, adjust_time=False, therapist=None)
    assert_allclose(effects(result)["alliance_within"], (x @ y) / (x @ x), rtol=1e-7)


def test_means_are_over_sessions_with_both_scores():
    result = als.within_between(TOY, adjust_time=False)
    centred = result.frame.groupby("patient_id")["alliance_between"].first()
    # c has no outcome at session 3, d no alliance: (2 + 6)/2 and (5 + 5)/2
    assert_allclose(centred, [2, 5, 4, 5])
    assert result.frame["alliance_within"].groupby(result.frame["patient_id"]).sum().abs().max() < 1e-12
    assert "2 of 12 rows were left out because of missing values in: outcome (1), alliance (1)." in result.notes()


def test_sensitivity_holds_each_choice_about_time_and_marks_the_one_used(sessions, result):
    rows = result.sensitivity()
    assert rows["time"].unique().tolist() == ["not adjusted", "adjusted", "adjusted, own slope per patient"]
    assert (
        rows.groupby("time", sort=False)["term"].apply(list).tolist() == [["alliance_within", "alliance_between"]] * 3
    )
    assert set(rows.loc[rows["used"], "time"]) == {"adjusted"}
    assert_allclose(rows.loc[rows["used"], "estimate"], effects(result)[["alliance_within", "alliance_between"]])
    unadjusted = als.within_between(sessions, adjust_time=False)
    chosen = rows[rows["time"] == "not adjusted"]
    assert_allclose(chosen["estimate"], effects(unadjusted)[["alliance_within", "alliance_between"]])
    assert set(unadjusted.sensitivity().query("used")["time"]) == {"not adjusted"}


def test_an_own_slope_per_patient_is_marked_as_used(sessions):
    result = als.within_between(sessions, random_time=True)
    assert result.random_time
    assert set(result.sensitivity().query("used")["time"]) == {"adjusted, own slope per patient"}


def test_a_choice_that_the_data_cannot_bear_has_missing_numbers():
    # two sessions each: an intercept and a slope per patient leave nothing for the residual
    sessions = als.simulate_sessions(4, 5, 2, 0.0, seed=6, dropout_intercept=float("-inf"))
    rows = als.within_between(sessions, therapist=None).sensitivity()
    own_slope = rows["time"] == "adjusted, own slope per patient"
    assert rows.loc[own_slope, "estimate"].isna().all()
    assert rows.loc[~own_slope, "estimate"].notna().all()


def test_the_words_follow_the_signs_and_say_what_higher_means(sessions, result):
    report = result.report()
    assert "Symptoms (simulated) was" in report
    assert "points lower (higher values are worse), *b* = −" in report.markdown
    turned = als.within_between(sessions.frame.assign(outcome=-sessions.frame["outcome"])).report()
    first = turned.split(", b = ")[0]
    assert first.endswith("points higher")  # a plain frame does not know what higher means
    assert "higher values are" not in turned


def test_the_words_give_the_effect_under_the_other_choices_about_time(sessions, result):
    other = result.sensitivity().query("time == 'not adjusted' and term == 'alliance_within'").iloc[0]
    shown = f"{other['estimate']:.2f}".replace("-", "−")
    assert f"without adjustment for time, *b* = {shown}" in result.report().markdown
    assert "With time in therapy held constant" in result.report()
    assert "Without adjustment for time in therapy" in als.within_between(sessions, adjust_time=False).report()


def test_labels_come_from_the_codebook():
    codebook = Codebook(
        (Variable("alliance", "WAI-SR *total*", "score"), Variable("outcome", "PHQ-9", "score", higher="worse"))
    )
    result = als.within_between(SessionTable(TOY, codebook), adjust_time=False)
    assert result.labels()["alliance_within"] == "WAI-SR *total*, within patients"
    assert result.labels()["alliance_contextual"] == "Contextual effect (between − within)"
    assert r"WAI-SR \*total\* one point above" in result.report().markdown


def test_the_figure_draws_patient_means_and_centred_sessions(result):
    panels = result.plot()
    means, centred = panels.data["between_points"], panels.data["within_points"]
    assert len(means) == result.frame["patient_id"].nunique()
    assert len(centred) == len(result.frame)
    assert_allclose(centred.mean(), 0, atol=1e-12)
    lines = panels.data["lines"].groupby("level")
    slope = lines.apply(lambda f: np.ptp(f["estimate"]) / np.ptp(f["x"]))
    # both lines fall
    assert_allclose(slope[["within", "between"]], -effects(result)[["alliance_within", "alliance_between"]], rtol=1e-9)


def test_columns_may_have_any_name(sessions, result):
    names = {"patient_id": "pid", "therapist_id": "tid nr", "session": "n", "alliance": "WAI 1", "outcome": "BDI-II"}
    frame = sessions.frame.rename(columns=names)
    other = als.within_between(frame, "BDI-II", "WAI 1", patient="pid", therapist="tid nr", session="n")
    assert_allclose(other.table()["estimate"], result.table()["estimate"], rtol=1e-7)
    assert other.table()["term"].iloc[-1] == "WAI 1_contextual"
    assert_allclose(other.sensitivity()["estimate"], result.sensitivity()["estimate"], rtol=1e-5)
    other.plot()


def test_the_users_frame_is_left_alone(sessions):
    frame = sessions.frame
    before = frame.copy(deep=True)
    als.within_between(frame).sensitivity()
    pd.testing.assert_frame_equal(frame, before)


def never_both(frame):
    late, early = frame["session"] > 4, frame["session"] < 4
    return frame.assign(alliance=frame["alliance"].where(late), outcome=frame["outcome"].where(early))


def own_mean(frame):
    return frame.groupby("patient_id")["alliance"].transform("mean")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(alliance=own_mean(f)), DesignError, "does not vary within any of 30 patients"),
        (lambda f: f[f["session"] == 1], DesignError, "does not vary within any of 30 patients"),
        (lambda f: f.assign(alliance=f["alliance"] - own_mean(f)), DesignError, "centred already.*Pass the uncentred"),
        (lambda f: f.assign(outcome=np.nan), DataError, r"'outcome' is missing in all"),
        (lambda f: f.assign(alliance=f["alliance"].astype(str)), DataError, "'alliance' holds text"),
        (lambda f: f.assign(session=f["session"].astype(str)), DataError, "'session' holds text"),
        (never_both, DataError, "No complete row"),
        (lambda f: f.drop(columns="session"), DataError, "No column 'session'"),
    ],
)  # fmt: skip
def test_bad_data_are_refused_with_the_way_out(sessions, change, error, message):
    with pytest.raises(error, match=message):
        als.within_between(change(sessions.frame))


def test_outcome_and_predictor_must_be_two_columns(sessions):
    with pytest.raises(DesignError, match="same column, 'alliance'"):
        als.within_between(sessions, "alliance", "alliance")


def test_the_session_number_as_predictor_is_refused_by_name(sessions):
    with pytest.raises(DesignError, match="sessions_since_start"):
        als.within_between(sessions, "outcome", "session")


def test_a_line_between_two_patients_is_refused(sessions):
    # Two means always lie on a line: its error cannot be estimated, and the patients' variance has no maximum.
    frame = sessions.frame
    two = frame[frame["patient_id"].isin(frame["patient_id"].value_counts().index[:2])]
    with pytest.raises(DesignError, match="2 patients: a line between patients needs three"):
        als.within_between(two)


def test_few_patients_are_remarked(sessions):
    frame = sessions.frame
    few = frame[frame["patient_id"].isin(frame["patient_id"].value_counts().index[:6])]
    assert any("rests on the means of 6 patients" in remark for remark in als.within_between(few).remarks)
    assert not any("rests on the means" in remark for remark in als.within_between(frame).remarks)


def test_an_interval_on_less_than_one_degree_of_freedom_is_left_out():
    one = np.ones(3)
    table = estimates_table(["a", "b", "c"], one, one, np.array([0.04, 1.0, np.inf]))
    assert table["ci_low"].isna().tolist() == [True, False, False]
    assert_allclose(table["ci_high"].iloc[1:], [1 + 12.7062, 1 + 1.95996], rtol=1e-5)  # t(1), normal
    assert table["p_value"].notna().all()
