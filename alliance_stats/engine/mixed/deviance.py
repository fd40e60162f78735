"""One evaluation: −2 log-likelihood (REML or ML), its gradient, and the average-information matrix.

With ``V`` the covariance of the outcome relative to the residual variance, β and σ² are profiled out:

    −2 log L = log|V| + log|X'V⁻¹X| + (n − p)(1 + log(2π r² / (n − p))),   r² = y'Py

(ML leaves out ``log|X'V⁻¹X|`` and has ``n`` for ``n − p``). The gradient with respect to a covariance ``D`` is the
inner product with ``Γ = Σ_levels [Z'V⁻¹Z − Σ_j T_j T_j' − (n − p) T_y T_y']``, where ``T = Z'V⁻¹E`` and ``E`` are the
columns ``[X y]`` made orthonormal in the metric of ``V⁻¹``.

References
----------
Bates, Mächler, Bolker & Walker (2015), Journal of Statistical Software, 67(1). Gilmour, Thompson & Cullis (1995),
Biometrics, 51, 1440-1450 (average information).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from alliance_stats.engine.mixed.covariance import CovarianceState
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.inner import factorise
from alliance_stats.engine.mixed.outer import OuterFactor, factorise_outer
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.statistics import Statistics
from alliance_stats.engine.mixed.sums import sum_by, sum_rows_by

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.residual_basis import ResidualPoint
    from alliance_stats.engine.mixed.residual_scores import ResidualScores


class Evaluation:
    """The criterion at one point, and what is derived from it on demand.

    Parameters
    ----------
    statistics : Statistics
    covariance : CovarianceState
        Relative covariances.
    reml : bool
    residual : ResidualPoint, optional
        Where the statistics depend on residual parameters: the point that they are for.

    Raises
    ------
    numpy.linalg.LinAlgError
        If rounding makes a system indefinite at this point.
    """

    def __init__(
        self, statistics: Statistics, covariance: CovarianceState, reml: bool, residual: ResidualPoint | None = None
    ) -> None:
        self.statistics = statistics
        self.residual = residual
        self.covariance = covariance
        self.reml = reml
        s = statistics
        self.inner = factorise(s.inner_gram, covariance.roots[s.inner_factor])
        self._level = _gather_index(s)
        self._whitened_entries = np.einsum("jke,ke->je", self.at_entries(self.inner.whitener), s.entry_cross)
        self.outer = self._factorise_outer()
        self._whitened = self.inner.whiten(s.inner_cross)
        self._outer_direct = s.outer_cross - self._shared(self._whitened)
        self._outer_rhs = self.outer.roots.apply(self._outer_direct, transposed=True)
        self._solved = self.outer.solve(self._outer_rhs)
        flat = self._whitened.reshape(s.n_fixed + 1, -1)
        self.cross = s.total - flat @ flat.T - self._outer_rhs.T @ self._solved
        self.triangle = np.linalg.cholesky(self.cross).T

    @property
    def state(self) -> State:
        """The point: covariances and residual parameters."""
        if self.residual is None:
            return State(self.covariance)
        return State(self.covariance, self.residual.parameters, self.residual.basis.classes.model)

    def at(self, point: State | CovarianceState) -> Evaluation:
        """Evaluate the same problem at another point (without residual parameters: at those of this one)."""
        if isinstance(point, CovarianceState) or self.residual is None:
            covariance = point if isinstance(point, CovarianceState) else point.covariance
            return Evaluation(self.statistics, covariance, self.reml, self.residual)
        residual = self.residual
        if not np.array_equal(point.residual, residual.parameters):
            residual = residual.basis.point(point.residual)
        return Evaluation(residual.statistics, point.covariance, self.reml, residual)

    def _factorise_outer(self) -> OuterFactor:
        s, layout = self.statistics, self.statistics.layout
        w = self._whitened_entries
        products = np.einsum("kp,kp->p", w[:, layout.pair_a], w[:, layout.pair_b])
        gram = s.outer_gram - sum_by(layout.pair_position, products, layout.size)
        return factorise_outer(layout, gram, [self.covariance.roots[k] for k in s.outer_factors])

    # ---- the metric of V⁻¹ -------------------------------------------------------------------------------------

    def at_entries(self, per_level: Floats) -> Floats:
        """Take inner levels (…, m) to the entries that belong to them (…, E)."""
        return per_level if isinstance(self._level, slice) else np.take(per_level, self._level, axis=-1)

    def _to_columns(self, per_entry: Floats) -> Floats:
        """Sum entries (r, E) into their outer columns: (M, r)."""
        layout = self.statistics.layout
        return sum_rows_by(layout.entry_column, per_entry, layout.n_columns).T

    def _to_levels(self, per_entry: Floats) -> Floats:
        """Sum entries (r, q, E) into their inner levels: (r, q, m)."""
        if isinstance(self._level, slice):
            return per_entry
        m = self.statistics.inner_gram.shape[2]
        flat = per_entry.reshape(-1, per_entry.shape[-1])
        return sum_rows_by(self._level, flat, m).reshape(*per_entry.shape[:-1], m)

    def _shared(self, whitened: Floats) -> Floats:
        """What the outer columns share with whitened inner right-hand sides (r, q, m): ``Z2'Z1 W'·``, (M, r)."""
        if self.statistics.layout.n_columns == 0:
            return np.zeros((0, len(whitened)))
        return self._to_columns(np.einsum("ke,rke->re", self._whitened_entries, self.at_entries(whitened)))

    # ---- the value ---------------------------------------------------------------------------------------------

    @property
    def n_free(self) -> int:
        """Rows less fixed effects (REML), or rows (ML)."""
        return self.statistics.n_obs - self.statistics.n_fixed * self.reml

    @cached_property
    def value(self) -> float:
        """−2 log-likelihood, or the REML criterion."""
        diagonal = np.diag(self.triangle)
        value = self.statistics.log_determinant + self.inner.log_determinant + self.outer.log_determinant
        if self.reml:
            value += 2 * np.log(diagonal[:-1]).sum()
        return float(value + self.n_free * (1 + np.log(2 * np.pi * diagonal[-1] ** 2 / self.n_free)))

    @property
    def sigma2(self) -> float:
        """Residual variance."""
        return float(self.triangle[-1, -1] ** 2 / self.n_free)

    @cached_property
    def _turn(self) -> Floats:
        """Inverse of the triangle: ``E = [X y] turn`` is orthonormal in the metric of ``V⁻¹``."""
        inverse, info = lapack.dtrtri(self.triangle, lower=0)
        if info:
            raise LinAlgError("the fixed effects are collinear")
        return inverse

    @property
    def beta(self) -> Floats:
        """Fixed effects, (p,)."""
        return -self._turn[:-1, -1] / self._turn[-1, -1]

    @property
    def fixed_root(self) -> Floats:
        """``R⁻¹`` for the fixed effects: their covariance is ``σ² R⁻¹R⁻ᵀ``."""
        return self._turn[:-1, :-1]

    # ---- scores ------------------------------------------------------------------------------------------------

    @cached_property
    def scores(self) -> tuple[Floats, Floats]:
        """``T = Z'V⁻¹E``: (p+1, q, m) for the inner factor, (M, p+1) for the outer columns; the outcome's come last."""
        s = self.statistics
        turn = self._turn
        solved = self.outer.roots.apply(self._solved) @ turn
        left = (turn.T @ s.inner_cross.reshape(s.n_fixed + 1, -1)).reshape(s.inner_cross.shape)
        if s.layout.n_columns:
            left -= self._to_levels(s.entry_cross * np.take(solved.T, s.layout.entry_column, axis=1)[:, None])
        inner = left - np.einsum("kjm,rkm->rjm", self._whitened_gram, self.inner.whiten(left))
        if not s.layout.n_columns:
            return inner, s.outer_cross
        return inner, self._outer_direct @ turn - self.outer.multiply(solved)

    def project(self, inner_cross: Floats, outer_cross: Floats) -> tuple[Floats, Floats]:
        """``Z'V⁻¹u`` from ``Z1'u`` (r, q, m) and ``Z2'u`` (M, r), in the same two shapes."""
        s = self.statistics
        direct = outer_cross - self._shared(self.inner.whiten(inner_cross))
        roots = self.outer.roots
        solved = roots.apply(self.outer.solve(roots.apply(direct, transposed=True)))
        left = inner_cross
        if s.layout.n_columns:
            left = left - self._to_levels(s.entry_cross * np.take(solved.T, s.layout.entry_column, axis=1)[:, None])
        inner = left - np.einsum("kjm,rkm->rjm", self._whitened_gram, self.inner.whiten(left))
        return inner, direct - self.outer.multiply(solved)

    def random_cross(
        self, inner_v: Floats, outer_v: Floats, statistics: Statistics | None = None
    ) -> tuple[Floats, Floats]:
        """``Z'ΩZ v`` for coefficients ``v`` of the random effects, (r, q, m) and (M, r).

        With other ``statistics`` of the same design, their ``Z'ΩZ``.
        """
        s = statistics or self.statistics
        inner_cross = np.einsum("jkm,rkm->rjm", s.inner_gram, inner_v)
        outer_cross = s.outer_product @ outer_v
        if s.layout.n_columns:
            at_entries = np.take(outer_v.T, s.layout.entry_column, axis=1)
            inner_cross += self._to_levels(s.entry_cross * at_entries[:, None])
            outer_cross += self._to_columns(np.einsum("ke,rke->re", s.entry_cross, self.at_entries(inner_v)))
        return inner_cross, outer_cross

    def inner_projection(self) -> Floats:
        """``Z1'V1⁻¹Z1`` per inner level, (q, q, m): the inner effects alone, before the outer columns."""
        g = self._whitened_gram
        return self.statistics.inner_gram - np.einsum("kjm,klm->jlm", g, g)

    @cached_property
    def _whitened_gram(self) -> Floats:
        return self.inner.whitened_gram()

    @cached_property
    def projected_entries(self) -> Floats:
        """``(I − G M) c`` for each entry, (q, E)."""
        taken = self.at_entries(self._whitened_gram)
        return self.statistics.entry_cross - np.einsum("kje,ke->je", taken, self._whitened_entries)

    @cached_property
    def pair_weights(self) -> Floats:
        """``N`` at each pair of entries that meet."""
        return self.outer.central_at_pairs()

    def level_grams(self) -> tuple[Floats, list[Floats]]:
        """``Z'V⁻¹Z`` per level: (q, q, m) for the inner factor, (levels, q, q) for each outer one."""
        layout = self.statistics.layout
        inner = self.inner_projection()
        if layout.n_columns == 0:
            return inner, []
        c = self.projected_entries
        a, b = layout.pair_a, layout.pair_b
        weight = np.where(a == b, 0.5, 1.0) * self.pair_weights
        half = np.einsum("jp,lp->jlp", c[:, a] * weight, c[:, b])
        level = layout.entry_level[a]
        m = inner.shape[2]
        for j in range(inner.shape[0]):
            for k in range(j + 1):
                inner[j, k] -= sum_by(level, half[j, k] + half[k, j], m)
                inner[k, j] = inner[j, k]
        return inner, self.outer.projected_gram()

    @cached_property
    def gradient_matrices(self) -> list[Floats]:
        """``Γ`` per factor, (q, q): the derivative of the value with respect to its covariance."""
        s = self.statistics
        weights = np.full(s.n_fixed + 1, float(self.reml))
        weights[-1] = self.n_free
        inner, outer = self.scores
        matrices: list[Floats] = [np.empty(0)] * len(self.covariance.matrices)
        by_effect = inner.transpose(1, 0, 2)
        weighted = (weights[:, None] * by_effect).reshape(len(by_effect), -1)
        matrices[s.inner_factor] = self._inner_total() - weighted @ by_effect.reshape(len(by_effect), -1).T
        grams = self.outer.projected_gram() if s.outer_factors else []
        for f, (factor, gram) in enumerate(zip(s.outer_factors, grams, strict=True)):
            own = outer[s.layout.columns_of(f)].reshape(gram.shape[0], gram.shape[1], -1)
            matrices[factor] = gram.sum(axis=0) - np.tensordot(own * weights, own, axes=([0, 2], [0, 2]))
        return matrices

    def _inner_total(self) -> Floats:
        """``Z1'V⁻¹Z1`` summed over levels, (q, q)."""
        s, layout = self.statistics, self.statistics.layout
        g = self._whitened_gram
        by_effect = g.transpose(1, 0, 2).reshape(len(g), -1)
        total = s.inner_gram.sum(axis=2) - by_effect @ by_effect.T
        if layout.n_columns:
            c = self.projected_entries
            weight = np.where(layout.pair_a == layout.pair_b, 0.5, 1.0) * self.pair_weights
            half = (c[:, layout.pair_a] * weight) @ c[:, layout.pair_b].T
            total -= half + half.T
        return total

    @cached_property
    def gradient(self) -> Floats:
        """Derivative of the value with respect to the parameters: of the covariances, then of the residuals."""
        gamma = self.gradient_matrices
        own = np.array([np.sum(gamma[p.factor] * p.derivative) for p in self.covariance.parameters])
        return own if self.residual is None else np.append(own, self.residual_scores.gradient)

    @cached_property
    def residual_scores(self) -> ResidualScores:
        """What the residual parameters do to the value."""
        from alliance_stats.engine.mixed.residual_scores import ResidualScores

        return ResidualScores(self)

    # ---- average information -----------------------------------------------------------------------------------

    @cached_property
    def score_sums(self) -> Floats:
        """``y'PV_rPy / y'Py`` per parameter: how the residual sum of squares falls with it."""
        s = self.statistics
        own_products = self.scores[0][-1] @ self.scores[0][-1].T
        sums = []
        for p in self.covariance.parameters:
            if p.factor == s.inner_factor:
                sums.append(float(np.sum(p.derivative * own_products)))
            else:
                own = self._outer_scores(p.factor)[:, :, -1]
                sums.append(float(np.sum(p.derivative * (own.T @ own))))
        return np.array(sums) if self.residual is None else np.append(sums, self.residual_scores.score_sums)

    def _outer_scores(self, factor: int) -> Floats:
        """Scores of one outer factor, (levels, q, p+1)."""
        s = self.statistics
        at = s.outer_factors.index(factor)
        return self.scores[1][s.layout.columns_of(at)].reshape(s.layout.n_levels[at], s.layout.n_effects[at], -1)

    @cached_property
    def average_information(self) -> Floats:
        """Average-information approximation to the Hessian of the value, σ² profiled out."""
        if self.residual is not None:
            return self.residual_scores.average_information
        s = self.statistics
        inner_v, outer_v = self.working_coefficients()
        inner_cross, outer_cross = self.random_cross(inner_v, outer_v)
        flat_v, (inner, outer) = inner_v.reshape(len(inner_v), -1), self.scores
        raw = flat_v @ inner_cross.reshape(flat_v.shape).T + outer_v.T @ outer_cross
        projected = flat_v @ inner[:-1].reshape(s.n_fixed, -1).T + outer_v.T @ outer[:, :-1]
        information = raw - self.absorbed(inner_cross, outer_cross) - projected @ projected.T
        sums = self.score_sums
        information = self.n_free * (information - np.outer(sums, sums))
        return 0.5 * (information + information.T)

    def absorbed(self, inner_cross: Floats, outer_cross: Floats) -> Floats:
        """``u'ΩZ M Z'Ωu`` from ``Z'Ωu``, (r, r): what the random effects take away from ``u'Ωu`` to make ``u'V⁻¹u``."""
        whitened = self.inner.whiten(inner_cross)
        flat = whitened.reshape(len(whitened), -1)
        rhs = self.outer.roots.apply(outer_cross - self._shared(whitened), transposed=True)
        return flat @ flat.T + rhs.T @ self.outer.solve(rhs)

    def working_coefficients(self) -> tuple[Floats, Floats]:
        """``v`` with ``V_r P y = Z v`` for each parameter: (k, q, m) and (M, k)."""
        s = self.statistics
        parameters = self.covariance.parameters
        inner_v = np.zeros((len(parameters), *s.inner_gram.shape[1:]))
        outer_v = np.zeros((s.layout.n_columns, len(parameters)))
        for r, p in enumerate(parameters):
            if p.factor == s.inner_factor:
                inner_v[r] = p.derivative @ self.scores[0][-1]
            else:
                own = self._outer_scores(p.factor)[:, :, -1] @ p.derivative
                outer_v[s.layout.columns_of(s.outer_factors.index(p.factor)), r] = own.ravel()
        return inner_v, outer_v


def _gather_index(statistics: Statistics) -> slice | np.ndarray:
    """Index that takes inner levels to entries; a plain slice where each level has exactly one entry."""
    level = statistics.layout.entry_level
    m = statistics.inner_gram.shape[2]
    if level.size == m and (level == np.arange(m)).all():
        return slice(None)
    return level
