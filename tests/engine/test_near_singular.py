"""Two thousand tiny, near-singular problems: every fit reaches the best optimum known, or says that it did not.

The optima stand in ``tests/golden/near_singular``: the best of ten starts of scipy's L-BFGS-B on a dense criterion.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dense import Dense
from near_singular import KINDS, SEEDS, checksum, dense_criterion, optima, problem
from numpy.testing import assert_allclose
from scipy.optimize import check_grad

from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.optimise import optimise
from alliance_stats.engine.mixed.statistics import collect

#: A division by zero in a fit is a fault, even where its result is not used.
pytestmark = pytest.mark.filterwarnings("error")

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/near_singular/optima.json").read_text(encoding="utf-8"))
REACHED = 1e-6
BATCH = 100


def missed(seed: int) -> tuple[float, bool, float]:
    """By how much the engine ends above the optimum known, whether it says that it converged, and the optimum."""
    design, reml = problem(seed)
    best, _, drawn = GOLDEN["problems"][seed]
    assert_allclose(checksum(design), drawn, atol=1e-5, err_msg="numpy draws other numbers: run make_optima.py again")
    standard, coordinates = standardise(design)
    evaluation, story = optimise(collect(standard), standard.factors, reml)
    value = evaluation.value + coordinates.criterion_to_raw(design.n_obs, reml)
    matrices = evaluation.covariance.matrices
    raw = tuple(coordinates.random_covariance_to_raw(f, d) for f, d in enumerate(matrices))
    assert_allclose(value, Dense(design, raw, reml).value, rtol=1e-9)  # the value is that of the point it ends at
    return value - best, story.converged, best


def failures(seeds) -> list[str]:
    found = []
    for seed in seeds:
        above, converged, best = missed(seed)
        if above > REACHED:
            found.append(f"{seed} ({KINDS[seed % len(KINDS)]}): {above:.2e} above {best:.4f}, converged {converged}")
    return found


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_the_first_of_the_small_problems_end_at_their_optimum(start):
    assert failures(range(start, start + 20)) == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(SEEDS), BATCH))
def test_all_small_problems_end_at_their_optimum(start):
    assert failures(range(start, start + BATCH)) == []


def test_there_are_two_thousand_and_many_are_singular():
    assert len(GOLDEN["problems"]) == len(SEEDS) == 2000
    assert GOLDEN["n_starts"] == 10
    singular = 0
    for seed in range(0, 600, 10):
        design, reml = problem(seed)
        standard, _ = standardise(design)
        evaluation, _ = optimise(collect(standard), standard.factors, reml)
        singular += any(np.linalg.eigvalsh(d)[0] < 1e-6 for d in evaluation.covariance.matrices)
    assert singular > 30  # half of these sixty


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_the_dense_criterion_is_the_textbooks_and_so_is_its_gradient(seed):
    design, reml = problem(seed)
    value, n_entries = dense_criterion(design, reml)
    theta = np.random.default_rng(seed).normal(size=n_entries)
    assert check_grad(lambda t: value(t)[0], lambda t: value(t)[1], theta) < 1e-4
    nothing = tuple(np.zeros((f.n_effects, f.n_effects)) for f in design.factors)
    assert_allclose(value(np.zeros(n_entries))[0], Dense(design, nothing, reml).value, rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 7, 1234])
def test_the_stored_optimum_is_what_scipy_finds(seed):
    design, reml = problem(seed)
    assert_allclose(optima(design, reml, 3).min(), GOLDEN["problems"][seed][0], rtol=0, atol=2e-6)
