"""The optimiser's story in the units of the data, against the dense criterion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dense import Dense, make_design
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.fit import fit_mixed


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_criterion_at_the_start_is_that_of_its_variances(seed, reml):
    design = make_design(seed, [(25, 2), (6, 1)], n_obs=420)  # enough rows for one start
    design = replace(
        design, outcome=50 + 7 * design.outcome, columns=[None, *(3 + 0.2 * c for c in design.columns[1:])]
    )
    solution = fit_mixed(design, reml)
    start = solution.started_from
    relative = tuple(matrix / start.sigma2 for matrix in start.random_covariances)
    dense = Dense(design, relative, reml)
    assert_allclose(start.criterion, dense.value, rtol=1e-10)
    assert_allclose(start.sigma2, dense.sigma2, rtol=1e-9)
    assert start.criterion > solution.criterion


def test_slopes_from_the_boundary_are_those_of_the_dense_criterion():
    design = make_design(3, [(20, 1), (5, 1)], n_obs=150)
    codes = design.factors[1].codes
    means = np.bincount(codes, design.outcome) / np.bincount(codes)
    design = replace(design, outcome=design.outcome - means[codes])  # these levels differ less than by chance
    solution = fit_mixed(design)
    of_factors, of_residual = solution.inward_slopes
    assert of_residual.size == 0
    assert np.isnan(of_factors[0])
    inner = solution.random_covariances[0] / solution.sigma2
    step = 1e-6
    criteria = [Dense(design, (inner, np.array([[value]])), True).value for value in (0.0, step, 2 * step)]
    assert criteria[1] > criteria[0]
    slope = (-1.5 * criteria[0] + 2 * criteria[1] - 0.5 * criteria[2]) / step
    assert_allclose(of_factors[1], slope, rtol=1e-4)  # differences of numbers near 500 at steps of 1e-6


def test_inside_the_parameter_space_there_are_no_slopes():
    of_factors, of_residual = fit_mixed(make_design(1, [(25, 2), (6, 1)], n_obs=420)).inward_slopes
    assert np.isnan(of_factors).all()
    assert np.isnan(of_residual).all()
