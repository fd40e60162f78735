"""Inverse square roots taken together, against eigenvalues known beforehand and against scipy's square roots."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm

from alliance_stats.engine.pooling import small_roots
from alliance_stats.engine.pooling.small_roots import inverse_root, inverse_root_times

SEED = 20261124
MANY = 150


def _known(m: int, spread: float, n: int = MANY) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices Q diag(λ) Q' with λ over ``spread`` powers of ten, their inverse roots, and vectors."""
    rng = np.random.default_rng(SEED + m)
    basis = np.linalg.qr(rng.normal(size=(n, m, m)))[0]
    values = 10 ** (rng.uniform(-1, 1, (n, 1)) + rng.uniform(0, spread, (n, m)))
    turned = np.swapaxes(basis, 1, 2)
    matrices = (basis * values[:, None, :]) @ turned
    return (
        0.5 * (matrices + np.swapaxes(matrices, 1, 2)),
        (basis / np.sqrt(values)[:, None, :]) @ turned,
        rng.normal(size=(n, m, 2)),
    )


@pytest.mark.parametrize("m", [1, 2, 3, 5, 8, 12, 13])
@pytest.mark.parametrize(("spread", "rtol"), [(0.0, 1e-14), (1.0, 1e-13), (3.0, 1e-11), (5.5, 1e-8)])
def test_roots_are_those_of_known_eigenvalues(m: int, spread: float, rtol: float) -> None:
    # an eigenvalue comes out with a relative error of about ε times the condition number, by any algorithm
    matrices, roots, vectors = _known(m, spread)
    expected = roots @ vectors
    found = inverse_root_times(matrices, vectors)
    assert np.abs(found - expected).max() < rtol * np.abs(expected).max()


def test_many_agree_with_scipy_one_by_one() -> None:
    matrices, _, vectors = _known(5, 2.0)
    expected = np.stack([np.linalg.solve(sqrtm(one), z) for one, z in zip(matrices, vectors, strict=True)])
    assert_allclose(inverse_root_times(matrices, vectors), expected, rtol=1e-11)


def test_eigenvalues_of_zero_stay_zero_and_leave_the_others_alone() -> None:
    matrices, roots, vectors = _known(4, 1.0)
    row = np.array([1.0, 2.0, 0.0, -1.0])
    matrices[7] = np.outer(row, row)
    expected = roots @ vectors
    # the pseudo-inverse's root of a a' is a a' / |a|³
    expected[7] = np.outer(row, row) / (row @ row) ** 1.5 @ vectors[7]
    assert_allclose(inverse_root_times(matrices, vectors), expected, rtol=1e-11, atol=1e-13)


def test_ill_conditioned_matrices_go_by_their_eigenvalues() -> None:
    matrices, _, vectors = _known(3, 1.0)
    matrices[3] = np.diag([1.0, 1e-4, 1e-9])
    found = inverse_root_times(matrices, vectors)
    assert_allclose(found[3], vectors[3] / np.sqrt([1.0, 1e-4, 1e-9])[:, None], rtol=1e-12)


def test_one_step_too_few_falls_back_on_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices, roots, vectors = _known(4, 2.0)
    monkeypatch.setattr(small_roots, "_STEPS", 1)
    assert_allclose(inverse_root_times(matrices, vectors), roots @ vectors, rtol=1e-11, atol=1e-13)


def test_matrices_of_one_row() -> None:
    assert_allclose(inverse_root(np.array([[[4.0]], [[0.0]]])), [[[0.5]], [[0.0]]])


def test_arguments_are_left_as_they_are() -> None:
    matrices, _, vectors = _known(3, 1.0)
    before = matrices.copy(), vectors.copy()
    inverse_root_times(matrices, vectors)
    assert (matrices == before[0]).all()
    assert (vectors == before[1]).all()
