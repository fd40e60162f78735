"""therapist_effects(): the share of therapists, its interval, the test, the caseloads."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize

import alliance_stats as als
from alliance_stats.engine.threads import one_blas_thread
from alliance_stats.errors import ColumnError, DataError, DesignError

CHI2 = stats.chi2.ppf(0.95, 1)  # 3.841


@pytest.fixture(scope="module")
def sessions():
    return als.simulate_sessions(7, 4, 5, 0.0, seed=1, outcome_therapist_sd=3.0)


@pytest.fixture(scope="module")
def plain(sessions):
    return als.therapist_effects(sessions, random_time=False)


@pytest.fixture(scope="module")
def sloped(sessions):
    return als.therapist_effects(sessions)


@pytest.fixture(scope="module")
def on_boundary():
    frame = als.simulate_sessions(6, 5, 6, 0.0, seed=3).frame
    # nobody differs by therapist: each patient's mean is taken out of the outcome, then given anew, alternating
    own = frame["outcome"] - frame.groupby("patient_id")["outcome"].transform("mean")
    return als.therapist_effects(frame.assign(outcome=own + 2.0 * (frame.groupby("patient_id").ngroup() % 5)))


def dense_criterion(result):
    """The REML criterion from its definition: a dense covariance of the rows, no clever algebra."""
    frame = result.frame
    y, time = frame["outcome"].to_numpy(), frame["session"].to_numpy() - 1.0
    x = np.column_stack([np.ones(len(y)), time])
    same = {c: frame[c].to_numpy()[:, None] == frame[c].to_numpy() for c in ("patient_id", "therapist_id")}

    def criterion(patient, therapist, residual):
        """Patient: covariance of intercept and slope (2 × 2), or a variance."""
        g = np.zeros((2, 2))
        g[: np.ndim(patient) or 1, : np.ndim(patient) or 1] = patient
        v = same["patient_id"] * (x @ g @ x.T) + same["therapist_id"] * therapist + residual * np.eye(len(y))
        root = np.linalg.cholesky(v)
        xs, ys = np.linalg.solve(root, x), np.linalg.solve(root, y)
        inner = xs.T @ xs
        rest = ys - xs @ np.linalg.solve(inner, xs.T @ ys)
        fixed = np.linalg.slogdet(inner)[1]
        return 2 * np.log(np.diag(root)).sum() + fixed + rest @ rest + (len(y) - 2) * np.log(2 * np.pi)

    return criterion


def profiled(result, share, slopes):
    """The criterion with the therapists' share held, minimised over everything else by Nelder and Mead."""
    criterion, variance = dense_criterion(result), result.variance().set_index("group")["vcov"]

    def patient(z):
        if not slopes:
            return np.exp(z[0])
        root = np.array([[np.exp(z[0]), 0], [z[2], np.exp(z[3])]])
        return root @ root.T

    def at(z):
        own = patient(z)
        level = own[0, 0] if slopes else own
        return criterion(own, share / (1 - share) * (level + np.exp(z[1])), np.exp(z[1]))

    first = np.atleast_1d(variance["patient_id"])[0]
    start = [np.log(first) / (2 if slopes else 1), np.log(variance["residual"]), *([0.0, -3.0] if slopes else [])]
    with one_blas_thread():
        return minimize(at, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-7, "maxiter": 2000}).fun


def test_it_is_the_mixed_model_that_it_stands_for(sessions, sloped):
    frame = sessions.frame.assign(time=sessions.frame["session"] - 1.0)
    plain = als.mixed("outcome ~ time + (1 + time | patient_id) + (1 | therapist_id)", frame)
    numbers = ["estimate", "std_error", "df"]
    assert_allclose(sloped.table()[numbers], plain.table()[numbers], rtol=1e-6)
    assert_allclose(sloped.glance()["deviance"], plain.glance()["deviance"], rtol=1e-10)


def test_the_share_is_the_variance_over_the_sum_of_variances(plain):
    own = plain.variance().set_index("group")["vcov"]
    share = own["therapist_id"] / (own["therapist_id"] + own["patient_id"] + own["residual"])
    one = plain.glance().iloc[0]
    assert_allclose(one["icc_therapist"], share)
    shares = plain.shares().set_index("level")["share"]
    assert_allclose(shares["therapist_id"], share)
    assert_allclose(one["icc_patient"], shares["patient_id"])
    assert_allclose(shares.sum(), 1)


def test_with_slopes_the_shares_are_those_at_session_one(sloped):
    variance = sloped.variance()
    intercepts = variance[(variance["term"] == "(Intercept)") & variance["term2"].isna()].set_index("group")["vcov"]
    residual = variance.loc[variance["group"] == "residual", "vcov"].iloc[0]
    share = intercepts["therapist_id"] / (intercepts.sum() + residual)
    assert_allclose(sloped.glance()["icc_therapist"], share)


def test_the_definition_agrees_with_the_engine(plain):
    # so that the brute-force profile below stands on the same ground
    own = plain.variance().set_index("group")["vcov"]
    found = dense_criterion(plain)(own["patient_id"], own["therapist_id"], own["residual"])
    assert_allclose(found, plain.glance()["deviance"].iloc[0], rtol=1e-9)


def test_at_both_ends_of_the_interval_the_profile_is_one_chi_square_above_the_optimum(plain):
    one = plain.glance().iloc[0]
    assert 0 < one["icc_ci_low"] < one["icc_therapist"] < one["icc_ci_high"] < 1
    for end in (one["icc_ci_low"], one["icc_ci_high"]):
        assert_allclose(profiled(plain, end, slopes=False) - one["deviance"], CHI2, atol=2e-3)


def test_the_interval_holds_with_slopes_by_patient_too(sloped):
    one = sloped.glance().iloc[0]
    assert_allclose(profiled(sloped, one["icc_ci_high"], slopes=True) - one["deviance"], CHI2, atol=5e-3)


def test_an_interval_that_holds_zero_begins_at_zero(on_boundary):
    one = on_boundary.glance().iloc[0]
    assert (one["icc_therapist"], one["icc_ci_low"]) == (0, 0)
    assert 0 < one["icc_ci_high"] < 0.5


@pytest.mark.parametrize("sd", [12.0, 200.0])
def test_a_share_near_one_keeps_its_interval_below_one(sd):
    sessions = als.simulate_sessions(5, 4, 5, 0.0, seed=5, outcome_therapist_sd=sd, outcome_intercept_sd=0.5)
    result = als.therapist_effects(sessions, random_time=False)
    one = result.glance().iloc[0]
    assert 0.5 < one["icc_ci_low"] < one["icc_therapist"] < one["icc_ci_high"] < 1
    # the end is found to 1e-7; the profile is steep so close to 1, and crosses there
    below, above = (profiled(result, one["icc_ci_high"] + step, slopes=False) for step in (-1e-6, 1e-6))
    assert below - one["deviance"] < CHI2 < above - one["deviance"]


def test_the_interval_does_not_depend_on_the_unit(sessions, plain):
    other = als.therapist_effects(
        sessions.frame.assign(outcome=1e4 * sessions.frame["outcome"] + 1e6), random_time=False
    )
    columns = ["icc_therapist", "icc_ci_low", "icc_ci_high", "lr_statistic", "lr_p_value"]
    assert_allclose(other.glance()[columns], plain.glance()[columns], rtol=1e-3, atol=1e-6)


def test_the_test_compares_with_the_model_without_therapists(sessions, plain):
    frame = sessions.frame.assign(time=sessions.frame["session"] - 1.0)
    without = als.mixed("outcome ~ time + (1 | patient_id)", frame).glance()["deviance"].iloc[0]
    statistic = without - plain.glance()["deviance"].iloc[0]
    assert_allclose(plain.test["statistic"], statistic, rtol=1e-5)
    # half of the χ²₁ tail: zero lies on the boundary
    assert_allclose(plain.test["p_value"], stats.chi2.sf(statistic, 1) / 2, rtol=1e-4)
    assert_allclose(plain.glance()["lr_p_value"], plain.test["p_value"])


def test_on_the_boundary_the_p_value_is_one(on_boundary):
    assert on_boundary.test == {"statistic": 0.0, "p_value": 1.0}
    assert any("estimated at zero (on the boundary)" in note for note in on_boundary.notes())
    assert "was estimated at zero (ICC = .000" in on_boundary.report()
    assert "[.000, " in on_boundary.report()
    on_boundary.plot()


def test_effects_come_with_their_caseloads(sessions, plain):
    effects = plain.effects().set_index("level")
    load = sessions.frame.groupby("therapist_id")["patient_id"].agg(["nunique", "size"])
    assert_allclose(effects["n_patients"], load["nunique"])
    assert_allclose(effects["n_sessions"], load["size"])
    random = plain.random().set_index("level")
    assert_allclose(effects["estimate"], random["estimate"])
    assert len(plain.random("patient_id")) == sessions.frame["patient_id"].nunique()


def test_ids_that_are_numbers_keep_their_caseloads(sessions, plain):
    frame = sessions.frame.assign(therapist_id=pd.factorize(sessions.frame["therapist_id"])[0])
    assert_allclose(als.therapist_effects(frame).effects()["n_sessions"], plain.effects()["n_sessions"])


def test_the_intake_score_is_held_constant_and_leaves_the_rows(sessions):
    frame = sessions.frame
    result = als.therapist_effects(frame, intake=True, random_time=False)
    first = frame.sort_values("session").groupby("patient_id").head(1)
    assert result.glance()["n_obs"].iloc[0] == len(frame) - len(first)
    assert "outcome_intake" in set(result.table()["term"])
    by_patient = result.frame.groupby("patient_id")["outcome_intake"].first()
    assert_allclose(by_patient, first.set_index("patient_id")["outcome"].reindex(by_patient.index))


def test_the_intake_is_the_first_observed_score_whatever_the_index(sessions):
    frame = sessions.frame
    gappy = frame.assign(outcome=frame["outcome"].where(frame["session"] > 1)).sample(frac=1, random_state=0)
    result = als.therapist_effects(gappy.set_axis([0] * len(gappy)), intake=True, random_time=False)
    second = frame[frame["session"] == 2].set_index("patient_id")["outcome"]
    by_patient = result.frame.dropna().groupby("patient_id")["outcome_intake"].first()
    assert_allclose(by_patient, second.reindex(by_patient.index))


def test_the_words_give_share_interval_and_test(plain):
    one = plain.glance().iloc[0]
    report = plain.report().markdown
    share = f"{one['icc_therapist']:.3f}".lstrip("0")
    assert (
        f"Differences between the 7 therapists accounted for {100 * one['icc_therapist']:.1f}% of the variance"
        in report
    )
    assert f"(*ICC* = {share}, 95% profile-likelihood CI [" in report
    assert "*p* " in report
    assert "Patients accounted for" in report


def test_few_therapists_are_remarked(plain):
    assert any("With 7 therapists the variance between them is estimated imprecisely" in r for r in plain.remarks)
    assert "7 therapists with 4 patients each in the median (range 4–4)." in plain.remarks


def test_columns_may_have_any_name(sessions, plain):
    names = {"patient_id": "pid", "therapist_id": "the rapist", "session": "n", "outcome": "BDI-II total"}
    frame = sessions.frame.rename(columns=names)
    other = als.therapist_effects(
        frame, "BDI-II total", random_time=False, patient="pid", therapist="the rapist", session="n"
    )
    columns = ["icc_therapist", "icc_ci_low", "icc_ci_high", "lr_statistic"]
    assert_allclose(other.glance()[columns], plain.glance()[columns], rtol=1e-4)
    assert_allclose(other.effects()["n_patients"], plain.effects()["n_patients"])
    other.plot()


def test_the_users_frame_is_left_alone(sessions):
    frame = sessions.frame
    before = frame.copy(deep=True)
    als.therapist_effects(frame, intake=True, random_time=False).effects()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(therapist_id="T"), DesignError, "1 therapist in the rows used"),
        (lambda f: f.assign(therapist_id=f["patient_id"]), DesignError, "Each of the 28 therapists saw one patient"),
        (lambda f: f.assign(therapist_id=pd.Series([None] * len(f), dtype="str")), DesignError, "0 therapists"),
        (lambda f: f.drop(columns="therapist_id"), ColumnError, "No column 'therapist_id'"),
        (lambda f: f[f["session"] == 1], DesignError, "None of 28 patients has 'outcome' at two sessions"),
        (lambda f: f.assign(outcome=np.nan), DataError, "'outcome' is missing in all"),
        (lambda f: f.assign(outcome=f["outcome"].astype(str)), DataError, "'outcome' holds text"),
    ],
)
def test_bad_data_are_refused_with_the_reason(sessions, change, error, message):
    with pytest.raises(error, match=message):
        als.therapist_effects(change(sessions.frame))
