"""How a fit came to its end, and what its end looks like: slopes, and what limits hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation

#: Eigenvector of a single number.
_ONE = np.ones((1, 1))


@dataclass(frozen=True)
class Start:
    """Where a run started from (standardised coordinates).

    Parameters
    ----------
    covariances : tuple of ndarray of shape (q, q)
        Covariance of the random effects of each factor.
    sigma2 : float
        Residual variance, which the criterion implies.
    residual : ndarray of shape (k,)
        Residual parameters.
    value : float
        Criterion.
    """

    covariances: tuple[Floats, ...]
    sigma2: float
    residual: Floats
    value: float


@dataclass(frozen=True)
class Story:
    """How the optimiser came to its end.

    Parameters
    ----------
    converged : bool
        True only when the optimality conditions were checked and hold.
    evaluations, steps, starts : int
        Evaluations of the criterion, Newton steps of the run that won, starting points tried.
    value : float
        Criterion in standardised coordinates.
    decrement : float
        What another Newton step promises, in units of the criterion.
    message : str
        One plain sentence.
    start : Start
        Where the run that won started from.
    """

    converged: bool
    evaluations: int
    steps: int
    starts: int
    value: float
    decrement: float
    message: str
    start: Start
    _final: Evaluation = field(repr=False)

    @lazy
    def gradient_norm(self) -> float:
        """Largest absolute derivative with respect to a free parameter."""
        slopes = self._final.gradient[free_parameters(self._final)]
        return float(np.abs(slopes).max(initial=0.0))

    @lazy
    def least_eigenvalue(self) -> tuple[float, ...]:
        """Per factor, least eigenvalue of ``Γ``: negative means that more variance would fit better."""
        return tuple(least for least, _ in least_eigenvalues(self._final))


def free_parameters(evaluation: Evaluation) -> np.ndarray:
    """Which parameters may move: alive, and not at a limit where the gradient holds them."""
    state = evaluation.state
    lower, upper = state.limits
    held = (state.values <= lower) & (evaluation.gradient >= 0)
    held |= (state.values >= upper) & (evaluation.gradient <= 0)
    return state.alive & ~held


def least_eigenvalues(evaluation: Evaluation) -> list[tuple[float, Floats]]:
    """Per factor, the least eigenvalue of ``Γ`` over its blocks, and its eigenvector."""
    result = []
    for factor, gamma in zip(evaluation.covariance.factors, evaluation.gradient_matrices, strict=True):
        least, direction = np.inf, np.zeros(gamma.shape[0])
        for block in factor.blocks:
            own = gamma if len(block) == len(gamma) else gamma[np.ix_(block, block)]
            values, vectors = (own[0], _ONE) if len(block) == 1 else np.linalg.eigh(own)
            if values[0] < least:
                least, direction = float(values[0]), np.zeros(gamma.shape[0])
                direction[list(block)] = vectors[:, 0]
        result.append((least, direction))
    return result
