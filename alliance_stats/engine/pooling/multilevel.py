"""Likelihood of multilevel meta-analyses, its slope over the variances, and its peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.pooling.structured import Covariance, Factored

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Problem:
    """Effects, moderators and the form of their covariance.

    Parameters
    ----------
    y : ndarray of shape (k,)
        Residuals from ordinary least squares.
    basis : ndarray of shape (p, k)
        Orthonormal basis of the moderators.
    triangle, start : ndarray
        Back to the moderators' own coefficients, as in :class:`alliance_stats.engine.pooling.sums.Effects`.
    covariance : Covariance
    n_parameters : int
        Variances.
    restricted : bool
    """

    y: Floats
    basis: Floats
    triangle: Floats
    start: Floats
    covariance: Covariance
    n_parameters: int
    restricted: bool

    @property
    def k(self) -> int:
        """Effects."""
        return self.y.size

    @property
    def p(self) -> int:
        """Coefficients."""
        return len(self.basis)

    @lazy
    def rows(self) -> Floats:
        """Moderators and effects together, (p + 1, k)."""
        return np.vstack([self.basis, self.y[None]])


def problem(y: Floats, x: Floats, covariance: Covariance, n_parameters: int, restricted: bool = True) -> Problem:
    """Take k effects and moderators (k, p), in the covariance's order, into coordinates that lose no digits."""
    basis, triangle = np.linalg.qr(x)
    start = basis.T @ y
    return Problem(
        y - basis @ start, np.ascontiguousarray(basis.T), triangle, start, covariance, n_parameters, restricted
    )


class Evaluation:
    """The likelihood at given variances."""

    def __init__(self, of: Problem, theta: Floats) -> None:
        self.problem, self.theta = of, theta
        self.factored: Factored = of.covariance.at(theta)
        solved = self.factored.solve(of.rows)
        self.solved_x = solved[:-1]  # M⁻¹ X
        gram = self.solved_x @ of.rows.T  # X'M⁻¹ [X y]
        self.gram = 0.5 * (gram[:, :-1] + gram[:, :-1].T)
        if of.p == 1 and not self.gram[0, 0] > 0:
            raise np.linalg.LinAlgError("X'M⁻¹X is not positive")
        self.inverse = 1 / self.gram if of.p == 1 else np.linalg.inv(self.gram)
        self.beta = self.inverse @ gram[:, -1]
        self.py = solved[-1] - self.beta @ self.solved_x  # P y
        self.q = float(of.y @ self.py)

    @lazy
    def value(self) -> float:
        """Log-likelihood; the restricted one has ½ log|X'X| in it (the basis is orthonormal)."""
        of = self.problem
        spare = of.k - of.p if of.restricted else of.k
        value = -0.5 * (spare * np.log(2 * np.pi) + self.factored.log_det + self.q)
        if of.restricted:
            with np.errstate(divide="ignore", invalid="ignore"):
                value -= 0.5 * float(np.log(self.gram[0, 0]) if of.p == 1 else np.linalg.slogdet(self.gram)[1])
        # where rounding leaves no positive definite covariance there is no likelihood
        return float(value) if np.isfinite(value) else float("-inf")

    @lazy
    def slope(self) -> Floats:
        """Derivatives of the log-likelihood over the variances."""
        of = self.problem
        total = np.zeros(of.n_parameters)
        for term in of.covariance.terms:
            score = term.sums(self.py[None])[0] ** 2 - self.factored.quadratics(term)
            if of.restricted:
                x = term.sums(self.solved_x)
                score = score + ((self.inverse @ x) * x).sum(axis=0)
            total += term.by_parameter(score, of.n_parameters)
        return 0.5 * total

    @lazy
    def information(self) -> Floats:
        """Average of the observed and the expected information (Gilmour, Thompson & Cullis, 1995)."""
        of = self.problem
        directions = np.zeros((of.n_parameters, of.k))
        for term in of.covariance.terms:
            sums = term.sums(self.py[None])
            for parameter in term.parameters:
                own = sums if term.only is not None else sums * (term.parameter == parameter)
                directions[parameter] += term.spread(own)[0]
        solved = self.factored.solve(directions)
        cross = directions @ self.solved_x.T
        return 0.5 * (directions @ solved.T - cross @ self.inverse @ cross.T)

    @property
    def solved_moderators(self) -> Floats:
        """``M⁻¹`` times the moderators themselves, (k, p)."""
        return np.asarray(self.solved_x.T @ self.problem.triangle)

    def coefficients(self) -> tuple[Floats, Floats]:
        """Coefficients of the moderators themselves, and their covariance."""
        back = np.linalg.inv(self.problem.triangle)
        return back @ (self.beta + self.problem.start), back @ self.inverse @ back.T


@dataclass(frozen=True)
class Peak:
    """Where the likelihood is highest.

    Parameters
    ----------
    at : Evaluation
    converged : bool
        The slope vanishes over variances above 0, and points below 0 at those that are 0.
    evaluations : int
    information : ndarray
        Observed information over the variances.
    """

    at: Evaluation
    converged: bool
    evaluations: int
    information: Floats

    @property
    def theta(self) -> Floats:
        """The variances."""
        return self.at.theta
