"""Compare multilevel fits and robust tests with the records of metafor, clubSandwich and robumeta.

Tolerances are those of the reference: σ² of rma.mv 5e-6, because nlminb stops there; coefficients, standard errors and
robust tests at the record's own σ² 1e-10.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
from metafor_records import data, number, numbers, result
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.engine.pooling.climb import find_peak
from alliance_stats.engine.pooling.multilevel import Evaluation
from alliance_stats.engine.pooling.saddlepoint import exceeds_zero, spectrum
from alliance_stats.meta.multilevel import _clusters, _uncertainty

CLOSED, SIGMA = 1e-10, 5e-6
RANDOM = {
    "dat_assink2016": "study/esid",
    "dat_konstantopoulos2011": "district/school",
    "mac_positive_regard_es": "id/effect",
}


def arguments(dataset: str, record: str) -> dict:
    """Our call for a record, by its name."""
    asked: dict = {"random": RANDOM[dataset], "rho": 0.0, "robust": None}
    if "V06" in record or record.startswith("scheme_") or "rater" in record:
        asked["rho"] = 0.6
    if record.startswith("sens_rho_"):
        asked["rho"] = float(record.removeprefix("sens_rho_"))
    if "mods_deltype" in record or (dataset == "dat_assink2016" and re.match(r"ml3_(V06_)?mods_?", record)):
        asked["mods"] = "deltype"
    if "mods_pub_year" in record:
        asked["mods"] = "pubstatus + year"
    if "egger_sei" in record:
        asked["mods"] = "sqrt(vi)"
    if "peese" in record:
        asked["mods"] = "vi"
    if dataset == "dat_konstantopoulos2011" and "mods" in record:
        asked["mods"] = "center(year)"
    if "rater" in record:
        asked["mods"] = "iv_rater"
    if record == "ml3_year_random":
        asked["random"] = ["district/school", "year"]
    if record in ("ml2_study_only", "scheme_CHE_study_only"):
        asked["random"] = "study"
    if record == "ml2_es_only":
        asked["random"] = "id"
    if "ML_tight" in record and "REML" not in record:
        asked["method"] = "ML"
    if record == "ml3_t_residual":
        asked["test"] = "t"
    if record in ("ml3_t", "ml3_mods_deltype_t"):
        asked["test"] = "containment"
    return asked


@cache
def _fitted(dataset: str, asked: tuple):
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in asked}
    return als.meta.multilevel(data(dataset), **given)


def fit_like(dataset: str, record: str):
    asked = arguments(dataset, record)
    return _fitted(dataset, tuple((key, tuple(v) if isinstance(v, list) else v) for key, v in asked.items()))


def at_variances(ours, theta, robust: str | None = None):
    """Our result as it would be at other variances."""
    peak = replace(find_peak(ours.problem, np.array(theta, float), dict(enumerate(map(float, theta)))))
    assert isinstance(peak.at, Evaluation)
    clusters, name = _clusters(ours.structure, None, "")
    uncertainty = _uncertainty(
        ours.problem, peak, ours.part, ours.structure, robust, clusters, name, "z" if robust else ours.test_kind
    )
    moved = replace(ours, peak=peak, uncertainty=uncertainty, robust=robust)
    vars(moved).pop("beta", None)
    return moved


def sigma2_of(dataset: str, record: str) -> np.ndarray:
    """σ² of the fit that a record is about."""
    if "sigma2" in result(dataset, record):
        return numbers(result(dataset, record)["sigma2"])
    names = {
        "dat_assink2016": {"V06_mods": "ml3_V06_mods", "V06": "ml3_V06", "mods": "ml3_mods_deltype", "": "ml3_fit"},
        "dat_konstantopoulos2011": {"mods": "ml3_mods_year", "": "ml3_fit"},
        "mac_positive_regard_es": {"V06_rater": "ml3_mods_rater", "V06": "ml3_V06", "": "ml3_fit"},
    }[dataset]
    fit = next(fit for part, fit in names.items() if record.startswith(f"ml3_{part}"))
    return numbers(result(dataset, fit)["sigma2"])


def check_fit(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    ours = fit_like(dataset, record)
    theirs = numbers(expected["sigma2"])
    # rma.mv's default tolerance is looser still; a variance at zero stops at 1e-10
    loose = record.endswith("default")
    assert_allclose(ours.peak.theta, theirs, rtol=1e-4 if loose else SIGMA, atol=1e-9)
    moved = at_variances(ours, theirs)
    table = moved.table()
    assert_allclose(table["estimate"], numbers(expected["beta"]), rtol=CLOSED)
    assert_allclose(table["std_error"], numbers(expected["se"]), rtol=CLOSED)
    assert_allclose(table["statistic"], numbers(expected["stat"]), rtol=CLOSED)
    if expected["test"] == "t":
        assert_allclose(table["df"], numbers(expected["ddf"]))
    assert_allclose(table["p_value"], numbers(expected["pval"]), rtol=1e-9)
    assert_allclose(table["ci_low"], numbers(expected["ci_lb"]), rtol=1e-9)
    assert_allclose(table["ci_high"], numbers(expected["ci_ub"]), rtol=1e-9)
    glance = ours.glance().iloc[0]
    assert_allclose([glance["q"], glance["q_df"]], [expected["QE"], expected["QEdf"]], rtol=CLOSED)
    method = ours.method
    assert_allclose(moved.peak.at.value, expected["fit"][method]["ll"], rtol=CLOSED)
    # our peak is at least as high as theirs
    assert ours.peak.at.value >= expected["fit"][method]["ll"] - 1e-10
    if "QM" in expected and len(table) > 1:
        test = moved.test().iloc[0]
        times = 1 if expected["test"] == "t" else test["df_num"]  # QM is F then, else χ²
        assert_allclose(test["statistic"] * times, expected["QM"], rtol=1e-9)
        if expected["test"] == "t":
            assert_allclose(test[["df_num", "df_den"]].astype(float), numbers(expected["QMdf"]))
        assert_allclose(test["p_value"], expected["QMp"], rtol=1e-8)
    if not loose:
        for mine, name in {"aic": "AIC", "bic": "BIC"}.items():
            assert_allclose(glance[mine], expected["fit"][method][name], rtol=1e-8)


def check_coef_test(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    kind = re.search(r"CR\w+$", record)[0]
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record), kind)
    table = moved.table()
    assert_allclose(table["estimate"], numbers(expected["beta"]), rtol=CLOSED)
    assert_allclose(table["std_error"], numbers(expected["SE"]), rtol=CLOSED)
    if "df_Satt" in expected:
        # where a study fixes a coefficient, df comes from a difference of nearly equal numbers
        assert_allclose(table["df"], numbers(expected["df_Satt"]), rtol=1e-8)
        assert_allclose(table["p_value"], numbers(expected["p_Satt"]), rtol=1e-8)


def check_vcov(dataset: str, record: str) -> None:
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record), "CR2")
    expected = numbers(result(dataset, record)["matrix"])
    assert_allclose(moved.uncertainty.covariance.ravel(), expected, rtol=1e-9)


def check_conf_int(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    table = at_variances(fit_like(dataset, record), sigma2_of(dataset, record), "CR2").table()
    for mine, theirs in {
        "estimate": "beta",
        "std_error": "SE",
        "df": "df",
        "ci_low": "CI_L",
        "ci_high": "CI_U",
    }.items():
        given = (
            np.where(table["df"] < 1, np.nan, numbers(expected[theirs])) if "ci" in mine else numbers(expected[theirs])
        )
        assert_allclose(table[mine], given, rtol=1e-8)


def check_wald(dataset: str, record: str) -> None:
    """Every joint test of clubSandwich, by the name that ends the record's."""
    expected = result(dataset, record)
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record), "CR2")
    test = moved.test(joint=record.rpartition("_")[2]).iloc[0]
    for mine, theirs in {"statistic": "Fstat", "df_num": "df_num", "df_den": "df_denom", "p_value": "p_val"}.items():
        assert_allclose(test[mine], number(expected[theirs]), rtol=1e-8)


def check_saddlepoint(dataset: str, record: str) -> None:
    """Saddlepoints are roots, which R's uniroot finds to 1.2e-4; at the record's own, the p value is exact."""
    expected = result(dataset, record)
    if record.startswith("scheme_FE"):
        moved = at_variances(fit_like(dataset, "ml3_V06"), [0.0, 0.0], "CR2")
    else:
        moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record), "CR2")
    ours = moved.saddlepoint()
    for mine, theirs in {"estimate": "beta", "std_error": "SE", "statistic": "tstat"}.items():
        assert_allclose(ours[mine], numbers(expected[theirs]), rtol=CLOSED)
    points, p_values = numbers(expected["saddlepoint"]), numbers(expected["p_saddle"])
    assert_allclose(ours["saddlepoint"], points, rtol=0, atol=1.3e-4)
    assert_allclose(ours["p_value"], p_values, rtol=5e-4)
    for row, t, point, p in zip(np.eye(len(points)), ours["statistic"], points, p_values, strict=True):
        gamma = spectrum(moved.uncertainty.robust, row)
        assert_allclose(exceeds_zero(np.append(1.0, -(t**2) * gamma / gamma.sum()), point), p, rtol=1e-9)


def check_residuals(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    ours = moved.residuals()
    if record.endswith("hat"):
        assert_allclose(ours["hat"], expected["value"], rtol=1e-9)
        return
    for mine, theirs in {"residual": "resid", "std_error": "se", "rstandard": "z"}.items():
        assert_allclose(ours[mine], expected[theirs], rtol=1e-9, atol=1e-13)


def check_diagonal_weights(dataset: str, record: str) -> None:
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    diagonal = moved.peak.at.factored.diagonal()[np.argsort(moved.structure.order)]
    assert_allclose(100 * diagonal / diagonal.sum(), result(dataset, record)["value"], rtol=1e-9)


def check_metafor_robust(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    kind = "CR2" if record.endswith("clubSandwich") else "CR1p"
    moved = at_variances(fit_like(dataset, record), numbers(expected["sigma2"]), kind)
    table = moved.table()
    assert_allclose(table["estimate"], numbers(expected["beta"]), rtol=CLOSED)
    assert_allclose(table["std_error"], numbers(expected["se"]), rtol=CLOSED)
    assert_allclose(moved.uncertainty.covariance.ravel(), numbers(expected["vb"]), rtol=1e-9)
    if kind == "CR2":
        assert_allclose(table["df"], numbers(expected["ddf"]), rtol=1e-8)


def check_i2(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    assert_allclose(moved.typical_v, expected["typical_v"], rtol=CLOSED)
    assert_allclose(moved.variance(False)["i2"], expected["I2_by_level"], rtol=CLOSED)
    assert_allclose(moved.glance()["i2"], expected["I2_total"], rtol=CLOSED)


def check_predict(dataset: str, record: str) -> None:
    import pandas as pd

    expected = result(dataset, record)
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    new = pd.DataFrame({"deltype": ["covert", "general", "overt"]}) if "mods" in record else None
    predicted = moved.predict(new, back="tanh" if "tanh" in record else None)
    pairs = {"estimate": "pred", "ci_low": "ci_lb", "ci_high": "ci_ub", "pi_low": "pi_lb", "pi_high": "pi_ub"}
    for mine, theirs in pairs.items():
        assert_allclose(predicted[mine], numbers(expected[theirs]), rtol=1e-9)


def check_random(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    for level, theirs in zip(moved.structure.levels, expected.values(), strict=True):
        ours = moved.random(level.name).set_index("level")
        if dataset == "mac_positive_regard_es" and level.name != "id":
            # we number effects by their rows from 0, the record from 1
            rows = [f"{name.split('/')[0]}/{int(name.split('/')[1]) - 1}" for name in theirs["rows"]]
        else:
            rows = theirs["rows"]
        ours = ours.loc[rows]
        for mine, name in {"estimate": "intrcpt", "std_error": "se", "ci_low": "pi.lb", "ci_high": "pi.ub"}.items():
            assert_allclose(ours[mine], theirs[name], rtol=1e-8, atol=1e-12)


def check_weights(dataset: str, record: str) -> None:
    moved = at_variances(fit_like(dataset, record), sigma2_of(dataset, record))
    assert_allclose(moved.weights(), result(dataset, record)["value"], rtol=1e-9)


def check_confint(dataset: str, record: str) -> None:
    # the record's fit is that with V imputed in the last data set
    ours = fit_like(dataset, "ml3_V06" if dataset == "mac_positive_regard_es" else record).variance()
    expected = list(result(dataset, record).values())
    for at, theirs in enumerate(expected):
        for mine, name in {"ci_low": "ci_lb", "ci_high": "ci_ub"}.items():
            if not np.isnan(number(theirs[name][0])):
                assert_allclose(ours[mine][at], theirs[name][0], rtol=SIGMA)


def check_likelihood_ratio(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    smaller = {"LRT_drop_within": "ml2_study_only", "LRT_drop_between": "ml2_es_only"}[record]
    full, reduced = fit_like(dataset, "ml3_fit"), fit_like(dataset, smaller)
    assert_allclose(2 * (full.peak.at.value - reduced.peak.at.value), expected["LRT"], rtol=1e-8)


def check_profile_grid(dataset: str, record: str) -> None:
    expected, of = result(dataset, record), fit_like(dataset, "ml3_fit").problem
    values = [Evaluation(of, np.array([one, expected["sigma2_2"]])).value for one in expected["sigma2_1"]]
    assert_allclose(values, expected["ll_reml"], rtol=CLOSED)


def check_compound_symmetry(dataset: str, record: str) -> None:
    """One τ² and a correlation are two nested variances in other words."""
    expected, theta = result(dataset, record), fit_like(dataset, "ml3_fit").peak.theta
    assert_allclose(theta.sum(), expected["tau2"], rtol=SIGMA)
    assert_allclose(theta[0] / theta.sum(), expected["rho"], rtol=SIGMA)


def check_subgroups(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    ours = als.meta.multilevel(
        data(dataset), "study", mods="0 + deltype", working="SCE", subgroup="deltype", robust=None
    )
    theirs = numbers(expected["tau2"])[1:]  # the first category has one study; its variance is not to be used
    assert_allclose(ours.peak.theta, theirs, rtol=SIGMA)
    moved = at_variances(ours, theirs)
    assert_allclose(moved.table()["estimate"], numbers(expected["beta"]), rtol=CLOSED)
    assert_allclose(moved.table()["std_error"], numbers(expected["se"]), rtol=CLOSED)


def check_imputed(dataset: str, record: str) -> None:
    frame = data(dataset)
    V = als.meta.sampling_covariance(frame, 0.6).matrix()
    own = frame["study"].isin([1, 2]).to_numpy()
    assert_allclose(V.to_numpy()[np.ix_(own, own)].ravel(), numbers(result(dataset, record)["matrix"]), rtol=1e-12)


def check_robumeta(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    asked: dict = {"weights": "HIER" if "HIER" in record else "CORR"}
    asked["rho"] = 0.6 if "rho0.6" in record else 0.8
    asked["mods"] = "pubstatus + year" if "mods" in record else None
    ours = als.meta.robust(data(dataset), small="large" not in record, **asked)
    table = ours.table()
    columns = {"estimate": "b.r", "std_error": "SE", "statistic": "t", "df": "dfs", "ci_low": "CI.L", "ci_high": "CI.U"}
    for mine, theirs in columns.items():
        assert_allclose(table[mine], numbers(expected[theirs]), rtol=CLOSED)
    assert_allclose(table["p_value"], numbers(expected["prob"]), rtol=1e-9)
    assert_allclose(ours.moments.tau2, expected["tau2"], rtol=CLOSED)
    if "omega2" in expected:
        assert_allclose(ours.moments.omega2, expected["omega2"], atol=1e-15)
    if "I2" in expected:
        assert_allclose(ours.glance()["i2"], expected["I2"], rtol=CLOSED)


def check_fixed_effects(dataset: str, record: str) -> None:
    """V alone, no variance between effects: our multilevel model at variances of zero."""
    expected = result(dataset, record)
    at_zero = at_variances(fit_like(dataset, "ml3_V06"), [0.0, 0.0])
    assert_allclose(at_zero.table()["estimate"], expected["beta"], rtol=CLOSED)
    assert_allclose(at_zero.table()["std_error"], expected["se"], rtol=CLOSED)
    assert_allclose(at_zero.peak.at.value, expected["fit"]["REML"]["ll"], rtol=CLOSED)


def check_fixed_robust(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    found = re.search(r"CR\w+$", record)
    kind = "CR2" if found is None else "CR1p" if "robust" in record else found[0]
    table = at_variances(fit_like(dataset, "ml3_V06"), [0.0, 0.0], kind).table()
    if "matrix" in expected:
        assert_allclose(table["std_error"] ** 2, numbers(expected["matrix"]), rtol=1e-9)
        return
    assert_allclose(table["std_error"], numbers(expected.get("SE", expected.get("se"))), rtol=CLOSED)
    df = expected.get("df_Satt", expected.get("df"))
    if df is not None:
        assert_allclose(table["df"], numbers(df), rtol=1e-8)


def check_aggregate(dataset: str, record: str) -> None:
    expected, ours = result(dataset, record), als.meta.aggregate(data(dataset), 0.6)
    assert_allclose(ours[["yi", "vi"]].to_numpy().T, [expected["yi"], expected["vi"]], rtol=1e-10)  # a closed form


def check_pooled_aggregate(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    rho, study = (0.5, "id") if "rho05" in record else (0.6, "study")
    table = als.meta.pool(als.meta.aggregate(data(dataset), rho, study=study)).table().iloc[0]
    # follows from τ², where metafor's threshold of 1e-13 ends at about 1e-8
    assert_allclose([table["estimate"], table["std_error"]], [expected["beta"], expected["se"]], rtol=1e-8)


CHECKS = {
    r"aggregate_rho06": check_aggregate,
    r"aggregate_then_rma|aggregate_rho05_then_rma": check_pooled_aggregate,
    r"ml3_(REML_default|ML_tight|REML_tight|fit|t|t_residual|V06|V06_mods)": check_fit,
    r"ml3_mods_(deltype|deltype_t|pub_year|year|rater)": check_fit,
    r"ml3_(egger_sei|peese|year_random)|ml2_(study|es)_only|sens_rho_.*|scheme_CHE_study_only": check_fit,
    r"ml3_(V06_)?(mods_|rater_)?coef_test_CR(0|1|1S|2|3)": check_coef_test,
    r"ml3_(V06_)?(mods_|rater_)?vcovCR2": check_vcov,
    r"ml3_(V06_)?(mods_|rater_)?conf_int_CR2": check_conf_int,
    r"ml3_(V06_)?(mods_|rater_)?Wald_(HTZ|HTA|HTB|EDF|EDT|chi-sq|Naive-F)": check_wald,
    r"(ml3|scheme_FE)_(V06_)?(mods_|rater_)?saddlepoint_CR2": check_saddlepoint,
    r"ml3_(rstandard|hat)": check_residuals,
    r"ml3_weights_diag": check_diagonal_weights,
    r"ml3_(V06_)?(mods_|rater_)?metafor_robust_(CR1|clubSandwich)": check_metafor_robust,
    r"ml3_(V06_)?I2": check_i2,
    r"ml3_(V06_)?(mods_)?predict(_tanh)?": check_predict,
    r"ml3_(V06_)?ranef": check_random,
    r"ml3_weights_rowsum": check_weights,
    r"ml3_confint": check_confint,
    r"LRT_drop_(within|between)": check_likelihood_ratio,
    r"profile_ll_grid": check_profile_grid,
    r"CS_parametrisation": check_compound_symmetry,
    r"SCE_subgroup": check_subgroups,
    r"V_imputed_rho06": check_imputed,
    r"robu_.*": check_robumeta,
    r"scheme_FE_V06": check_fixed_effects,
    r"scheme_FE_V06_(coef_test_CR(0|1|1S|2|3)|vcovCR2|conf_int_CR2)": check_fixed_robust,
    r"scheme_FE_V06_metafor_robust_(CR1|clubSandwich)": check_fixed_robust,
}
