"""Compare a fit of ``als.mixed`` with a golden of ``tests/golden/{nlme,glmmtmb,dense_residual,lme4_weights}``.

All four share one form: ``call`` holds the arguments of ``als.mixed``, the rest a polished optimum by dense algebra in
R (its gradient is zero to 1e-11), and what the tool itself says.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DesignError

GOLDEN = Path(__file__).parents[1] / "golden"


def goldens(folder: str):
    """Parameters ``(folder, data, golden)``, one per fit."""
    for path in sorted((GOLDEN / folder).glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key, fit in record["fits"].items():
            data = fit.get("data", record.get("data"))
            yield pytest.param((folder, data, fit), id=f"{path.stem}: {key}")


def every_golden(folder: str):
    return pytest.mark.parametrize("pair", list(goldens(folder)), indirect=True)


class Fits:
    """Fits each golden's model once."""

    def __init__(self) -> None:
        self._known = {}

    def __call__(self, folder: str, data: str, golden: dict):
        key = (folder, data, *sorted(golden["call"].items()))
        if key not in self._known:
            self._known[key] = als.mixed(data=pd.read_csv(GOLDEN / folder / data), **golden["call"])
        return self._known[key], golden


def assert_criterion(fit, golden) -> None:
    row = fit.glance().iloc[0]
    assert row["converged"]
    # absolute, not relative: both ends are within 1e-9 of a minimum that is flat there
    assert_allclose(row["deviance"], golden["criterion"], rtol=0, atol=1e-8)
    assert row["n_parameters"] == golden["n_parameters"]
    assert row["n_obs"] == golden["n_obs"]
    assert_allclose(row["aic"], golden["criterion"] + 2 * golden["n_parameters"], rtol=0, atol=1e-8)
    assert row["singular"] == bool(golden["found"]["held_at_zero"])


def assert_fixed_effects(fit, golden) -> None:
    table = fit.table().set_index("term")
    assert table.index.tolist() == list(golden["estimate"])
    errors = np.array(list(golden["std_error"].values()))
    difference = (table["estimate"] - list(golden["estimate"].values())) / errors
    assert_allclose(difference, 0, atol=1e-6)
    assert_allclose(table["std_error"], errors, rtol=1e-6)


def assert_variances(fit, golden) -> None:
    record = golden["variance"]
    largest = max(record["vcov"])
    own = {
        (_group(row.group), _terms(row.term, row.term2)): row.vcov
        for row in fit.variance().itertuples()
        if row.group != "residual"
    }
    for k, group in enumerate(record["grp"]):
        value = own[_group(group), _terms(record["var1"][k], record["var2"][k])]
        # a variance of 20 free parameters is as sure as the root of the criterion's last digits: 1e-6 of the largest
        assert_allclose(value, record["vcov"][k], rtol=2e-6, atol=1e-7 * largest, err_msg=f"{group} {k}")


def assert_residual(fit, golden) -> None:
    residual = fit.solution.residual
    assert_allclose(np.sqrt(fit.solution.sigma2), golden["sigma"], rtol=1e-6)
    if "correlation" in golden and golden["correlation"] is not None:
        assert_allclose(residual.rho, golden["correlation"], rtol=1e-6)
    if golden.get("residual_sd"):
        sds = np.sqrt(fit.solution.sigma2) * residual.ratios
        assert_allclose(sds, list(golden["residual_sd"].values()), rtol=1e-6)  # both in the order of the alphabet


def assert_satterthwaite(fit, golden) -> None:
    assert_allclose(fit.table()["df"], list(golden["satterthwaite_df"].values()), rtol=1e-5)


def assert_kenward_roger(fit, golden) -> None:
    """Whole for REML; refused under ML.

    The parameters' covariance is the inverse of the expected information where V is linear in them (as in pbkrtest),
    and of the observed one where residuals have parameters of their own.
    """
    asked = replace(fit, df_method="kenward-roger")
    if golden["call"]["method"] == "ML":
        with pytest.raises(DesignError, match="defined for REML"):
            asked.table()
        return
    of_residuals = {"residual", "variance"} & set(golden["call"])
    reference = golden["kenward_roger_first_order"]["observed" if of_residuals else "expected"]
    table = asked.table()
    assert_allclose(table["std_error"], reference["std_error"], rtol=1e-6)
    assert_allclose(table["df"], reference["df"], rtol=1e-5)


def assert_random_effects(fit, golden) -> None:
    random = pd.DataFrame(golden["random"])
    # lme4 splits (1 + x || g) into g and g.1, and writes b:a for a/b
    random["group"] = random["group"].str.replace(r"\.\d+$", "", regex=True).map(_group)
    for name in fit.arrays.group_names:
        theirs = random[random["group"] == _group(name)].assign(level=lambda f: f["level"].map(_level))
        ours = fit.random(name).assign(level=lambda f: f["level"].map(_level))
        both = ours.merge(theirs, on=["level", "term"], suffixes=("", "_r"), validate="one_to_one")
        assert len(both) == len(theirs) == len(ours)
        spread = both.groupby("term")["estimate_r"].transform("std").clip(lower=1e-6)
        assert ((both["estimate"] - both["estimate_r"]).abs() / spread).max() < 1e-5


def _group(name: str) -> frozenset[str]:
    return frozenset(name.split(".1")[0].replace(":", "/").split("/"))


def _level(name: object) -> str:
    return ":".join(sorted(str(name).replace("/", ":").split(":")))


def _terms(*names: object) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(name, str))
