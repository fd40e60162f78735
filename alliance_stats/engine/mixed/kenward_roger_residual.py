"""Kenward and Roger's matrices where residuals are correlated or of unequal variance.

The covariance of the outcome is no longer linear in its parameters. As in their first-order form, second derivatives
are left out; what is then computed does not depend on how the parameters are written, and where the variances of strata
are all that is added, it is exact. The covariance of the parameters is the inverse of the observed information, and
parameters on a boundary count as known.

References
----------
Kenward & Roger (1997), Biometrics, 53, 983-997. Kenward & Roger (2009), Computational Statistics & Data Analysis, 53,
2583-2595 (covariances that are not linear in their parameters).
"""

from __future__ import annotations

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.inference import infer, interior_parameters
from alliance_stats.engine.mixed.kenward_roger import turned


def residual_products(evaluation: Evaluation) -> tuple[Floats, Floats, Floats]:
    """``P`` (k, p, p), ``Q`` (k, k, p, p) and the covariance (k, k) of the free parameters, log σ² last."""
    interior = interior_parameters(evaluation)
    own, of_residuals = np.split(interior, [len(evaluation.covariance.parameters)])
    coefficients, crosses = _random_parts(evaluation, own)
    residuals = evaluation.residual_scores
    crosses += [
        (-inner[:-1], -outer[:, :-1]) for at, (inner, outer) in enumerate(residuals.crosses) if of_residuals[at]
    ]
    n_own, n, p = len(coefficients), len(crosses), evaluation.statistics.n_fixed

    raw = np.zeros((n, p, n, p))
    for r, (inner, outer) in enumerate(coefficients):
        for s, (cross_inner, cross_outer) in enumerate(crosses):
            raw[r, :, s] = inner.reshape(p, -1) @ cross_inner.reshape(p, -1).T + outer.T @ cross_outer
            raw[s, :, r] = raw[r, :, s].T
    by_rows = residuals.row_products(slice(-1))[np.ix_(of_residuals, of_residuals)]
    raw[n_own:, :, n_own:] = by_rows.transpose(0, 2, 1, 3)
    stacked_inner = np.concatenate([inner for inner, _ in crosses])
    stacked_outer = np.column_stack([outer for _, outer in crosses])
    q_matrices = np.zeros((n + 1, n + 1, p, p))
    q_matrices[:n, :n] = (raw - evaluation.absorbed(stacked_inner, stacked_outer).reshape(raw.shape)).transpose(
        0, 2, 1, 3
    )

    p_matrices = np.zeros((n + 1, p, p))
    scores = evaluation.scores[0][:-1].reshape(p, -1), evaluation.scores[1][:, :-1]
    for r, (inner, outer) in enumerate(coefficients):
        p_matrices[r] = -(inner.reshape(p, -1) @ scores[0].T + outer.T @ scores[1])
    p_matrices[n_own:n] = residuals.products[of_residuals, :-1, :-1]
    p_matrices[n] = -np.eye(p)  # V is proportional to σ²
    q_matrices[:n, n] = q_matrices[n, :n] = -p_matrices[:n]
    q_matrices[n, n] = np.eye(p)
    return p_matrices, q_matrices, infer(evaluation).parameter_covariance


def _random_parts(
    evaluation: Evaluation, free: np.ndarray
) -> tuple[list[tuple[Floats, Floats]], list[tuple[Floats, Floats]]]:
    """``v`` and ``Z'ΩZv`` with ``V_rV⁻¹X = Zv``, for each free covariance parameter."""
    inner, outer = evaluation.scores
    parameters = [p for p, is_free in zip(evaluation.covariance.parameters, free, strict=True) if is_free]
    coefficients = [turned(evaluation, p.factor, p.derivative, inner[:-1], outer[:, :-1]) for p in parameters]
    return coefficients, [evaluation.random_cross(*own) for own in coefficients]
