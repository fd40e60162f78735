"""Outcomes drawn from a fitted mixed model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.engine.mixed.design import ONES, Floats, MixedDesign


def fixed_part(design: MixedDesign, beta: Floats) -> Floats:
    """``Xβ`` of the rows, (n_obs,)."""
    values = np.zeros(design.n_obs)
    for at, column in enumerate(design.fixed):
        own = design.columns[column]
        values += beta[at] if own is ONES else beta[at] * own
    return values


def draw_outcomes(
    design: MixedDesign,
    beta: Floats,
    random_covariances: Sequence[Floats],
    sigma2: float,
    n: int,
    generator: np.random.Generator,
) -> Floats:
    """Draw outcomes with new random effects and new residuals.

    Parameters
    ----------
    design : MixedDesign
    beta : ndarray of shape (p,)
    random_covariances : sequence of ndarray of shape (q, q)
        Covariance of the random effects of each factor, in squared outcome units; it may be singular.
    sigma2 : float
        Residual variance.
    n : int
        How many times.
    generator : Generator

    Returns
    -------
    ndarray of shape (n_obs, n)
    """
    mean, roots = fixed_part(design, beta), [_root(matrix) for matrix in random_covariances]
    outcomes = np.empty((design.n_obs, n))
    for k in range(n):
        outcomes[:, k] = mean + np.sqrt(sigma2) * generator.standard_normal(design.n_obs)
        for factor, root in zip(design.factors, roots, strict=True):
            effects = generator.standard_normal((factor.n_levels, factor.n_effects)) @ root.T
            for j, column in enumerate(factor.effects):
                own = design.columns[column]
                values = factor.at_rows(effects[:, j])
                outcomes[:, k] += values if own is ONES else values * own
    return outcomes


def _root(covariance: Floats) -> Floats:
    """Square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
