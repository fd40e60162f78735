"""Intraclass correlation of session scores within patients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.mixed.design import ONES, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.effect_targets import Share
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.profile import profile_interval
from alliance_stats.engine.reliability.coefficient import Coefficient


def intraclass(
    scores: NDArray[np.float64], person: NDArray[np.int64], n_sessions: float, level: float = 0.95
) -> tuple[Coefficient, Coefficient]:
    """Share of the variance that lies between persons, for one session and for the mean of several.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Score of each session.
    person : ndarray of int, shape (n,)
        Whose it is, from 0 without gaps.
    n_sessions : float
        Sessions behind the mean (k).
    level : float

    Returns
    -------
    single, average : Coefficient
        ICC(1), by restricted maximum likelihood with its profile-likelihood interval, and ICC(k) = k ICC / (1 + (k − 1)
        ICC), its ends carried over.
    """
    n_person = int(person.max()) + 1
    factor = GroupingFactor("person", person, n_person, (0,), ((0,),))
    solution = fit_mixed(MixedDesign(scores, [ONES], (0,), (factor,)))
    share = profile_interval(Share(solution, 0, (0,), (0,)), level)
    ends = (share.estimate, share.low, share.high)
    several = [n_sessions * icc / (1 + (n_sessions - 1) * icc) for icc in ends]
    return Coefficient(ends[0], math.nan, *ends[1:]), Coefficient(several[0], math.nan, *several[1:])
