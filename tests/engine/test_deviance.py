"""One evaluation of the engine against the same model in n × n matrices (``dense.py``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from dense import Dense, by_level, covariance, engine, make_design
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed import elimination
from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.layout import _SIZES
from alliance_stats.engine.mixed.outer import _BATCHED
from alliance_stats.engine.mixed.predict import level_effects
from alliance_stats.engine.mixed.statistics import collect

#: Step of central differences.
STEP = 1e-5
#: (levels, effects) per factor, and how the design is made; ``core`` is the number of columns that sparse elimination
#: leaves to LAPACK.
DESIGNS: dict[str, dict] = {
    "inner q=1": {"sizes": [(15, 1)]},
    "inner q=2": {"sizes": [(15, 2)]},
    "inner q=3": {"sizes": [(15, 3)]},
    "inner q=4": {"sizes": [(15, 4)]},
    "inner q=2, rows in random order": {"sizes": [(15, 2)], "shuffled": True},
    "one fixed effect": {"sizes": [(15, 2), (5, 1)], "n_fixed": 1},
    "crossed 1": {"sizes": [(15, 1), (5, 1)]},
    "crossed 2": {"sizes": [(15, 2), (6, 2)]},
    "crossed 3": {"sizes": [(15, 2), (4, 3)]},
    "crossed, rows in random order": {"sizes": [(15, 2), (6, 2)], "shuffled": True},
    "nested 1": {"sizes": [(16, 2), (4, 1)], "nested": True},
    "nested 2": {"sizes": [(16, 2), (4, 2)], "nested": True},
    "nested, rows in random order": {"sizes": [(16, 1), (4, 3)], "nested": True, "shuffled": True},
    "two outer": {"sizes": [(14, 2), (5, 1), (3, 1)]},
    "two outer, unequal effects": {"sizes": [(14, 1), (5, 2), (3, 1)]},
    "three outer, 3 effects": {"sizes": [(14, 2), (5, 3), (3, 1), (2, 2)], "n_obs": 110},
    "big block": {"sizes": [(50, 1), (40, 1)], "n_obs": 140},
    "big block, inner slopes": {"sizes": [(45, 2), (38, 1)], "n_obs": 150},
    "big block, outer slopes": {"sizes": [(40, 2), (20, 2)], "n_obs": 150},
    "big block, two outer, 3 effects": {"sizes": [(30, 1), (12, 3), (5, 1)], "n_obs": 150},
    "sparse": {"sizes": [(110, 1), (50, 1)], "n_obs": 170, "core": 0},
    "sparse, inner slopes": {"sizes": [(80, 2), (40, 1)], "n_obs": 180, "core": 8},
    "sparse, two outer": {"sizes": [(90, 1), (40, 1), (6, 1)], "n_obs": 170, "core": 5},
    "sparse ring": {"sizes": [(72, 1), (36, 1)], "n_obs": 290, "core": 0, "ring": True},
    "big block, rows in random order": {"sizes": [(50, 1), (40, 1)], "n_obs": 140, "shuffled": True},
}


@dataclass(frozen=True)
class Case:
    design: MixedDesign
    matrices: tuple[np.ndarray, ...]
    reml: bool

    def both(self):
        return engine(self.design, self.matrices, self.reml), Dense(self.design, self.matrices, self.reml)


def _ranks(kind: str, q: int, factor: int) -> int | None:
    """Rank of each factor's covariance."""
    return {"full": None, "singular": q - 1, "inner zero": 0 if factor == 0 else None}.get(
        kind, 0 if factor > 0 else None
    )


def _cases():
    for name, how in DESIGNS.items():
        for kind in ("full", "singular", "inner zero", "outer zero", "outer tiny"):
            for reml in (True, False) if kind == "full" else (True,):
                yield pytest.param((how, kind, reml), id=f"{name}, {kind}, {'REML' if reml else 'ML'}")


@pytest.fixture
def case(request, monkeypatch):
    how, kind, reml = request.param
    if "core" in how:
        monkeypatch.setattr(elimination, "_SMALLEST_CORE", how["core"])
    rng = np.random.default_rng(7)
    tiny = kind == "outer tiny"
    matrices = tuple(
        covariance(rng, q, None if tiny else _ranks(kind, q, f), 1e-9 if tiny and f else 0.6)
        for f, (_, q) in enumerate(how["sizes"])
    )
    return Case(_design(**how), matrices, reml)


def _design(core: int | None = None, **how) -> MixedDesign:
    return make_design(11, **how)


def every_case(test):
    return pytest.mark.parametrize("case", list(_cases()), indirect=True)(test)


def _directions(q: int):
    """Symmetric unit directions in the space of covariances."""
    for j in range(q):
        for k in range(j + 1):
            direction = np.zeros((q, q))
            direction[j, k] = direction[k, j] = 1.0
            yield direction


def test_the_designs_reach_every_branch(monkeypatch):
    sizes, rounds = {}, {}
    for name, how in DESIGNS.items():
        monkeypatch.setattr(elimination, "_SMALLEST_CORE", how.get("core", 96))
        groups = collect(_design(**how)).layout.groups
        sizes[name] = [group.columns.shape[1] for group in groups]
        rounds[name] = sum(len(group.rounds) for group in groups if isinstance(group, elimination.SparseGroup))
    # one component beyond the batched routines for every "big" or "sparse" design, batched components for all others
    large = {name for name, found in sizes.items() if max(found, default=0) > _BATCHED}
    assert large == {name for name in DESIGNS if name.startswith(("big", "sparse"))}
    assert {name for name, n in rounds.items() if n} == {name for name in DESIGNS if name.startswith("sparse")}
    assert set(sizes["nested 1"]) == {1}
    assert max(_SIZES) == _BATCHED  # what is padded is batched


@every_case
def test_criterion_beta_and_residual_variance_equal_the_dense_model(case):
    ours, dense = case.both()
    assert_allclose(ours.value, dense.value, rtol=1e-11)
    assert_allclose(ours.beta, dense.beta, rtol=1e-8, atol=1e-10)
    assert_allclose(ours.sigma2, dense.sigma2, rtol=1e-10)
    root = ours.fixed_root
    assert_allclose(ours.sigma2 * root @ root.T, dense.fixed_covariance(), rtol=1e-8, atol=1e-12)


@every_case
def test_gradient_equals_differences_of_the_dense_criterion(case):
    ours, _ = case.both()
    for factor, gamma in enumerate(ours.gradient_matrices):
        for direction in _directions(gamma.shape[0]):
            values = []
            for sign in (STEP, -STEP):
                moved = list(case.matrices)
                moved[factor] = moved[factor] + sign * direction
                values.append(Dense(case.design, tuple(moved), case.reml).value)
            expected = (values[0] - values[1]) / (2 * STEP)
            assert_allclose(np.sum(gamma * direction), expected, rtol=2e-6, atol=2e-6 * np.abs(gamma).max() + 1e-7)


@every_case
def test_gradient_in_the_parameters_is_the_chain_rule(case):
    ours, _ = case.both()
    # by differences of the engine's own value, in the parameters that may move both ways
    state = ours.covariance
    for r, (value, p) in enumerate(zip(state.values, state.parameters, strict=True)):
        if p.pivot and value < 1e-3:
            continue
        values = []
        for sign in (STEP, -STEP):
            moved = state.values.copy()
            moved[r] += sign
            values.append(Evaluation(ours.statistics, state.moved(moved), case.reml).value)
        assert_allclose(ours.gradient[r], (values[0] - values[1]) / (2 * STEP), rtol=2e-6, atol=1e-5)


@every_case
def test_average_information_equals_the_dense_formula(case):
    ours, dense = case.both()
    expected = dense.average_information([(p.factor, p.derivative) for p in ours.covariance.parameters])
    assert_allclose(ours.average_information, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@every_case
def test_average_information_has_no_negative_eigenvalue(case):
    ours, _ = case.both()
    values = np.linalg.eigvalsh(ours.average_information)
    assert values.min() > -1e-8 * max(values.max(), 1e-12)


@every_case
def test_level_grams_equal_the_dense_diagonal_blocks(case):
    ours, dense = case.both()
    inner, outer = ours.level_grams()
    found = {ours.statistics.inner_factor: inner.transpose(2, 0, 1)} | dict(
        zip(ours.statistics.outer_factors, outer, strict=True)
    )
    for f, factor in enumerate(case.design.factors):
        expected = by_level(dense.z[f].T @ dense.v_inverse @ dense.z[f], factor)
        # near a variance of 1e-9 the large blocks lose digits, hence the scale of the largest entry
        assert_allclose(found[f], expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


@every_case
def test_blups_and_their_covariances_equal_the_dense_formulas(case):
    ours, dense = case.both()
    for f, (factor, effects) in enumerate(zip(case.design.factors, level_effects(ours), strict=True)):
        prior, z = dense.prior[f], dense.z[f]
        expected = (prior @ z.T @ dense.projection @ case.design.outcome).reshape(factor.n_levels, -1)
        assert_allclose(effects.estimate, expected, rtol=1e-8, atol=1e-9 * max(np.abs(expected).max(), 1e-12))
        known = dense.sigma2 * (prior - prior @ z.T @ dense.v_inverse @ z @ prior)
        full = dense.sigma2 * (prior - prior @ z.T @ dense.projection @ z @ prior)
        scale = 1e-9 * np.abs(prior).max() * dense.sigma2 + 1e-300
        assert_allclose(effects.conditional_covariance, by_level(known, factor), rtol=1e-6, atol=scale)
        assert_allclose(effects.covariance, by_level(full, factor), rtol=1e-6, atol=scale)
