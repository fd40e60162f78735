"""Profile-likelihood interval for one factor's share of the variance (an intraclass correlation).

A share ``c`` fixes the factor's relative variance once the others are given: with ``u`` the sum of the other
factors' relative intercept variances, ``λ = c (1 + u) / (1 − c)``. The criterion is minimised over the others at each
``c``; the interval holds the shares whose criterion is within χ²₁ of the optimum. It stops at zero, the boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from scipy.optimize import brentq, minimize
from scipy.special import chdtri

from alliance_stats.engine.mixed.covariance import CovarianceState, state
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.fit import MixedSolution
from alliance_stats.engine.threads import one_blas_thread


@dataclass(frozen=True)
class ShareInterval:
    """A share of the variance and its interval; ``low`` is 0 where zero is within it."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class _Profile:
    """The criterion at a fixed share, minimised over everything else."""

    start: Evaluation
    factor: int
    others: tuple[int, ...]
    directions: tuple[Floats, ...]

    def __call__(self, share: float) -> float:
        rest = [self.start.covariance.factors[k] for k in self.others]
        first = state(rest, [self.start.covariance.matrices[k] for k in self.others])
        if not rest:
            return self._at(share, [])[0]
        bounds = [(0.0, None) if p.pivot else (None, None) for p in first.parameters]

        def objective(values: Floats) -> tuple[float, Floats]:
            return self._with_gradient(share, first.moved(values))

        found = minimize(
            objective, first.values, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13, "gtol": 1e-7}
        )
        return float(found.fun)

    def _relative(self, share: float, others: Sequence[Floats]) -> float:
        total = 1.0 + sum(float(np.sum(w * m)) for w, m in zip(self.directions, others, strict=True))
        return share / (1.0 - share) * total

    def _at(self, share: float, others: Sequence[Floats]) -> tuple[float, Evaluation]:
        matrices = list(self.start.covariance.matrices)
        for k, matrix in zip(self.others, others, strict=True):
            matrices[k] = matrix
        matrices[self.factor] = np.array([[self._relative(share, others)]])
        evaluation = self.start.at(state(self.start.covariance.factors, matrices))
        return evaluation.value, evaluation

    def _with_gradient(self, share: float, others: CovarianceState) -> tuple[float, Floats]:
        try:
            value, evaluation = self._at(share, others.matrices)
        except LinAlgError:
            return 1e300, np.zeros(others.values.size)
        gamma = evaluation.gradient_matrices
        through = float(gamma[self.factor][0, 0]) * share / (1.0 - share)
        slopes = [
            float(np.sum((gamma[self.others[p.factor]] + through * self.directions[p.factor]) * p.derivative))
            for p in others.parameters
        ]
        return value, np.array(slopes)


def share_interval(
    solution: MixedSolution, factor: int, intercepts: Sequence[int], level: float = 0.95
) -> ShareInterval:
    """Interval for one factor's share of the variance of a fitted model.

    Parameters
    ----------
    solution : MixedSolution
    factor : int
        A factor with one random effect, an intercept.
    intercepts : sequence of int
        Position of the intercept among each factor's effects; their variances and the residual make up the total.
    level : float
    """
    evaluation, coordinates = solution._evaluation, solution._coordinates
    others = tuple(k for k in range(len(solution.random_covariances)) if k != factor)
    directions = tuple(
        np.outer(coordinates.random_maps[k][intercepts[k]], coordinates.random_maps[k][intercepts[k]]) for k in others
    )
    variances = [solution.random_covariances[k][intercepts[k], intercepts[k]] for k in range(len(intercepts))]
    estimate = float(variances[factor] / (sum(variances) + solution.sigma2))
    profile = _Profile(evaluation, factor, others, directions)
    limit = evaluation.value + float(chdtri(1, 1.0 - level))

    def excess(share: float) -> float:
        return profile(share) - limit

    with one_blas_thread():
        low = 0.0 if excess(0.0) <= 0 else brentq(excess, 0.0, estimate, xtol=1e-7, rtol=1e-8)
        return ShareInterval(estimate, float(low), _upper(excess, estimate))


def _upper(excess: Callable[[float], float], estimate: float) -> float:
    """Where the criterion passes the limit above the estimate; 1 if it never does."""
    below = estimate
    above = _further(max(estimate, 0.02))
    while 1.0 - above > 1e-9:
        if excess(above) > 0:
            return float(brentq(excess, below, above, xtol=1e-7, rtol=1e-8))
        below, above = above, _further(above)
    return 1.0


def _further(share: float) -> float:
    """The next share to look at: a share stays below 1, so at most halfway to it."""
    return min(2.5 * share, (1.0 + share) / 2)
