"""``als.mixed(df="kenward-roger")`` against pbkrtest.

The references stand in ``tests/golden/pbkrtest`` with the script that made them, at lme4's polished optima. Both sides
are closed forms given the variances, which agree to 1e-6 of their size; adjusted standard errors and degrees of freedom
then agree to 1e-6.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError

GOLDEN = Path(__file__).parents[1] / "golden"
FITS = json.loads((GOLDEN / "pbkrtest" / "kenward_roger.json").read_text())["fits"]


@pytest.mark.parametrize("case", sorted(FITS))
def test_adjusted_errors_and_degrees_of_freedom(case):
    golden = FITS[case]
    frame = pd.read_csv(GOLDEN / "lme4" / golden["data"])
    table = als.mixed(golden["formula"], frame, df="kenward-roger").table()
    adjusted = np.atleast_2d(golden["vcov_adjusted"])
    assert_allclose(table["std_error"], np.sqrt(np.diag(adjusted)), rtol=1e-6)
    assert_allclose(table["df"], np.atleast_1d(golden["df"]), rtol=1e-6)


def test_every_reference_was_made():
    assert len(FITS) == 23
    assert not [case for case, golden in FITS.items() if "error" in golden]


def test_large_components_take_the_sparse_path_to_the_same_numbers(monkeypatch):
    from alliance_stats.engine.mixed import elimination, layout

    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "crossed.csv")
    formula = FITS["crossed/model_REML"]["formula"]
    usual = als.mixed(formula, frame, df="kenward-roger").table()
    monkeypatch.setattr(layout, "_SIZES", np.array([1]))  # every component of two or more columns is sparse
    monkeypatch.setattr(elimination, "_SMALLEST_CORE", 2)
    fit = als.mixed(formula, frame, df="kenward-roger")
    groups = fit.solution._evaluation.outer.layout.groups
    assert any(isinstance(group, elimination.SparseGroup) and group.rounds for group in groups)
    # the two ways of factorising stop at the same optimum up to the last Newton step
    assert_allclose(fit.table()[["std_error", "df"]], usual[["std_error", "df"]], rtol=1e-7)


def test_normal_has_no_degrees_of_freedom_and_unadjusted_errors():
    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "growth.csv")
    formula = "alliance ~ session0 + (1 + session0 | patient_id)"
    normal, usual = als.mixed(formula, frame, df="normal").table(), als.mixed(formula, frame).table()
    assert np.isinf(normal["df"]).all()
    assert_allclose(normal["std_error"], usual["std_error"])
    assert_allclose(normal["ci_high"] - normal["estimate"], 1.959963984540054 * normal["std_error"])  # Φ⁻¹(.975)


def test_kenward_roger_needs_reml():
    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "growth.csv")
    with pytest.raises(DataError, match="defined for REML"):
        als.mixed("alliance ~ session0 + (1 | patient_id)", frame, "ML", df="kenward-roger")


def test_a_misspelt_method_names_the_nearest():
    frame = pd.read_csv(GOLDEN / "lme4" / "data" / "growth.csv")
    with pytest.raises(DataError, match="Did you mean 'satterthwaite'"):
        als.mixed("alliance ~ session0 + (1 | patient_id)", frame, df="satterthwaith")
