"""``als.mixed``: the shape of its answers, what it refuses, and what it says of hard fits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.engine.mixed import optimise as optimiser
from alliance_stats.errors import ColumnError, ConvergenceWarning, DataError, DesignError, FormulaError
from alliance_stats.names import RANDOM_COLUMNS, TABLE_COLUMNS, VARIANCE_COLUMNS

FORMULA = "outcome ~ x + session + (1 + session | patient_id) + (1 | therapist_id)"


def make_frame(n_patients: int = 24, n_sessions: int = 6, seed: int = 2) -> pd.DataFrame:
    """Patients with their own level and slope, four therapists, crossed."""
    rng = np.random.default_rng(seed)
    patient, session = np.repeat(np.arange(n_patients), n_sessions), np.tile(np.arange(1, n_sessions + 1), n_patients)
    therapist = rng.integers(6, size=patient.size)
    x = rng.normal(size=patient.size)
    outcome = (
        20
        + 0.8 * x
        - 0.5 * session
        + (3 * rng.normal(size=n_patients))[patient]
        + (0.6 * rng.normal(size=n_patients))[patient] * session
        + (1.5 * rng.normal(size=6))[therapist]
        + rng.normal(size=patient.size)
    )
    return pd.DataFrame(
        {
            "patient_id": [f"{k:03d}" for k in patient],
            "therapist_id": [f"T{k}" for k in therapist],
            "session": session,
            "x": x,
            "outcome": outcome,
        }
    )


FRAME = make_frame()


@pytest.fixture(scope="module")
def fit():
    return als.mixed(FORMULA, FRAME)


@pytest.fixture(scope="module")
def singular():
    # therapists are drawn by lot and have no effect: residuals carry less of them than chance would
    frame = FRAME.copy()
    frame["outcome"] -= frame.groupby("therapist_id")["outcome"].transform("mean")
    return als.mixed("outcome ~ x + (1 | therapist_id)", frame)


# ---- tables -----------------------------------------------------------------------------------------------------


def test_table_has_the_contracts_columns_and_terms(fit):
    table = fit.table()
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table["term"].tolist() == ["(Intercept)", "x", "session"]
    assert all(dtype == "float64" for dtype in table.dtypes.drop("term"))


def test_statistic_p_value_and_interval_follow_from_estimate_error_and_df(fit):
    table = fit.table()
    assert_allclose(table["statistic"], table["estimate"] / table["std_error"])
    assert_allclose(table["p_value"], 2 * stats.t.sf(table["statistic"].abs(), table["df"]))
    half = stats.t.ppf(0.975, table["df"]) * table["std_error"]
    assert_allclose(table["ci_low"], table["estimate"] - half)
    assert_allclose(table["ci_high"], table["estimate"] + half)


def test_the_level_of_the_intervals_can_be_chosen(fit):
    table = fit.table(level=0.9)
    half = stats.t.ppf(0.95, table["df"]) * table["std_error"]
    assert_allclose(table["ci_high"] - table["ci_low"], 2 * half)


def test_glance_is_one_row_with_the_contracts_fields(fit):
    glance = fit.glance()
    assert len(glance) == 1
    needed = ["n_obs", "n_patient_id", "n_therapist_id", "deviance", "log_likelihood", "aic", "bic", "sigma", "method",
              "converged", "singular"]  # fmt: skip
    assert set(needed) <= set(glance.columns)
    row = glance.iloc[0]
    assert (row["n_obs"], row["n_patient_id"], row["n_therapist_id"]) == (144, 24, 6)
    # 3 fixed effects, 3 + 1 covariance parameters, 1 residual variance
    assert row["n_parameters"] == 8
    assert_allclose(row["log_likelihood"], -row["deviance"] / 2)
    assert_allclose(row["aic"], row["deviance"] + 2 * 8)
    assert_allclose(row["bic"], row["deviance"] + 8 * np.log(144))
    assert_allclose(row["sigma"] ** 2, fit.variance().iloc[-1]["vcov"])
    assert (row["method"], row["converged"], row["singular"]) == ("REML", True, False)


def test_variance_lists_variances_covariances_and_the_residual(fit):
    variance = fit.variance()
    assert tuple(variance.columns) == VARIANCE_COLUMNS
    assert variance[["group", "term", "term2"]].astype(object).replace({np.nan: None}).to_numpy().tolist() == [
        ["patient_id", "(Intercept)", None],
        ["patient_id", "session", None],
        ["patient_id", "(Intercept)", "session"],
        ["therapist_id", "(Intercept)", None],
        ["residual", None, None],
    ]
    intercept, slope, both, therapist, residual = variance.itertuples()
    for row in (intercept, slope, therapist, residual):
        assert_allclose(row.sdcor**2, row.vcov)
    assert_allclose(both.sdcor, both.vcov / (intercept.sdcor * slope.sdcor))


def test_uncorrelated_effects_have_no_covariance_row():
    variance = als.mixed("outcome ~ x + (1 + session || patient_id)", FRAME).variance()
    assert variance["term2"].isna().all()
    assert variance["group"].tolist() == ["patient_id", "patient_id", "residual"]


def test_random_has_the_contracts_columns_and_one_row_per_level_and_term(fit):
    random = fit.random("patient_id")
    assert tuple(random.columns) == RANDOM_COLUMNS
    assert random["level"].tolist()[:4] == ["000", "000", "001", "001"]  # leading zeros survive
    assert random["level"].dtype == "str"
    assert random["term"].tolist()[:2] == ["(Intercept)", "session"]
    assert len(random) == 48
    half = 1.959964 * random["std_error"]
    assert_allclose(random["ci_high"] - random["estimate"], half, rtol=1e-6)
    assert_allclose(random["estimate"] - random["ci_low"], half, rtol=1e-6)


def test_predicted_effects_sum_to_zero_over_levels(fit):
    # Z'Py sums to nothing where the intercept is fixed; D is the same for all levels
    random = fit.random("patient_id")
    assert_allclose(random.groupby("term")["estimate"].sum(), 0, atol=1e-7)


def test_random_asks_which_grouping_and_names_the_nearest(fit):
    with pytest.raises(DataError, match="Choose a grouping: patient_id, therapist_id"):
        fit.random()
    with pytest.raises(DataError, match=r"No grouping 'therapist'\. Did you mean 'therapist_id'\?"):
        fit.random("therapist")
    assert len(als.mixed("outcome ~ x + (1 | patient_id)", FRAME).random()) == 24


def test_contrast_is_the_weighted_sum(fit):
    estimate, covariance = fit.table()["estimate"].to_numpy(), fit.solution.covariance
    row = fit.contrast({"x": 2, "session": -1}, label="2 x − session").iloc[0]
    # by hand: 2a − b, and its variance 4 var(a) + var(b) − 4 cov(a, b)
    assert row["term"] == "2 x − session"
    assert_allclose(row["estimate"], 2 * estimate[1] - estimate[2])
    expected = 4 * covariance[1, 1] + covariance[2, 2] - 4 * covariance[1, 2]
    assert_allclose(row["std_error"], np.sqrt(expected))
    assert_allclose(row["statistic"], row["estimate"] / row["std_error"])


def test_contrast_of_one_term_is_its_row_in_the_table(fit):
    row, expected = fit.contrast({"session": 1}, "session").iloc[0], fit.table().iloc[2]
    assert_allclose(row.drop("term").astype(float), expected.drop("term").astype(float))


def test_contrast_does_not_depend_on_its_scale(fit):
    one, ten = (fit.contrast({"x": k, "session": -k}).iloc[0] for k in (1, 10))
    assert_allclose(ten["estimate"], 10 * one["estimate"])
    assert_allclose([ten["df"], ten["p_value"]], [one["df"], one["p_value"]])


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_of_a_contrast_are_finite(fit, weight):
    with pytest.raises(DataError, match=r"1 weight is not finite \(first in row 0\)"):
        fit.contrast({"x": weight, "session": 1})


def test_contrast_names_the_nearest_term(fit):
    with pytest.raises(DataError, match=r"'sesion'\. Did you mean 'session'\?"):
        fit.contrast({"sesion": 1})


def test_fitted_is_the_fixed_part_and_the_predicted_effects(fit):
    beta = fit.table().set_index("term")["estimate"]
    random = fit.random("patient_id").pivot_table(index="level", columns="term", values="estimate")
    therapist = fit.random("therapist_id").set_index("level")["estimate"]
    own = random.loc[FRAME["patient_id"]].reset_index(drop=True)
    expected = (
        beta["(Intercept)"]
        + beta["x"] * FRAME["x"]
        + beta["session"] * FRAME["session"]
        + own["(Intercept)"]
        + own["session"] * FRAME["session"]
        + therapist.loc[FRAME["therapist_id"]].to_numpy()
    )
    assert_allclose(fit.fitted(), expected)


def test_fitted_is_indexed_by_position_in_the_data():
    frame = FRAME.set_axis([f"row {k}" for k in range(len(FRAME))])
    frame.iloc[[0, 5], frame.columns.get_loc("x")] = np.nan
    fitted = als.mixed("outcome ~ x + (1 | patient_id)", frame).fitted()
    assert fitted.index.tolist() == [1, 2, 3, 4, *range(6, 144)]


# ---- the call ---------------------------------------------------------------------------------------------------


def test_a_session_table_and_its_frame_give_the_same(fit):
    table = SessionTable(FRAME, source=Source(simulated=True))
    other = als.mixed(FORMULA, table)
    pd.testing.assert_frame_equal(other.table(), fit.table())
    pd.testing.assert_frame_equal(other.variance(), fit.variance())
    assert other.simulated
    assert not fit.simulated


def test_the_frame_is_not_changed():
    frame = make_frame()
    before = frame.copy()
    als.mixed(FORMULA, frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_result_is_frozen(fit):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.method = "ML"
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.solution.sigma2 = 0.0


@pytest.mark.parametrize("get", ["table", "glance", "variance", "fitted"])
def test_a_frame_that_was_handed_out_is_the_users_own(fit, get):
    first = getattr(fit, get)()
    expected = first.copy()
    first.iloc[0] = np.nan if get == "fitted" else first.iloc[1 % len(first)].to_numpy()
    if get == "glance":
        first["n_obs"] = -1
    again = getattr(fit, get)()
    (pd.testing.assert_series_equal if get == "fitted" else pd.testing.assert_frame_equal)(again, expected)


def test_the_rows_left_out_are_kept_in_the_result():
    frame = FRAME.copy()
    frame.loc[[3, 4], "x"] = np.nan
    fit = als.mixed("outcome ~ x + (1 | patient_id)", frame)
    reasons = [{"variable": "x", "n_missing": 2, "n_only_this": 2}]
    assert fit.dropped.to_dict("records") == reasons
    handed_out = fit.dropped
    handed_out["n_missing"] = 99
    assert fit.dropped.to_dict("records") == reasons
    assert fit.glance().iloc[0]["n_dropped"] == 2
    assert any("2 of 144 rows were left out" in note for note in fit.notes())


def test_rows_left_out_are_rows_that_were_never_there():
    frame = FRAME.copy()
    frame.loc[[3, 4, 70], "x"] = np.nan
    left, never = (als.mixed("outcome ~ x + (1 | patient_id)", f) for f in (frame, frame.dropna()))
    pd.testing.assert_frame_equal(left.table(), never.table())


def test_missing_raise_refuses():
    frame = FRAME.assign(x=FRAME["x"].where(FRAME.index != 3))
    with pytest.raises(DataError, match=r"1 of 144 rows.*x \(1\)"):
        als.mixed(FORMULA, frame, missing="raise")


@pytest.mark.parametrize("method", ["reml", "ml", "MLE", None, ""])
def test_a_misspelt_method_is_refused(method):
    with pytest.raises(DataError, match="method is 'REML' or 'ML'"):
        als.mixed(FORMULA, FRAME, method)


def test_ml_has_a_higher_likelihood_and_smaller_variances():
    formula = "outcome ~ x + (1 | patient_id)"
    ml, reml = als.mixed(formula, FRAME, "ML"), als.mixed(formula, FRAME)
    assert ml.glance().iloc[0]["method"] == "ML"
    assert ml.variance()["vcov"].iloc[0] < reml.variance()["vcov"].iloc[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "Expected a SessionTable or a DataFrame"),
        ({"x": [1]}, "Expected a SessionTable or a DataFrame"),
        ([1, 2], "Part 1 of the data is a int, not a DataFrame"),
        (np.eye(3), "Part 1 of the data is a ndarray, not a DataFrame"),
        ("clinic.csv", "There is no file or folder 'clinic.csv'"),
    ],
)
def test_only_tables_and_frames_are_data(data, message):
    with pytest.raises(DataError, match=message):
        als.mixed(FORMULA, data)


def test_an_empty_frame_is_refused():
    with pytest.raises(DataError, match="0 rows"):
        als.mixed(FORMULA, FRAME.iloc[:0])


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("outcome ~ x", FormulaError),
        ("outcome ~ x +", FormulaError),
        ("outcome ~ nothing + (1 | patient_id)", ColumnError),
        ("outcome ~ x + I(2*x) + (1 | patient_id)", DesignError),
        ("outcome ~ x + (1 | outcome)", DesignError),
        ("patient_id ~ x + (1 | therapist_id)", DataError),
    ],
)
def test_errors_come_from_our_own_tree(formula, error):
    with pytest.raises(error):
        als.mixed(formula, FRAME)


@pytest.mark.parametrize("outcome", ["x", "I(2*x + 3)", "I(1e6*x)", "I(x - session)"])
def test_an_outcome_computed_from_predictors_is_refused(outcome):
    with pytest.raises(DesignError, match="reproduce the outcome exactly"):
        als.mixed(f"{outcome} ~ x + session + (1 | patient_id)", FRAME)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("right", ["(1 | patient_id)", "x + (1 | patient_id) + (1 | therapist_id)"])
def test_an_outcome_that_is_one_per_patient_is_refused(right, method):
    # a patient-level score on every session's row: no residual variance, and a likelihood without maximum
    frame = FRAME.assign(outcome=FRAME["patient_id"].astype(float) ** 1.5)
    with pytest.raises(DesignError, match=r"'patient_id'.* together reproduce the outcome exactly"):
        als.mixed(f"outcome ~ {right}", frame, method)


def test_more_fixed_effects_than_rows_are_refused():
    frame = FRAME.iloc[[0, 1, 6, 7]].assign(z=[1.0, 3, 2, 7], w=[4.0, 1, 1, 9])
    with pytest.raises(DesignError, match="4 rows cannot estimate 4 fixed effects"):
        als.mixed("outcome ~ x + z + w + (1 | patient_id)", frame)


# ---- hard fits --------------------------------------------------------------------------------------------------


def test_a_variance_of_zero_is_said_in_plain_words(singular):
    assert singular.singular
    assert singular.converged
    assert bool(singular.glance().iloc[0]["singular"])
    assert singular.variance().iloc[0]["vcov"] == 0.0
    (note, _) = singular.notes()
    assert "The variance of therapists was estimated at zero" in note
    assert "The fixed effects remain usable" in note


def test_with_a_variance_of_zero_the_fixed_effects_are_those_of_the_plain_regression(singular):
    x, y = FRAME["x"].to_numpy(), singular.arrays.design.outcome
    expected = stats.linregress(x, y)
    row = singular.table().set_index("term").loc["x"]
    assert_allclose([row["estimate"], row["std_error"]], [expected.slope, expected.stderr], rtol=1e-8)
    assert_allclose(row["df"], 142)  # 144 rows less two coefficients
    assert_allclose(row["p_value"], expected.pvalue, rtol=1e-6)


def test_effects_without_variance_are_zero_and_finite(singular):
    random = singular.random()
    assert (random[["estimate", "std_error", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_a_perfect_correlation_is_said_in_plain_words():
    rng = np.random.default_rng(0)
    frame = make_frame()
    level = rng.normal(size=24)[frame["patient_id"].astype(int)]
    frame["outcome"] = level * (1 + 0.5 * frame["session"]) * 3 + rng.normal(size=len(frame))
    fit = als.mixed("outcome ~ x + (1 + session | patient_id)", frame)
    assert fit.singular
    assert any("perfectly correlated" in note for note in fit.notes())
    row = fit.variance().iloc[2]
    assert_allclose(abs(row["sdcor"]), 1, atol=1e-6)


def test_no_convergence_warns_and_is_kept_in_the_result(monkeypatch):
    monkeypatch.setattr(optimiser, "_MAX_STEPS", 1)
    with pytest.warns(ConvergenceWarning, match="Did not converge") as caught:
        fit = als.mixed(FORMULA, FRAME)
    assert caught[0].filename == __file__  # the user's line, not ours
    assert not fit.converged
    assert not fit.glance().iloc[0]["converged"]
    assert fit.notes()[0].startswith("Did not converge")
    assert np.isfinite(fit.table()["estimate"]).all()


def test_a_good_fit_warns_of_nothing(recwarn):
    als.mixed(FORMULA, FRAME).table()
    assert not recwarn.list


def test_the_optimisers_story_is_kept(fit):
    story = fit.optimizer()
    assert story["converged"]
    assert story["evaluations"] >= story["steps"] >= 1
    assert_allclose(story["criterion"], fit.glance().iloc[0]["deviance"])
    assert story["on_boundary"] == ""
    assert story["message"].startswith("Converged")


def test_the_smallest_data_that_can_be_fitted():
    # two patients, two sessions each
    fit = als.mixed("outcome ~ 1 + (1 | patient_id)", FRAME.iloc[[0, 1, 6, 7]])
    assert fit.converged
    assert np.isfinite(fit.table().drop(columns="term").to_numpy()).all()
    assert_allclose(fit.table()["estimate"][0], FRAME["outcome"].iloc[[0, 1, 6, 7]].mean())  # balanced


def test_fixed_effects_that_tell_every_level_apart_leave_no_variance_between_them():
    rng = np.random.default_rng(4)
    patient = np.repeat(["a", "b", "c"], 20)
    frame = pd.DataFrame({"patient_id": patient, "x": rng.normal(size=60), "outcome": rng.normal(size=60)})
    # intercept and two predictors that are constant within patients: three numbers for three patients
    frame["severity"] = frame["patient_id"].map({"a": 1.0, "b": 2.0, "c": 4.0})
    frame["age"] = frame["patient_id"].map({"a": 30.0, "b": 50.0, "c": 20.0})
    with pytest.raises(DesignError, match="already tell all 3 levels of 'patient_id' apart"):
        als.mixed("outcome ~ x + severity + age + (1 | patient_id)", frame)
    assert als.mixed("outcome ~ x + severity + (1 | patient_id)", frame).glance()["converged"].iloc[0]
