"""The model without one random effect, and the likelihood-ratio statistic of outcomes drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.linalg import LinAlgError

from alliance_stats.engine.mixed.constrained import Held
from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import Floats, MixedDesign
from alliance_stats.engine.mixed.draw import draw_outcomes
from alliance_stats.engine.mixed.effect_targets import EffectDeviation
from alliance_stats.engine.mixed.fit import MixedSolution, residual_estimate
from alliance_stats.engine.mixed.profile import Profile
from alliance_stats.engine.mixed.refit import Refitter
from alliance_stats.engine.threads import one_blas_thread


@dataclass(frozen=True, eq=False)
class VarianceTest:
    """Likelihood-ratio test of one random effect against zero.

    Its variance and all its covariances are held at zero; fixed effects are the same in both models, so REML criteria
    can be compared.

    Parameters
    ----------
    design : MixedDesign
    solution : MixedSolution
        The model with the effect.
    factor, effect : int
        Which effect of which factor.
    """

    design: MixedDesign
    solution: MixedSolution
    factor: int
    effect: int

    @cached_property
    def _held(self) -> Held:
        with one_blas_thread():
            profile = self._profile(self.solution)
            profile.settle(0.0)
            return profile.minimum(0.0)

    def _profile(self, solution: MixedSolution) -> Profile:
        return Profile(EffectDeviation(solution, self.factor, (self.effect,)))

    @property
    def statistic(self) -> float:
        """How much the criterion rises without the effect."""
        return self._held.value - self.solution._evaluation.value

    @cached_property
    def without(self) -> MixedSolution:
        """The fit without the effect, to draw outcomes from (its inference is not meant to be used)."""
        layout, coordinates, point = self._held.layout, self.solution._coordinates, self.solution.state
        covariance = state(point.covariance.factors, layout.matrices)
        evaluation = self.solution._evaluation.at(replace(point, covariance=covariance, residual=layout.residual))
        sigma2 = evaluation.sigma2
        return replace(
            self.solution,
            beta=coordinates.fixed_to_raw(evaluation.beta),
            sigma2=coordinates.residual_variance_to_raw(sigma2),
            random_covariances=tuple(
                coordinates.outcome_scale**2 * sigma2 * coordinates.random_covariance_to_raw(f, matrix)
                for f, matrix in enumerate(evaluation.covariance.matrices)
            ),
            residual=residual_estimate(evaluation),
            _evaluation=evaluation,
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("design", "solution", "factor", "effect")} | {
            "without": self.without
        }

    def drawn(self, seeds: Sequence[np.random.SeedSequence]) -> Floats:
        """The statistic of an outcome drawn without the effect, one per seed; NaN where a fit did not converge."""
        refitter = Refitter(self.design, self.solution)
        outcomes = np.column_stack(
            [draw_outcomes(self.design, self.without, 1, np.random.default_rng(seed))[:, 0] for seed in seeds]
        )
        statistics = np.full(len(seeds), np.nan)
        with one_blas_thread():
            for k, fitted in enumerate(refitter.evaluations(outcomes)):
                if fitted is None or not fitted[1]:
                    continue
                with suppress(LinAlgError):
                    statistics[k] = self._profile(replace(self.solution, _evaluation=fitted[0])).rise(0.0)
        return statistics
