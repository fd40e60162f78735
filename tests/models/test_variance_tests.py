"""``fit.test_variance()`` against lmerTest's ``ranova`` and by simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.models.variance_tests import TEST_COLUMNS
from tests.models.test_intervals import words

GOLDEN = Path(__file__).parents[1] / "golden"
RANOVA = json.loads((GOLDEN / "lme4_profile" / "intervals.json").read_text())["ranova"]


def read(data):
    return pd.read_csv(GOLDEN / "lme4" / data)


def row_of(table, term):
    """The row of ranova's "session0 in (1 + session0 | patient_id)" or "(1 | therapist_id)"."""
    effect, found, bar = term.partition(" in ")
    group = words((bar or term).partition("|")[2])
    own = table[(table["group"].map(words) == group) & (table["term"] == (effect if found else "(Intercept)"))]
    ((_, row),) = own.iterrows()
    return row


@pytest.mark.parametrize("golden", RANOVA, ids=lambda golden: f"{golden['data']} {golden['method']}")
def test_statistics_are_ranovas_and_p_values_those_of_the_mixture(golden):
    table = als.mixed(golden["formula"], read(golden["data"]), golden["method"]).test_variance()
    assert tuple(table.columns) == TEST_COLUMNS
    for term, statistic, df in zip(golden["terms"], golden["statistic"], golden["df"], strict=True):
        row = row_of(table, term)
        # ranova's smaller models are fitted by lmer with its default tolerance
        assert_allclose(row["statistic"], statistic, rtol=1e-5, atol=1e-6)
        assert row["df"] == df
        below = stats.chi2.sf(statistic, df - 1) if df > 1 else 0.0
        assert_allclose(row["p_value"], (below + stats.chi2.sf(statistic, df)) / 2, rtol=1e-4)
        assert row["reference"] == f"½χ²({df - 1})+½χ²({df})"


def test_the_test_is_anovas_of_the_two_models():
    frame = read("data/growth.csv")
    slope = als.mixed("alliance ~ session0 + (1 + session0 | patient_id)", frame, "ML")
    intercept = als.mixed("alliance ~ session0 + (1 | patient_id)", frame, "ML")
    row = slope.test_variance().set_index("term").loc["session0"]
    expected = als.anova(intercept, slope).iloc[1]
    assert_allclose([row["statistic"], row["p_value"]], [expected["statistic"], expected["p_value"]], rtol=1e-6)
    assert row["reference"] == expected["reference"]


def test_uncorrelated_effects_lose_one_parameter_each():
    table = als.mixed("alliance ~ session0 + (1 + session0 || patient_id)", read("data/growth.csv")).test_variance()
    assert table["df"].tolist() == [1, 1]
    assert (table["reference"] == "½χ²(0)+½χ²(1)").all()


def test_a_variance_estimated_at_zero_has_statistic_0_and_p_1():
    fit = als.mixed("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", read("data/boundary_intercept.csv"))
    row = fit.test_variance("therapist_id").iloc[0]
    assert (row["statistic"], row["p_value"]) == (0.0, 1.0)
    drawn = fit.test_variance("therapist_id", "bootstrap", n=20, seed=1).iloc[0]
    assert drawn["p_value"] == 1.0


def test_bootstrap_p_values_are_near_the_mixtures_with_many_levels():
    """One variance, 60 patients: true p .05 or so has a standard error of .015 in 200 draws."""
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"p": np.repeat([f"p{k}" for k in range(60)], 4)})
    frame["y"] = rng.normal(size=60).repeat(4) * 0.28 + rng.normal(size=240)
    fit = als.mixed("y ~ 1 + (1 | p)", frame)
    exact, drawn = fit.test_variance().iloc[0], fit.test_variance(method="bootstrap", n=200, seed=1).iloc[0]
    assert 0.005 < exact["p_value"] < 0.4
    error = np.sqrt(exact["p_value"] / 200)
    assert_allclose(drawn["p_value"], exact["p_value"], atol=4 * error)
    assert drawn["reference"] == "200 outcomes drawn without the effect"
    two = fit.test_variance(method="bootstrap", n=200, seed=1, workers=2).iloc[0]
    assert two["p_value"] == drawn["p_value"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"group": "patient"}, "No grouping 'patient'"), ({"method": "wald"}, "method has no value 'wald'")],
)
def test_what_cannot_be_had_is_refused(options, words):
    fit = als.mixed("alliance ~ session0 + (1 | patient_id)", read("data/growth.csv"))
    with pytest.raises(DataError, match=words):
        fit.test_variance(**options)


# ---- level under the hypothesis --------------------------------------------------------------------------------------


def p_values(n_therapists, n_studies, seed, method="mixture", **options):
    """P values of the therapist variance in studies in which it is zero: 6 patients each, 5 sessions."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(6 * n_therapists), 5)
    frame = pd.DataFrame({"p": patient, "t": patient // 6}).astype(str)
    found = []
    for k in range(n_studies):
        frame["y"] = rng.normal(size=6 * n_therapists)[patient] * 0.6 + rng.normal(size=patient.size)
        fit = als.mixed("y ~ 1 + (1 | p) + (1 | t)", frame)
        found.append(fit.test_variance("t", method, seed=k, **options)["p_value"].iloc[0])
    return np.array(found)


@pytest.mark.slow
def test_with_many_therapists_the_mixture_keeps_its_level():
    """1 000 studies of 60 therapists: the share of p ≤ .05 has a standard error of .007."""
    p = p_values(60, 1000, 1)
    assert_allclose(np.mean(p <= 0.05), 0.05, atol=0.021)


@pytest.mark.slow
def test_with_few_therapists_the_mixture_errs_towards_zero_and_the_bootstrap_does_not():
    """8 therapists: fewer than half of the estimates are above zero, so the mixture's level falls below its name."""
    mixture = np.mean(p_values(8, 1500, 2) <= 0.05)
    assert 0.025 < mixture < 0.06
    drawn = np.mean(p_values(8, 300, 3, "bootstrap", n=39) <= 0.05)
    assert_allclose(drawn, 0.05, atol=0.038)  # three standard errors of 300 studies
