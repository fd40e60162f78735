"""Predicted random effects (conditional modes) and how uncertain each is."""

from __future__ import annotations

from dataclasses import dataclass

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation


@dataclass(frozen=True)
class LevelEffects:
    """Random effects of one factor.

    Parameters
    ----------
    estimate : ndarray of shape (n_levels, q)
        Conditional modes (BLUPs).
    covariance : ndarray of shape (n_levels, q, q)
        Covariance of (true − predicted), the uncertainty of the fixed effects included.
    conditional_covariance : ndarray of shape (n_levels, q, q)
        The same with the fixed effects taken as known (what lme4 calls ``condVar``).
    """

    estimate: Floats
    covariance: Floats
    conditional_covariance: Floats


def level_effects(evaluation: Evaluation) -> list[LevelEffects]:
    """Predict the random effects of every factor, in standardised coordinates and outcome units."""
    s = evaluation.statistics
    inner_gram, outer_grams = evaluation.level_grams()
    inner, outer = evaluation.scores
    found: dict[int, tuple[Floats, Floats]] = {
        s.inner_factor: (inner.transpose(2, 1, 0), inner_gram.transpose(2, 0, 1))
    }
    for at, factor in enumerate(s.outer_factors):
        own = outer[s.layout.columns_of(at)].reshape(s.layout.n_levels[at], s.layout.n_effects[at], -1)
        found[factor] = (own, outer_grams[at])
    root = evaluation.triangle[-1, -1]
    effects = []
    for factor, matrix in enumerate(evaluation.covariance.matrices):
        scores, gram = found[factor]
        known = evaluation.sigma2 * (matrix - matrix @ gram @ matrix)
        turned = matrix @ scores[:, :, :-1]
        effects.append(
            LevelEffects(
                estimate=root * scores[:, :, -1] @ matrix,
                covariance=known + evaluation.sigma2 * turned @ turned.transpose(0, 2, 1),
                conditional_covariance=known,
            )
        )
    return effects
