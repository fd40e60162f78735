"""Several effects per study with known sampling covariance: means, and the covariance between studies.

``y_i ~ N(X_i β, V_i + T)``, with one mean per term. Studies that lack a term have a place for it that counts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

#: Shares of the spread of effects from which the climb begins.
_STARTS = (0.05, 0.5, 1.0)
_STEPS = 60
_AGAIN = 8


@dataclass(frozen=True)
class Vectors:
    """Effects of studies.

    Parameters
    ----------
    y : ndarray of shape (n, p)
        One row per study, one column per term; 0 where a term is missing.
    v : ndarray of shape (n, p, p)
        Sampling covariances; 0 where a term is missing.
    there : ndarray of bool, shape (n, p)
    restricted : bool
        REML, or ML.
    """

    y: Floats
    v: Floats
    there: Bools
    restricted: bool = True

    @property
    def k(self) -> int:
        """Effects."""
        return int(self.there.sum())


class At:
    """Likelihood, its slope in T, and the means at one T."""

    def __init__(self, of: Vectors, between: Floats) -> None:
        self.of, self.between = of, between
        both = of.there[:, :, None] & of.there[:, None, :]
        gaps = np.eye(of.y.shape[1]) * ~of.there[:, None, :]
        total = np.where(both, of.v + between, 0.0) + gaps
        self.weights = np.where(both, np.linalg.inv(total), 0.0)
        self.information = self.weights.sum(axis=0)
        self.covariance = np.linalg.inv(self.information)
        self.beta = self.covariance @ np.einsum("ipq,iq->p", self.weights, of.y)
        self.scaled = np.einsum("ipq,iq->ip", self.weights, of.y - self.beta)
        self.q = float(np.einsum("ip,ip->", of.y - self.beta, self.scaled))
        logs = float(np.linalg.slogdet(total)[1].sum())
        value = of.k * np.log(2 * np.pi) + logs + self.q
        if of.restricted:
            value += np.linalg.slogdet(self.information)[1] - np.log(of.there.sum(axis=0)).sum()
            value -= self.beta.size * np.log(2 * np.pi)
        self.value = -0.5 * float(value)

    @lazy
    def slope(self) -> Floats:
        """Derivative of the log-likelihood with respect to T, as a symmetric matrix."""
        slope = np.einsum("ip,iq->pq", self.scaled, self.scaled) - self.information
        if self.of.restricted:
            slope = slope + np.einsum("ipq,qr,irs->ps", self.weights, self.covariance, self.weights)
        return np.asarray(0.5 * (slope + slope.T) / 2)


@dataclass(frozen=True)
class MultivariatePeak:
    """Where the likelihood is highest.

    Parameters
    ----------
    at : At
    converged : bool
        Whether the conditions of Karush, Kuhn and Tucker hold: no direction into the covariances raises the likelihood.
    rest : float
        Largest slope left, in likelihood per unit of relative change.
    """

    at: At
    converged: bool
    rest: float


def find_covariance(of: Vectors, diagonal: bool = False) -> MultivariatePeak:
    """Find T of highest likelihood.

    Parameters
    ----------
    of : Vectors
    diagonal : bool
        Terms vary between studies independently of each other.

    Notes
    -----
    T = L L' with L lower triangular, so that singular covariances are ordinary points; several starts, then Newton
    steps on the exact slope. What is returned was checked in T itself, where the problem has no false peaks of
    the factor: the slope S has to be negative semidefinite with S T = 0.
    """
    size = of.y.shape[1]
    scale = spread_of(of)
    unit = np.sqrt(scale)
    of = Vectors(of.y / unit, of.v / np.multiply.outer(unit, unit), of.there, of.restricted)
    rows, columns = np.diag_indices(size) if diagonal else np.tril_indices(size)
    climb = Climb(of, rows, columns)
    found = [climb.run(share * np.eye(size)) for share in _STARTS]
    best = max(found, key=lambda one: one.value)
    for _ in range(_AGAIN):
        way_out = _way_out(best, diagonal)
        if way_out is None:
            break
        again = climb.run(np.linalg.cholesky(best.between + 0.1 * way_out + 1e-12 * np.eye(size)))
        if again.value <= best.value + 1e-12:
            break
        best = again
    rest = _rest(best, diagonal)
    gone = np.diag(best.between) < 1e-14  # of the spread: rounding is all that is left of these variances
    between = np.where(gone[:, None] | gone, 0.0, best.between) * np.multiply.outer(unit, unit)
    of = Vectors(of.y * unit, of.v * np.multiply.outer(unit, unit), of.there, of.restricted)
    return MultivariatePeak(At(of, between), rest < 1e-6, rest)


def spread_of(of: Vectors) -> Floats:
    """Spread of each term over studies; sampling errors where effects are alike."""
    n = of.there.sum(axis=0)
    mean = of.y.sum(axis=0) / n
    spread = (np.where(of.there, of.y - mean, 0.0) ** 2).sum(axis=0) / n
    errors = np.einsum("ipp->p", of.v) / n
    return np.asarray(np.maximum(spread, 1e-3 * errors))


def _way_out(at: At, diagonal: bool) -> Floats | None:
    """A direction into the covariances in which the likelihood rises, if the edge is no peak."""
    if diagonal:
        rising = np.diag(at.slope) > 1e-7
        return np.diag(rising.astype(float)) if rising.any() else None
    values, vectors = np.linalg.eigh(at.slope)
    return np.multiply.outer(vectors[:, -1], vectors[:, -1]) if values[-1] > 1e-7 else None


def _rest(at: At, diagonal: bool) -> float:
    slope = np.diag(np.diag(at.slope)) if diagonal else at.slope
    return float(max(np.linalg.eigvalsh(slope)[-1], np.abs(slope @ at.between).max()))


@dataclass(frozen=True)
class Climb:
    """Climbs over entries of a factor of T.

    Parameters
    ----------
    of : Vectors
    rows, columns : ndarray of int
        Places of the entries that are free: the lower triangle, or the diagonal.
    """

    of: Vectors
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def run(self, factor: Floats) -> At:
        """Climb from a factor."""
        from scipy.optimize import minimize

        if not self.begin(factor).size:
            return self.at(np.zeros(0))
        done = minimize(self._loss, self.begin(factor), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 500})
        return self._polish(done.x)

    def begin(self, factor: Floats) -> Floats:
        """The entries of a factor that are free."""
        return np.asarray(factor[self.rows, self.columns])

    def factor(self, free: Floats) -> Floats:
        """The factor that has these entries."""
        factor = np.zeros((self.of.y.shape[1],) * 2)
        factor[self.rows, self.columns] = free
        return factor

    def at(self, free: Floats) -> At:
        """The likelihood there."""
        factor = self.factor(free)
        return At(self.of, factor @ factor.T)

    def slope(self, free: Floats, at: At | None = None) -> Floats:
        """Its derivatives with respect to the entries."""
        at = self.at(free) if at is None else at
        return np.asarray((2 * at.slope @ self.factor(free))[self.rows, self.columns])

    def _loss(self, free: Floats) -> tuple[float, Floats]:
        at = self.at(free)
        return -at.value, -self.slope(free, at)

    def _polish(self, free: Floats) -> At:
        """Newton steps until rounding is all that is left."""
        slope = self.slope(free)
        for _ in range(_STEPS):
            step = np.linalg.lstsq(self._hessian(free), -slope, rcond=1e-9)[0]
            new = free + step
            changed = self.slope(new)
            lower = self.at(new).value < self.at(free).value - 1e-9
            if lower or np.abs(changed).max() >= np.abs(slope).max():
                break
            free, slope = new, changed
        return self.at(free)

    def _hessian(self, free: Floats) -> Floats:
        size = 1e-5
        moves = size * np.eye(free.size)
        hessian = np.array([(self.slope(free + move) - self.slope(free - move)) / (2 * size) for move in moves])
        return np.asarray(0.5 * (hessian + hessian.T))
