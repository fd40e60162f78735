"""Variances from moments: the expectations of the quadratic forms, with every matrix written out."""

import numpy as np
from numpy.testing import assert_allclose

from alliance_stats.engine.pooling.moment_weights import correlated_weights, hierarchical_weights

RNG = np.random.default_rng(4)
STUDY = np.repeat(np.arange(6), [2, 3, 1, 4, 3, 5])
K = STUDY.size
V = RNG.uniform(0.02, 0.1, K)
X = np.column_stack([np.ones(K), RNG.normal(size=K)])
JOINED = (STUDY[:, None] == STUDY).astype(float)


def test_hierarchical_variances_equate_two_forms_with_their_expectations():
    y = RNG.normal(size=6)[STUDY] * 0.4 + RNG.normal(0, 0.5, K)
    found = hierarchical_weights(y, V, X, STUDY)
    assert found.tau2 > 0
    assert found.omega2 > 0
    w = np.diag(1 / V)
    r = np.eye(K) - X @ np.linalg.solve(X.T @ w @ X, X.T @ w)
    covariance = np.diag(V) + found.tau2 * JOINED + found.omega2 * np.eye(K)
    for form in (w, JOINED):
        assert_allclose((r @ y) @ form @ (r @ y), np.trace(r.T @ form @ r @ covariance), rtol=1e-10)
    assert_allclose(found.weights, 1 / (V + found.tau2 + found.omega2))


def test_correlated_weights_equate_their_form_with_its_expectation():
    y = RNG.normal(size=6)[STUDY] * 0.5 + RNG.normal(0, 0.2, K)
    rho = 0.7
    found = correlated_weights(y, V, X, STUDY, rho)
    assert found.tau2 > 0
    size = np.bincount(STUDY)[STUDY]
    mean = (np.bincount(STUDY, V) / np.bincount(STUDY))[STUDY]
    w = np.diag(1 / (size * mean))
    r = np.eye(K) - X @ np.linalg.solve(X.T @ w @ X, X.T @ w)
    # the working model of the weights: one variance v̄ in a study, errors correlated by ρ
    covariance = mean[:, None] * (rho * JOINED + (1 - rho) * np.eye(K)) + found.tau2 * JOINED
    assert_allclose((r @ y) @ w @ (r @ y), np.trace(r.T @ w @ r @ covariance), rtol=1e-10)


def test_variances_stop_at_zero():
    found = hierarchical_weights(np.full(K, 0.2) + 1e-3 * RNG.normal(size=K), V, X, STUDY)
    assert (found.tau2, found.omega2) == (0, 0)
