"""Predicted random effects of a fitted model: the mixed-model equations, and lme4's conditional SDs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dense import Dense, by_level, make_design, one_block
from numpy.testing import assert_allclose

from alliance_stats.design.formula import parse_formula
from alliance_stats.design.matrices import model_arrays
from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.fit import fit_mixed

GOLDEN = Path(__file__).parents[1] / "golden" / "lme4"

DESIGNS = {
    "inner": {"sizes": [(15, 2)], "n_obs": 120},
    "crossed": {"sizes": [(20, 1), (6, 2)], "n_obs": 160},
    "crossed, shuffled": {"sizes": [(20, 2), (6, 1)], "n_obs": 160, "shuffled": True},
    "three": {"sizes": [(24, 1), (6, 1), (4, 1)], "n_obs": 160},
    "big block": {"sizes": [(45, 1), (38, 1)], "n_obs": 190},
}


def mixed_model_equations(design, relative, sigma2):
    """Solution of Henderson's equations, and σ² times the inverse of their matrix."""
    dense = Dense(design, relative, True)
    w = np.hstack([dense.x, *dense.z])
    p = dense.x.shape[1]
    matrix = w.T @ w
    at = p
    for prior in dense.prior:
        k = prior.shape[0]
        matrix[at : at + k, at : at + k] += np.linalg.inv(prior)
        at += k
    inverse = np.linalg.inv(matrix)
    return inverse @ (w.T @ design.outcome), sigma2 * inverse


@pytest.mark.parametrize("name", DESIGNS)
def test_predictions_and_their_errors_solve_hendersons_equations(name):
    design = make_design(3, **DESIGNS[name])
    solution = fit_mixed(design)
    assert not any(solution.rank_deficient)  # the equations need the inverse of every covariance
    relative = tuple(d / solution.sigma2 for d in solution.random_covariances)
    expected, errors = mixed_model_equations(design, relative, solution.sigma2)
    p = design.n_fixed
    assert_allclose(solution.beta, expected[:p], rtol=1e-7)
    assert_allclose(solution.covariance, errors[:p, :p], rtol=1e-6, atol=1e-9 * np.abs(errors).max())
    at = p
    for factor, effects in zip(design.factors, solution.effects, strict=True):
        own = slice(at, at + factor.n_levels * factor.n_effects)
        assert_allclose(effects.estimate.ravel(), expected[own], rtol=1e-6, atol=1e-8)
        assert_allclose(effects.covariance, by_level(errors[own, own], factor), rtol=1e-6, atol=1e-9)
        at = own.stop


@pytest.mark.parametrize("name", DESIGNS)
def test_known_fixed_effects_make_predictions_more_certain(name):
    solution = fit_mixed(make_design(3, **DESIGNS[name]))
    for effects in solution.effects:
        difference = effects.covariance - effects.conditional_covariance
        assert np.linalg.eigvalsh(difference).min() > -1e-9
        assert difference.max() > 0


def test_a_variance_of_zero_predicts_zero_without_error():
    codes = np.repeat(np.arange(5), 4)
    solution = fit_mixed(MixedDesign(np.tile([1.0, 2, 3, 5], 5), [None], (0,), (one_block("g", codes, (0,)),)))
    assert_allclose(solution.effects[0].estimate, 0)
    assert_allclose(solution.effects[0].covariance, 0)


def _lme4_fits():
    for path in sorted(GOLDEN.glob("*.json")):
        record = json.loads(path.read_text())
        if path.stem == "implement":
            continue  # data that are not in the project
        for fit in record["fits"].values():
            if fit["method"] == "REML":
                yield pytest.param(record["data"], fit, id=f"{path.stem}: {fit['formula'].replace(' ', '')}")


@pytest.mark.parametrize(("data", "golden"), list(_lme4_fits()))
def test_conditional_sds_are_those_of_lme4(data, golden):
    arrays = model_arrays(parse_formula(golden["formula"]), pd.read_csv(GOLDEN / data))
    solution = fit_mixed(arrays.design)
    theirs = pd.DataFrame({key: golden["random"][key] for key in ("group", "level", "term", "conditional_sd")})
    theirs["group"] = [frozenset(name.strip("()").replace("(", "").split(":")) for name in theirs["group"]]
    theirs["level"] = [":".join(sorted(str(level).split(":"))) for level in theirs["level"]]
    for factor, names, levels, effects in zip(
        arrays.design.factors, arrays.effect_names, arrays.levels, solution.effects, strict=True
    ):
        ours = pd.DataFrame(
            {
                "level": np.repeat([":".join(sorted(level.split(":"))) for level in levels], len(names)),
                "term": list(names) * len(levels),
                "ours": np.sqrt(np.maximum(np.einsum("ljj->lj", effects.conditional_covariance), 0)).ravel(),
            }
        )
        own = theirs[theirs["group"] == frozenset(factor.name.split(":"))]
        both = ours.merge(own, on=["level", "term"], validate="one_to_one")
        assert len(both) == len(ours)
        # a variance of zero is zero up to lme4's stopping rule
        scale = np.sqrt(solution.sigma2)
        assert_allclose(both["ours"], both["conditional_sd"], rtol=1e-5, atol=2e-5 * scale)
