"""``als.mixed`` with prior weights and offsets against lme4 and lmerTest (``tests/golden/lme4_weights``)."""

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


@every_golden("lme4_weights")
def test_criterion_and_number_of_parameters(pair):
    assert_criterion(*pair)


@every_golden("lme4_weights")
def test_estimates_and_standard_errors(pair):
    assert_fixed_effects(*pair)


@every_golden("lme4_weights")
def test_variances_of_random_effects(pair):
    assert_variances(*pair)


@every_golden("lme4_weights")
def test_residual_correlation_and_standard_deviations(pair):
    assert_residual(*pair)


@every_golden("lme4_weights")
def test_satterthwaite_degrees_of_freedom(pair):
    assert_satterthwaite(*pair)


@every_golden("lme4_weights")
def test_kenward_roger(pair):
    assert_kenward_roger(*pair)


@every_golden("lme4_weights")
def test_predicted_effects(pair):
    assert_random_effects(*pair)


@every_golden("lme4_weights")
def test_lmertest_says_the_same(pair):
    fit, golden = pair
    theirs = golden["lme4"]
    assert abs(fit.glance()["deviance"].iloc[0] - theirs["criterion"]) < 1e-8
    # lmerTest's Hessian by differences is good to about 1e-4
    assert (fit.table()["df"] / list(theirs["lmerTest_df"].values()) - 1).abs().max() < 1e-3
