"""A fixed effect as a target: the criterion of a maximum-likelihood fit with one coefficient held.

With the coefficient at ``c`` instead of its estimate ``β̂`` given the variances, the residual sum of squares is
``r² + (c − β̂)² / v``, ``v`` its variance relative to σ². So the full model's evaluation tells the held criterion, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.inference import score_products
from alliance_stats.engine.mixed.targets import Layout, Place, Target


@dataclass(frozen=True)
class FixedCoefficient(Target):
    """One fixed effect, in units of the data (fits by maximum likelihood only).

    Parameters
    ----------
    place : int
        Its position among the fixed effects.
    """

    place: int
    lower = -np.inf

    @property
    def estimate(self) -> float:
        """The estimate."""
        return float(self.solution.beta[self.place])

    @property
    def first_step(self) -> float:
        """Two standard errors."""
        return 2.0 * float(np.sqrt(self.solution.covariance[self.place, self.place]))

    def lay_out(self, c: float, place: Place) -> Layout:
        """Covariances and their derivatives."""
        return self._layout(place, *self._lay_rest(place.rest))

    def added(self, evaluation: Evaluation, c: float) -> tuple[float, Floats]:
        """What holding the coefficient adds to the criterion, and the derivatives of that."""
        coordinates = self.solution._coordinates
        shift = coordinates.fixed_to_raw(np.zeros(self.solution.n_fixed))[self.place]
        weights = coordinates.outcome_scale * coordinates.fixed_map[self.place]
        loading = weights @ evaluation.fixed_root
        away, variance = c - shift - float(weights @ evaluation.beta), float(loading @ loading)
        length = float(evaluation.triangle[-1, -1])
        ratio = away**2 / (variance * length**2)
        everything = np.ones(evaluation.score_sums.size, bool)
        of_variance = np.array([loading @ own @ loading for own in score_products(evaluation, everything)])
        slopes = ratio * (evaluation.score_sums - of_variance / variance)
        slopes = slopes + 2 * away / (variance * length) * (_of_estimates(evaluation) @ loading)
        n = evaluation.n_free
        return n * float(np.log1p(ratio)), n / (1 + ratio) * slopes


def _of_estimates(evaluation: Evaluation) -> Floats:
    """``y'PV_rV⁻¹E / (y'Py)^½`` over the fixed effects, for every parameter, (k, p)."""
    own = evaluation.projected_directions[:, :-1]
    if evaluation.residual is None:
        return own
    return np.concatenate([own, -evaluation.residual_scores.products[:, :-1, -1]])
