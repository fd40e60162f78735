"""growth(): the curve over sessions, its shapes, its words."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, DesignError

ALMOST_NO_NOISE = {
    "alliance_intercept_sd": 0.0,
    "alliance_slope_sd": 0.0,
    "alliance_therapist_sd": 0.0,
    "alliance_residual_sd": 1e-4,
    "dropout_intercept": float("-inf"),
}


@pytest.fixture(scope="module")
def sessions():
    return als.simulate_sessions(6, 5, 8, 0.0, seed=2)


@pytest.fixture(scope="module")
def linear(sessions):
    return als.growth(sessions)


@pytest.fixture(scope="module")
def quadratic(sessions):
    return als.growth(sessions, shape="quadratic")


def with_formula(sessions, formula, method="REML"):
    frame = sessions.frame
    time = frame["session"] - 1.0
    return als.mixed(formula, frame.assign(time=time, squared=time**2, logged=np.log(frame["session"])), method)


@pytest.mark.parametrize(
    ("shape", "terms", "slope"),
    [("linear", "time", "time"), ("quadratic", "time + squared", "time"), ("log", "logged", "logged")],
)
def test_growth_is_the_mixed_model_that_it_stands_for(sessions, shape, terms, slope):
    plain = with_formula(sessions, f"alliance ~ {terms} + (1 + {slope} | patient_id) + (1 | therapist_id)")
    numbers = ["estimate", "std_error", "df", "p_value", "ci_low", "ci_high"]
    result = als.growth(sessions, shape=shape)
    assert_allclose(result.table()[numbers], plain.table()[numbers], rtol=1e-6)
    assert_allclose(result.glance()["deviance"], plain.glance()["deviance"], rtol=1e-10)


def test_growth_without_noise_gives_back_the_true_curve():
    sessions = als.simulate_sessions(4, 5, 6, 0.0, seed=1, **ALMOST_NO_NOISE)
    table = als.growth(sessions, therapist=None).table()
    # the truth: 3.3 at session 1, .025 per session
    assert_allclose(table["estimate"], [3.3, 0.025], atol=1e-4)


def test_a_balanced_intercept_and_slope_are_those_of_least_squares():
    # Where every patient has the same sessions, the fixed effects of a mixed model are the least-squares line.
    sessions = als.simulate_sessions(4, 5, 6, 0.0, seed=3, dropout_intercept=float("-inf"))
    frame = sessions.frame
    slope, intercept = np.polyfit(frame["session"] - 1, frame["alliance"], 1)
    assert_allclose(als.growth(sessions, therapist=None).table()["estimate"], [intercept, slope], rtol=1e-7)


def test_the_curve_is_intercept_plus_slope_times_sessions_since_the_first(linear):
    intercept, slope = linear.table()["estimate"]
    curve = linear.curve(np.array([1, 4, 8]))
    assert_allclose(curve["estimate"], [intercept, intercept + 3 * slope, intercept + 7 * slope], rtol=1e-12)
    # at session 1 the curve is the intercept, with its interval
    assert_allclose(
        curve.loc[0, ["ci_low", "ci_high"]].astype(float), linear.table().loc[0, ["ci_low", "ci_high"]].astype(float)
    )


def test_the_band_of_the_curve_comes_from_the_covariance_of_both_coefficients(linear):
    at = np.array([1.0, 4.0])  # session 5
    error = np.sqrt(at @ linear.fit.solution.covariance @ at)
    df = linear.fit.solution.inference.satterthwaite(at[None, :])[0]
    row = linear.curve(np.array([5])).iloc[0]
    assert_allclose(row["ci_high"] - row["estimate"], stats.t.ppf(0.975, df) * error, rtol=1e-9)


def test_the_quadratic_and_the_logarithmic_curve_follow_their_terms(sessions, quadratic):
    b = quadratic.table()["estimate"].to_numpy()
    assert_allclose(quadratic.curve(np.array([4]))["estimate"], b @ [1, 3, 9])  # session 4: time 3
    logarithmic = als.growth(sessions, shape="log")
    b = logarithmic.table()["estimate"].to_numpy()
    assert_allclose(logarithmic.curve(np.array([1, 4]))["estimate"], [b[0], b[0] + b[1] * np.log(4)])


def test_the_curve_runs_over_every_session_with_a_score(sessions):
    frame = sessions.frame
    late = frame.assign(alliance=frame["alliance"].where(frame["session"].between(2, 6)))
    assert als.growth(late).curve()["session"].tolist() == [2, 3, 4, 5, 6]


def test_shapes_are_fitted_by_maximum_likelihood_and_stand_best_first(linear, sessions):
    shapes = linear.shapes()
    assert shapes["aic"].is_monotonic_increasing
    assert set(shapes["shape"]) == {"linear", "quadratic", "log"}
    assert shapes.set_index("shape")["chosen"].to_dict() == {"linear": True, "quadratic": False, "log": False}
    plain = (
        with_formula(sessions, "alliance ~ time + (1 + time | patient_id) + (1 | therapist_id)", "ML").glance().iloc[0]
    )
    own = shapes.set_index("shape").loc["linear"]
    assert_allclose(own["deviance"], plain["deviance"], rtol=1e-9)
    # intercept, slope; two variances and a covariance of patients; one of therapists; residual
    assert own["n_parameters"] == 7
    assert_allclose(own["aic"], own["deviance"] + 14)
    assert_allclose(own["bic"], own["deviance"] + 7 * np.log(len(sessions)))


def test_shapes_leave_missing_what_the_data_cannot_bear(sessions):
    from_zero = sessions.frame.assign(session=sessions.frame["session"] - 1)
    shapes = als.growth(from_zero).shapes()
    assert shapes["shape"].iloc[-1] == "log"
    assert shapes.set_index("shape")["aic"].isna().to_dict() == {"linear": False, "quadratic": False, "log": True}


def test_a_logarithmic_course_needs_sessions_from_one(sessions):
    n = (sessions.frame["session"] == 1).sum()
    with pytest.raises(DataError, match=rf"{n} sessions have a number below 1, which has no logarithm"):
        als.growth(sessions.frame.assign(session=sessions.frame["session"] - 1), shape="log")


def test_the_words_follow_the_sign_of_the_slope(sessions):
    rising = als.growth(sessions).report()
    falling = als.growth(sessions.frame.assign(alliance=-sessions.frame["alliance"])).report()
    assert "alliance (simulated) rose by" in rising
    assert "alliance fell by" in falling
    assert "points per session, *b* = " in rising.markdown
    assert r"\emph{SE} = " in rising.latex
    assert "<i>SD</i>" in rising.html


def test_the_words_name_the_unit_of_the_shape(sessions, quadratic):
    assert "per session at session 1" in quadratic.report()
    assert "quadratic term" in quadratic.report()
    assert "per unit of the logarithm of the session number" in als.growth(sessions, shape="log").report()


def test_a_star_in_a_label_stays_a_star(sessions):
    frame = sessions.frame.rename(columns={"alliance": "a*b*c"})
    result = als.growth(frame, "a*b*c")
    assert "expected a*b*c of" in result.report()
    assert r"a\*b\*c" in result.report().markdown


def test_terms_have_words(linear):
    assert linear.labels()["sessions_since_start"] == "Session (0 = first)"
    assert linear.labelled("alliance") == "Working alliance (simulated)"


def test_a_frame_and_a_table_give_the_same_numbers(linear, sessions):
    pd.testing.assert_frame_equal(als.growth(sessions.frame).table(), linear.table())


def test_the_order_and_the_index_of_the_rows_do_not_matter(linear, sessions):
    shuffled = sessions.frame.sample(frac=1, random_state=0).set_axis([0] * len(sessions))
    numbers = ["estimate", "std_error"]
    assert_allclose(als.growth(shuffled).table()[numbers], linear.table()[numbers], rtol=1e-6)


def test_the_users_frame_is_left_alone(sessions):
    frame = sessions.frame
    before = frame.copy(deep=True)
    als.growth(frame, shape="quadratic").plot()
    pd.testing.assert_frame_equal(frame, before)


def test_columns_may_have_any_name(linear, sessions):
    names = {"patient_id": "Pat. Nr", "therapist_id": "the rapist", "session": "Sitzung", "alliance": "WAI (SR) 1"}
    frame = sessions.frame.rename(columns=names)
    result = als.growth(frame, "WAI (SR) 1", patient="Pat. Nr", therapist="the rapist", session="Sitzung")
    assert_allclose(result.table()["estimate"], linear.table()["estimate"], rtol=1e-7)
    assert {"n_Pat. Nr", "n_the rapist"} <= set(result.glance())
    assert len(result.shapes()) == 3
    assert len(result.random()) == 2 * frame["Pat. Nr"].nunique()
    result.plot()
    result.plot("caterpillar")


@pytest.mark.parametrize(
    ("therapist", "reason"),
    [
        ("T1", "1 therapist in the rows used"),
        (None, "0 therapists in the rows used"),
        ("own", "Each of the 30 therapists saw one patient"),
    ],
)
def test_therapists_that_cannot_be_told_apart_are_left_out_with_the_reason(sessions, therapist, reason):
    frame = sessions.frame
    ids = frame["patient_id"] if therapist == "own" else pd.Series([therapist] * len(frame), dtype="str")
    result = als.growth(frame.assign(therapist_id=ids))
    assert "n_therapist_id" not in result.glance()
    assert any(reason in note for note in result.notes())
    assert_allclose(result.table()["estimate"], als.growth(frame, therapist=None).table()["estimate"])


def test_data_without_therapists_say_so(sessions):
    result = als.growth(sessions.frame.drop(columns="therapist_id"))
    assert "The data name no therapists" in result.remarks[0]


def test_rows_left_out_are_counted_by_the_column(sessions):
    frame = sessions.frame
    gappy = frame.assign(alliance=frame["alliance"].where(frame.index % 7 > 0))
    result = als.growth(gappy)
    n = int(gappy["alliance"].isna().sum())
    assert f"{n} of {len(frame)} rows were left out because of missing values in: alliance ({n})." in result.notes()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(alliance=np.nan), DataError, r"'alliance' is missing in all \d+ rows"),
        (lambda f: f.assign(alliance=f["alliance"].astype(str)), DataError, "'alliance' holds text"),
        (lambda f: f.assign(session=f["session"].astype(str)), DataError, "'session' holds text"),
        (lambda f: f[f["session"] == 1], DesignError, "None of 30 patients has 'alliance' at two sessions"),
        (lambda f: f.iloc[:0], DataError, "0 rows"),
        (
            lambda f: f.rename(columns={"patient_id": "patient"}),
            ColumnError,
            "No column 'patient_id'. Did you mean 'patient'",
        ),
        (lambda f: f.rename(columns={"alliance": "aliance"}), ColumnError, "Did you mean 'aliance'"),
        (
            lambda f: f.assign(alliance=f["alliance"].where(f.index != 3, np.inf)),
            DataError,
            r"1 infinite value .*row 3",
        ),
        (lambda f: f.assign(alliance=3.0), DesignError, "'alliance' is 3 in all"),
        (list, DataError, "got list"),
    ],
)
def test_bad_data_are_refused_with_the_way_out(sessions, change, error, message):
    with pytest.raises(error, match=message):
        als.growth(change(sessions.frame))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "lineer"}, "Did you mean 'linear'"),
        ({"shape": ["linear"]}, "No shape"),
        ({"method": "reml"}, "'REML' or 'ML'"),
        ({"therapist": "therapst_id"}, "Did you mean 'therapist_id'.*therapist=None"),
    ],
)
def test_bad_arguments_are_refused_with_the_way_out(sessions, arguments, message):
    with pytest.raises(DataError, match=message):
        als.growth(sessions, **arguments)


def test_an_unknown_figure_names_the_nearest(linear):
    with pytest.raises(DataError, match="Did you mean 'trajectories'"):
        linear.plot("trajectory")


def test_one_patient_and_two_sessions_each_are_refused_in_plain_words(sessions):
    frame = sessions.frame
    with pytest.raises(DesignError, match="1 patient with 'alliance': how patients differ cannot be estimated"):
        als.growth(frame[frame["patient_id"] == frame["patient_id"].iloc[0]])
    n = (frame["session"] < 3).sum()
    with pytest.raises(
        DesignError, match=f"{n} sessions of 30 patients have 'alliance': too few for a level and a slope"
    ):
        als.growth(frame[frame["session"] < 3])
