"""Cluster-robust covariances of coefficients: CR0 to CR3, Satterthwaite degrees of freedom, HTZ tests.

Clusters of one size are worked on together; all that crosses clusters is kept in sums of p × p matrices, so work grows
with the number of clusters, not with its square.

References
----------
Bell & McCaffrey (2002), Survey Methodology, 28, 169-181; Pustejovsky & Tipton (2018), Journal of Business & Economic
Statistics, 36, 672-683 (with the notation of their appendix); Tipton & Pustejovsky (2015), Journal of Educational and
Behavioral Statistics, 40, 604-634 (HTZ).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.pooling.large import one_thread
from alliance_stats.engine.pooling.small_roots import inverse_root, inverse_root_times

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


@dataclass(frozen=True)
class Clusters:
    """A weighted regression, and the working covariance of each cluster.

    Parameters
    ----------
    x : ndarray of shape (k, p)
    residual : ndarray of shape (k,)
    inverse : ndarray of shape (p, p)
        ``(X'WX)⁻¹``.
    places : sequence of ndarray of int, shape (n_b, m_b)
        Effects of each cluster, a batch for each size.
    working : callable
        Places of a batch → working covariances Φ of shape (n_b, m_b, m_b).
    weights : ndarray of shape (k,), optional
        Diagonal weights W; by default W = Φ⁻¹ in each cluster.
    solved : ndarray of shape (k, p), optional
        WX, where it is known already.
    """

    x: Floats
    residual: Floats
    inverse: Floats
    places: Sequence[Ints]
    working: Callable[[Ints], Floats]
    weights: Floats | None = None
    solved: Floats | None = None

    @property
    def n(self) -> int:
        """Clusters."""
        return sum(len(places) for places in self.places)

    @lazy
    def middle(self) -> Floats:
        """``X'WΦWX``."""
        total = np.zeros_like(self.inverse)
        for places in self.places:
            phi = self.working(places)
            wx = self.weighted(places, phi)
            total += np.einsum("nmp,nmq->pq", wx, phi @ wx)
        return total

    def weighted(self, places: Ints, phi: Floats) -> Floats:
        """``W_i X_i`` of a batch, (n, m, p)."""
        if self.solved is not None:
            return np.asarray(self.solved[places])
        x = self.x[places]
        return np.asarray(np.linalg.solve(phi, x) if self.weights is None else x * self.weights[places][:, :, None])


@dataclass(frozen=True)
class Robust:
    """A robust covariance, and what its degrees of freedom are made of.

    Parameters
    ----------
    covariance : ndarray of shape (p, p)
    kind : str
    n_clusters : int
    own : ndarray of shape (n, p, p)
        ``G_i Φ_i G_i'`` with ``G_i = X_i' W_i A_i``.
    across : ndarray of shape (n, d, p)
        What joins clusters through the estimated coefficients.
    form : ndarray of shape (d, d)
        How: the covariance of two clusters' parts is ``− across_i' form across_j``.
    inverse : ndarray of shape (p, p)
    """

    covariance: Floats
    kind: str
    n_clusters: int
    own: Floats
    across: Floats
    form: Floats
    inverse: Floats

    def parts(self, rows: Floats) -> tuple[Floats, Floats]:
        """Own and shared parts for weighted sums (q, p) of coefficients: (n, q, q) and (n, d, q)."""
        turned = rows @ self.inverse
        return turned @ self.own @ turned.T, self.across @ turned.T

    def degrees_of_freedom(self, rows: Floats) -> Floats:
        """Satterthwaite's degrees of freedom of each weighted sum (q, p)."""
        turned = rows @ self.inverse
        own = np.einsum("qr,nrs,qs->nq", turned, self.own, turned)
        across = self.across @ turned.T  # (n, d, q)
        shared = (across * (self.form @ across)).sum(axis=1)
        total = np.einsum("ndq,neq->qde", across, across)
        crossing = np.einsum("qde,qed->q", self.form @ total, self.form @ total)
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = (own**2).sum(axis=0) - 2 * (own * shared).sum(axis=0) + crossing
            return np.asarray((own - shared).sum(axis=0) ** 2 / squares)

    def _moments(self, rows: Floats) -> tuple[Floats, float]:
        """Expected covariance of sums under the working model, and the degrees of freedom of its Wishart law."""
        own, across = self.parts(rows)
        shared = np.einsum("ndq,de,ner->nqr", across, self.form, across)
        expected = (own - shared).sum(axis=0)
        q = len(rows)
        root = inverse_root(expected)
        own, across = root @ own @ root, across @ root
        shared = np.einsum("ndq,de,ner->nqr", across, self.form, across)
        squares = np.einsum("nij,nji->", own, own) + np.einsum("nii->n", own) @ np.einsum("nii->n", own)
        mixed = np.einsum("nij,nji->", own, shared) + np.einsum("nii->n", own) @ np.einsum("nii->n", shared)
        total = np.einsum("nas,nct->asct", across, across, optimize=True)
        joined = np.einsum("ab,cd,bsdt->asct", self.form, self.form, total, optimize=True)
        crossing = np.einsum("asct,atcs->", total, joined) + np.einsum("asct,asct->", total, joined)
        with np.errstate(divide="ignore"):
            return expected, float(q * (q + 1) / (squares - 2 * mixed + crossing))

    def hotelling(self, rows: Floats, beta: Floats) -> tuple[float, int, float]:
        """HTZ test that weighted sums (q, p) of coefficients are 0.

        Returns
        -------
        statistic, df_num, df_den
            F and its degrees of freedom. Where the Wishart law has fewer degrees of freedom than sums, ``df_den`` is
            not positive, and there is no test.
        """
        q = len(rows)
        _, df = self._moments(rows)
        estimate = rows @ beta
        wald = float(estimate @ np.linalg.solve(rows @ self.covariance @ rows.T, estimate))
        return (df - q + 1) / (df * q) * wald, q, df - q + 1


def robust_covariance(of: Clusters, kind: str = "CR2") -> Robust:
    """Robust covariance of the coefficients.

    Parameters
    ----------
    of : Clusters
    kind : {"CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}
        Plain sandwich; times J/(J − 1), J/(J − p), or Stata's J(k − 1)/((J − 1)(k − p)); adjusted to be unbiased
        under the working model; jackknife.
    """
    largest = max(places.shape[1] for places in of.places)
    with one_thread(largest**2):  # BLAS begins more threads for large matrices only
        return _robust_covariance(of, kind)


def _robust_covariance(of: Clusters, kind: str) -> Robust:
    scores, owns, acrosses = [], [], []
    for places in of.places:
        x, phi = of.x[places], of.working(places)
        wx = of.weighted(places, phi)
        phi_wx = x if of.weights is None else phi @ wx
        g = _adjusted(of, kind, x, phi, wx, phi_wx)
        gt = np.swapaxes(g, 1, 2)
        scores.append((gt @ of.residual[places][:, :, None])[..., 0])
        owns.append(gt @ (phi @ g))
        h = np.swapaxes(x, 1, 2) @ g  # X_i' g_i
        acrosses.append(h if of.weights is None else np.concatenate([h, np.swapaxes(phi_wx, 1, 2) @ g], axis=1))
    score = np.concatenate(scores)
    covariance = of.inverse @ (score.T @ score) @ of.inverse * _factor(of, kind)
    form = of.inverse
    if of.weights is not None:
        middle = of.inverse @ of.middle @ of.inverse
        form = np.block([[-middle, of.inverse], [of.inverse, np.zeros_like(of.inverse)]])
    return Robust(covariance, kind, of.n, np.concatenate(owns), np.concatenate(acrosses), form, of.inverse)


def _factor(of: Clusters, kind: str) -> float:
    n, (k, p) = of.n, of.x.shape
    return {"CR1": n / (n - 1), "CR1p": n / (n - p), "CR1S": n * (k - 1) / ((n - 1) * (k - p))}.get(kind, 1.0)


def _adjusted(of: Clusters, kind: str, x: Floats, phi: Floats, wx: Floats, phi_wx: Floats) -> Floats:
    """``A_i W_i X_i`` of a batch, (n, m, p): what residuals are weighted by."""
    if kind not in ("CR2", "CR3"):
        return wx
    projected = x @ of.inverse
    if kind == "CR3":
        kept = np.eye(x.shape[1]) - wx @ np.swapaxes(projected, 1, 2)
        return np.asarray(np.linalg.inv(kept) @ wx)
    if of.weights is None:
        spread = phi - projected @ np.swapaxes(x, 1, 2)
    else:
        shared = projected @ np.swapaxes(phi_wx, 1, 2)
        spread = phi - shared - np.swapaxes(shared, 1, 2) + projected @ of.middle @ np.swapaxes(projected, 1, 2)
    root = np.linalg.cholesky(phi)  # Φ = root root'; D of the paper is its transpose
    turned = np.swapaxes(root, 1, 2)
    return np.asarray(root @ inverse_root_times(turned @ spread @ root, turned @ wx))
