"""Kenward and Roger's adjusted covariance and degrees of freedom, from the sufficient statistics.

The covariance of the outcome is linear in the variances and covariances of the random effects and σ²:
``V = Σ_r γ_r G_r``, ``G_r = Z(I ⊗ E_r)Z'`` and the identity for σ². Needed are ``P_r = −X'V⁻¹G_rV⁻¹X``,
``Q_rs = X'V⁻¹G_rV⁻¹G_sV⁻¹X`` and ``tr(V⁻¹G_rV⁻¹G_s)``. All follow from products of outer columns with outer columns
(therapist × therapist); no matrix has rows × rows, or patients × patients. What belongs to σ² follows by linearity.

Everything is computed relative to σ² and in columns of ``X`` that are orthonormal in the metric of ``V⁻¹``, where the
covariance of the fixed effects is the identity.

References
----------
Kenward & Roger (1997), Biometrics, 53, 983-997. Halekoh & Højsgaard (2014), Journal of Statistical Software, 59(9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.elimination import SparseFactor, SparseGroup, multiply_sparse
from alliance_stats.engine.mixed.layout import BlockGroup, OuterLayout
from alliance_stats.engine.mixed.outer import BlockFactor, symmetric
from alliance_stats.errors import DesignError


@dataclass(frozen=True)
class KenwardRoger:
    """Adjusted inference for the fixed effects.

    Parameters
    ----------
    unadjusted, adjusted : ndarray of shape (p, p)
        Covariance of the fixed effects, and the same with the small-sample adjustment.
    slopes : ndarray of shape (k, p, p)
        ``Φ P_r Φ`` for every covariance parameter, σ² last.
    weights : ndarray of shape (k, k)
        Asymptotic covariance of the covariance parameters (inverse expected information).
    """

    unadjusted: Floats
    adjusted: Floats
    slopes: Floats
    weights: Floats

    def test(self, contrasts: Floats) -> tuple[float, float]:
        """Degrees of freedom and scale of the F statistic of several contrasts taken together.

        Parameters
        ----------
        contrasts : ndarray of shape (rank, p)

        Returns
        -------
        df, scale : float
            The F statistic, with the adjusted covariance and multiplied by ``scale``, has ``rank`` and ``df`` degrees
            of freedom. For a single contrast the scale is 1.
        """
        rank = contrasts.shape[0]
        theta = contrasts.T @ np.linalg.solve(contrasts @ self.unadjusted @ contrasts.T, contrasts)
        turned = np.einsum("ij,rjk->rik", theta, self.slopes)
        traces = np.einsum("rii->r", turned)
        a1 = float(traces @ self.weights @ traces)
        a2 = float(np.einsum("rs,rij,sji->", self.weights, turned, turned))
        b = (a1 + 6 * a2) / (2 * rank)
        g = ((rank + 1) * a1 - (rank + 4) * a2) / ((rank + 2) * a2) if a2 else 0.0
        spread = 3 * rank + 2 * (1 - g)
        c1, c2, c3 = g / spread, (rank - g) / spread, (rank + 2 - g) / spread
        mean = 1 / (1 - a2 / rank)
        variance = 2 / rank * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
        rho = variance / (2 * mean**2)
        if rank * rho <= 1:  # no variance parameter matters: the normal limit
            return np.inf, 1.0
        df = 4 + (rank + 2) / (rank * rho - 1)
        return float(df), float(df / (mean * (df - 2)))

    def degrees_of_freedom(self, contrasts: Floats) -> Floats:
        """Degrees of freedom of single contrasts, (r, p) → (r,)."""
        return np.array([self.test(row[None])[0] for row in contrasts])


@dataclass(frozen=True)
class _Direction:
    """One covariance parameter: a factor and the symmetric pattern ``E`` of its covariance."""

    factor: int
    pattern: Floats
    value: float


def kenward_roger(evaluation: Evaluation) -> KenwardRoger:
    """Adjust the inference of a REML fit (standardised coordinates, outcome units).

    Raises
    ------
    DesignError
        If the expected information about the covariance parameters is singular.
    """
    if not evaluation.reml:
        raise DesignError("Kenward-Roger degrees of freedom are defined for REML fits. Fit with method='REML'.")
    if evaluation.residual is not None:
        from alliance_stats.engine.mixed.kenward_roger_residual import residual_products

        return _adjusted(evaluation, *residual_products(evaluation))
    directions = _directions(evaluation)
    p_matrices, q_matrices = _products(evaluation, directions)
    traces = _traces(evaluation, directions)
    return _adjusted(evaluation, p_matrices, q_matrices, _weights(p_matrices, q_matrices, traces))


def _adjusted(evaluation: Evaluation, p_matrices: Floats, q_matrices: Floats, weights: Floats) -> KenwardRoger:
    """Put ``P``, ``Q`` and the covariance of the parameters together."""
    bracket = np.einsum("rs,rsij->ij", weights, q_matrices)
    bracket -= np.einsum("rs,rij,sjk->ik", weights, p_matrices, p_matrices)
    p = evaluation.statistics.n_fixed
    sigma2, root = evaluation.sigma2, evaluation.fixed_root

    def to_columns(matrix: Floats) -> Floats:
        return sigma2 * root @ matrix @ root.T

    return KenwardRoger(
        to_columns(np.eye(p)), to_columns(np.eye(p) + bracket + bracket.T), to_columns(p_matrices), weights
    )


def _weights(p_matrices: Floats, q_matrices: Floats, traces: Floats) -> Floats:
    """Inverse of the expected information of the covariance parameters under REML."""
    information = 0.5 * (
        traces - 2 * np.einsum("rsii->rs", q_matrices) + np.einsum("rij,sji->rs", p_matrices, p_matrices)
    )
    information = 0.5 * (information + information.T)
    scale = np.sqrt(np.diag(information))
    if not (scale > 0).all() or np.linalg.cond(information / np.outer(scale, scale)) > 1e13:
        raise DesignError(
            "The data hold no information about one of the variances, so Kenward-Roger degrees of freedom cannot be "
            "computed. Leave that random effect out, or use df='satterthwaite'."
        )
    return np.linalg.inv(information / np.outer(scale, scale)) / np.outer(scale, scale)


def _directions(evaluation: Evaluation) -> list[_Direction]:
    """Every variance and covariance of every factor."""
    found = []
    for f, (factor, matrix) in enumerate(
        zip(evaluation.covariance.factors, evaluation.covariance.matrices, strict=True)
    ):
        for block in factor.blocks:
            for at, j in enumerate(block):
                for k in block[: at + 1]:
                    pattern = np.zeros((factor.n_effects, factor.n_effects))
                    pattern[j, k] = pattern[k, j] = 1.0
                    found.append(_Direction(f, pattern, float(matrix[j, k])))
    return found


# ---- P and Q -------------------------------------------------------------------------------------------------------


def _products(evaluation: Evaluation, directions: list[_Direction]) -> tuple[Floats, Floats]:
    """``P`` (k+1, p, p) and ``Q`` (k+1, k+1, p, p), σ² last."""
    n, p = len(directions), evaluation.statistics.n_fixed
    p_matrices, q_matrices = np.zeros((n + 1, p, p)), np.zeros((n + 1, n + 1, p, p))
    inner, outer = evaluation.scores
    scores = inner[:-1], outer[:, :-1]
    for s, direction in enumerate(directions):
        own = turned(evaluation, direction.factor, direction.pattern, *scores)
        p_matrices[s] = -_inner_product(own, scores)
        moved = evaluation.project(*evaluation.random_cross(*own))
        for r in range(n):
            q_matrices[r, s] = _inner_product(
                turned(evaluation, directions[r].factor, directions[r].pattern, *scores), moved
            )
    values = np.array([direction.value for direction in directions])
    p_matrices[n] = -np.eye(p) - np.einsum("r,rij->ij", values, p_matrices[:n])
    for r in range(n):
        q_matrices[r, n] = -p_matrices[r] - np.einsum("s,sij->ij", values, q_matrices[r, :n])
        q_matrices[n, r] = q_matrices[r, n].T
    q_matrices[n, n] = -p_matrices[n] - np.einsum("s,sij->ij", values, q_matrices[n, :n])
    return p_matrices, q_matrices


def turned(evaluation: Evaluation, factor: int, pattern: Floats, inner: Floats, outer: Floats) -> tuple[Floats, Floats]:
    """``(I ⊗ E)`` times coefficients: (p, q, m) and (M, p), zero outside the factor."""
    s = evaluation.statistics
    if factor == s.inner_factor:
        return np.einsum("jk,rkm->rjm", pattern, inner), np.zeros_like(outer)
    at = s.outer_factors.index(factor)
    columns, q = s.layout.columns_of(at), s.layout.n_effects[at]
    moved = np.zeros_like(outer)
    own = outer[columns].reshape(-1, q, outer.shape[1])
    moved[columns] = np.einsum("jk,lkr->ljr", pattern, own).reshape(-1, outer.shape[1])
    return np.zeros_like(inner), moved


def _inner_product(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> Floats:
    """``a'b`` of coefficients, (p, p)."""
    flat = [part.reshape(len(part), -1) for part in (a[0], b[0])]
    return flat[0] @ flat[1].T + a[1].T @ b[1]


# ---- traces --------------------------------------------------------------------------------------------------------


def _traces(evaluation: Evaluation, directions: list[_Direction]) -> Floats:
    """``tr(V⁻¹G_rV⁻¹G_s)``, (k+1, k+1), σ² last."""
    n = len(directions)
    traces = np.zeros((n + 1, n + 1))
    blocks = list(_outer_blocks(evaluation))
    inner_gram, outer_grams = evaluation.level_grams()
    for r in range(n):
        for s in range(r + 1):
            traces[r, s] = traces[s, r] = _trace(evaluation, directions[r], directions[s], blocks)
    single = np.array([_first_trace(evaluation, d, inner_gram, outer_grams) for d in directions])
    values = np.array([direction.value for direction in directions])
    traces[:n, n] = traces[n, :n] = single - traces[:n, :n] @ values
    traces[n, n] = evaluation.statistics.n_obs - single @ values - traces[n, :n] @ values
    return traces


def _first_trace(evaluation: Evaluation, direction: _Direction, inner: Floats, outer: list[Floats]) -> float:
    """``tr(V⁻¹G_r)``."""
    s = evaluation.statistics
    if direction.factor == s.inner_factor:
        return float(np.sum(direction.pattern * inner.sum(axis=2)))
    return float(np.sum(direction.pattern * outer[s.outer_factors.index(direction.factor)].sum(axis=0)))


@dataclass(frozen=True)
class _OuterBlock:
    """Dense matrices of one group of components, (n_blocks, size, size)."""

    columns: np.ndarray
    gram: Floats
    central: Floats

    @property
    def reduction(self) -> Floats:
        """``I − N H``."""
        return np.eye(self.gram.shape[1]) - self.central @ self.gram


def _outer_blocks(evaluation: Evaluation) -> Iterator[_OuterBlock]:
    """``H`` and ``N`` of every group of components, as dense blocks."""
    outer = evaluation.outer
    for group, factor in zip(outer.layout.groups, outer.factors, strict=True):
        if isinstance(group, SparseGroup) and isinstance(factor, SparseFactor):
            size = group.columns.shape[1]
            scale = outer.roots.scale[group.columns[0]]
            central = scale[:, None] * factor.solve(np.diag(scale)[None])[0]
            yield _OuterBlock(group.columns, multiply_sparse(group, outer.gram, np.eye(size))[None], central[None])
        elif isinstance(group, BlockGroup) and isinstance(factor, BlockFactor):
            gram = symmetric(outer.gram[group.start : group.stop].reshape(group.shape))
            central = symmetric(outer.roots.sandwich(factor.inverse, group, outside=True))
            yield _OuterBlock(group.columns, gram, central)


def _trace(evaluation: Evaluation, r: _Direction, s: _Direction, blocks: list[_OuterBlock]) -> float:
    inner = evaluation.statistics.inner_factor
    if r.factor == inner and s.factor == inner:
        return _inner_trace(evaluation, r.pattern, s.pattern, blocks)
    if s.factor == inner:
        r, s = s, r
    layout = evaluation.statistics.layout
    total = 0.0
    for block in blocks:
        right = _spread(layout, evaluation, s, block.columns)
        if r.factor == inner:
            meeting = _meeting(evaluation, r.pattern, block)
            reduction = block.reduction
            total += _product_trace(right, reduction.transpose(0, 2, 1) @ meeting @ reduction)
        else:
            left = _spread(layout, evaluation, r, block.columns)
            projected = block.gram @ block.reduction
            total += _product_trace(left @ projected, right @ projected)
    return total


def _product_trace(a: Floats, b: Floats) -> float:
    """``Σ tr(A B)`` over blocks."""
    return float(np.einsum("nij,nji->", a, b))


def _inner_trace(evaluation: Evaluation, r: Floats, s: Floats, blocks: list[_OuterBlock]) -> float:
    """Trace for two directions of the inner factor, whose block is diagonal less a term of low rank."""
    own = evaluation.inner_projection()
    total = float(np.einsum("ij,jkm,kl,lim->", r, own, s, own, optimize=True))
    layout = evaluation.statistics.layout
    if not layout.n_columns:
        return total
    entries = evaluation.projected_entries
    at_entries = evaluation.at_entries(own)
    moved = np.einsum("ij,jke,kl,le->ie", r, at_entries, s, entries, optimize=True)
    moved = moved + np.einsum("ij,jke,kl,le->ie", s, at_entries, r, entries, optimize=True)
    a, b = layout.pair_a, layout.pair_b
    weight = np.where(a == b, 0.5, 1.0) * evaluation.pair_weights
    shared = np.einsum("ip,ip->p", entries[:, a], moved[:, b]) + np.einsum("ip,ip->p", entries[:, b], moved[:, a])
    total -= float(shared @ weight)
    for block in blocks:
        left = _meeting(evaluation, r, block) @ block.central
        right = _meeting(evaluation, s, block) @ block.central
        total += _product_trace(left, right)
    return total


def _meeting(evaluation: Evaluation, pattern: Floats, block: _OuterBlock) -> Floats:
    """``U'(I ⊗ E)U`` of a group, where ``U = Z1'V1⁻¹Z2``: outer columns that meet in inner levels."""
    layout = evaluation.statistics.layout
    n_blocks, size = block.columns.shape
    place = np.full(layout.n_columns + 1, -1)
    place[block.columns.ravel()] = np.arange(n_blocks * size)
    place[-1] = -1
    u = evaluation.projected_entries
    a, b = layout.pair_a, layout.pair_b
    row, column = place[layout.entry_column[a]], place[layout.entry_column[b]]
    own = np.flatnonzero(row >= 0)
    products = np.einsum("ip,ij,jp->p", u[:, a[own]], pattern, u[:, b[own]], optimize=True)
    flat = np.zeros((n_blocks, size, size))
    which, i, j = row[own] // size, row[own] % size, column[own] % size
    np.add.at(flat, (which, i, j), products)
    apart = a[own] != b[own]
    np.add.at(flat, (which[apart], j[apart], i[apart]), products[apart])
    return flat


def _spread(layout: OuterLayout, evaluation: Evaluation, direction: _Direction, columns: np.ndarray) -> Floats:
    """``I ⊗ E`` on the columns of a group, (n_blocks, size, size)."""
    at = evaluation.statistics.outer_factors.index(direction.factor)
    own, q = layout.columns_of(at), layout.n_effects[at]
    inside = (columns >= own.start) & (columns < own.stop)
    effect = np.where(inside, (columns - own.start) % q, -1)
    spread = np.zeros((*columns.shape, columns.shape[1]))
    for j, k in zip(*np.nonzero(direction.pattern), strict=True):
        # The effects of a level stand next to each other.
        block, place = np.nonzero(effect == j)
        spread[block, place, place + (k - j)] = direction.pattern[j, k]
    return spread
