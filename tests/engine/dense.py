"""The mixed model written out in n × n matrices: slow, plain, and the yardstick of the engine's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.statistics import collect


@dataclass(frozen=True)
class Dense:
    """``y = Xβ + Σ Z_f b_f + e`` at given relative covariances, by the textbook formulas."""

    design: MixedDesign
    matrices: tuple[np.ndarray, ...]
    reml: bool
    residual: np.ndarray | None = None

    @cached_property
    def x(self):
        return np.column_stack([column_values(self.design, k) for k in self.design.fixed])

    @cached_property
    def z(self):
        """Per factor (n, levels × effects): level by level, effect by effect."""
        return [random_columns(self.design, factor) for factor in self.design.factors]

    @cached_property
    def prior(self):
        """Per factor, relative covariance of all its effects."""
        return [np.kron(np.eye(f.n_levels), d) for f, d in zip(self.design.factors, self.matrices, strict=True)]

    @cached_property
    def r(self):
        """Relative covariance of the residuals."""
        return np.eye(self.design.n_obs) if self.residual is None else self.residual

    @cached_property
    def v(self):
        return self.r + sum(z @ d @ z.T for z, d in zip(self.z, self.prior, strict=True))

    @cached_property
    def v_inverse(self):
        return np.linalg.inv(self.v)

    @cached_property
    def information(self):
        """``X'V⁻¹X``."""
        return self.x.T @ self.v_inverse @ self.x

    @cached_property
    def beta(self):
        return np.linalg.solve(self.information, self.x.T @ self.v_inverse @ self.design.outcome)

    @cached_property
    def projection(self):
        """``P = V⁻¹ − V⁻¹X (X'V⁻¹X)⁻¹ X'V⁻¹``."""
        half = self.v_inverse @ self.x
        return self.v_inverse - half @ np.linalg.solve(self.information, half.T)

    @property
    def n_free(self):
        return self.design.n_obs - self.design.n_fixed * self.reml

    @cached_property
    def rss(self):
        return float(self.design.outcome @ self.projection @ self.design.outcome)

    @property
    def sigma2(self):
        return self.rss / self.n_free

    @cached_property
    def value(self):
        log_determinants = np.linalg.slogdet(self.v)[1]
        if self.reml:
            log_determinants += np.linalg.slogdet(self.information)[1]
        return float(log_determinants + self.n_free * (1 + np.log(2 * np.pi * self.rss / self.n_free)))

    def fixed_covariance(self):
        return self.sigma2 * np.linalg.inv(self.information)

    def average_information(self, directions):
        """``n (q_r'Pq_s / r² − s_r s_s / r⁴)`` with ``q_r = V_r P y`` and ``s_r = y'P q_r``; σ² profiled out."""
        residual = self.projection @ self.design.outcome
        working = []
        for factor, derivative in directions:
            z = self.z[factor]
            change = z @ np.kron(np.eye(self.design.factors[factor].n_levels), derivative) @ z.T
            working.append(change @ residual)
        q = np.column_stack(working)
        sums = residual @ q / self.rss
        return self.n_free * (q.T @ self.projection @ q / self.rss - np.outer(sums, sums))


def column_values(design: MixedDesign, k: int) -> np.ndarray:
    column = design.columns[k]
    return np.ones(design.n_obs) if column is None else column


def random_columns(design: MixedDesign, factor: GroupingFactor) -> np.ndarray:
    belongs = np.column_stack([factor.at_rows(level) for level in np.eye(factor.n_levels)])
    z = np.zeros((design.n_obs, factor.n_levels, factor.n_effects))
    for k, column in enumerate(factor.effects):
        z[:, :, k] = belongs * column_values(design, column)[:, None]
    return z.reshape(design.n_obs, -1)


def by_level(matrix: np.ndarray, factor: GroupingFactor) -> np.ndarray:
    """Diagonal blocks of a (levels × effects) square matrix, (levels, q, q)."""
    m, q = factor.n_levels, factor.n_effects
    return np.array([matrix[k * q : (k + 1) * q, k * q : (k + 1) * q] for k in range(m)])


def engine(design: MixedDesign, matrices: Sequence[np.ndarray], reml: bool) -> Evaluation:
    """The engine's evaluation at the same point."""
    return Evaluation(collect(design), state(design.factors, matrices), reml)


# ---- designs to compare on --------------------------------------------------------------------------------------


def covariance(rng: np.random.Generator, q: int, rank: int | None = None, size: float = 1.0) -> np.ndarray:
    """A random covariance of that rank; of rank 0 it is zero."""
    root = rng.normal(size=(q, q if rank is None else rank))
    return size * root @ root.T


def one_block(name: str, codes: np.ndarray, effects: tuple[int, ...], n_levels: int | None = None) -> GroupingFactor:
    """A factor whose effects are all correlated."""
    levels = int(codes.max()) + 1 if n_levels is None else n_levels
    return GroupingFactor(name, codes.astype(np.int64), levels, effects, (tuple(range(len(effects))),))


def make_design(
    seed: int,
    sizes: Sequence[tuple[int, int]],
    *,
    n_obs: int = 90,
    n_fixed: int = 3,
    nested: bool = False,
    shuffled: bool = False,
    ring: bool = False,
) -> MixedDesign:
    """Draw a design.

    ``sizes`` lists (levels, effects) per factor, the first with most levels. Crossed at random unless ``nested``, or
    in a ``ring``, where levels are tied only to their neighbours; rows sorted by the first factor unless ``shuffled``.
    Column 0 is the intercept.
    """
    rng = np.random.default_rng(seed)
    n_columns = max([n_fixed, *(q for _, q in sizes)])
    columns = [None, *(rng.normal(size=n_obs) for _ in range(n_columns - 1))]
    first = np.sort(np.concatenate([np.arange(sizes[0][0]), rng.integers(sizes[0][0], size=n_obs - sizes[0][0])]))
    factors = []
    for at, (m, q) in enumerate(sizes):
        if at == 0:
            codes = first
        elif nested:
            codes = first % m
        elif ring:
            codes = (first * m // sizes[0][0] + rng.integers(2, size=n_obs)) % m
        else:
            codes = np.concatenate([np.arange(m), rng.integers(m, size=n_obs - m)])
        factors.append((codes, m, q))
    order = rng.permutation(n_obs) if shuffled else np.arange(n_obs)
    columns = [None if c is None else c[order] for c in columns]
    built = tuple(one_block(f"g{k}", c[order], tuple(range(q)), m) for k, (c, m, q) in enumerate(factors))
    outcome = rng.normal(size=n_obs)
    for factor in built:
        for k in factor.effects:
            effect = rng.normal(size=factor.n_levels)[factor.codes]
            outcome += effect if columns[k] is None else effect * columns[k]
    return MixedDesign(outcome, columns, tuple(range(n_fixed)), built)
