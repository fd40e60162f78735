"""The optimiser: the boundary, the honest end, and the best optimum on hard little problems."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dense import Dense, one_block
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from alliance_stats.engine.mixed import optimise as module
from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.optimise import optimise
from alliance_stats.engine.mixed.statistics import collect


def small_problem(seed: int) -> MixedDesign:
    """20 to 60 rows, random intercepts and slopes over few groups, some with a crossed factor; often singular."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(20, 61)), int(rng.integers(4, 9))
    codes = np.sort(np.concatenate([np.arange(m), rng.integers(m, size=n - m)]))
    x = rng.normal(size=n) if seed % 2 else rng.integers(1, 8, size=n).astype(float)
    sizes = rng.choice([0.0, 0.0, 0.3, 1.0], size=2)
    y = rng.normal(size=n) + (sizes[0] * rng.normal(size=m))[codes] + (sizes[1] * rng.normal(size=m))[codes] * x
    factors = [one_block("g", codes, (0, 1), m)]
    if seed % 3 == 0:
        factors.append(one_block("h", np.concatenate([np.arange(3), rng.integers(3, size=n - 3)]), (0,), 3))
    return MixedDesign(y, [None, x], (0, 1), tuple(factors))


def best_of_many_starts(design: MixedDesign, reml: bool) -> float:
    """Least dense criterion over Cholesky parameters, from eight starts by two methods of scipy."""
    rng = np.random.default_rng(0)
    shapes = [f.n_effects for f in design.factors]
    n_parameters = sum(q * (q + 1) // 2 for q in shapes)

    def value(theta):
        matrices, at = [], 0
        for q in shapes:
            root = np.zeros((q, q))
            root[np.tril_indices(q)] = theta[at : at + q * (q + 1) // 2]
            at += q * (q + 1) // 2
            matrices.append(root @ root.T)
        return Dense(design, tuple(matrices), reml).value

    starts = [np.full(n_parameters, size) for size in (0.1, 1.0)]
    starts += [rng.normal(size=n_parameters) * size for size, _ in itertools.product((0.3, 1.0, 3.0), range(2))]
    found = []
    for start in starts:
        rough = minimize(value, start, method="L-BFGS-B")
        found.append(rough)
    found.sort(key=lambda run: run.fun)
    polished = minimize(value, found[0].x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 2000})
    return min(float(polished.fun), float(found[0].fun))


def fit(design: MixedDesign, reml: bool = True):
    """Fit in standardised coordinates; the criterion comes back in those of the data."""
    standard, coordinates = standardise(design)
    evaluation, story = optimise(collect(standard), standard.factors, reml)
    return evaluation, story, evaluation.value + coordinates.criterion_to_raw(design.n_obs, reml)


def _missed(seed: int) -> float:
    """By how much the engine's criterion exceeds the best that scipy finds."""
    design, reml = small_problem(seed), bool(seed % 5)
    _, story, value = fit(design, reml)
    assert story.converged, (seed, story)
    return value - best_of_many_starts(design, reml)


@pytest.mark.parametrize("seed", range(40))
def test_finds_the_best_optimum_of_a_small_problem(seed):
    assert _missed(seed) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1500))
def test_finds_the_best_optimum_of_500_small_problems(seed):
    assert _missed(seed) < 1e-6
