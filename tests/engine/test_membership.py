"""Rows that belong to several levels, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import GroupingFactor, Membership, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.statistics import collect


def _patterns(rng, n_patterns, n_levels):
    members = [rng.choice(n_levels, rng.integers(1, 4), replace=False) for _ in range(n_patterns)]
    weights = [rng.dirichlet(np.ones(own.size)) for own in members]
    pattern = np.repeat(np.arange(n_patterns), [own.size for own in members])
    return Membership(pattern, np.concatenate(members).astype(np.int64), np.concatenate(weights))


def _design(rng, effects, second):
    n, m, t = 90, 20, 6
    patient = np.unique(np.sort(rng.integers(0, m, n)), return_inverse=True)[1].astype(np.int64)
    columns = [None, rng.normal(size=n), rng.normal(size=n)]
    blocks = (tuple(range(effects)),)
    factors = [
        GroupingFactor("patient", patient, patient.max() + 1, (0, 1), ((0, 1),)),
        GroupingFactor("therapist", rng.integers(0, 15, n), t, tuple(range(effects)), blocks, _patterns(rng, 15, t)),
    ]
    if second == "plain":
        factors.append(GroupingFactor("site", rng.integers(0, 3, n), 3, (0,), ((0,),)))
    if second == "weighted":
        factors.append(GroupingFactor("team", rng.integers(0, 5, n), 3, (0, 2), ((0, 1),), _patterns(rng, 5, 3)))
    return MixedDesign(rng.normal(size=n), columns, (0, 1, 2), tuple(factors))


def _dense_criterion(design, matrices):
    """REML criterion from the n × n covariance."""
    n = design.n_obs
    columns = [np.ones(n) if column is None else column for column in design.columns]
    v = np.eye(n)
    for factor, matrix in zip(design.factors, matrices, strict=True):
        weights = np.column_stack([factor.at_rows(level) for level in np.eye(factor.n_levels)])
        z = np.zeros((n, factor.n_levels * factor.n_effects))
        for k, column in enumerate(factor.effects):
            z[:, k :: factor.n_effects] = weights * columns[column][:, None]
        v += z @ np.kron(np.eye(factor.n_levels), matrix) @ z.T
    x, inverse = np.column_stack([columns[k] for k in design.fixed]), np.linalg.inv(v)
    information = x.T @ inverse @ x
    residual = design.outcome - x @ np.linalg.solve(information, x.T @ inverse @ design.outcome)
    free = n - x.shape[1]
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    return logs + free * (1 + np.log(2 * np.pi * (residual @ inverse @ residual) / free))


@pytest.mark.parametrize("effects", [1, 2])
@pytest.mark.parametrize("second", ["none", "plain", "weighted"])
def test_criterion_and_gradient_equal_the_dense_model(effects, second):
    rng = np.random.default_rng(effects)
    design = _design(rng, effects, second)
    roots = [rng.normal(size=(factor.n_effects, factor.n_effects)) for factor in design.factors]
    here = state(design.factors, [root @ root.T for root in roots])
    evaluation = Evaluation(collect(design), here, reml=True)
    assert_allclose(evaluation.value, _dense_criterion(design, here.matrices), rtol=1e-12)
    slopes = []
    for r in range(here.values.size):
        step = np.zeros(here.values.size)
        step[r] = 1e-5
        up, down = (_dense_criterion(design, here.moved(here.values + s).matrices) for s in (step, -step))
        slopes.append((up - down) / 2e-5)
    assert_allclose(evaluation.gradient, slopes, atol=1e-6 * np.abs(slopes).max())


def test_rows_sum_the_effects_of_their_levels_by_weight():
    members = Membership(np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([1.0, 0.25, 0.75]))
    factor = GroupingFactor("therapist", np.array([1, 0]), 2, (0,), ((0,),), members)
    # pattern 1: a quarter of level 0 and three quarters of level 1; pattern 0: level 1 alone
    assert_allclose(factor.at_rows(np.array([4.0, 8.0])), [0.25 * 4 + 0.75 * 8, 8.0])
