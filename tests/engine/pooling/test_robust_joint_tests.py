"""Joint tests and saddlepoint p values against clubSandwich, with up to four coefficients at once."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import t as student

from alliance_stats.engine.pooling.dense_blocks import batches
from alliance_stats.engine.pooling.joint_tests import TESTS, covariances, joint_test, normal_deviates, standardising
from alliance_stats.engine.pooling.robust import Clusters, robust_covariance
from alliance_stats.engine.pooling.saddlepoint import exceeds_zero, saddlepoint, saddlepoint_test, spectrum

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "clubsandwich" / "joint_tests.json").read_text())
X, Y = np.array(GOLDEN["x"], float), np.array(GOLDEN["y"])
CODES = np.array(GOLDEN["cluster"]) - 1
INVERSE = np.linalg.inv(X.T @ X)
BETA = INVERSE @ X.T @ Y


@cache
def robust():
    """CR2 with working covariance I, as clubSandwich takes it for lm."""
    working = lambda places: np.broadcast_to(np.eye(places.shape[1]), (*places.shape, places.shape[1]))  # noqa: E731
    return robust_covariance(Clusters(X, Y - X @ BETA, INVERSE, batches(CODES), working))


@pytest.mark.parametrize("kind", TESTS)
def test_joint_tests_are_those_of_clubsandwich(kind):
    records = [record for record in GOLDEN["joint"] if record["test"] == kind]
    assert [record["df_num"] for record in records] == [2, 3, 4]
    for record in records:
        found = joint_test(robust(), np.eye(5)[np.array(record["places"]) - 1], BETA, kind)
        # closed forms, written with 15 digits
        assert_allclose(found.statistic, record["Fstat"], rtol=1e-10)
        assert_allclose(found.df_den, float(record["df_denom"]), rtol=1e-10)
        assert not found.raised


def dense_parts(rows):
    """Covariances of the clusters' parts of standardised sums, (n, n, q, q), from the definition over all effects."""
    hat = np.eye(len(Y)) - X @ INVERSE @ X.T
    parts = []
    for code in range(CODES.max() + 1):
        own = np.flatnonzero(code == CODES)
        values, vectors = np.linalg.eigh(hat[np.ix_(own, own)])
        root = (vectors / np.sqrt(values)) @ vectors.T
        parts.append(standardising(robust(), rows) @ rows @ INVERSE @ X[own].T @ root @ hat[own])
    return np.array([[left @ right.T for right in parts] for left in parts])


def test_covariances_of_elements_are_the_dense_double_sum():
    rows = np.eye(5)[1:4]
    parts = dense_parts(rows)
    expected = np.einsum("ijsu,ijtv->stuv", parts, parts) + np.einsum("ijsv,ijtu->stuv", parts, parts)
    # sums over 14 x 14 pairs of clusters in another order
    assert_allclose(covariances(robust(), rows), expected, rtol=1e-9, atol=1e-12)
    assert_allclose(np.einsum("iisu->su", parts), np.eye(3), atol=1e-12)  # unbiased: what is standardised has mean I


def test_eigenvalues_are_those_of_the_dense_matrix():
    row = np.eye(5)[2]
    parts = dense_parts(row[None])[:, :, 0, 0]
    scale = row @ INVERSE @ row
    assert_allclose(spectrum(robust(), row), scale * np.linalg.eigvalsh(parts), rtol=1e-9, atol=1e-13)


def test_saddlepoints_are_those_of_clubsandwich_up_to_its_root_search():
    golden = GOLDEN["saddlepoint"]
    found = saddlepoint_test(robust(), np.eye(5), BETA)
    # R's uniroot stops within 1.2e-4
    assert_allclose(found.point, golden["saddlepoint"], rtol=0, atol=1.3e-4)
    assert_allclose(found.p_value, golden["p"], rtol=5e-4)
    for row, beta, error, point, p in zip(
        np.eye(5), BETA, golden["SE"], golden["saddlepoint"], golden["p"], strict=True
    ):
        gamma = spectrum(robust(), row)
        # at the record's own point the formula is closed
        assert_allclose(exceeds_zero(np.append(1.0, -((beta / error) ** 2) * gamma / gamma.sum()), point), p, rtol=1e-9)


@pytest.mark.parametrize("t", [0.05, 0.5, 0.999, 1.0, 1.001, 1.3, 2.5, 6.0, 40.0])
@pytest.mark.parametrize("df", [3, 10, 60])
def test_equal_eigenvalues_give_student_s_law(df, t):
    """A variance of equal parts is χ² over its degrees of freedom: t is Student's."""
    weights = np.append(1.0, np.full(df, -(t**2) / df))
    # the error of the approximation itself, as the module says; never too small a p value in the tail
    ratio = exceeds_zero(weights, saddlepoint(weights)) / (2 * student.sf(t, df))
    assert abs(ratio - 1) < 0.025 if t <= 1.3 else 0 < ratio - 1 < 0.151


def test_the_p_value_is_smooth_where_the_saddlepoint_is_zero():
    gamma = np.array([0.1, 0.4, 0.9, 1.3, 2.2])

    def p(square):
        weights = np.append(1.0, -square * gamma / gamma.sum())
        return exceeds_zero(weights, saddlepoint(weights))

    # t² = 1 has its saddlepoint at 0; steps on both sides of the change of formula, of which the second difference
    # is that of a smooth curve
    for step in (1e-6, 2e-4, 1e-3):
        assert abs(p(1 + step) - 2 * p(1.0) + p(1 - step)) < 0.5 * step**2 + 3e-9
        assert_allclose((p(1 - step) - p(1 + step)) / (2 * step), (p(0.99) - p(1.01)) / 0.02, rtol=5e-3)


def test_a_statistic_of_zero_has_p_one_and_one_without_error_none():
    found = saddlepoint_test(robust(), np.eye(5)[:1], np.zeros(5))
    assert np.isnan(found.point[0])
    assert found.p_value[0] == 1
    assert np.isnan(saddlepoint_test(robust(), np.zeros((1, 5)), BETA).p_value[0])


@pytest.mark.parametrize("df", [3.0, 8.5, 200.0])
def test_normal_deviates_have_the_tail_of_t(df):
    from scipy.stats import norm

    t = np.array([0.0, 0.4, 1.7, 3.2])
    # Hill gives his expansion's error as below 1e-3 in z for three degrees of freedom, less for more
    assert_allclose(normal_deviates(t, np.full(4, df)), -norm.ppf(student.sf(t, df)), atol=1e-3)
