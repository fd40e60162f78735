"""The goldens of residual structures (nlme, glmmTMB, dense, lme4's weights) against dense algebra in numpy.

``dense.R`` made them; here the same model is written out a second time, in another language and in other parameters.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

GOLDEN = Path(__file__).parent
FOLDERS = ("nlme", "glmmtmb", "dense_residual", "lme4_weights")
TOOLS = {"nlme": "nlme", "glmmtmb": "glmmTMB", "lme4_weights": "lme4"}
PREDICTORS = ["alliance_within", "severity", "time"]


def every_fit():
    for folder in FOLDERS:
        for path in sorted((GOLDEN / folder).glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            for key, fit in record["fits"].items():
                yield pytest.param(folder, fit.get("data", record.get("data")), fit, id=f"{path.stem}: {key}")


on_every_fit = pytest.mark.parametrize(("folder", "data", "fit"), list(every_fit()))


def indicator(labels) -> np.ndarray:
    return (np.asarray(labels)[:, None] == np.unique(labels)).astype(float)


def covariance(frame: pd.DataFrame, fit: dict, sds=None, rho=None) -> np.ndarray:
    """σ² V at the golden's estimates, or with others."""
    call, table = fit["call"], pd.DataFrame(fit["variance"])
    total = np.zeros((len(frame), len(frame)))
    for row in table.itertuples():
        group = row.grp.split(".")[0].split(":")
        z = indicator(frame[group].agg(":".join, axis=1)) if len(group) > 1 else indicator(frame[group[0]])
        columns = [row.var1, row.var2 if isinstance(row.var2, str) else row.var1]
        a, b = (np.ones(len(frame)) if name == "(Intercept)" else frame[name].to_numpy(float) for name in columns)
        part = (z @ z.T) * np.outer(a, b) * row.vcov
        total += part if not isinstance(row.var2, str) else part + part.T
    strata = call.get("variance")
    s = np.full(len(frame), fit["sigma"]) if strata is None else frame[strata].map(sds or fit["residual_sd"]).to_numpy()
    if "weights" in call:
        s = s / np.sqrt(frame[call["weights"]].to_numpy())
    correlation = np.eye(len(frame))
    if "residual" in call:
        same = indicator(frame[call["residual_group"]])
        gap = np.abs(np.subtract.outer(*2 * [frame[call["residual_time"]].to_numpy(float)]))
        base = fit["correlation"] if rho is None else rho
        powers = base**gap if base > 0 else np.where(gap % 2 == 0, 1, -1) * (-base) ** gap
        correlation = (same @ same.T) * powers
    return total + np.outer(s, s) * correlation


def outcome(frame: pd.DataFrame, fit: dict) -> np.ndarray:
    y = frame[fit["call"]["formula"].split(" ~")[0]].to_numpy()
    return y - frame[fit["call"]["offset"]].to_numpy() if "offset" in fit["call"] else y


def solve(frame: pd.DataFrame, fit: dict, v: np.ndarray):
    """-2 log L (or the REML criterion) with nothing profiled out but β; β and its covariance."""
    y, x = outcome(frame, fit), np.column_stack([np.ones(len(frame)), frame[PREDICTORS]])
    vi = np.linalg.inv(v)
    information = x.T @ vi @ x
    beta = np.linalg.solve(information, x.T @ vi @ y)
    r = y - x @ beta
    value = np.linalg.slogdet(v)[1] + r @ vi @ r + len(y) * np.log(2 * np.pi)
    if fit["call"]["method"] == "REML":
        value += np.linalg.slogdet(information)[1] - x.shape[1] * np.log(2 * np.pi)
    return value, beta, np.linalg.inv(information)


@on_every_fit
def test_dense_algebra_in_numpy_gives_the_same(folder, data, fit):
    frame = pd.read_csv(GOLDEN / folder / data)
    value, beta, vcov = solve(frame, fit, covariance(frame, fit))
    assert_allclose(fit["criterion"], value, rtol=0, atol=1e-9)
    assert_allclose(list(fit["estimate"].values()), beta, rtol=1e-9)
    assert_allclose(fit["vcov"], vcov, rtol=1e-9, atol=1e-14)
    assert_allclose(list(fit["std_error"].values()), np.sqrt(np.diag(vcov)), rtol=1e-9)


@on_every_fit
def test_the_optimum_is_one(folder, data, fit):
    found = fit["found"]
    assert found["gradient"] < 1e-9
    assert found["least_curvature"] > 1  # of the criterion, per unit of a relative standard deviation
    assert min(found["starts"]) > fit["criterion"] - 1e-9
    # a variance held at zero: the criterion rises with it
    assert len(found["held_at_zero"]) == len(found["held_gradient"])
    assert all(slope > 0 for slope in found["held_gradient"])


@on_every_fit
def test_the_tools_criterion_is_the_dense_one_at_the_tools_own_optimum(folder, data, fit):
    if folder not in TOOLS:
        assert "nlme" not in fit
        return
    tool = fit[TOOLS[folder]]
    # glmmTMB with its residual switched off factorises a matrix of condition 1e8
    off = folder == "glmmtmb" and "residual" in fit["call"]
    assert abs(tool["criterion_minus_dense_at_its_optimum"]) < (2e-5 if off else 1e-9)
    assert tool["above_the_optimum"] > (-2e-5 if off else -1e-9)
    assert tool["above_the_optimum"] < (2e-5 if off else 1e-6)
    assert tool["n_parameters"] == fit["n_parameters"]


def test_negative_and_boundary_cases_are_among_them():
    fits = {key: fit for case in ("negative_correlation", "growth_gaps") for key, fit in _fits("nlme", case).items()}
    assert fits["intercept_ar1_REML"]["correlation"] < -0.2
    assert fits["intercept_car1_REML"]["found"]["held_at_zero"]  # a strong correlation leaves no variance to patients


def test_satterthwaite_does_not_depend_on_the_parameters():
    """Variances and a log rate where ``dense.R`` has factors, ρ and log ratios; differences of the criterion."""
    fit = _fits("nlme", "growth_gaps")["slope_car1_variance_REML"]
    frame = pd.read_csv(GOLDEN / "nlme/data/growth_gaps.csv")
    table, names = fit["variance"], list(fit["residual_sd"])
    start = np.array([*table["vcov"], *(np.array(list(fit["residual_sd"].values())) ** 2), -np.log(fit["correlation"])])
    here = {**fit, "variance": dict(table)}

    def at(p):
        here["variance"]["vcov"] = list(p[:3])
        sds = dict(zip(names, np.sqrt(p[3:6]), strict=True))
        return solve(frame, here, covariance(frame, here, sds, float(np.exp(-p[6]))))

    steps = np.diag(1e-3 * np.abs(start))
    k = start.size
    hessian, gradient = np.empty((k, k)), np.empty((k, 4))
    centre = at(start)[0]
    for i in range(k):
        ends = [at(start + sign * steps[i]) for sign in (1, -1)]
        gradient[i] = (np.diag(ends[0][2]) - np.diag(ends[1][2])) / (2 * steps[i, i])
        hessian[i, i] = (ends[0][0] - 2 * centre + ends[1][0]) / steps[i, i] ** 2
        for j in range(i):
            values = [at(start + a * steps[i] + b * steps[j])[0] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            change = values[0] - values[1] - values[2] + values[3]
            hessian[i, j] = hessian[j, i] = change / (4 * steps[i, i] * steps[j, j])
    variances = np.diag(at(start)[2])
    df = 2 * variances**2 / np.einsum("ir,ij,jr->r", gradient, 2 * np.linalg.inv(hessian), gradient)
    # second differences of a criterion of 1e3 at steps of a thousandth leave three to four digits
    assert_allclose(list(fit["satterthwaite_df"].values()), df, rtol=1e-3)


def _fits(folder: str, case: str) -> dict:
    return json.loads((GOLDEN / folder / f"{case}.json").read_text(encoding="utf-8"))["fits"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("[ng][l]*/data/*.csv")), ids=lambda path: path.stem)
def test_data_are_small_and_whole(path):
    assert path.stat().st_size < 60_000
    assert not pd.read_csv(path).isna().to_numpy().any()
