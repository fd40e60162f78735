"""Compare small-study effects and selection models with metafor's records.

Tolerances are those of the reference (its README): closed forms 1e-10, iterative τ² 1e-4 (then coefficients at
metafor's own τ² to 1e-10), selection models 1e-3 on weights and 1e-4 on β. metafor's optimiser stops early where the
likelihood is flat, so that each selection model is compared by its likelihood, too: ours at metafor's parameters is
metafor's, and at our own no lower.
"""

from __future__ import annotations

import re

import numpy as np
from metafor_records import data, number, numbers, records, result
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.engine.pooling.regression import fit_regression
from alliance_stats.engine.pooling.sums import solve
from alliance_stats.engine.selection.likelihood import Problem, evaluate

CLOSED, TIGHT, LOOSE = 1e-10, 1e-8, 1e-4
bias = als.meta.bias


def effects(dataset: str):
    frame = data(dataset)
    if "n1i" in frame:
        return frame.assign(n=frame["n1i"] + frame["n2i"])
    return frame.rename(columns={"ni": "n"})


def check_trim_fill(dataset: str, record: str) -> None:
    expected, call = result(dataset, record), records(dataset)[record]["call"]
    side = re.search(r'side = "(\w+)"', call)
    estimator = re.search(r'estimator = "(\w+)"', call)
    method = "EE" if "EE" in record else "REML"
    ours = bias.trim_fill(effects(dataset), estimator[1] if estimator else "L0", side[1] if side else None, method)
    glance = ours.glance().iloc[0]
    assert (glance["n_missing"], glance["side"]) == (expected["k0"], expected["side"])
    assert_allclose(glance["n_missing_error"], expected["se_k0"], rtol=CLOSED)
    assert_allclose(glance["n_missing_p"], number(expected["p_k0"]), rtol=CLOSED)
    # the mirror images hang on τ² of the trimmed set, which metafor leaves at its threshold
    assert_allclose(ours.filled.effects["yi"], expected["yi_f"], rtol=0, atol=1e-5)
    assert_allclose(ours.filled.effects["vi"], expected["vi_f"], rtol=CLOSED)
    assert_allclose(glance["tau2"], expected["tau2"], rtol=0, atol=LOOSE)
    assert_allclose(ours.table()["estimate"], numbers(expected["beta"]), rtol=0, atol=1e-5)
    assert_allclose(ours.table()["std_error"], numbers(expected["se"]), rtol=1e-3)


def check_regtest(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    mods = "weeks" if record == "mods_weeks_regtest" else None
    test = "knha" if "knha" in record else "z"
    model = "multiplicative" if expected["model"] == "lm" else "random"
    ours = bias.egger(effects(dataset), expected["predictor"], model, test=test, mods=mods)
    slope = ours.slope
    if model == "multiplicative":
        assert_allclose(slope["statistic"], expected["stat"], rtol=1e-9)
        assert_allclose([slope["p_value"], slope["df"]], [expected["pval"], expected["ddf"]], rtol=1e-9)
        assert_allclose(
            ours.table()[["estimate", "std_error", "statistic", "p_value"]], expected["fit_coef"], rtol=1e-9
        )
    else:
        fit = expected["fit_coef"]
        assert_allclose(ours.fit.tau2, fit["tau2"], rtol=0, atol=LOOSE)
        assert_allclose(slope["statistic"], expected["stat"], rtol=1e-3)
        assert_allclose(slope["p_value"], expected["pval"], rtol=1e-2)
        _same_design(ours, fit)
    glance = ours.glance().iloc[0]
    if "est" in expected and number(expected["est"]) == number(expected["est"]) and not mods:
        tolerance = 1e-9 if model == "multiplicative" else 1e-4
        assert_allclose(glance["estimate"], expected["est"], rtol=0, atol=tolerance)
        ends = [expected["est_ci_lb"], expected["est_ci_ub"]]
        assert_allclose(glance[["ci_low", "ci_high"]].to_numpy(float), ends, rtol=0, atol=max(tolerance, 1e-9) * 10)


def _same_design(ours, fit) -> None:
    """At metafor's τ², our columns give its coefficients to the last digits."""
    frame = bias.egger.__globals__["with_precision"](ours.effects, ours.predictor, "n")
    columns = [np.ones(len(frame)), frame[ours.predictor], *([frame[ours.mods]] if ours.mods else [])]
    # metafor puts the predictor last when there are moderators
    whole = fit_regression(frame["yi"].to_numpy(float), frame["vi"].to_numpy(float), np.column_stack(columns))
    at = solve(whole.effects, np.array([fit["tau2"]]))
    beta = whole.effects.coefficients(at.beta[0])
    assert_allclose(sorted(beta), sorted(numbers(fit["beta"])), rtol=CLOSED)


def check_rank(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    ours = bias.rank_test(effects(dataset), exact=False if record == "ranktest_exactF" else None)
    assert_allclose([ours.tau, ours.p_value], [expected["tau"], expected["pval"]], rtol=CLOSED)


def check_wls(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    ours = bias.pet_peese(effects(dataset), "multiplicative")
    fit = ours.pet if record.startswith("PET") else ours.peese
    columns = ["estimate", "std_error", "statistic", "p_value"]
    assert_allclose(fit.table[columns].to_numpy(float), expected["coef"], rtol=1e-9)
    assert_allclose(np.sqrt(fit.factor), expected["sigma"], rtol=CLOSED)


def check_fail_safe(dataset: str, record: str) -> None:
    expected = result(dataset, record)
    kind = expected["type"]
    target = number(expected["target"])
    more = {} if np.isnan(target) else {"target": target}
    ours = bias.fail_safe_n(effects(dataset), kind, weighted=record == "fsn_orwin_weighted", **more)
    assert ours.n == expected["fsnum"]
    if kind in ("Rosenthal", "Rosenberg"):
        assert_allclose(ours.p_now, expected["pval"], rtol=1e-9)
    if kind == "General":  # both follow from τ², known to 1e-4 there
        assert_allclose(ours.estimate_then, expected["est.fsn"], rtol=0, atol=LOOSE)
        assert_allclose(ours.tau2_then, expected["tau2.fsn"], rtol=0, atol=LOOSE)
        assert_allclose(ours.p_then, expected["pval.fsn"], rtol=1e-3)


#: Records at which metafor stopped short of the top, with what it misses in log-likelihood (its LRT is 0 in three of
#: them, where ours at δ = 0 is as high as without selection).
SHORT = {
    "selmodel_halfnorm": 7.1e-5,
    "selmodel_negexp": 3.6e-4,
    "selmodel_logistic": 8.9e-3,
    "selmodel_power": 2.8e-5,
}


def check_selection(dataset: str, record: str) -> None:
    read = records(dataset)[record]
    expected, call = read["result"], read["call"]
    ours = bias.selection(effects(dataset), **_arguments(expected, call))
    delta = numbers(expected["delta"])
    delta = delta[delta.size - ours.fit.delta.size :] if ours.model not in ("Vevea-Woods",) else np.zeros(0)
    theirs = np.concatenate([numbers(expected["beta"]), [expected["tau2"]], delta])
    v = ours.effects["vi"].to_numpy(float)
    problem = Problem(ours.effects["yi"].to_numpy(float), v, ours.part.matrix, ours.function)
    top = expected["fit"]["ML"]["ll"]
    # R's integrate() misses the kinks that the limits of p give the beta weights: 2.5e-5, seen by dense integration
    accuracy = {"selmodel_beta": 3e-5, "selmodel_power": 1e-6}.get(record, 1e-8)
    assert_allclose(evaluate(problem, theirs).value, top, rtol=0, atol=accuracy)
    assert ours.fit.log_likelihood >= top - accuracy
    assert ours.fit.converged
    if record in SHORT:
        assert ours.fit.log_likelihood - top <= SHORT[record]
        return
    assert_allclose(ours.table()["estimate"], numbers(expected["beta"]), rtol=0, atol=1e-4)
    assert_allclose(ours.fit.tau2, expected["tau2"], rtol=0, atol=1e-5)
    assert_allclose(ours.fit.delta, delta, rtol=0, atol=1e-3)
    assert_allclose(ours.table()["std_error"], numbers(expected["se"]), rtol=1e-3)
    assert_allclose(ours.fit.errors[2:], numbers(expected["se_delta"])[-delta.size :] if delta.size else [], rtol=1e-3)
    if delta.size:
        test = ours.likelihood_ratio().iloc[0]
        assert_allclose([test["statistic"], test["p_value"]], [expected["LRT"], expected["LRTp"]], rtol=1e-4)
        weights = ours.selection_weights()[["ci_low", "ci_high"]].to_numpy(float)[-delta.size :]
        ends = np.column_stack([numbers(expected[f"ci_{end}_delta"])[-delta.size :] for end in ("lb", "ub")])
        assert_allclose(weights, ends, rtol=0, atol=3e-3)
    if number(expected["ci_ub_tau2"]) == number(expected["ci_ub_tau2"]):
        glance = ours.glance().iloc[0]
        ends = [expected["ci_lb_tau2"], expected["ci_ub_tau2"]]
        assert_allclose([glance["tau2_ci_low"], glance["tau2_ci_high"]], ends, rtol=1e-3, atol=1e-6)


def _arguments(expected: dict, call: str) -> dict:
    if "delta = c(" in call:
        return {"model": "Vevea-Woods", "severity": "severe" if ", 0.9, 0.75" in call else "moderate"}
    if expected["type"] != "stepfun":
        return {"model": expected["type"]}
    steps = tuple(numbers(expected["steps"])[:-1])
    return {"model": "steps", "steps": steps, "equal": expected["method"] == "EE"}


def check_excess(dataset: str, record: str) -> None:
    """Counts and powers are closed forms; with τ², the record integrates them by quadrature; limits are by uniroot."""
    expected = result(dataset, record)
    ours = bias.excess_significance(effects(dataset), method="REML" if record == "tes_tau2" else "EE")
    exact = 1e-5 if record == "tes_tau2" else 1e-10
    assert ours.n_significant == expected["O"]
    assert list(ours.powers()["significant"]) == expected["sig"]
    assert_allclose(ours.power, expected["power"], rtol=exact)
    assert_allclose([ours.expected, ours.p_value], [expected["E"], expected["pval"]], rtol=exact)
    assert_allclose(ours.table()["estimate"], expected["OEratio"], rtol=exact)
    assert_allclose(ours.limit, number(expected["theta.lim"]), rtol=0, atol=1.3e-4)


CHECKS = {
    r"tes(_tau2)?": check_excess,
    r"trimfill_.*": check_trim_fill,
    r"regtest_.*|mods_weeks_regtest": check_regtest,
    r"ranktest.*": check_rank,
    r"(PET|PEESE)_wls": check_wls,
    r"fsn_.*": check_fail_safe,
    r"selmodel_.*": check_selection,
}
