"""Generalizability of session ratings: persons × sessions × items, and the reliability of change within persons.

References
----------
Cranford, Shrout, Iida, Rafaeli, Yip & Bolger (2006), Personality and Social Psychology Bulletin, 32, 917-929.
Shrout & Lane (2012), Psychometrics, in Mehl & Conner (eds.), Handbook of Research Methods for Studying Daily Life.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.mixed.design import ONES, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.effect_targets import Share
from alliance_stats.engine.mixed.fit import MixedSolution, fit_mixed
from alliance_stats.engine.mixed.inference import interior_parameters
from alliance_stats.engine.mixed.profile import profile_interval
from alliance_stats.engine.reliability.coefficient import Coefficient, logit_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Components, in the order of the factors; the residual is person × session × item with error.
COMPONENTS = ("person", "session", "item", "person:session", "person:item", "session:item")
PERSON, SESSION, ITEM, PERSON_SESSION, PERSON_ITEM, SESSION_ITEM = range(6)


@dataclass(frozen=True, eq=False)
class Generalizability:
    """Variance components of persons × sessions × items, and coefficients made from them.

    Parameters
    ----------
    solution : MixedSolution
        The crossed model, by restricted maximum likelihood.
    n_items : int
    """

    solution: MixedSolution
    n_items: int

    def variances(self) -> Floats:
        """Components in squared answer units: those of ``COMPONENTS``, then the residual, (7,)."""
        own = [float(matrix[0, 0]) for matrix in self.solution.random_covariances]
        return np.array([*own, self.solution.sigma2])

    def coefficients(self, n_sessions: float, level: float = 0.95) -> dict[str, Coefficient]:
        """Reliability of persons' scores and of their change.

        Parameters
        ----------
        n_sessions : float
            Sessions that an average over sessions is taken of (k).
        level : float

        Returns
        -------
        dict of str to Coefficient
            ``R1F`` one session, the same for all; ``RkF`` mean of k sessions, the same for all; ``R1R`` one session,
            whichever; ``RkR`` mean of k sessions, whichever; ``RC`` change within persons from session to session.
            Intervals by the delta method on the logit scale; for an ``RC`` of zero from the profile likelihood.
        """
        from scipy.special import ndtri

        quantile = float(ndtri((1 + level) / 2))
        ratios, covariance = self._ratios()
        found = {}
        for name, (true, error) in self._parts(n_sessions).items():
            (true_size, true_slope), (error_size, error_slope) = _linear(true, ratios), _linear(error, ratios)
            total = true_size + error_size
            estimate = true_size / total
            slopes = (true_slope * error_size - error_slope * true_size) / total**2
            std_error = math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))
            found[name] = logit_interval(float(estimate), std_error, quantile)
        if found["RC"].estimate == 0:
            found["RC"] = self._no_change(level)
        return found

    def _parts(self, k: float) -> dict[str, tuple[dict[int, float], dict[int, float]]]:
        """True and error variance of each coefficient: weights of the components (6 is the residual)."""
        m = self.n_items
        persons = {PERSON: 1.0, PERSON_ITEM: 1 / m}
        return {
            "R1F": (persons, {6: 1 / m}),
            "RkF": (persons, {6: 1 / (k * m)}),
            "R1R": (persons, {SESSION: 1.0, PERSON_SESSION: 1.0, 6: 1 / m}),
            "RkR": (persons, {SESSION: 1 / k, PERSON_SESSION: 1 / k, 6: 1 / (k * m)}),
            "RC": ({PERSON_SESSION: 1.0}, {6: 1 / m}),
        }

    def _ratios(self) -> tuple[Floats, Floats]:
        """Components relative to the residual (which is 1), and their asymptotic covariance; 0 on the boundary."""
        variances = self.variances()
        covariance = np.zeros((7, 7))
        free = np.flatnonzero(interior_parameters(self.solution._evaluation))
        inner = self.solution.inference.parameter_covariance[:-1, :-1]
        covariance[np.ix_(free, free)] = inner
        return variances / variances[-1], covariance

    def _no_change(self, level: float) -> Coefficient:
        """RC at zero, with its profile-likelihood interval."""
        alone = tuple(0 if at == PERSON_SESSION else None for at in range(len(COMPONENTS)))
        # RC is that component's share of itself and the noise of a mean of the items
        own = profile_interval(Share(self.solution, PERSON_SESSION, (0,), alone, (1 / self.n_items,)), level)
        return Coefficient(0.0, math.nan, own.low, own.high)


def generalizability(items: Floats, person: Ints, session: Ints) -> Generalizability:
    """Estimate the variance components of persons × sessions × items.

    Parameters
    ----------
    items : ndarray of shape (n, m)
        Complete answers of all forms.
    person, session : ndarray of int, shape (n,)
        Whose form it is and at which session, from 0 without gaps.
    """
    n, m = items.shape
    item = np.tile(np.arange(m), n)
    who, when = np.repeat(person, m), np.repeat(session, m)
    n_person, n_session = int(person.max()) + 1, int(session.max()) + 1
    codes = [
        (who, n_person),
        (when, n_session),
        (item, m),
        _pairs(who, when, n_session),
        _pairs(who, item, m),
        _pairs(when, item, m),
    ]
    factors = tuple(
        GroupingFactor(name, own, n_levels, (0,), ((0,),))
        for name, (own, n_levels) in zip(COMPONENTS, codes, strict=True)
    )
    return Generalizability(fit_mixed(MixedDesign(items.ravel(), [ONES], (0,), factors)), m)


def _pairs(first: Ints, second: Ints, n_second: int) -> tuple[Ints, int]:
    levels, codes = np.unique(first * n_second + second, return_inverse=True)
    return codes, levels.size


def _linear(weights: dict[int, float], ratios: Floats) -> tuple[float, Floats]:
    slope = np.zeros(ratios.size)
    for at, weight in weights.items():
        slope[at] = weight
    value = float(slope @ ratios)
    slope[-1] = 0.0  # the residual is the unit
    return value, slope
