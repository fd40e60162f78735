"""``predict``, ``residuals`` and ``simulate`` of a mixed model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import linalg, stats

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import ColumnError, DataError
from alliance_stats.models.predictions import _rows_used

GOLDEN = Path(__file__).parents[1] / "golden"
LME4 = json.loads((GOLDEN / "lme4_predict" / "predictions.json").read_text())["cases"]
CROSSED = "outcome ~ x + session + (1 + session | patient_id) + (1 | therapist_id)"
SLOPES = "outcome ~ x + session + (1 + session | patient_id) + (1 + x | therapist_id) + (1 | site_id)"


def make_frame(n_patients: int = 24, n_sessions: int = 6, seed: int = 5) -> pd.DataFrame:
    """Patients of whom a third change to another therapist after the third session."""
    rng = np.random.default_rng(seed)
    patient, session = np.repeat(np.arange(n_patients), n_sessions), np.tile(np.arange(1, n_sessions + 1), n_patients)
    first, second = rng.integers(6, size=(2, n_patients))
    therapist = np.where((session > 3) & (patient % 3 == 0), second[patient], first[patient])
    x = rng.normal(size=patient.size)
    therapist_slope, site = rng.normal(size=6), patient % 4
    outcome = 20 + 0.8 * x - 0.5 * session + 2 * rng.normal(size=n_patients)[patient] + rng.normal(size=4)[site]
    outcome += 0.6 * rng.normal(size=n_patients)[patient] * session + 1.5 * rng.normal(size=6)[therapist]
    outcome += 0.7 * therapist_slope[therapist] * x + rng.normal(size=patient.size)
    return pd.DataFrame(
        {
            "patient_id": [f"{k:03d}" for k in patient],
            "therapist_id": [f"T{k}" for k in therapist],
            "site_id": [f"S{k}" for k in site],
            "session": session,
            "x": x,
            "outcome": outcome,
        }
    )


FRAME = make_frame()
#: A known pair; a known patient with a therapist whom she never met; a new patient; a new therapist; nobody known.
NEW = pd.DataFrame(
    {
        "patient_id": ["004", "001", "new", "002", "new"],
        "therapist_id": [
            FRAME.loc[FRAME["patient_id"] == "004", "therapist_id"].iloc[0],
            min(set(FRAME["therapist_id"]) - set(FRAME.loc[FRAME["patient_id"] == "001", "therapist_id"])),
            "T2",
            "new",
            "new",
        ],
        "site_id": ["S0", "S1", "S2", "S3", "S0"],
        "session": [2.0, 7.5, 1.0, 3.0, 12.0],
        "x": [0.3, -1.0, 2.0, 0.0, 1.0],
    }
)


@pytest.fixture(scope="module")
def crossed():
    return als.mixed(CROSSED, FRAME)


@pytest.fixture(scope="module")
def slopes():
    return als.mixed(SLOPES, FRAME)


# ---- the yardstick: Henderson's equations written out ---------------------------------------------------------------


def effect_rows(fit, frame, at):
    """Z of one grouping for any rows: ones and the columns named by the effects; zero for unknown levels."""
    names, levels = fit.arrays.effect_names[at], list(fit.arrays.levels[at])
    z = np.zeros((len(frame), len(levels) * len(names)))
    values = np.column_stack([np.ones(len(frame)) if n == "(Intercept)" else frame[n] for n in names]).astype(float)
    for row, level in enumerate(frame[fit.arrays.group_names[at]]):
        if level in levels:
            place = levels.index(level) * len(names)
            z[row, place : place + len(names)] = values[row]
    return z, values


def henderson(fit, frame, level):
    """Variance of each row's prediction error: of the mean, and of one outcome, by (n + M) × (n + M) algebra."""
    covariances, sigma2 = fit.solution.random_covariances, fit.solution.sigma2

    def fixed(rows):
        return np.column_stack([np.ones(len(rows)), rows["x"], rows["session"]])

    z = [effect_rows(fit, FRAME, at)[0] for at in range(len(covariances))]
    w = np.hstack([fixed(FRAME), *z])
    prior = [np.kron(np.eye(len(fit.arrays.levels[at])), np.linalg.inv(d)) for at, d in enumerate(covariances)]
    inverse = np.linalg.inv(w.T @ w / sigma2 + linalg.block_diag(np.zeros((3, 3)), *prior))
    rows, fresh = [fixed(frame)], np.full(len(frame), sigma2)
    for at, covariance in enumerate(covariances):
        own, values = effect_rows(fit, frame, at)
        known = own.any(axis=1) & (level == "all" or fit.arrays.group_names[at] in level)
        rows.append(own * known[:, None])
        fresh += np.where(known, 0, np.einsum("ij,jk,ik->i", values, covariance, values))
    rows = np.hstack(rows)
    mean = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    return mean, mean + fresh


LEVELS = ["population", "all", ("patient_id",), ("therapist_id",)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("formula", [CROSSED, SLOPES], ids=["intercepts", "slopes"])
def test_standard_errors_solve_hendersons_equations(formula, level, crossed, slopes):
    fit = crossed if formula is CROSSED else slopes
    assert not fit.singular  # the equations need the inverse of every covariance
    mean, outcome = henderson(fit, NEW, level)
    confidence = fit.predict(NEW, level=level, interval="confidence")
    assert_allclose(confidence["std_error"], np.sqrt(mean), rtol=1e-7)
    prediction = fit.predict(NEW, level=level, interval="prediction")
    assert_allclose(prediction["std_error"], np.sqrt(outcome), rtol=1e-7)


def test_standard_errors_of_the_rows_used_solve_hendersons_equations(slopes):
    mean, _ = henderson(slopes, FRAME, "all")
    assert_allclose(slopes.predict(level="all", interval="confidence")["std_error"], np.sqrt(mean), rtol=1e-7)


def test_large_components_take_the_sparse_path_to_the_same_errors(monkeypatch, crossed):
    from alliance_stats.engine.mixed import elimination, layout, row_prediction

    usual = crossed.predict(NEW, level="all", interval="prediction")
    monkeypatch.setattr(layout, "_SIZES", np.array([1]))  # every component of two or more columns is sparse
    monkeypatch.setattr(elimination, "_SMALLEST_CORE", 2)
    monkeypatch.setattr(row_prediction, "_CHUNK", 2)
    sparse = als.mixed(CROSSED, FRAME).predict(NEW, level="all", interval="prediction")
    columns = ["estimate", "std_error", "df"]
    assert_allclose(sparse[columns], usual[columns], rtol=1e-5)


def test_a_variance_of_zero_adds_no_uncertainty():
    # the therapists' means are taken out, so they carry less than chance would give them
    frame = FRAME.assign(outcome=FRAME["outcome"] - FRAME.groupby("therapist_id")["outcome"].transform("mean"))
    fit = als.mixed("outcome ~ x + (1 | therapist_id)", frame)
    assert fit.singular
    with_therapist = fit.predict(NEW, level="all", interval="confidence")
    assert_allclose(with_therapist["std_error"], fit.predict(NEW, interval="confidence")["std_error"], rtol=1e-9)


# ---- estimates ------------------------------------------------------------------------------------------------------


def test_all_levels_of_the_rows_used_are_the_fitted_values(slopes):
    predicted = slopes.predict(level="all")
    assert_allclose(predicted["estimate"], slopes.fitted(), rtol=1e-12)
    again = slopes.predict(FRAME, level="all")
    assert_allclose(again["estimate"], slopes.fitted(), rtol=1e-12)
    assert predicted.columns.tolist() == ["row", "estimate", "unknown_levels"]


def test_population_is_the_fixed_part(crossed):
    b = crossed.table().set_index("term")["estimate"]
    by_hand = b["(Intercept)"] + b["x"] * NEW["x"] + b["session"] * NEW["session"]
    predicted = crossed.predict(NEW)
    assert_allclose(predicted["estimate"], by_hand)
    assert predicted.columns.tolist() == ["row", "estimate"]


def test_known_levels_add_their_random_effects(crossed):
    u = crossed.random("patient_id").set_index(["level", "term"])["estimate"]
    own = u["001", "(Intercept)"] + u["001", "session"] * 7.5
    difference = crossed.predict(NEW, level="patient_id")["estimate"] - crossed.predict(NEW)["estimate"]
    assert_allclose(difference.iloc[1], own)
    assert_allclose(difference.iloc[[2, 4]], 0, atol=1e-12)  # new patients


def test_rows_left_out_of_the_fit_keep_their_place():
    frame = FRAME.assign(x=FRAME["x"].where(FRAME.index != 3))
    fit = als.mixed(CROSSED, frame)
    assert fit.predict()["row"].tolist() == [k for k in range(len(frame)) if k != 3]
    assert fit.residuals().index.tolist() == fit.predict()["row"].tolist()


@pytest.mark.parametrize("case", sorted(LME4))
def test_point_predictions_are_those_of_lme4(case):
    golden = LME4[case]
    fit = als.mixed(golden["formula"], pd.read_csv(GOLDEN / "lme4" / "data" / f"{golden['data']}.csv"))
    close = {"rtol": 0, "atol": 1e-5 * np.std(golden["fitted"])}
    for level, expected in golden["predictions"].items():
        assert_allclose(fit.predict(pd.DataFrame(golden["new"]), level=level)["estimate"], expected, **close)
    assert_allclose(fit.predict(level="all")["estimate"], golden["fitted"], **close)
    assert_allclose(fit.predict()["estimate"], golden["population"], **close)
    assert_allclose(fit.residuals("standardised"), golden["scaled_residuals"], atol=2e-5)


# ---- intervals ------------------------------------------------------------------------------------------------------


def test_limits_follow_from_estimate_error_and_df(crossed):
    table = crossed.predict(NEW, level="all", interval="prediction", confidence=0.9)
    half = stats.t.ppf(0.95, table["df"]) * table["std_error"]
    assert_allclose(table["ci_low"], table["estimate"] - half)
    assert_allclose(table["ci_high"], table["estimate"] + half)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "normal"])
def test_the_populations_mean_has_the_uncertainty_of_a_contrast(df):
    fit = als.mixed(CROSSED, FRAME, df=df)
    table = fit.predict(NEW, interval="confidence")
    for row in range(len(NEW)):
        weights = {"(Intercept)": 1, "x": NEW["x"][row], "session": NEW["session"][row]}
        expected = fit.contrast(weights).iloc[0]
        for column in ("estimate", "std_error", "df", "ci_low", "ci_high"):
            assert_allclose(table[column][row], expected[column])


def test_satterthwaite_by_differences_is_satterthwaite_by_derivatives(slopes):
    rows = _rows_used(slopes, ())
    analytic = slopes.predict(interval="confidence")
    assert_allclose(slopes.solution.prediction_df(rows), analytic["df"], rtol=1e-4)
    assert_allclose(np.sqrt(slopes.solution.prediction_variance(rows)), analytic["std_error"], rtol=1e-9)


def test_df_of_a_new_patients_outcome_by_mean_squares():
    m, n = 8, 5
    frame = pd.DataFrame({"patient_id": np.repeat([f"p{k}" for k in range(m)], n)})
    rng = np.random.default_rng(1)
    frame["outcome"] = np.repeat(2 * rng.normal(size=m), n) + rng.normal(size=m * n)
    fit = als.mixed("outcome ~ 1 + (1 | patient_id)", frame)
    groups = frame["outcome"].to_numpy().reshape(m, n)
    between, within = n * groups.mean(axis=1).var(ddof=1), groups.var(axis=1, ddof=1).mean()
    # balanced: τ² = (MSB − MSW)/n, so τ²(1 + 1/m) + σ²(1 + 1/(mn)) is a sum of two independent mean squares
    a, b = (1 + 1 / m) / n, 1 + 1 / (m * n) - (1 + 1 / m) / n
    variance = a * between + b * within
    df = variance**2 / ((a * between) ** 2 / (m - 1) + (b * within) ** 2 / (m * (n - 1)))
    table = fit.predict(pd.DataFrame({"patient_id": ["new"]}), interval="prediction")
    assert_allclose(table["std_error"], np.sqrt(variance), rtol=1e-6)
    assert_allclose(table["df"], df, rtol=1e-4)


def test_normal_intervals_have_no_degrees_of_freedom():
    fit = als.mixed(CROSSED, FRAME, df="normal")
    assert np.isinf(fit.predict(NEW, level="all", interval="prediction")["df"]).all()


@pytest.mark.slow
def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(8)
    n_patients, n_sessions, n_studies = 15, 5, 600
    time, patient = np.tile(np.arange(n_sessions), n_patients), np.repeat(np.arange(n_patients), n_sessions)
    hits = {"new": [], "known": [], "mean": []}
    for _ in range(n_studies):
        u = 1.5 * rng.normal(size=n_patients + 1)
        frame = pd.DataFrame({"patient_id": patient.astype(str), "time": time})
        frame["outcome"] = 10 - 0.5 * time + u[patient] + rng.normal(size=patient.size)
        fit = als.mixed("outcome ~ time + (1 | patient_id)", frame)
        new = pd.DataFrame({"patient_id": ["new", "0"], "time": [5, 5]})
        mean = 10 - 0.5 * 5 + u[[n_patients, 0]]
        outcome = mean + rng.normal(size=2)
        one = fit.predict(new, level="all", interval="prediction")
        covered = (outcome >= one["ci_low"]) & (outcome <= one["ci_high"])
        known = fit.predict(new, level="all", interval="confidence").iloc[1]
        hits["new"].append(covered.iloc[0])
        hits["known"].append(covered.iloc[1])
        hits["mean"].append(known["ci_low"] <= mean[1] <= known["ci_high"])
    for kind, own in hits.items():
        # 3 standard errors of a share of .95 among 600 are .027
        assert 0.923 < np.mean(own) < 0.977, kind


# ---- stateful transforms and categories -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    ["poly(session, 2)", "bs(session, df=4)", "cr(session, df=3)", "scale(session)", "center(session)", "C(session)"],
)
def test_new_rows_are_computed_with_the_state_of_the_fit(term):
    intercept = "0 + " if term.startswith("cr") else ""  # a cubic regression spline holds the constant
    fit = als.mixed(f"outcome ~ {intercept}x + {term} + (1 | patient_id)", FRAME)
    some = FRAME.iloc[[40, 3, 3]]
    assert_allclose(fit.predict(some, level="all")["estimate"], fit.fitted().iloc[[40, 3, 3]], rtol=1e-10)


def test_stateful_transforms_among_the_random_effects_keep_their_state():
    fit = als.mixed("outcome ~ x + session + (1 + center(session) | patient_id)", FRAME)
    assert_allclose(fit.predict(FRAME.iloc[[7]], level="all")["estimate"], fit.fitted().iloc[[7]], rtol=1e-10)


def test_one_new_row_of_a_category_is_coded_as_in_the_fit():
    frame = FRAME.assign(phase=np.where(FRAME["session"] < 3, "early", "late"), male=FRAME["x"] > 0)
    fit = als.mixed("outcome ~ phase * x + male + (1 | patient_id)", frame)
    late = frame.iloc[[5]]  # alone, "late" would be the only category
    assert_allclose(fit.predict(late, level="all")["estimate"], fit.fitted().iloc[[5]], rtol=1e-10)


def test_interactions_with_names_that_need_backticks():
    frame = FRAME.rename(columns={"x": "alliance (mean)"})
    fit = als.mixed("outcome ~ `alliance (mean)` * poly(session, 2) + (1 | patient_id)", frame)
    assert_allclose(fit.predict(frame.iloc[[9]], level="all")["estimate"], fit.fitted().iloc[[9]], rtol=1e-10)


def test_terms_of_one_grouping_in_several_bars_keep_their_order():
    fit = als.mixed("outcome ~ x + session + (0 + session | patient_id) + (1 | patient_id)", FRAME)
    assert_allclose(fit.predict(FRAME, level="all")["estimate"], fit.fitted(), rtol=1e-10)


# ---- groupings ------------------------------------------------------------------------------------------------------


def test_levels_that_the_fit_did_not_have_are_named_and_counted(crossed):
    table = crossed.predict(NEW, level="all")
    expected = ["", "", "patient_id", "therapist_id", "patient_id, therapist_id"]
    assert table["unknown_levels"].tolist() == expected
    assert table.attrs["unknown_levels"] == {"patient_id": 2, "therapist_id": 2}
    assert crossed.predict(NEW, level="therapist_id")["unknown_levels"].tolist()[2:4] == ["", "therapist_id"]


def test_unknown_levels_can_be_refused(crossed):
    with pytest.raises(
        DataError, match=r"patient_id: 2 rows \(first at row 2\), therapist_id: 2 rows \(first at row 3"
    ):
        crossed.predict(NEW, level="all", unknown="raise")


def test_a_missing_id_is_an_unknown_level(crossed):
    new = NEW.assign(therapist_id=None)
    assert crossed.predict(new, level="therapist_id").attrs["unknown_levels"] == {"therapist_id": 5}
    assert_allclose(crossed.predict(new, level="therapist_id")["estimate"], crossed.predict(NEW)["estimate"])


def test_numbers_as_ids_are_found_again():
    frame = FRAME.assign(patient_id=FRAME["patient_id"].astype(int))
    fit = als.mixed("outcome ~ x + (1 | patient_id)", frame)
    for ids in ([4, 999], [4.0, np.nan], ["4", "04"]):
        new = pd.DataFrame({"x": [0.0, 0.0], "patient_id": ids})
        assert fit.predict(new, level="all")["unknown_levels"].tolist() == ["", "patient_id"]


def test_nested_groupings_are_looked_up_by_both_ids():
    # patients are numbered anew in every site
    frame = FRAME.assign(
        patient_id=FRAME.groupby("site_id")["patient_id"].transform("rank", method="dense").astype(str)
    )
    fit = als.mixed("outcome ~ x + session + (1 | site_id/patient_id)", frame)
    assert fit.arrays.group_names == ("site_id", "site_id:patient_id")
    assert_allclose(fit.predict(frame, level="all")["estimate"], fit.fitted(), rtol=1e-12)
    elsewhere = frame.iloc[[0]].assign(site_id="S9")
    table = fit.predict(elsewhere, level="all")
    assert table["unknown_levels"].tolist() == ["site_id, site_id:patient_id"]


def test_memberships_weigh_the_effects_of_several_therapists():
    weights = als.membership(FRAME, rule="cumulative")
    formula = "outcome ~ x + session + (1 | patient_id) + (1 | mm(therapist_id))"
    fit = als.mixed(formula, FRAME, membership={"therapist_id": weights})
    assert_allclose(fit.predict(level="all")["estimate"], fit.fitted(), rtol=1e-12)
    patient = pd.get_dummies(FRAME["patient_id"])[list(fit.arrays.levels[0])].to_numpy(float)
    therapist = weights.pivot_table("weight", "row", "level").fillna(0)[list(fit.arrays.levels[1])]
    x = np.column_stack([np.ones(len(FRAME)), FRAME["x"], FRAME["session"]])
    w, sigma2 = np.hstack([x, patient, therapist.to_numpy()]), fit.solution.sigma2
    tau_patient, tau_therapist = (float(d[0, 0]) for d in fit.solution.random_covariances)
    prior = np.repeat([0, 1 / tau_patient, 1 / tau_therapist], [3, patient.shape[1], therapist.shape[1]])
    inverse = np.linalg.inv(w.T @ w / sigma2 + np.diag(prior))
    expected = np.sqrt(np.einsum("ij,jk,ik->i", w, inverse, w))
    assert_allclose(fit.predict(level="all", interval="confidence")["std_error"], expected, rtol=1e-7)
    with pytest.raises(DataError, match=r"in mm\(therapist_id\)\. Give membership=\{'therapist_id'"):
        fit.predict(FRAME, level="all")
    # new rows with weights of their own
    again = fit.predict(FRAME, level="all", interval="confidence", membership={"therapist_id": weights})
    assert_allclose(again["estimate"], fit.fitted(), rtol=1e-12)
    assert_allclose(again["std_error"], expected, rtol=1e-7)
    assert (again["unknown_levels"] == "").all()
    known = fit.predict(FRAME, level="patient_id")
    assert_allclose(known["estimate"], w[:, : -therapist.shape[1]] @ _coefficients(fit), rtol=1e-10)


def test_new_rows_may_belong_to_therapists_whom_the_fit_did_not_have():
    weights = {"therapist_id": als.membership(FRAME, rule="cumulative")}
    fit = als.mixed("outcome ~ x + session + (1 | patient_id) + (1 | mm(therapist_id))", FRAME, membership=weights)
    new = pd.DataFrame({"x": [0.0, 0.0, 0.0, 0.0], "session": [1, 1, 1, 1]})
    a, b = fit.arrays.levels[1][:2]
    mine = pd.DataFrame(
        {"row": [0, 1, 1, 2, 2], "level": [a, a, b, b, "new"], "weight": [1, 0.25, 0.75, 0.4, 0.6]}
    )  # nobody is known of row 3
    told = fit.predict(new, level="therapist_id", membership={"therapist_id": mine})
    effects = fit.random("therapist_id").set_index("level")["estimate"]
    base = fit.predict(new)["estimate"].iloc[0]
    expected = [effects[a], 0.25 * effects[a] + 0.75 * effects[b], 0.4 * effects[b], 0.0]
    assert_allclose(told["estimate"] - base, expected, rtol=1e-9, atol=1e-12)
    assert told["unknown_levels"].tolist() == ["", "", "therapist_id", "therapist_id"]
    # of a new outcome, the variance of unknown members comes in by their squared weights
    tau_patient, tau_therapist = (float(d[0, 0]) for d in fit.solution.random_covariances)
    error = [
        fit.predict(new, level="therapist_id", interval=kind, membership={"therapist_id": mine})["std_error"] ** 2
        for kind in ("confidence", "prediction")
    ]
    added = fit.solution.sigma2 + tau_patient + tau_therapist * np.array([0, 0, 0.36, 1])
    assert_allclose(error[1] - error[0], added, rtol=1e-9)
    # at the population's mean, all members count as unknown
    whole = fit.predict(new, interval="prediction", membership={"therapist_id": mine})["std_error"] ** 2
    plain = fit.predict(new, interval="confidence")["std_error"] ** 2
    added = fit.solution.sigma2 + tau_patient + tau_therapist * np.array([1, 0.25**2 + 0.75**2, 0.4**2 + 0.6**2, 1])
    assert_allclose(whole - plain, added, rtol=1e-9)


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda f, m: f.predict(level="all", membership=m), "have their membership already"),
        (lambda f, m: f.predict(NEW, membership={"therapist_id": m["therapist_id"]}), "rows that the data do not have"),
        (lambda f, m: f.predict(FRAME, membership={"patient_id": m["therapist_id"]}), r"has no mm\(patient_id\)"),
    ],
)
def test_a_membership_that_does_not_fit_the_new_rows_is_refused(ask, match):
    weights = {"therapist_id": als.membership(FRAME, rule="cumulative")}
    fit = als.mixed("outcome ~ x + session + (1 | patient_id) + (1 | mm(therapist_id))", FRAME, membership=weights)
    with pytest.raises(DataError, match=match):
        ask(fit, weights)


def _coefficients(fit):
    return np.append(fit.solution.beta, fit.solution.effects[0].estimate.ravel())


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_the_outcome_and_groupings_that_nobody_asked_for_are_not_needed(crossed):
    assert len(crossed.predict(NEW[["x", "session"]], interval="prediction")) == 5
    assert len(crossed.predict(SessionTable(NEW), level="patient_id")) == 5


def test_the_new_rows_are_not_changed_and_their_index_does_not_matter(crossed):
    new = NEW.set_axis([9, 9, 1, "a", None], axis=0)
    before = new.copy(deep=True)
    assert_allclose(crossed.predict(new, level="all")["estimate"], crossed.predict(NEW, level="all")["estimate"])
    pd.testing.assert_frame_equal(new, before)


def test_a_column_that_is_not_there_names_the_nearest(crossed):
    with pytest.raises(ColumnError, match=r"No column 'session'\. Did you mean 'sesion'"):
        crossed.predict(NEW.rename(columns={"session": "sesion"}))
    with pytest.raises(ColumnError, match="No column 'therapist_id'"):
        crossed.predict(NEW.drop(columns="therapist_id"), level="all")


def test_missing_and_infinite_predictors_say_how_many_and_where(crossed):
    gap = NEW.assign(x=[0, np.nan, 1, np.nan, 0])
    with pytest.raises(DataError, match=r"2 of 5 new rows cannot .* \(first at row 1\): x \(2\)"):
        crossed.predict(gap)
    with pytest.raises(DataError, match=r"'x' holds 1 infinite value in the new rows \(first at row 4\)"):
        crossed.predict(NEW.assign(x=[0, 0, 0, 0, np.inf]))


def test_text_where_the_fit_had_numbers_is_refused(crossed):
    with pytest.raises(DataError, match="'x' holds numbers in the fit, but str values"):
        crossed.predict(NEW.assign(x=["low", "high", "low", "low", "high"]))


def test_categories_that_the_fit_did_not_have_are_named():
    frame = FRAME.assign(phase=np.where(FRAME["session"] < 3, "early", "late"))
    fit = als.mixed("outcome ~ phase + (1 | patient_id)", frame)
    with pytest.raises(DataError, match=r"1 of 2 new rows .* 'phase' .* row 1: 'laet'\). Did you mean 'late'"):
        fit.predict(pd.DataFrame({"phase": ["early", "laet"]}))
    fit = als.mixed("outcome ~ C(session) + (1 | patient_id)", FRAME)
    with pytest.raises(DataError, match=r"'C\(session\)' meets a category .* not have: 9\."):
        fit.predict(pd.DataFrame({"session": [1, 9]}))


def test_values_outside_a_spline_or_a_logarithm_are_refused():
    fit = als.mixed("outcome ~ bs(session, df=4) + (1 | patient_id)", FRAME)
    with pytest.raises(DataError, match="cannot be computed for the new rows as it was in the fit"):
        fit.predict(pd.DataFrame({"session": [1, 50]}))
    fit = als.mixed("outcome ~ log(session) + (1 | patient_id)", FRAME)
    with pytest.raises(DataError, match=r"not finite in 1 of 2 new rows \(first at row 1\)"), np.errstate(all="ignore"):
        fit.predict(pd.DataFrame({"session": [1, 0]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "patient"}, "level has no grouping 'patient'. Did you mean 'patient_id'"),
        ({"level": ["patient_id", "all"]}, "level has no grouping 'all'"),
        ({"interval": "confidance"}, "Did you mean 'confidence'"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"unknown": "drop"}, "'population' or 'raise'"),
        ({"new": "file.csv"}, "Expected a SessionTable or a DataFrame"),
        ({"new": NEW.iloc[:0]}, "0 rows"),
        ({"new": pd.concat([NEW, NEW[["x"]]], axis=1)}, "2 columns of the new rows have the name 'x'"),
    ],
)
def test_options_that_are_not_understood(crossed, options, message):
    with pytest.raises(DataError, match=message):
        crossed.predict(**options)


# ---- residuals ------------------------------------------------------------------------------------------------------


def test_residuals_are_what_is_left_of_the_outcome(crossed):
    y = FRAME["outcome"].to_numpy()
    conditional, marginal = crossed.residuals(), crossed.residuals("marginal")
    assert_allclose(conditional, y - crossed.predict(level="all")["estimate"], atol=1e-12)
    assert_allclose(marginal, y - crossed.predict()["estimate"], atol=1e-12)
    sigma = crossed.glance()["sigma"].iloc[0]
    assert_allclose(crossed.residuals("standardised"), conditional / sigma)
    assert conditional.index.name == "row"


def test_conditional_residuals_are_orthogonal_to_the_fixed_effects(crossed):
    # the first of Henderson's equations: X'(y − Xβ − Zb) = 0
    residual = crossed.residuals().to_numpy()
    assert_allclose([residual.sum(), residual @ FRAME["x"], residual @ FRAME["session"]], 0, atol=1e-8)


def test_a_misspelt_kind_of_residual_names_the_nearest(crossed):
    with pytest.raises(DataError, match="Did you mean 'standardised'"):
        crossed.residuals("standardized")


# ---- simulated outcomes ---------------------------------------------------------------------------------------------


def test_simulated_outcomes_have_the_models_mean_and_covariance(crossed):
    n = 4000
    drawn = crossed.simulate(n, seed=3).to_numpy()
    mean = crossed.predict()["estimate"].to_numpy()
    v = crossed.solution.sigma2 * np.eye(len(FRAME))
    for at, covariance in enumerate(crossed.solution.random_covariances):
        z, _ = effect_rows(crossed, FRAME, at)
        v += z @ np.kron(np.eye(len(crossed.arrays.levels[at])), covariance) @ z.T
    spread = np.sqrt(np.diag(v))
    # the largest of 144 normal deviates, and of 144 × 145 / 2 of them, passes 5 and 6 standard errors once in 10 000
    assert np.abs((drawn.mean(axis=1) - mean) / (spread / np.sqrt(n))).max() < 5
    error = np.sqrt((np.outer(spread, spread) ** 2 + v**2) / n)
    assert np.abs((np.cov(drawn) - v) / error).max() < 6


def test_the_same_seed_gives_the_same_outcomes(crossed):
    one = crossed.simulate(2, seed=1)
    pd.testing.assert_frame_equal(one, crossed.simulate(2, seed=1))
    assert one.columns.tolist() == ["simulation_1", "simulation_2"]
    assert one.index.tolist() == list(range(len(FRAME)))
    assert not np.allclose(one["simulation_1"], one["simulation_2"])
    assert not np.allclose(one, crossed.simulate(2, seed=2))


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_the_number_of_simulations_is_a_whole_number(crossed, n):
    with pytest.raises(DataError, match="1 or more"):
        crossed.simulate(n)


@pytest.mark.parametrize("seed", [-1, "one", 1.5])
def test_the_seed_is_a_whole_number(crossed, seed):
    with pytest.raises(DataError, match="0 or more"):
        crossed.simulate(1, seed)
