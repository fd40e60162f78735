"""``als.mixed`` with residual correlation, unequal variances and weights against ``nlme::lme``.

The references stand in ``tests/golden/nlme`` with the scripts that made them: polished optima of a dense computation
whose criterion equals nlme at nlme's own optimum to 1e-12. Tolerances as for lme4; nlme itself stops up to 2e-7 above
the minimum, and is compared more coarsely below.
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


@every_golden("nlme")
def test_criterion_and_number_of_parameters(pair):
    assert_criterion(*pair)


@every_golden("nlme")
def test_estimates_and_standard_errors(pair):
    assert_fixed_effects(*pair)


@every_golden("nlme")
def test_variances_of_random_effects(pair):
    assert_variances(*pair)


@every_golden("nlme")
def test_residual_correlation_and_standard_deviations(pair):
    assert_residual(*pair)


@every_golden("nlme")
def test_satterthwaite_degrees_of_freedom(pair):
    assert_satterthwaite(*pair)


@every_golden("nlme")
def test_kenward_roger(pair):
    assert_kenward_roger(*pair)


@every_golden("nlme")
def test_predicted_effects(pair):
    assert_random_effects(*pair)


@every_golden("nlme")
def test_nlme_itself_says_the_same_to_its_own_precision(pair):
    fit, golden = pair
    theirs = golden["nlme"]
    # twice the criterion above its minimum is the squared distance in standard errors, at most
    reach = (2 * max(theirs["above_the_optimum"], 1e-12)) ** 0.5
    assert abs(theirs["criterion_minus_dense_at_its_optimum"]) < 1e-9
    assert abs(fit.glance()["log_likelihood"].iloc[0] - theirs["log_likelihood"]) < reach**2 + 1e-8
    errors = fit.table()["std_error"]
    distance = (fit.table()["estimate"] - list(theirs["estimate"].values())).abs() / errors
    assert (distance < reach + 1e-6).all()
