"""``als.mixed`` with crossed therapists and residual structures against glmmTMB.

The references stand in ``tests/golden/glmmtmb`` with the scripts that made them: polished optima of a dense computation
whose criterion equals glmmTMB's at its own optimum (to 1e-9 for unequal variances; to 1e-5 where glmmTMB switches the
residual off, which leaves its sparse factorisation eight digits). Tolerances as for lme4.
"""

from __future__ import annotations

from golden_fits import (
    assert_criterion,
    assert_fixed_effects,
    assert_kenward_roger,
    assert_random_effects,
    assert_residual,
    assert_satterthwaite,
    assert_variances,
    every_golden,
)


@every_golden("glmmtmb")
def test_criterion_and_number_of_parameters(pair):
    assert_criterion(*pair)


@every_golden("glmmtmb")
def test_estimates_and_standard_errors(pair):
    assert_fixed_effects(*pair)


@every_golden("glmmtmb")
def test_variances_of_random_effects(pair):
    assert_variances(*pair)


@every_golden("glmmtmb")
def test_residual_correlation_and_standard_deviations(pair):
    assert_residual(*pair)


@every_golden("glmmtmb")
def test_satterthwaite_degrees_of_freedom(pair):
    assert_satterthwaite(*pair)


@every_golden("glmmtmb")
def test_kenward_roger(pair):
    assert_kenward_roger(*pair)


@every_golden("glmmtmb")
def test_predicted_effects(pair):
    assert_random_effects(*pair)


@every_golden("glmmtmb")
def test_glmmtmb_itself_says_the_same_to_its_own_precision(pair):
    fit, golden = pair
    theirs = golden["glmmTMB"]
    assert abs(fit.glance()["deviance"].iloc[0] + 2 * theirs["log_likelihood"]) < 2e-5
    table = fit.table()
    distance = (table["estimate"] - list(theirs["estimate"].values())).abs() / table["std_error"]
    assert (distance < 2e-4).all()
