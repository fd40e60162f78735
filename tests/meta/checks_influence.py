"""Compare leave-one-out, deletion diagnostics, cumulative fits and Baujat's numbers with metafor's records."""

from __future__ import annotations

import numpy as np
import pandas as pd
from checks_univariate import formula_of
from metafor_records import data, numbers, result
from numpy.testing import assert_allclose

import alliance_stats as als

#: τ² agrees to 1e-8 (metafor's threshold at 1e-13), and what follows from it to about ten times that.
FOLLOW = 1e-7


def base(dataset: str, record: str):
    formula = formula_of(record)
    if formula is None:
        return als.meta.pool(data(dataset))
    return als.meta.regress(f"yi ~ {formula}", data(dataset), test="knha" if "multi" in record else "z")


def check_leave_one_out(dataset: str, record: str) -> None:
    _compare_fits(als.meta.leave_one_out(data(dataset)), result(dataset, record))


def check_cumulative(dataset: str, record: str) -> None:
    order = "year" if record == "cumul_year" else None
    _compare_fits(als.meta.cumulative(data(dataset), order), result(dataset, record))


def _compare_fits(ours: pd.DataFrame, expected: dict) -> None:
    pairs = {"estimate": "estimate", "std_error": "se", "statistic": "zval", "p_value": "pval", "ci_low": "ci.lb"}
    pairs |= {"ci_high": "ci.ub", "q": "Q", "q_p": "Qp", "i2": "I2", "h2": "H2"}
    # leave1out and cumul() take the fit's method, but tau2 near 0 stops at their own threshold
    assert_allclose(ours["tau2"], numbers(expected["tau2"]), rtol=1e-7, atol=1e-11)
    for mine, theirs in pairs.items():
        assert_allclose(ours[mine], numbers(expected[theirs]), rtol=1e-6, atol=1e-9)


def check_influence(dataset: str, record: str) -> None:
    expected, ours = result(dataset, record), als.meta.influence(base(dataset, record))
    pairs = {"rstudent": "rstudent", "dffits": "dffits", "cook_d": "cook.d", "cov_ratio": "cov.r", "tau2": "tau2.del"}
    pairs |= {"q": "QE.del", "hat": "hat", "weight": "weight"}
    for mine, theirs in pairs.items():
        assert_allclose(ours[mine], numbers(expected[theirs]), rtol=1e-6, atol=1e-9)
    dfbetas = ours.filter(like="dfbetas").to_numpy()
    assert_allclose(dfbetas.ravel(), numbers(expected["dfbetas"]), rtol=1e-6, atol=1e-9)
    assert ours["influential"].tolist() == list(map(bool, expected["is_infl"]))


def check_one_column(column: str, key: str):
    def check(dataset: str, record: str) -> None:
        ours = als.meta.influence(base(dataset, record))[column]
        assert_allclose(ours, numbers(result(dataset, record)[key]), rtol=1e-6)

    return check


def check_baujat(dataset: str, record: str) -> None:
    expected, ours = result(dataset, record), als.meta.baujat(data(dataset))
    assert_allclose(ours["heterogeneity"], expected["x"], rtol=FOLLOW)
    assert_allclose(ours["influence"], expected["y"], rtol=1e-6)


def check_clusters(column: str, key: str):
    def check(dataset: str, record: str) -> None:
        fit = als.meta.multilevel(data(dataset), "study/esid", rho=0.0, robust=None)
        expected = numbers(result(dataset, record)[key])
        # 17 refits of rma.mv, each stopping where σ² is good to 5e-6
        assert_allclose(als.meta.influence(fit)[column], expected, rtol=1e-4, atol=1e-7)

    return check


def check_rstudent_clusters(dataset: str, record: str) -> None:
    expected = result(dataset, record)["obs"]
    fit = als.meta.multilevel(data(dataset), "study/esid", rho=0.0, robust=None)
    without = als.meta.leave_one_out(fit).set_index("left_out")["estimate"]
    residual = data(dataset)["yi"] - data(dataset)["study"].map(without)
    assert_allclose(residual, expected["resid"], rtol=1e-4, atol=1e-6)
    assert np.isfinite(residual).all()


CHECKS = {
    r"leave1out": check_leave_one_out,
    r"cumul_(inputorder|year)": check_cumulative,
    r"(mods_weeks_|mods_multi_)?influence": check_influence,
    r"rstudent": check_one_column("rstudent", "z"),
    r"cooks_distance": check_one_column("cook_d", "value"),
    r"hatvalues": check_one_column("hat", "value"),
    r"baujat": check_baujat,
    r"cooks_cluster": check_clusters("cook_d", "value"),
    r"dfbetas_cluster": check_clusters("dfbetas: (Intercept)", "intrcpt"),
    r"rstudent_cluster": check_rstudent_clusters,
}
