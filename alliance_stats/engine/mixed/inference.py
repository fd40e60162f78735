"""Uncertainty of the fixed effects: their covariance and Satterthwaite's degrees of freedom.

References
----------
Kuznetsova, Brockhoff & Christensen (2017), Journal of Statistical Software, 82(13). Giesbrecht & Burns (1985),
Biometrics, 41, 477-486.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.optimise import observed_hessian
from alliance_stats.engine.mixed.story import free_parameters


@dataclass(frozen=True)
class FixedInference:
    """How the covariance of the fixed effects moves with the variance parameters.

    Parameters
    ----------
    covariance : ndarray of shape (p, p)
        Covariance of the fixed effects.
    derivatives : ndarray of shape (k, p, p)
        Its derivatives with respect to the free covariance parameters and log σ².
    parameter_covariance : ndarray of shape (k, k)
        Asymptotic covariance of those parameters: twice the inverse of the observed Hessian of −2 log-likelihood.
        Parameters on the boundary are left out, as known.
    """

    covariance: Floats
    derivatives: Floats
    parameter_covariance: Floats

    def satterthwaite(self, contrasts: Floats) -> Floats:
        """Degrees of freedom of single contrasts.

        Parameters
        ----------
        contrasts : ndarray of shape (r, p)

        Returns
        -------
        ndarray of shape (r,)
            ``2 v² / Var(v)`` with ``v`` the contrast's variance; infinite where ``Var(v)`` is zero.
        """
        variance = np.einsum("ri,ij,rj->r", contrasts, self.covariance, contrasts)
        slopes = np.einsum("ri,kij,rj->rk", contrasts, self.derivatives, contrasts)
        # relative to the variance, so that no unit of the outcome is too large or too small to be squared
        slopes /= np.where(variance > 0, variance, 1.0)[:, None]
        spread = np.einsum("rk,kl,rl->r", slopes, self.parameter_covariance, slopes)
        with np.errstate(divide="ignore"):
            return np.where(spread > 0, 2 / spread, np.inf)


def interior_parameters(evaluation: Evaluation) -> np.ndarray:
    """Which covariance parameters vary in the neighbourhood of the optimum, (k,) of bool."""
    # A parameter at exactly its limit is on the boundary: its estimate does not.
    return free_parameters(evaluation) & ~evaluation.state.on_boundary


def infer(evaluation: Evaluation) -> FixedInference:
    """Derive the covariance of the fixed effects and its derivatives at the optimum (standardised coordinates)."""
    free = interior_parameters(evaluation)
    root, sigma2 = evaluation.fixed_root, evaluation.sigma2
    covariance = sigma2 * root @ root.T
    slopes = [sigma2 * root @ inner @ root.T for inner in score_products(evaluation, free)]
    return FixedInference(covariance, np.array([*slopes, covariance]), _parameter_covariance(evaluation, free))


def score_products(evaluation: Evaluation, free: np.ndarray) -> list[Floats]:
    """``E'V⁻¹V_rV⁻¹E`` over the orthonormal fixed effects, for each free parameter."""
    s = evaluation.statistics
    inner, outer = evaluation.scores
    grams = {s.inner_factor: np.einsum("ajm,bkm->abjk", inner[:-1], inner[:-1], optimize=True)}
    for at, factor in enumerate(s.outer_factors):
        own = outer[s.layout.columns_of(at), :-1].reshape(s.layout.n_levels[at], s.layout.n_effects[at], -1)
        grams[factor] = np.einsum("lja,lkb->abjk", own, own, optimize=True)
    described = evaluation.covariance.parameters
    products = [
        np.einsum("abjk,jk->ab", grams[p.factor], p.derivative)
        for p, is_free in zip(described, free[: len(described)], strict=True)
        if is_free
    ]
    if evaluation.residual is None:
        return products
    return [*products, *-evaluation.residual_scores.products[free[len(described) :], :-1, :-1]]


def _parameter_covariance(evaluation: Evaluation, free: np.ndarray) -> Floats:
    """Covariance of the free parameters and log σ², from the Hessian with σ² profiled out."""
    k = int(free.sum())
    sums = evaluation.score_sums[free]
    result = np.zeros((k + 1, k + 1))
    if k:
        hessian = observed_hessian(evaluation, free)
        # each parameter in units of its own curvature: pivots of 1e4 beside ratios of 1 are no flat directions
        unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), np.finfo(float).tiny))
        values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
        # Directions in which the criterion is flat or bends down tell nothing about a variance; lmerTest leaves
        # them out, too.
        keep = values > 1e-10 * values.max(initial=0.0)
        inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T * np.outer(unit, unit)
        result[:k, :k] = 2 * inverse
        result[:k, k] = result[k, :k] = -2 * inverse @ sums
        result[k, k] = 2 * sums @ inverse @ sums
    result[k, k] += 2 / evaluation.n_free
    return result
