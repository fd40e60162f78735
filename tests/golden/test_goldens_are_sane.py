"""The lme4 goldens against what is known without lme4: dense algebra in numpy and closed forms by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

LME4 = Path(__file__).parent / "lme4"
CASES = sorted(path.stem for path in LME4.glob("*.json"))
BYTES_PER_DATA_FILE = 60_000


def golden(case: str) -> dict:
    return json.loads((LME4 / f"{case}.json").read_text(encoding="utf-8"))


def data(case: str) -> pd.DataFrame:
    return pd.read_csv(LME4 / golden(case)["data"])


def polished(case: str) -> dict:
    """The fits that were polished: all but the two that show where lme4's defaults stop."""
    return {key: fit for key, fit in golden(case)["fits"].items() if not key.endswith("_default")}


def indicator(labels: pd.Series) -> np.ndarray:
    return (labels.to_numpy()[:, None] == np.unique(labels)).astype(float)


def crossed_arrays() -> tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]:
    """y, X, the effect blocks of patients (intercept, slope) and the therapists' indicator."""
    frame = data("crossed")
    columns = frame[["session0", "after_change", "since"]].to_numpy(float)
    patient = indicator(frame["patient_id"])
    blocks = [patient, patient * columns[:, [0]]]
    return (
        frame["alliance"].to_numpy(),
        np.column_stack([np.ones(len(frame)), columns]),
        blocks,
        indicator(frame["therapist_id"]),
    )


def crossed_relative_effects(theta: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Z and the relative covariance of its effects, in the order patient intercepts, slopes, therapists."""
    _, _, blocks, therapist = crossed_arrays()
    factor = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
    n_patients, n_therapists = blocks[0].shape[1], therapist.shape[1]
    covariance = np.zeros((2 * n_patients + n_therapists,) * 2)
    covariance[: 2 * n_patients, : 2 * n_patients] = np.kron(factor @ factor.T, np.eye(n_patients))
    covariance[2 * n_patients :, 2 * n_patients :] = theta[3] ** 2 * np.eye(n_therapists)
    return np.hstack([*blocks, therapist]), covariance


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_crossed_case_equals_dense_algebra_at_its_theta(method):
    fit = golden("crossed")["fits"][f"model_{method}"]
    y, x, blocks, _ = crossed_arrays()
    z, covariance = crossed_relative_effects(fit["theta"])
    v = np.eye(y.size) + z @ covariance @ z.T
    vi = np.linalg.inv(v)
    xvx = x.T @ vi @ x
    beta = np.linalg.solve(xvx, x.T @ vi @ y)
    residual = y - x @ beta
    rss = residual @ vi @ residual
    m = y.size - x.shape[1] if method == "REML" else y.size
    criterion = np.linalg.slogdet(v)[1] + m * (1 + np.log(2 * np.pi * rss / m))
    if method == "REML":
        criterion += np.linalg.slogdet(xvx)[1]
    effects = covariance @ z.T @ vi @ residual

    assert_allclose(fit["criterion"], criterion, rtol=0, atol=1e-9)
    assert_allclose(fit["sigma"], np.sqrt(rss / m), rtol=1e-10)
    assert_allclose(list(fit["estimate"].values()), beta, rtol=1e-10)
    assert_allclose(fit["vcov"], rss / m * np.linalg.inv(xvx), rtol=1e-9, atol=1e-15)
    assert_allclose(fit["fitted_first_10"], (x @ beta + z @ effects)[:10], rtol=1e-10)

    # The conditional SD holds beta fixed: sigma^2 (D - D Z'V^-1 Z D).
    conditional = rss / m * np.diag(covariance - covariance @ z.T @ vi @ z @ covariance)
    random = pd.DataFrame(fit["random"])
    order = [("patient_id", "(Intercept)"), ("patient_id", "session0"), ("therapist_id", "(Intercept)")]
    rows = pd.concat([random[(random["group"] == g) & (random["term"] == t)].sort_values("level") for g, t in order])
    assert_allclose(rows["estimate"], effects, rtol=1e-8, atol=1e-10)
    assert_allclose(rows["conditional_sd"], np.sqrt(conditional), rtol=1e-8)
    assert len(rows) == 2 * blocks[0].shape[1] + 10  # two effects per patient, ten therapists


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_balanced_one_way_layout_is_the_analysis_of_variance(method):
    scores = data("intercept_only")["alliance"].to_numpy().reshape(20, 5)  # 20 patients × 5 sessions, in order
    n_patients, n_sessions = scores.shape
    means = scores.mean(axis=1)
    ms_between = n_sessions * means.var(ddof=1)
    ms_within = ((scores - means[:, None]) ** 2).sum() / (n_patients * (n_sessions - 1))
    shrunk = ms_between * (1 if method == "REML" else 1 - 1 / n_patients)  # ML divides by 20, REML by 19
    fit = golden("intercept_only")["fits"][f"model_{method}"]

    assert_allclose(fit["variance"]["vcov"], [(shrunk - ms_within) / n_sessions, ms_within], rtol=1e-10)
    assert_allclose(fit["std_error"]["(Intercept)"], np.sqrt(shrunk / scores.size), rtol=1e-10)
    df = n_patients - 1 if method == "REML" else n_patients
    assert_allclose(fit["dense_check"]["df"], [df], rtol=1e-7)
    assert_allclose(fit["df"]["(Intercept)"], df, rtol=1e-4)


def test_hand_formula_in_the_file_is_the_fit():
    record = golden("intercept_only")
    for method in ("REML", "ML"):
        fit = record["fits"][f"model_{method}"]
        assert_allclose(fit["variance"]["vcov"][0], record["closed_form"][f"tau2_{method}"], rtol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_every_fit_is_an_optimum(case):
    for key, fit in polished(case).items():
        check = fit["dense_check"]
        assert abs(check["criterion_difference"]) < 1e-9, key
        assert check["vcov_largest_relative_difference"] < 1e-9, key
        # Karush-Kuhn-Tucker: d criterion / dD is not negative, and zero wherever D is not.
        assert check["kkt"]["gradient_times_factor"] < 1e-9, key
        assert min(min(values) for values in check["kkt"]["eigenvalues_per_term"]) > -1e-9, key
        # No start and no optimiser found anything lower, beyond rounding.
        assert min(fit["optimizers"]["starts"]) > fit["criterion"] - 1e-9, key


@pytest.mark.parametrize("case", CASES)
def test_where_lme4_stops_by_default_is_never_lower(case):
    for key, fit in polished(case).items():
        assert fit["lme4_default"]["criterion"] > fit["criterion"] - 1e-9, key


@pytest.mark.parametrize("case", CASES)
def test_a_boundary_is_claimed_only_where_the_name_says_so(case):
    singular = {fit["singular"] for fit in polished(case).values()}
    if case == "implement":
        assert {key: fit["singular"] for key, fit in polished(case).items()} == {
            "wai_REML": False,
            "wai_ML": False,
            "bai_REML": True,  # no variance between therapists
            "bai_ML": True,
        }
    else:
        assert singular == {case.startswith("boundary")}


def test_lme4_falls_into_the_trap_and_the_golden_does_not():
    for method in ("REML", "ML"):
        fit = golden("boundary_first_trap")["fits"][f"correlated_{method}"]
        assert fit["lme4_default"]["theta"][0] == 0
        assert fit["lme4_default"]["criterion"] - fit["criterion"] > 0.1
        assert fit["theta"][0] > 0


def test_mirrored_twins_put_the_intercept_variance_at_zero_exactly():
    for key, fit in golden("boundary_first_mirrored")["fits"].items():
        intercept, slope = fit["variance"]["vcov"][:2]
        assert intercept < 1e-12 < slope, key
        assert_allclose(fit["estimate"]["x"], 0.5, rtol=1e-9)  # each twin cancels the other's deviation from 0.5


def test_units_change_the_estimates_by_the_unit_and_nothing_else():
    plain = golden("growth")["fits"]
    for label, unit in (("thousands", 1e-3), ("thousandths", 1e3)):
        for method in ("REML", "ML"):
            scaled, fit = golden("rescaled")["fits"][f"{label}_{method}"], plain[f"correlated_{method}"]
            factors = 1e-4 * np.array([1, 1 / unit])
            assert_allclose(list(scaled["estimate"].values()), factors * list(fit["estimate"].values()), rtol=1e-9)
            assert_allclose(list(scaled["std_error"].values()), factors * list(fit["std_error"].values()), rtol=1e-9)
            assert_allclose(scaled["dense_check"]["df"], fit["dense_check"]["df"], rtol=1e-6)
            m = fit["n_obs"] - (2 if method == "REML" else 0)
            shift = 2 * m * np.log(1e-4) + (2 * np.log(unit) if method == "REML" else 0)  # |X'X| grows by unit squared
            assert_allclose(scaled["criterion"], fit["criterion"] + shift, rtol=0, atol=1e-8)


@pytest.mark.parametrize("path", sorted(LME4.glob("data/*.csv")), ids=lambda path: path.stem)
def test_data_are_small_and_whole(path):
    assert path.stat().st_size < BYTES_PER_DATA_FILE
    assert not pd.read_csv(path).isna().to_numpy().any()


def test_implement_reaches_the_numbers_of_issue_2():
    fits = golden("implement")["fits"]
    wai, bai = fits["wai_REML"], fits["bai_REML"]
    assert_allclose([wai["estimate"]["(Intercept)"], wai["estimate"]["time0"]], [0.095585, 0.036008], atol=5e-7)
    assert_allclose(wai["std_error"]["time0"], 0.004799, atol=5e-7)
    assert_allclose([wai["criterion"], bai["criterion"]], [592.5971, 643.784], rtol=1e-7)
    variance = pd.DataFrame(bai["variance"]).set_index("grp")["vcov"]
    assert variance["therapist"] == 0
