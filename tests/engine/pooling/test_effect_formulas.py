"""Effect sizes against metafor 3.8's escalc(), whose script and numbers stand in tests/golden/metafor."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.pooling import effect_sizes as formulas

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/metafor/escalc.json").read_text())
INPUT = {name: np.array(values, float) for name, values in GOLDEN["input"].items()}
GROUPS = ("m1", "m2", "sd1", "sd2", "n1", "n2")
CALLS = {
    "COR": (formulas.raw_correlation, ("r", "n")),
    "UCOR": (formulas.unbiased_correlation, ("r", "n")),
    "ZCOR": (formulas.fisher_z, ("r", "n")),
    "SPCOR": (formulas.semipartial_correlation, ("t", "n", "predictors", "r_squared")),
    "SMD": (formulas.standardised_difference, GROUPS),
    "SMCC": (formulas.change_by_change_sd, ("m1", "m2", "sd1", "sd2", "r", "n")),
    "SMCR": (formulas.change_by_first_sd, ("m1", "m2", "sd1", "r", "n")),
    "OR": (formulas.log_odds_ratio, ("a", "b", "c", "d")),
    "PHI": (formulas.phi_coefficient, ("a", "b", "c", "d")),
}


@pytest.mark.parametrize("measure", CALLS)
def test_effects_and_variances_are_those_of_metafor(measure):
    formula, names = CALLS[measure]
    estimate, variance = formula(*(INPUT[name] for name in names))
    assert_allclose(estimate, GOLDEN["result"][measure]["yi"], rtol=1e-12)
    assert_allclose(variance, GOLDEN["result"][measure]["vi"], rtol=1e-12)


def test_partial_correlations_are_those_of_metafor():
    # the variance of the z-transformed one differs between metafor's versions and is tested by hand below
    r, variance = formulas.partial_correlation(INPUT["t"], INPUT["n"], INPUT["predictors"])
    assert_allclose(r, GOLDEN["result"]["PCOR"]["yi"], rtol=1e-12)
    assert_allclose(variance, GOLDEN["result"]["PCOR"]["vi"], rtol=1e-12)


def test_fisher_z_of_a_partial_correlation_loses_a_case_per_variable_held_constant():
    _, variance = formulas.partial_fisher_z(np.array([2.0]), np.array([30.0]), np.array([1.0]))
    assert_allclose(variance, 1 / (30 - 3))  # one predictor: nothing is held constant
    _, variance = formulas.partial_fisher_z(np.array([2.0]), np.array([30.0]), np.array([4.0]))
    assert_allclose(variance, 1 / (30 - 3 - 3))


def test_fisher_z_of_a_semipartial_correlation_follows_the_delta_method():
    arguments = [INPUT[name] for name in ("t", "n", "predictors", "r_squared")]
    r, variance = formulas.semipartial_correlation(*arguments)
    z, z_variance = formulas.semipartial_fisher_z(*arguments)
    assert_allclose(np.tanh(z), r)
    step = 1e-6
    slope = (np.arctanh(r + step) - np.arctanh(r - step)) / (2 * step)
    assert_allclose(z_variance, slope**2 * variance, rtol=1e-7)  # a central difference of step 1e-6


def test_unequal_variances_follow_bonett():
    estimate, variance = formulas.unequal_variance_difference(*(INPUT[name] for name in GROUPS))
    assert_allclose(estimate, GOLDEN["result"]["SMDH"]["yi"], rtol=1e-12)
    # metafor 3.8 divides by n instead of n − 1; by hand for the first effect, d = 0.710606 before rounding
    s2, d = (9 + 6.25) / 2, estimate[0]
    by_hand = d**2 * (81 / 19 + 6.25**2 / 21) / (8 * s2**2) + (9 / 19 + 6.25 / 21) / s2
    assert_allclose(variance[0], by_hand, rtol=1e-12)


def test_hedges_factor_is_the_exact_one():
    assert_allclose(formulas.small_sample_factor(np.array([2.0])), 0.5641895835477563, rtol=1e-14)  # Γ(1)/(√1 Γ(1/2))
    assert_allclose(
        formulas.small_sample_factor(np.array([38.0])), 1 - 3 / (4 * 38 - 1), rtol=1e-4
    )  # his approximation


def test_the_unbiased_correlation_is_unbiased():
    # E over the density of r at ρ = .5, n = 10, by simulation-free quadrature of Olkin and Pratt's own claim
    from scipy.integrate import quad
    from scipy.special import gammaln, hyp2f1

    rho, n = 0.5, 10

    def density(r):
        constant = np.log(n - 2) + gammaln(n - 1) - 0.5 * np.log(2 * np.pi) - gammaln(n - 0.5)
        kernel = (n - 1) / 2 * np.log(1 - rho**2) + (n - 4) / 2 * np.log(1 - r**2) - (n - 1.5) * np.log(1 - rho * r)
        return np.exp(constant + kernel) * hyp2f1(0.5, 0.5, n - 0.5, (rho * r + 1) / 2)

    def weighted(r):
        return density(r) * formulas.unbiased_correlation(np.array(r), np.array(float(n)))[0]

    assert_allclose(quad(weighted, -1, 1)[0], rho, rtol=1e-7)
