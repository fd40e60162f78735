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

from math import log, pi
from typing import TYPE_CHECKING

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.covariance import CovarianceState
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.information import average_information
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
        self._level = s.layout.level_index(s.inner_gram.shape[2])
        self._whitened_entries = np.einsum("jke,ke->je", self.at_entries(self.inner.whitener), s.entry_cross)
        self.outer = self._factorise_outer()
        whitened = self.inner.whiten(s.inner_cross)
        self._outer_direct = s.outer_cross - self._shared(whitened)
        self._outer_rhs = self.outer.roots.apply(self._outer_direct, transposed=True)
        self._solved = self.outer.solve(self._outer_rhs)
        flat = whitened.reshape(s.n_fixed + 1, -1)
        self.cross = s.total - flat @ flat.T - self._outer_rhs.T @ self._solved
        self.triangle, info = lapack.dpotrf(self.cross, lower=0)
        if info:
            raise LinAlgError("rounding makes the system of the fixed effects indefinite")

    @lazy
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
        w, (a, b) = self._whitened_entries, layout.apart
        products = np.empty(layout.pair_position.size)
        np.einsum("ke,ke->e", w, w, out=products[: layout.n_entries])
        if a.size:
            np.einsum("kp,kp->p", w.take(a, axis=1), w.take(b, axis=1), out=products[layout.n_entries :])
        gram = s.outer_gram - sum_by(layout.pair_position, products, layout.size)
        return factorise_outer(layout, gram, [self.covariance.roots[k] for k in s.outer_factors])

    # ---- the metric of V⁻¹ -------------------------------------------------------------------------------------

    def at_entries(self, per_level: Floats) -> Floats:
        """Take inner levels (…, m) to the entries that belong to them (…, E)."""
        return per_level if isinstance(self._level, slice) else per_level.take(self._level, axis=-1)

    def _to_columns(self, per_entry: Floats) -> Floats:
        """Sum entries (r, E) into their outer columns: (M, r)."""
        layout = self.statistics.layout
        return sum_rows_by(layout.entry_column, per_entry, layout.n_columns).T

    def _shared(self, whitened: Floats) -> Floats:
        """What the outer columns share with whitened inner right-hand sides (r, q, m): ``Z2'Z1 W'·``, (M, r)."""
        if self.statistics.layout.n_columns == 0:
            return np.zeros((0, len(whitened)))
        return self._to_columns(np.einsum("ke,rke->re", self._whitened_entries, self.at_entries(whitened)))

    @lazy
    def _reduction(self) -> Floats:
        """``Z1'V1⁻¹ = K Z1'`` level by level: ``K = I − G W'W``, (q, q, m)."""
        reduction = np.einsum("kjm,klm->jlm", -self._whitened_gram, self.inner.whitener)
        for j in range(len(reduction)):
            reduction[j, j] += 1.0
        return reduction

    def _reduced(self, left: Floats) -> Floats:
        """``K a`` for stacked vectors (r, q, m)."""
        return np.einsum("jkm,rkm->rjm", self._reduction, left)

    # ---- the value ---------------------------------------------------------------------------------------------

    @property
    def n_free(self) -> int:
        """Rows less fixed effects (REML), or rows (ML)."""
        return self.statistics.n_obs - self.statistics.n_fixed * self.reml

    @lazy
    def value(self) -> float:
        """−2 log-likelihood, or the REML criterion."""
        diagonal = self.triangle.diagonal()
        value = self.statistics.log_determinant + self.inner.log_determinant + self.outer.log_determinant
        if self.reml:
            value += 2 * float(np.log(diagonal[:-1]).sum())
        n_free = self.n_free
        return value + n_free * (1 + log(2 * pi * float(diagonal[-1]) ** 2 / n_free))

    @property
    def sigma2(self) -> float:
        """Residual variance."""
        return float(self.triangle[-1, -1] ** 2 / self.n_free)

    @lazy
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

    @lazy
    def scores(self) -> tuple[Floats, Floats]:
        """``T = Z'V⁻¹E``: (p+1, q, m) for the inner factor, (M, p+1) for the outer columns; the outcome's come last."""
        s, turn, roots = self.statistics, self._turn, self.outer.roots
        rooted = self._solved @ turn
        solved = roots.apply(rooted)
        left = (turn.T @ s.inner_cross.reshape(s.n_fixed + 1, -1)).reshape(s.inner_cross.shape)
        inner = self._reduced(_less_outer(s, left, solved))
        if roots.invertible:
            return inner, rooted / roots.scale[:-1, None]  # Λ'T = S⁻¹Λ'·, without a difference of near-equal numbers
        return inner, self._outer_direct @ turn - self.outer.multiply(solved)

    def project(self, inner_cross: Floats, outer_cross: Floats) -> tuple[Floats, Floats]:
        """``Z'V⁻¹u`` from ``Z1'u`` (r, q, m) and ``Z2'u`` (M, r), in the same two shapes."""
        s, roots = self.statistics, self.outer.roots
        direct = outer_cross - self._shared(self.inner.whiten(inner_cross))
        solved = roots.apply(self.outer.solve(roots.apply(direct, transposed=True)))
        return self._reduced(_less_outer(s, inner_cross, solved)), direct - self.outer.multiply(solved)

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
            outer_cross += s.inner_outer_product.T @ inner_v.reshape(len(inner_v), -1).T
        return _less_outer(s, inner_cross, -outer_v), outer_cross

    def inner_projection(self) -> Floats:
        """``Z1'V1⁻¹Z1`` per inner level, (q, q, m): the inner effects alone, before the outer columns."""
        return self._inner_projection.copy()

    @lazy
    def _inner_projection(self) -> Floats:
        g = self._whitened_gram
        return self.statistics.inner_gram - np.einsum("kjm,klm->jlm", g, g)

    @lazy
    def _whitened_gram(self) -> Floats:
        return self.inner.whitened_gram()

    @lazy
    def projected_entries(self) -> Floats:
        """``(I − G M) c`` for each entry, (q, E)."""
        return np.einsum("jke,ke->je", self.at_entries(self._reduction), self.statistics.entry_cross)

    @lazy
    def pair_weights(self) -> Floats:
        """``N`` at each pair of entries that meet."""
        return self.outer.central_at_pairs()

    def level_grams(self) -> tuple[Floats, list[Floats]]:
        """``Z'V⁻¹Z`` per level: (q, q, m) for the inner factor, (levels, q, q) for each outer one."""
        layout = self.statistics.layout
        inner = self.inner_projection()
        if layout.n_columns == 0:
            return inner, []
        c, (a, b) = self.projected_entries, layout.apart
        alone, weight = np.split(self.pair_weights, [layout.n_entries])
        half = 0.5 * np.einsum("je,le->jle", c * alone, c), np.einsum("jp,lp->jlp", c[:, a] * weight, c[:, b])
        level, m = layout.entry_level, inner.shape[2]
        for j in range(inner.shape[0]):
            for k in range(j + 1):
                for at, own in zip((level, level[a]), half, strict=True):
                    inner[j, k] -= sum_by(at, own[j, k] + own[k, j], m)
                inner[k, j] = inner[j, k]
        return inner, self.outer.projected_gram()

    @lazy
    def gradient_matrices(self) -> list[Floats]:
        """``Γ`` per factor, (q, q): the derivative of the value with respect to its covariance."""
        s = self.statistics
        weights = np.full(s.n_fixed + 1, float(self.reml))
        weights[-1] = self.n_free
        inner = self.scores[0]
        matrices: list[Floats] = [np.empty(0)] * len(self.covariance.matrices)
        total = self._inner_total()
        squares = np.matmul(inner, inner.transpose(0, 2, 1)).reshape(len(weights), total.size)
        matrices[s.inner_factor] = total - (weights @ squares).reshape(total.shape)
        grams = self.outer.projected_gram() if s.outer_factors else []
        for at, (factor, gram) in enumerate(zip(s.outer_factors, grams, strict=True)):
            own = self._outer_scores(at)
            squares = np.einsum("ljr,lkr->rjk", own, own).reshape(len(weights), gram[0].size)
            matrices[factor] = gram.sum(axis=0) - (weights @ squares).reshape(gram.shape[1:])
        return matrices

    def _inner_total(self) -> Floats:
        """``Z1'V⁻¹Z1`` summed over levels, (q, q)."""
        layout, total = self.statistics.layout, self._inner_projection.sum(axis=2)
        if layout.n_columns:
            c, weight, (a, b) = self.projected_entries, self.pair_weights, layout.apart
            total -= (c * weight[: layout.n_entries]) @ c.T
            half = (c.take(a, axis=1) * weight[layout.n_entries :]) @ c.take(b, axis=1).T
            total -= half + half.T
        return total

    @lazy
    def gradient(self) -> Floats:
        """Derivative of the value with respect to the parameters: of the covariances, then of the residuals."""
        gradient = np.empty(self.covariance.values.size)
        for (own, derivatives), gamma in zip(self.covariance.directions, self.gradient_matrices, strict=True):
            gradient[own] = derivatives.reshape(len(derivatives), gamma.size) @ gamma.ravel()
        return gradient if self.residual is None else np.append(gradient, self.residual_scores.gradient)

    @lazy
    def residual_scores(self) -> ResidualScores:
        """What the residual parameters do to the value."""
        from alliance_stats.engine.mixed.residual_scores import ResidualScores

        return ResidualScores(self)

    # ---- average information -----------------------------------------------------------------------------------

    @lazy
    def projected_directions(self) -> Floats:
        """``y'PV_rV⁻¹E / (y'Py)^½`` per parameter, (k, p+1)."""
        s = self.statistics
        inner = self.scores[0]
        n, q, m = inner.shape
        projected = np.empty((self.covariance.values.size, n))
        for factor, (own, derivatives) in enumerate(self.covariance.directions):
            # sums over levels of the outcome's scores times each column's, (q, q, p+1)
            if factor == s.inner_factor:
                product = (inner[-1] @ inner.reshape(n * q, m).T).reshape(q, n, q).transpose(0, 2, 1)
            else:
                score = self._outer_scores(s.outer_factors.index(factor))
                product = score[:, :, -1].T @ score.reshape(len(score), -1)
            n_pairs = derivatives.shape[1] ** 2
            projected[own] = derivatives.reshape(len(derivatives), n_pairs) @ product.reshape(n_pairs, n)
        return projected

    @property
    def score_sums(self) -> Floats:
        """``y'PV_rPy / y'Py`` per parameter: how the residual sum of squares falls with it."""
        sums = self.projected_directions[:, -1]
        return sums if self.residual is None else np.append(sums, self.residual_scores.score_sums)

    def _outer_scores(self, at: int) -> Floats:
        """Scores of the outer factor at this place among the outer ones, (levels, q, p+1)."""
        layout = self.statistics.layout
        return self.scores[1][layout.columns_of(at)].reshape(layout.n_levels[at], layout.n_effects[at], -1)

    @lazy
    def average_information(self) -> Floats:
        """Average-information approximation to the Hessian of the value, σ² profiled out."""
        return average_information(self) if self.residual is None else self.residual_scores.average_information

    def absorbed(self, inner_cross: Floats, outer_cross: Floats) -> Floats:
        """``u'ΩZ M Z'Ωu`` from ``Z'Ωu``, (r, r): what the random effects take away from ``u'Ωu`` to make ``u'V⁻¹u``."""
        whitened = self.inner.whiten(inner_cross)
        flat = whitened.reshape(len(whitened), -1)
        rhs = self.outer.roots.apply(outer_cross - self._shared(whitened), transposed=True)
        return flat @ flat.T + rhs.T @ self.outer.solve(rhs)


def _less_outer(s: Statistics, inner_cross: Floats, outer: Floats) -> Floats:
    """``Z1'Ωu − Z1'ΩZ2 b`` from ``Z1'Ωu`` (r, q, m) and coefficients ``b`` of the outer columns, (M, r)."""
    if s.layout.n_columns == 0:
        return inner_cross
    # transposed in one go: to subtract column by column is far slower
    moved = np.ascontiguousarray((s.inner_outer_product @ outer).T).reshape(inner_cross.shape)
    return np.subtract(inner_cross, moved, out=moved)
