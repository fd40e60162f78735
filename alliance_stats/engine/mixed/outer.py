"""Algebra of the outer columns (therapists, sites, …): ``S = I + Λ'HΛ`` in block storage.

Only lower triangles of ``H`` are stored. Where every outer factor has one effect, ``Λ`` is diagonal and the
triangles are enough; with several effects the blocks are made symmetric first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import blas, lapack

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.elimination import SparseFactor, SparseGroup, multiply_sparse
from alliance_stats.engine.mixed.layout import BlockGroup, OuterLayout

#: Blocks up to this size go through numpy's batched routines, larger ones one by one through LAPACK.
_BATCHED = 32
#: Below this relative variance, differences from one lose too many digits.
_SAFE_VARIANCE = 1e-5


class Roots:
    """The square roots of the outer factors' covariances as an operator ``Λ`` on outer columns."""

    def __init__(self, layout: OuterLayout, roots: Sequence[Floats]) -> None:
        self.layout = layout
        self.roots = tuple(roots)
        self.diagonal = all(root.shape[0] == 1 for root in roots)

    @lazy
    def scale(self) -> Floats:
        """``λ`` per column (and one for padding), where ``Λ`` is diagonal."""
        return self._offset(0, False)

    @lazy
    def invertible(self) -> bool:
        """Whether ``Λ`` is diagonal and no variance is so small that dividing by it would cost digits."""
        return self.diagonal and all(root[0, 0] ** 2 > _SAFE_VARIANCE for root in self.roots)

    @lazy
    def _reach(self) -> range:
        """Offsets of the columns that ``Λ`` mixes."""
        reach = max((root.shape[0] for root in self.roots), default=1)
        return range(1 - reach, reach)

    @lazy
    def _weights(self) -> dict[int, Floats]:
        return {offset: self._offset(offset, False) for offset in self._reach}

    @lazy
    def _weights_t(self) -> dict[int, Floats]:
        return {offset: self._offset(offset, True) for offset in self._reach}

    def _offset(self, offset: int, transposed: bool) -> Floats:
        """``Λ[c + offset, c]`` for every column ``c`` (or of ``Λ'``); zero for padding."""
        weight = np.zeros(self.layout.n_columns + 1)
        for f, root in enumerate(self.roots):
            turned = root.T if transposed else root
            q = root.shape[0]
            per_effect = [turned[k + offset, k] if 0 <= k + offset < q else 0.0 for k in range(q)]
            weight[self.layout.columns_of(f)] = per_effect[0] if q == 1 else per_effect * self.layout.n_levels[f]
        return weight

    def apply(self, columns: Floats, transposed: bool = False) -> Floats:
        """``Λ x`` (or ``Λ' x``) for ``x`` of shape (M, r)."""
        if self.diagonal:
            return self.scale[:-1, None] * columns
        result = np.empty_like(columns)
        for f, root in enumerate(self.roots):
            own = self.layout.columns_of(f)
            q = root.shape[0]
            part = columns[own].reshape(-1, q, columns.shape[1])
            result[own] = np.einsum("jk,lkr->ljr", root.T if transposed else root, part).reshape(-1, columns.shape[1])
        return result

    def sparse_sandwich(self, stored: Floats, group: SparseGroup) -> SparseFactor:
        """Factorise ``I + Λ'HΛ`` of a sparse component (every outer factor has one effect there)."""
        n, n_core = group.n_eliminated, group.n_core
        if len(self.roots) == 1:
            scaled = self.roots[0][0, 0] ** 2 * stored[group.start : group.stop]
        else:
            scale = self.scale[group.columns[0]]
            a, b = group.ends
            scaled = stored[group.start : group.stop].copy()
            scaled[: group.n_sparse] *= scale[a] * scale[b]
            core = scaled[group.n_sparse :].reshape(n_core, n_core)
            core *= scale[n:, None] * scale[n:]
        scaled[:n] += 1.0
        scaled[group.n_sparse :: n_core + 1] += 1.0
        return SparseFactor(group, scaled)

    def sandwich(self, block: Floats, group: BlockGroup, outside: bool = False) -> Floats:
        """``Λ' A Λ`` for a group's blocks (or ``Λ A Λ'`` with ``outside``)."""
        if len(self.roots) == 1 and self.diagonal:
            return self.roots[0][0, 0] ** 2 * block
        if self.diagonal:
            own = self.scale[group.columns]
            return own[:, :, None] * block * own[:, None, :]
        weights = self._weights_t if outside else self._weights
        local = {offset: weight[group.columns] for offset, weight in weights.items()}
        once = _mix(symmetric(block), local)
        return _mix(once.transpose(0, 2, 1), local).transpose(0, 2, 1)


def _mix(blocks: Floats, weights: dict[int, Floats]) -> Floats:
    """Combine neighbouring columns: ``(A Λ)[:, c] = Σ_o A[:, c + o] Λ[c + o, c]``."""
    mixed = blocks * weights[0][:, None, :]
    for offset, weight in weights.items():
        if offset > 0:
            mixed[:, :, :-offset] += blocks[:, :, offset:] * weight[:, None, :-offset]
        elif offset < 0:
            mixed[:, :, -offset:] += blocks[:, :, :offset] * weight[:, None, -offset:]
    return mixed


def symmetric(lower: Floats) -> Floats:
    """Fill the upper triangles of blocks (n, s, s) from the lower ones."""
    if lower.shape[1] == 1:
        return lower
    below = np.tril(lower, -1)
    return np.tril(lower) + below.transpose(0, 2, 1)


@dataclass
class BlockFactor:
    """Cholesky factors of one group's ``S`` blocks, of which only the lower triangles are read."""

    matrix: Floats
    _factors: list[Floats] = field(default_factory=list)
    log_determinant: float = 0.0

    def __post_init__(self) -> None:
        size = self.matrix.shape[1]
        if size == 1:
            self.log_determinant = float(np.log(self.matrix).sum())
        elif size <= _BATCHED:
            factor = np.linalg.cholesky(self.matrix)  # reads the lower triangle only
            self.log_determinant = float(2 * np.log(np.einsum("bii->bi", factor)).sum())
        else:
            for block in self.matrix:
                factor, info = lapack.dpotrf(block.T, lower=0, clean=0)
                if info:
                    raise LinAlgError("a block of the outer system is not positive definite")
                self._factors.append(factor)
                self.log_determinant += float(2 * np.log(np.diagonal(factor)).sum())

    def solve(self, rhs: Floats) -> Floats:
        """``S⁻¹ b`` for right-hand sides (n_blocks, size, r)."""
        if not self._factors:
            return self.inverse @ rhs
        solved = [lapack.dpotrs(f, b, lower=0)[0] for f, b in zip(self._factors, rhs, strict=True)]
        return _stacked(solved)

    @lazy
    def inverse(self) -> Floats:
        """``S⁻¹``: symmetric for small blocks, lower triangles only for large ones."""
        if self.matrix.shape[1] == 1:
            return 1.0 / self.matrix
        if not self._factors:
            return np.linalg.inv(symmetric(self.matrix)).astype(float, copy=False)
        return _stacked([lapack.dpotri(factor, lower=0)[0].T for factor in self._factors])


def _stacked(blocks: list[Floats]) -> Floats:
    """Stack blocks; a single one, which may be large, is not copied."""
    return blocks[0][None] if len(blocks) == 1 else np.stack(blocks)


@dataclass(frozen=True)
class OuterFactor:
    """Factorised outer system at one value of the covariances.

    Parameters
    ----------
    layout : OuterLayout
    roots : Roots
        ``Λ``.
    gram : ndarray of shape (layout.size,)
        ``H = Z2'V1⁻¹Z2`` in block storage, lower triangles.
    factors : tuple of BlockFactor
        One per group.
    """

    layout: OuterLayout
    roots: Roots
    gram: Floats
    factors: tuple[BlockFactor | SparseFactor, ...]

    @property
    def log_determinant(self) -> float:
        """``log|S|``."""
        return sum(factor.log_determinant for factor in self.factors)

    def solve(self, columns: Floats) -> Floats:
        """``S⁻¹ x`` for ``x`` of shape (M, r)."""
        if self.layout.in_order:
            blocks = columns.reshape(*self.layout.groups[0].columns.shape, columns.shape[1])
            return self.factors[0].solve(blocks).reshape(columns.shape)
        padded = _padded(columns)
        solved = np.empty_like(padded)
        for group, factor in zip(self.layout.groups, self.factors, strict=True):
            solved[group.columns] = factor.solve(padded.take(group.columns, axis=0))
        return solved[:-1]

    def multiply(self, columns: Floats) -> Floats:
        """``H x`` for ``x`` of shape (M, r)."""
        return multiply(self.layout, self.gram, columns)

    @lazy
    def _inverse(self) -> Floats:
        """``S⁻¹`` in block storage."""
        blocks = [factor.inverse.ravel() for factor in self.factors]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def central_at_pairs(self) -> Floats:
        """``N = Λ S⁻¹ Λ'`` at each pair of entries that meet, (n_pairs,)."""
        layout, roots = self.layout, self.roots
        if roots.diagonal:
            stored = self._inverse
        else:
            stored = np.empty(layout.size)
            for group, factor in zip(layout.groups, self.factors, strict=True):
                assert isinstance(group, BlockGroup)
                stored[group.start : group.stop] = roots.sandwich(factor.inverse, group, outside=True).ravel()
        at_pairs = stored.take(layout.pair_position)
        if roots.diagonal and len(roots.roots) == 1:
            at_pairs *= roots.roots[0][0, 0] ** 2
        elif roots.diagonal:
            scale = roots.scale[layout.entry_column]
            at_pairs[: layout.n_entries] *= scale * scale
            a, b = layout.apart
            at_pairs[layout.n_entries :] *= scale[a] * scale[b]
        return at_pairs

    def projected_gram(self) -> list[Floats]:
        """Diagonal blocks of ``Z2'V⁻¹Z2 = H − H N H``: per outer factor, shape (n_levels, q, q)."""
        # Where all roots can be divided by, the inverse has it; near a variance of zero that difference cancels.
        if self.roots.invertible:
            return self._projected_one_effect()
        n = self.layout.n_columns
        reach = max(self.layout.n_effects, default=1)
        band = np.zeros((reach, n + 1))  # band[o, c] = (column c + o, column c)
        for group, factor in zip(self.layout.groups, self.factors, strict=True):
            if isinstance(factor, SparseFactor):
                band[0, factor.group.columns] = self._projected_sparse(factor.group, factor)
                continue
            assert isinstance(group, BlockGroup)
            size = group.columns.shape[1]
            for o, diagonal in enumerate(self._projected_diagonals(group, factor, min(reach, size))):
                band[o, group.columns[:, : size - o]] = diagonal
        result = []
        for f, q in enumerate(self.layout.n_effects):
            own = band[:, self.layout.columns_of(f)].reshape(reach, -1, q)
            blocks = np.empty((own.shape[1], q, q))
            for j in range(q):
                for k in range(j + 1):
                    blocks[:, j, k] = blocks[:, k, j] = own[j - k, :, k]
            result.append(blocks)
        return result

    def _projected_one_effect(self) -> list[Floats]:
        """The same where every factor has one effect and a variance to divide by: ``(1 − (S⁻¹)cc) / λ²``."""
        layout, roots = self.layout, self.roots.roots
        rest = 1.0 - self._inverse.take(layout.diagonal)
        own = [rest[layout.columns_of(f), None, None] for f in range(len(roots))]
        return [part / root[0, 0] ** 2 for part, root in zip(own, roots, strict=True)]

    def _projected_sparse(self, group: SparseGroup, factor: SparseFactor) -> Floats:
        """Return the diagonal of ``H − H N H`` of a sparse component, (1, size)."""
        scale = self.roots.scale[group.columns[0]]
        dense = multiply_sparse(group, self.gram, np.eye(scale.size))
        central = scale[:, None] * factor.solve((scale[:, None] * dense)[None])[0]
        return (np.diagonal(dense) - np.einsum("ij,ij->j", dense, central))[None]

    def _projected_diagonals(self, group: BlockGroup, factor: BlockFactor, n: int) -> list[Floats]:
        """Return the main diagonal of ``H − H N H`` and the ``n − 1`` below it, each (n_blocks, size − offset)."""
        gram = self.gram[group.start : group.stop].reshape(group.shape)
        if group.shape[1] == 1:
            return [(gram * factor.inverse)[:, :, 0]]  # h/(1 + λ²h): no difference of near-equal numbers
        full = symmetric(gram)
        central = symmetric(self.roots.sandwich(factor.inverse, group, outside=True))
        projected = full - full @ central @ full
        return [np.diagonal(projected, -o, 1, 2) for o in range(n)]


def _padded(columns: Floats) -> Floats:
    """Columns (M, r) with a row of zeros at the end, for the padding of blocks."""
    padded = np.zeros((len(columns) + 1, columns.shape[1]))
    padded[:-1] = columns
    return padded


def multiply(layout: OuterLayout, stored: Floats, columns: Floats) -> Floats:
    """Product of a block-stored symmetric matrix (lower triangles) with columns (M, r)."""
    padded = _padded(columns)
    result = np.zeros_like(padded)
    for group in layout.groups:
        if isinstance(group, SparseGroup):
            result[group.columns[0]] = multiply_sparse(group, stored, padded[group.columns[0]])
            continue
        block = stored[group.start : group.stop].reshape(group.shape)
        if group.shape[1] > _BATCHED:
            for at, own in enumerate(group.columns):
                result[own] = blas.dsymm(1.0, block[at].T, padded[own], lower=0)
        else:
            result[group.columns] = symmetric(block) @ padded[group.columns]
    return result[:-1]


def factorise_outer(layout: OuterLayout, gram: Floats, roots: Sequence[Floats]) -> OuterFactor:
    """Factorise ``S = I + Λ'HΛ``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If rounding has left a block that is not positive definite.
    """
    operator = Roots(layout, roots)
    factors: list[BlockFactor | SparseFactor] = []
    for group in layout.groups:
        if isinstance(group, SparseGroup):
            factors.append(operator.sparse_sandwich(gram, group))
            continue
        block = gram[group.start : group.stop].reshape(group.shape)
        matrix = operator.sandwich(block, group)
        size = group.shape[1]
        matrix.reshape(-1, size * size)[:, :: size + 1] += 1.0
        factors.append(BlockFactor(matrix))
    return OuterFactor(layout, operator, gram, tuple(factors))
