"""Outcomes drawn from a fitted mixed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.engine.mixed.design import ONES, Floats, MixedDesign
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.residual_rows import colour

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.fit import MixedSolution


def fixed_part(design: MixedDesign, beta: Floats) -> Floats:
    """``Xβ`` of the rows, (n_obs,)."""
    values = np.zeros(design.n_obs)
    for at, column in enumerate(design.fixed):
        own = design.columns[column]
        values += beta[at] if own is ONES else beta[at] * own
    return values


def draw_outcomes(design: MixedDesign, solution: MixedSolution, n: int, generator: np.random.Generator) -> Floats:
    """Draw outcomes with new random effects and new residuals.

    Parameters
    ----------
    design : MixedDesign
    solution : MixedSolution
        Its estimates are taken as true.
    n : int
        How many times.
    generator : Generator

    Returns
    -------
    ndarray of shape (n_obs, n)
    """
    mean, roots = fixed_part(design, solution.beta), [_root(matrix) for matrix in solution.random_covariances]
    outcomes = np.empty((design.n_obs, n))
    for k in range(n):
        residuals = _with_structure(design, solution.state, generator.standard_normal(design.n_obs))
        outcomes[:, k] = mean + np.sqrt(solution.sigma2) * residuals
        for factor, root in zip(design.factors, roots, strict=True):
            effects = generator.standard_normal((factor.n_levels, factor.n_effects)) @ root.T
            for j, column in enumerate(factor.effects):
                own = design.columns[column]
                values = factor.at_rows(effects[:, j])
                outcomes[:, k] += values if own is ONES else values * own
    return outcomes


def _with_structure(design: MixedDesign, state: State, normals: Floats) -> Floats:
    """Give independent unit normals the residuals' correlation and relative variances."""
    if design.residual is None:
        return normals
    if state.model is None:
        return normals / design.residual.root_weight
    return colour(design.residual, state.model, state.residual, normals)


def _root(covariance: Floats) -> Floats:
    """Square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
