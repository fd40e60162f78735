"""How many significant results are expected, and how surprising more are.

References
----------
Ioannidis & Trikalinos (2007), Clinical Trials, 4, 245-253; Hong (2013), Computational Statistics & Data Analysis, 59,
41-51 (the law of a sum of unequal Bernoulli variables).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Floats = NDArray[np.floating[Any]]


def powers(v: Floats, mean: float, tau2: float, alpha: float = 0.05) -> Floats:
    """Probability that each study's two-sided z test is significant, true effects being N(mean, τ²)."""
    reach, spread = -float(ndtri(alpha / 2)) * np.sqrt(v), np.sqrt(v + tau2)
    return np.asarray(ndtr((mean - reach) / spread) + ndtr((-mean - reach) / spread))


def at_least(n: int, power: Floats) -> float:
    """Probability of n or more successes of independent trials that succeed with their own probabilities."""
    law = np.zeros(power.size + 1)
    law[0] = 1.0
    for done, one in enumerate(power, 1):
        law[1 : done + 1] = law[1 : done + 1] * (1 - one) + law[:done] * one
        law[0] *= 1 - one
    return float(min(law[n:].sum(), 1.0))


def limit_mean(v: Floats, n: int, tau2: float, alpha: float, p: float) -> float:
    """The mean, 0 or more, at which n or more significant results have probability p; NaN where 0 has more."""

    def gap(mean: float) -> float:
        return at_least(n, powers(v, mean, tau2, alpha)) - p

    if gap(0.0) > 0:
        return float("nan")
    high = float(np.sqrt(v + tau2).max())
    while gap(high) < 0:
        high *= 2
    return float(brentq(gap, 0.0, high, xtol=1e-14 * high, rtol=1e-13))
