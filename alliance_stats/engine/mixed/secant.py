"""What average information misses of the Hessian, learned from the steps that are taken anyway.

Near the optimum average information makes Newton's method converge linearly, by the same small factor at every step.
The gradients at both ends of a step tell what it missed along that step; a symmetric rank-one update keeps it.

References
----------
Conn, Gould & Toint (1991), Mathematical Programming, 50, 177-195 (symmetric rank-one updates).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation

#: An update larger than this beside the information itself is no small correction, and is not believed.
_LARGEST = 0.5


@dataclass(frozen=True)
class _End:
    """One end of a step: all that is kept of an evaluation."""

    values: Floats
    gradient: Floats
    information: Floats
    order: tuple


class Secant:
    """The correction of average information along the steps of one run.

    Attributes
    ----------
    surprise : float
        How wrong the curvature was that the last step was made with, as the share of a decrement that such a step
        leaves behind; 0 where that is not known.
    """

    def __init__(self) -> None:
        self.surprise = 0.0
        self._before: _End | None = None
        self._missing: Floats = np.zeros((0, 0))

    def corrected(self, current: Evaluation, free: np.ndarray, near: bool) -> Floats:
        """Average information with what the last step taught.

        Parameters
        ----------
        current : Evaluation
            Where the last step led.
        free : ndarray of bool, shape (k,)
            Parameters that may move.
        near : bool
            Whether that step began near the optimum; from afar it says nothing about the curvature there.
        """
        information = current.average_information
        before = self._before
        self.surprise = 0.0
        self._before = _End(current.state.values, current.gradient, information, current.covariance.order)
        if before is None or not near or not free.any() or before.order != current.covariance.order:
            self._missing = np.zeros_like(information)
            return information
        step = current.state.values - before.values
        missed = current.gradient - before.gradient - 0.5 * (information + before.information) @ step
        missed -= self._missing @ step
        along = float(missed @ step)
        _, solved, info = lapack.dposv(information[np.ix_(free, free)], missed[free])
        size, squared = float(missed[free] @ solved), float(step @ information @ step)
        self.surprise = size / squared if info == 0 and squared > 0 else 0.0
        if info == 0 and size < _LARGEST * abs(along):
            self._missing = self._missing + missed[:, None] * missed / along
        corrected = information + self._missing
        positive = lapack.dpotrf(corrected[np.ix_(free, free)])[1] == 0
        return corrected if positive else information
