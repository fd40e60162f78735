"""Generalizability of session ratings: persons × sessions × items, and the reliability of change within persons.

Every form is complete, so its items can be turned into √m times their mean and m − 1 contrasts, which are independent
of each other. The means tell person, session and their noise; the contrasts tell what items do. Two small models then
hold the whole likelihood, as long as no component that their estimates imply is negative; else all are fitted together.

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
PERSON, SESSION, ITEM, PERSON_SESSION, PERSON_ITEM, SESSION_ITEM, RESIDUAL = range(7)


@dataclass(frozen=True, eq=False)
class Generalizability:
    """Variance components of persons × sessions × items, and coefficients made from them.

    Parameters
    ----------
    variances : ndarray of shape (7,)
        Components in squared answer units: those of ``COMPONENTS``, then the residual.
    covariance : ndarray of shape (7, 7)
        Their asymptotic covariance; 0 for components on the boundary.
    n_items : int
    criterion : float
        REML criterion of the crossed model.
    problem : str
        What the optimiser says where it did not reach the optimum; empty where it did.
    joint : MixedSolution or None
        The model with all components, where it was fitted.
    """

    variances: Floats
    covariance: Floats
    n_items: int
    criterion: float
    problem: str = ""
    joint: MixedSolution | None = None

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
        found = {}
        for name, (true, error) in self._parts(n_sessions).items():
            true_weights, error_weights = _weights(true), _weights(error)
            true_size, error_size = float(true_weights @ self.variances), float(error_weights @ self.variances)
            total = true_size + error_size
            slopes = (true_weights * error_size - error_weights * true_size) / total**2
            std_error = math.sqrt(max(float(slopes @ self.covariance @ slopes), 0.0))
            found[name] = logit_interval(true_size / total, std_error, quantile)
        if found["RC"].estimate == 0:
            found["RC"] = self._no_change(level)
        return found

    def _parts(self, k: float) -> dict[str, tuple[dict[int, float], dict[int, float]]]:
        """True and error variance of each coefficient: weights of the components."""
        m = self.n_items
        persons = {PERSON: 1.0, PERSON_ITEM: 1 / m}
        return {
            "R1F": (persons, {RESIDUAL: 1 / m}),
            "RkF": (persons, {RESIDUAL: 1 / (k * m)}),
            "R1R": (persons, {SESSION: 1.0, PERSON_SESSION: 1.0, RESIDUAL: 1 / m}),
            "RkR": (persons, {SESSION: 1 / k, PERSON_SESSION: 1 / k, RESIDUAL: 1 / (k * m)}),
            "RC": ({PERSON_SESSION: 1.0}, {RESIDUAL: 1 / m}),
        }

    def _no_change(self, level: float) -> Coefficient:
        """RC at zero, with its profile-likelihood interval."""
        assert self.joint is not None  # zero is found only by fitting all components together
        alone = tuple(0 if at == PERSON_SESSION else None for at in range(len(COMPONENTS)))
        # RC is that component's share of itself and the noise of a mean of the items
        own = profile_interval(Share(self.joint, PERSON_SESSION, (0,), alone, (1 / self.n_items,)), level)
        return Coefficient(0.0, math.nan, own.low, own.high)


def generalizability(items: Floats, person: Ints, session: Ints) -> Generalizability:
    """Estimate the variance components of persons × sessions × items by restricted maximum likelihood.

    Parameters
    ----------
    items : ndarray of shape (n, m)
        Complete answers of all forms, two items or more.
    person, session : ndarray of int, shape (n,)
        Whose form it is and at which session, from 0 without gaps.
    """
    m = items.shape[1]
    turned = items @ _orthonormal(m).T
    means, contrasts = _of_means(turned[:, 0], person, session), _of_contrasts(turned[:, 1:], person, session)
    # means: m person + person:item, m session + session:item, m person:session + residual; contrasts: the rest
    own, own_covariance = _variances(means)
    rest, rest_covariance = _variances(contrasts)
    both = np.zeros((7, 7))
    both[:3, :3], both[3:, 3:] = own_covariance, rest_covariance
    sums_to_components = np.zeros((7, 7))
    for at, (whole, part) in enumerate([(0, 3), (1, 4), (2, 6)]):
        sums_to_components[(PERSON, SESSION, PERSON_SESSION)[at], [whole, part]] = [1 / m, -1 / m]
    for component, at in ((PERSON_ITEM, 3), (SESSION_ITEM, 4), (ITEM, 5), (RESIDUAL, 6)):
        sums_to_components[component, at] = 1.0
    variances = sums_to_components @ np.concatenate([own, rest])
    if (variances < 0).any():
        return _together(items, person, session)
    covariance = sums_to_components @ both @ sums_to_components.T
    # the intercept's column is √m for the means, 1 for the answers
    criterion = means.criterion + contrasts.criterion + math.log(m)
    problem = next((fit.story.message for fit in (means, contrasts) if not fit.story.converged), "")
    return Generalizability(variances, covariance, m, criterion, problem)


def _orthonormal(m: int) -> Floats:
    """Rows: 1/√m, then m − 1 contrasts, orthonormal."""
    full = np.column_stack([np.ones(m), np.eye(m)[:, : m - 1]])
    rotation = np.linalg.qr(full)[0].T
    return rotation * np.sign(rotation[0, 0])


def _of_means(means: Floats, person: Ints, session: Ints) -> MixedSolution:
    """Model of √m times each form's mean."""
    factors = (_factor("person", person), _factor("session", session))
    return fit_mixed(MixedDesign(means, [ONES], (0,), factors))


def _of_contrasts(contrasts: Floats, person: Ints, session: Ints) -> MixedSolution:
    """Model of the contrasts between items, which have no mean.

    The engine wants a fixed effect. It is given one that fits a row of its own, which adds nothing to the REML
    criterion: log|V| grows by the log of the row's variance, and log|X'V⁻¹X| falls by it.
    """
    n, c = contrasts.shape
    contrast = np.tile(np.arange(c), n)
    own_row = np.zeros(n * c + 1)
    own_row[-1] = 1.0
    factors = tuple(
        _factor(name, np.append(codes, codes.max() + 1))
        for name, codes in (
            ("person:item", np.repeat(person, c) * c + contrast),
            ("session:item", np.repeat(session, c) * c + contrast),
            ("item", contrast),
        )
    )
    return fit_mixed(MixedDesign(np.append(contrasts.ravel(), 0.0), [ONES, own_row], (1,), factors))


def _together(items: Floats, person: Ints, session: Ints) -> Generalizability:
    """All components in one model, none below zero."""
    n, m = items.shape
    item = np.tile(np.arange(m), n)
    who, when = np.repeat(person, m), np.repeat(session, m)
    n_session = int(session.max()) + 1
    crossed = [who, when, item, who * n_session + when, who * m + item, when * m + item]
    factors = tuple(
        _factor(name, np.unique(codes, return_inverse=True)[1]) for name, codes in zip(COMPONENTS, crossed, strict=True)
    )
    solution = fit_mixed(MixedDesign(items.ravel(), [ONES], (0,), factors))
    problem = "" if solution.story.converged else solution.story.message
    return Generalizability(*_variances(solution), m, solution.criterion, problem, solution)


def _factor(name: str, codes: Ints) -> GroupingFactor:
    return GroupingFactor(name, codes, int(codes.max()) + 1, (0,), ((0,),))


def _variances(solution: MixedSolution) -> tuple[Floats, Floats]:
    """Variances of the factors and the residual, with their asymptotic covariance; 0 on the boundary."""
    ratios = np.array([float(matrix[0, 0]) for matrix in solution.random_covariances]) / solution.sigma2
    k = ratios.size
    known = np.zeros((k + 1, k + 1))  # of the ratios and log σ²
    free = [*np.flatnonzero(interior_parameters(solution._evaluation)), k]
    known[np.ix_(free, free)] = solution.inference.parameter_covariance
    slopes = np.zeros((k + 1, k + 1))
    slopes[:k, :k] = np.eye(k)
    slopes[:, k] = np.append(ratios, 1.0)
    slopes *= solution.sigma2
    return solution.sigma2 * np.append(ratios, 1.0), slopes @ known @ slopes.T


def _weights(of: dict[int, float]) -> Floats:
    weights = np.zeros(7)
    for at, weight in of.items():
        weights[at] = weight
    return weights
