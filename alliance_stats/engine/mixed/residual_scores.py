"""Gradient and information of the residual parameters.

With ``Ω`` the inverse of the residuals' relative covariance, ``Ω_r`` its derivative, and ``ρ_j = e_j − Z b_j`` what is
left of the orthonormal columns ``e_j`` of ``[X y]`` after their predicted random effects ``b_j = ΦZ'V⁻¹e_j``:

    d log|V| = d log|R| + tr(M Z'Ω_rZ),   M = Φ − ΦZ'V⁻¹ZΦ,
    e_i'V⁻¹V_rV⁻¹e_j = −ρ_i'Ω_rρ_j.

All of it is read off the derivative of the statistics, except ``ρ_i'Ω_rRΩ_sρ_j``, which the average information and
Kenward and Roger's adjustment need and for which the rows are visited once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.information import working_coefficients
from alliance_stats.engine.mixed.residual_rows import precision_slope, root_solve
from alliance_stats.engine.mixed.statistics import Statistics

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.deviance import Evaluation

#: Coefficients of the random effects: of the inner factor (r, q, m), of the outer columns (M, r).
Coefficients = tuple[Floats, Floats]


class ResidualScores:
    """Scores of the residual parameters at one evaluation.

    Parameters
    ----------
    evaluation : Evaluation
        With a residual point.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        assert evaluation.residual is not None
        self.evaluation = evaluation
        self.point = evaluation.residual
        self.turn = evaluation._turn

    @cached_property
    def predicted(self) -> Coefficients:
        """``b = ΦZ'V⁻¹E``: predicted random effects of the orthonormal columns."""
        evaluation = self.evaluation
        s, matrices = evaluation.statistics, evaluation.covariance.matrices
        inner, outer = evaluation.scores
        predicted = np.empty_like(outer)
        for at, factor in enumerate(s.outer_factors):
            columns = s.layout.columns_of(at)
            own = outer[columns].reshape(s.layout.n_levels[at], s.layout.n_effects[at], -1)
            predicted[columns] = np.einsum("jk,lkr->ljr", matrices[factor], own).reshape(-1, outer.shape[1])
        return np.einsum("jk,rkm->rjm", matrices[s.inner_factor], inner), predicted

    @cached_property
    def crosses(self) -> list[Coefficients]:
        """``Z'Ω_rρ`` for each parameter: (p+1, q, m) and (M, p+1)."""
        found = []
        for s in self.point.derivatives:
            inner, outer = self.evaluation.random_cross(*self.predicted, s)
            direct = (self.turn.T @ s.inner_cross.reshape(len(self.turn), -1)).reshape(s.inner_cross.shape)
            found.append((direct - inner, s.outer_cross @ self.turn - outer))
        return found

    @cached_property
    def products(self) -> Floats:
        """``ρ'Ω_rρ`` for each parameter, (k, p+1, p+1)."""
        inner, outer = self.predicted
        flat = inner.reshape(len(inner), -1)
        found = []
        for s, (cross_inner, cross_outer) in zip(self.point.derivatives, self.crosses, strict=True):
            direct = s.inner_cross.reshape(len(inner), -1) @ flat.T + s.outer_cross.T @ outer
            left = self.turn.T @ (s.total @ self.turn - direct)
            product = left - flat @ cross_inner.reshape(flat.shape).T - outer.T @ cross_outer
            found.append(0.5 * (product + product.T))
        return np.array(found).reshape(-1, *self.turn.shape)

    @cached_property
    def gradient(self) -> Floats:
        """Derivatives of the criterion, (k,)."""
        evaluation = self.evaluation
        weights = np.full(len(self.turn), float(evaluation.reml))
        weights[-1] = evaluation.n_free
        slopes = [s.log_determinant + self._trace(s) for s in self.point.derivatives]
        return np.array(slopes) + np.einsum("rjj,j->r", self.products, weights)

    @property
    def score_sums(self) -> Floats:
        """``y'PV_rPy / y'Py``, (k,)."""
        return -self.products[:, -1, -1]

    # ---- the trace ---------------------------------------------------------------------------------------------

    @cached_property
    def _known(self) -> tuple[Floats, Floats, Floats]:
        """``M``: per inner level (q, q, m), at each entry (q, E), at each distinct pair of outer columns."""
        evaluation = self.evaluation
        s, layout = evaluation.statistics, evaluation.statistics.layout
        matrix = evaluation.covariance.matrices[s.inner_factor]
        own = np.einsum("ij,jkm,kl->ilm", matrix, evaluation.level_grams()[0], matrix, optimize=True)
        inner = matrix[:, :, None] - own
        if not layout.n_columns:
            return inner, np.zeros((len(matrix), 0)), np.zeros(0)
        a, b, weight = layout.pair_a, layout.pair_b, evaluation.pair_weights
        entries = evaluation.projected_entries
        met = np.empty_like(entries)
        apart = a != b
        for k, row in enumerate(entries):
            met[k] = np.bincount(a, row[b] * weight, layout.n_entries)
            met[k] += np.bincount(b[apart], (row[a] * weight)[apart], layout.n_entries)
        pair = layout.distinct_pairs[1]
        twice = np.where(layout.entry_column[a[pair]] == layout.entry_column[b[pair]], 1.0, 2.0)
        return inner, -matrix @ met, twice * weight[pair]

    def _trace(self, s: Statistics) -> float:
        """``tr(M Z'Ω_rZ)``."""
        inner, entries, pairs = self._known
        trace = float(np.vdot(inner, s.inner_gram)) + 2 * float(np.vdot(entries, s.entry_cross))
        return trace + float(pairs @ s.outer_gram[s.layout.distinct_pairs[0]]) if pairs.size else trace

    # ---- information -------------------------------------------------------------------------------------------

    def row_products(self, columns: slice) -> Floats:
        """``ρ_i'Ω_rRΩ_sρ_j`` over some of the orthonormal columns, (k, k, c, c)."""
        rows = self._left_over(columns)
        moved = [root_solve(self.point, precision_slope(self.point, r, rows)) for r in range(len(self.products))]
        shape = len(moved), len(moved), rows.shape[1], rows.shape[1]
        return np.array([[a.T @ b for b in moved] for a in moved]).reshape(shape)

    def _left_over(self, columns: slice) -> Floats:
        """``ρ`` by row, (n, c)."""
        design = self.point.basis.design
        turn = self.turn[:, columns]
        inner, outer = self.predicted[0][columns], self.predicted[1][:, columns]
        s = self.evaluation.statistics
        values = [np.ones(design.n_obs) if c is None else c for c in [*design.columns, design.outcome]]
        rows = np.column_stack([values[k] for k in (*design.fixed, -1)]) @ turn
        for f, factor in enumerate(design.factors):
            if f == s.inner_factor:
                effects = inner.transpose(2, 1, 0)
            else:
                own = outer[s.layout.columns_of(s.outer_factors.index(f))]
                effects = own.reshape(factor.n_levels, factor.n_effects, -1)
            for k, column in enumerate(factor.effects):
                for j in range(rows.shape[1]):
                    rows[:, j] -= factor.at_rows(effects[:, k, j]) * values[column]
        return rows

    @cached_property
    def average_information(self) -> Floats:
        """Average information of all parameters, those of the random effects first, σ² profiled out."""
        evaluation = self.evaluation
        s = evaluation.statistics
        inner_v, outer_v = working_coefficients(evaluation)
        n_own, n = len(inner_v), len(inner_v) + len(self.products)
        own_inner, own_outer = evaluation.random_cross(inner_v, outer_v)
        inner_cross = np.concatenate([own_inner, *(-inner[-1:] for inner, _ in self.crosses)])
        outer_cross = np.column_stack([own_outer, *(-outer[:, -1] for _, outer in self.crosses)])
        flat_v, flat_cross = inner_v.reshape(n_own, -1), inner_cross.reshape(n, -1)
        raw = np.empty((n, n))
        raw[:n_own] = flat_v @ flat_cross.T + outer_v.T @ outer_cross
        raw[n_own:, :n_own] = raw[:n_own, n_own:].T
        raw[n_own:, n_own:] = self.row_products(slice(-1, None))[:, :, 0, 0]
        inner, outer = evaluation.scores
        projected = np.empty((n, s.n_fixed))
        projected[:n_own] = flat_v @ inner[:-1].reshape(s.n_fixed, -1).T + outer_v.T @ outer[:, :-1]
        projected[n_own:] = -self.products[:, :-1, -1]
        information = raw - evaluation.absorbed(inner_cross, outer_cross) - projected @ projected.T
        sums = evaluation.score_sums
        information = evaluation.n_free * (information - np.outer(sums, sums))
        return 0.5 * (information + information.T)
