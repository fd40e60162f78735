"""Robust covariances against their definitions, with every matrix written out and every pair of clusters visited."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.pooling import small_roots
from alliance_stats.engine.pooling.dense_blocks import batches
from alliance_stats.engine.pooling.robust import Clusters, robust_covariance

RNG = np.random.default_rng(2)
CODES = np.repeat(np.arange(7), [1, 3, 2, 4, 2, 5, 3])
K, J = CODES.size, 7
X = np.column_stack([np.ones(K), RNG.normal(size=K), RNG.normal(size=7)[CODES]])
Y = RNG.normal(size=K)
SAME = CODES[:, None] == CODES
PHI = np.where(SAME, 0.3, 0) + np.diag(RNG.uniform(0.2, 1.0, K))


@pytest.fixture(autouse=True, params=[1, 1000], ids=["roots together", "roots by LAPACK"])
def _way_of_roots(request, monkeypatch):
    monkeypatch.setattr(small_roots, "_FEW", request.param)


def whole(weighted: bool):
    """W, residuals, (X'WX)⁻¹, I − H."""
    w = np.diag(RNG_WEIGHTS) if weighted else np.linalg.inv(PHI)
    inverse = np.linalg.inv(X.T @ w @ X)
    h = X @ inverse @ X.T @ w
    return w, Y - h @ Y, inverse, np.eye(K) - h


RNG_WEIGHTS = np.random.default_rng(8).uniform(0.5, 2, K)


def by_definition(weighted: bool, kind: str):
    """Covariance, and for each cluster the vectors p_j of the paper for each coefficient: (J, K, p)."""
    w, residual, inverse, i_h = whole(weighted)
    meat, parts = np.zeros((3, 3)), []
    for j in range(J):
        at = np.flatnonzero(j == CODES)
        phi = PHI[np.ix_(at, at)]
        if kind == "CR2":
            root = np.linalg.cholesky(phi).T
            b = root @ (i_h[at] @ PHI @ i_h[at].T) @ root.T
            values, vectors = np.linalg.eigh(b)
            a = root.T @ vectors @ np.diag(values**-0.5) @ vectors.T @ root
        elif kind == "CR3":
            a = np.linalg.inv(i_h[np.ix_(at, at)])
        else:
            a = np.eye(at.size)
        score = X[at].T @ w[np.ix_(at, at)] @ a @ residual[at]
        meat += np.outer(score, score)
        parts.append(i_h[at].T @ a.T @ w[np.ix_(at, at)] @ X[at] @ inverse)
    return inverse @ meat @ inverse, np.array(parts)


def clusters(weighted: bool) -> Clusters:
    _, residual, inverse, _ = whole(weighted)
    blocks = lambda places: np.stack([PHI[np.ix_(row, row)] for row in places])  # noqa: E731
    return Clusters(X, residual, inverse, batches(CODES), blocks, RNG_WEIGHTS if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_the_covariance_is_the_sandwich_of_the_definition(weighted, kind):
    expected, _ = by_definition(weighted, kind)
    assert_allclose(robust_covariance(clusters(weighted), kind).covariance, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "factor"), [("CR1", J / (J - 1)), ("CR1p", J / (J - 3)), ("CR1S", J * (K - 1) / ((J - 1) * (K - 3)))]
)
def test_simple_corrections_are_factors(kind, factor):
    plain = robust_covariance(clusters(False), "CR0").covariance
    assert_allclose(robust_covariance(clusters(False), kind).covariance, factor * plain, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["CR0", "CR2"])
def test_degrees_of_freedom_count_every_pair_of_clusters(weighted, kind):
    _, parts = by_definition(weighted, kind)
    rows = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -1]])
    expected = []
    for row in rows:
        pairs = np.einsum("ikp,kl,jlq,p,q->ij", parts, PHI, parts, row, row)
        expected.append(np.trace(pairs) ** 2 / (pairs**2).sum())
    assert_allclose(robust_covariance(clusters(weighted), kind).degrees_of_freedom(rows), expected, rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_cr2_is_unbiased_when_the_working_model_holds(weighted):
    _, parts = by_definition(weighted, "CR2")
    w, _, inverse, _ = whole(weighted)
    expected = np.einsum("ikp,kl,ilq->pq", parts, PHI, parts)
    assert_allclose(expected, inverse @ X.T @ w @ PHI @ w @ X @ inverse, rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_htz_follows_the_moments_of_the_matrix(weighted):
    covariance, parts = by_definition(weighted, "CR2")
    rows = np.array([[0, 1.0, 0], [0, 0, 1.0]])
    pairs = np.einsum("ikp,kl,jlq,ap,bq->ijab", parts, PHI, parts, rows, rows)
    omega = np.einsum("iiab->ab", pairs)
    values, vectors = np.linalg.eigh(omega)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    pairs = root @ pairs @ root
    # Var(D_st) = Σ_ij p_ij[s,t] p_ij[t,s] + p_ij[s,s] p_ij[t,t], summed over s and t
    total = np.einsum("ijst,ijts->", pairs, pairs) + np.einsum("ijss,ijtt->", pairs, pairs)
    eta = 2 * 3 / total
    beta = np.array([0.1, 0.4, -0.2])
    q = rows @ beta @ np.linalg.solve(rows @ covariance @ rows.T, rows @ beta)
    statistic, df_num, df_den = robust_covariance(clusters(weighted), "CR2").hotelling(rows, beta)
    assert_allclose(statistic, (eta - 1) / (eta * 2) * q, rtol=1e-8)
    assert df_num == 2
    assert_allclose(df_den, eta - 1, rtol=1e-8)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_products_known_already_are_taken(kind):
    of = clusters(False)
    known = Clusters(of.x, of.residual, of.inverse, of.places, of.working, solved=np.linalg.solve(PHI, X))
    assert_allclose(robust_covariance(known, kind).covariance, robust_covariance(of, kind).covariance, rtol=1e-12)
