"""``als.mixed`` where no tool in R follows: crossed therapists, CAR(1), unequal variances, weights, offsets, episodes.

The references stand in ``tests/golden/dense_residual``: a dense computation in R that agrees with nlme and glmmTMB
wherever those can follow (``tests/golden/nlme/dense.R``).
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


@every_golden("dense_residual")
def test_criterion_and_number_of_parameters(pair):
    assert_criterion(*pair)


@every_golden("dense_residual")
def test_estimates_and_standard_errors(pair):
    assert_fixed_effects(*pair)


@every_golden("dense_residual")
def test_variances_of_random_effects(pair):
    assert_variances(*pair)


@every_golden("dense_residual")
def test_residual_correlation_and_standard_deviations(pair):
    assert_residual(*pair)


@every_golden("dense_residual")
def test_satterthwaite_degrees_of_freedom(pair):
    assert_satterthwaite(*pair)


@every_golden("dense_residual")
def test_kenward_roger(pair):
    assert_kenward_roger(*pair)


@every_golden("dense_residual")
def test_predicted_effects(pair):
    assert_random_effects(*pair)
