"""``als.mixed`` against lme4 and lmerTest.

The references stand in ``tests/golden/lme4`` with the script that made them. They are polished optima (two optimisers
and
a Newton step), so estimates are held to 1e-6 relative and the criterion to 1e-8. Degrees of freedom are held
to 1e-5 of a dense computation in R (dense.R) and to 1e-3 of lmerTest, whose numerical Hessian is good to about 1e-4.
Conditional modes are held to 1e-5 of their spread.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als

GOLDEN = Path(__file__).parents[1] / "golden" / "lme4"


def _fits():
    for path in sorted(GOLDEN.glob("*.json")):
        record = json.loads(path.read_text())
        if path.stem == "implement":
            continue  # data that are not in the project: tests/published
        for fit in record["fits"].values():
            label = f"{path.stem}: {fit['formula'].replace(' ', '')} {fit['method']}"
            yield pytest.param((record["data"], fit), id=label)


@pytest.fixture(scope="module")
def fit_once():
    known = {}

    def fit(data, formula, method):
        key = (data, formula, method)
        if key not in known:
            frame = pd.read_csv(GOLDEN / data)
            known[key] = als.mixed(formula, frame, method)
        return known[key]

    return fit


@pytest.fixture
def pair(request, fit_once):
    data, golden = request.param
    return fit_once(data, golden["formula"], golden["method"]), golden


def every_golden(test):
    return pytest.mark.parametrize("pair", list(_fits()), indirect=True)(test)


def _r_name(term: str) -> str:
    """phase[T.late]:x is phaselate:x in R."""
    return re.sub(r"\[T\.([^\]]*)\]", r"\1", term)


def _r_terms(mapping):
    """Interactions in one order."""
    return {":".join(sorted(term.split(":"))): value for term, value in mapping.items()}


def _group(name: str) -> frozenset[str]:
    """lme4 writes b:a, or c:(b:a), for a/b/c."""
    return frozenset(re.findall(r"\w+", name))


@every_golden
def test_criterion_and_information_criteria(pair):
    fit, golden = pair
    row = fit.glance().iloc[0]
    assert row["converged"]
    assert_allclose(row["deviance"], golden["criterion"], rtol=1e-8)
    assert_allclose(row["log_likelihood"], golden["log_likelihood"], rtol=1e-8)
    assert_allclose(row["aic"], golden["aic"], rtol=1e-8)
    assert_allclose(row["bic"], golden["bic"], rtol=1e-8)
    assert row["n_obs"] == golden["n_obs"]
    assert row["singular"] == golden["singular"]
    assert_allclose(row["sigma"], golden["sigma"], rtol=1e-6)


@every_golden
def test_estimates_and_standard_errors(pair):
    fit, golden = pair
    table = fit.table()
    ours = _r_terms({_r_name(term): k for k, term in enumerate(table["term"])})
    for column in ("estimate", "std_error", "statistic"):
        expected = _r_terms(golden[column])
        assert ours.keys() == expected.keys()
        values = table[column].to_numpy()[[ours[term] for term in expected]]
        # relative to the estimate or its standard error, whichever is larger: an estimate near 0 has few digits
        scale = np.array(list(_r_terms(golden["std_error"]).values())) if column == "estimate" else 1e-3
        assert_allclose(values, list(expected.values()), rtol=1e-6, atol=1e-6 * np.max(scale), err_msg=column)


@every_golden
def test_satterthwaite_degrees_of_freedom(pair):
    fit, golden = pair
    table = fit.table()
    ours = _r_terms({_r_name(term): df for term, df in zip(table["term"], table["df"], strict=True)})
    dense = _r_terms(dict(zip(golden["df"], golden["dense_check"]["df"], strict=True)))
    assert_allclose([ours[term] for term in dense], list(dense.values()), rtol=1e-5)
    if "session_thousands" in golden["formula"]:
        return  # lmerTest's numerical Hessian fails at this scale: 23.18 where the rescaled model has 23.00
    lmertest = _r_terms(golden["df"])
    assert_allclose([ours[term] for term in lmertest], list(lmertest.values()), rtol=1e-3)


@every_golden
def test_variances_and_correlations(pair):
    fit, golden = pair
    ours = {
        (
            _group(row.group),
            frozenset({row.term, row.term2} - {None}) if isinstance(row.term, str) else frozenset(),
        ): row
        for row in fit.variance().replace({np.nan: None}).itertuples()
    }
    record = golden["variance"]
    largest = max(record["vcov"])
    for k, group in enumerate(record["grp"]):
        name = frozenset() if group == "Residual" else frozenset({record["var1"][k], record["var2"][k]} - {None})
        row = ours[_group("residual" if group == "Residual" else re.sub(r"\.\d+$", "", group)), name]
        # atol: a variance of zero is zero up to lme4's stopping rule, in units of the largest
        assert_allclose(row.vcov, record["vcov"][k], rtol=2e-6, atol=1e-9 * largest, err_msg=f"{group} {name}")


@every_golden
def test_conditional_modes(pair):
    fit, golden = pair
    random = golden["random"]
    expected = pd.DataFrame({key: random[key] for key in ("group", "level", "term", "estimate")})
    for group, rows in expected.groupby("group"):
        name = next(name for name in fit.arrays.group_names if _group(name) == _group(group))
        ours = fit.random(name)
        ours["level"] = ours["level"].map(lambda label: ":".join(sorted(label.split(":"))))
        theirs = rows.assign(level=rows["level"].astype(str).map(lambda label: ":".join(sorted(label.split(":")))))
        both = ours.merge(theirs, on=["level", "term"], suffixes=("", "_r"), validate="one_to_one")
        assert len(both) == len(theirs) == len(ours)
        spread = both.groupby("term")["estimate_r"].transform("std").clip(lower=1e-6)
        assert ((both["estimate"] - both["estimate_r"]).abs() / spread).max() < 1e-5


@every_golden
def test_fitted_values(pair):
    fit, golden = pair
    assert_allclose(fit.fitted().to_numpy()[:10], golden["fitted_first_10"], rtol=1e-5)
