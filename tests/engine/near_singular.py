"""Two thousand tiny, often singular problems, and an optimiser for them that shares nothing with the engine.

``tests/golden/near_singular/make_optima.py`` writes the optima down; the slow test of ``test_optimise.py`` compares.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from dense import Dense, column_values
from scipy.optimize import minimize

from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign

SEEDS = range(2000)
#: What a problem is, in turn: slopes over one factor; beside crossed intercepts; in both crossed factors; in a factor
#: and one that it is nested in; uncorrelated slopes; two slopes.
KINDS = ("slopes", "slopes and crossed intercepts", "crossed slopes", "nested slopes", "uncorrelated", "two slopes")


def problem(seed: int) -> tuple[MixedDesign, bool]:
    """Draw a problem of 20 to 60 rows, with true variances of zero half of the time; say whether REML fits it."""
    rng = np.random.default_rng([3, seed])
    kind = KINDS[seed % len(KINDS)]
    n, m = (
        int(rng.integers(24 if kind in KINDS[2:4] else 20, 61)),
        int(rng.integers(4, 9 if kind != "two slopes" else 6)),
    )
    codes = _all_levels(rng, n, m)
    x = rng.normal(size=n) if rng.random() < 0.5 else rng.integers(1, 8, size=n).astype(float)
    z = rng.normal(size=n)
    outcome = rng.normal(size=n) + _effect(rng, codes, m) + _effect(rng, codes, m) * x
    blocks: tuple[tuple[int, ...], ...] = ((0,), (1,)) if kind == "uncorrelated" else ((0, 1),)
    columns, effects = [None, x], (0, 1)
    if kind == "two slopes":
        columns, effects, blocks = [None, x, z], (0, 1, 2), ((0, 1, 2),)
        outcome = outcome + _effect(rng, codes, m) * z
    factors = [GroupingFactor("g", codes, m, effects, blocks)]
    if kind in KINDS[1:4]:
        other = codes % 3 if kind == "nested slopes" else rng.permutation(_all_levels(rng, n, 3))
        slopes = kind != "slopes and crossed intercepts"
        outcome = outcome + _effect(rng, other, 3) + slopes * _effect(rng, other, 3) * x
        factors.append(GroupingFactor("h", other, 3, (0, 1) if slopes else (0,), ((0, 1),) if slopes else ((0,),)))
    return MixedDesign(outcome, columns, tuple(range(len(columns))), tuple(factors)), bool(rng.random() < 0.8)


def _all_levels(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    return np.sort(np.concatenate([np.arange(m), rng.integers(m, size=n - m)]))


def _effect(rng: np.random.Generator, codes: np.ndarray, m: int) -> np.ndarray:
    return (rng.choice([0.0, 0.0, 0.3, 1.0]) * rng.normal(size=m))[codes]


def checksum(design: MixedDesign) -> float:
    """Tells whether numpy still draws the numbers that the optima were made from."""
    columns = sum(np.arange(1, design.n_obs + 1) @ c for c in design.columns if c is not None)
    codes = sum(np.arange(1, design.n_obs + 1) @ f.codes for f in design.factors)
    return float(np.arange(1, design.n_obs + 1) @ design.outcome + columns + codes)


Criterion = Callable[[np.ndarray], tuple[float, np.ndarray]]


def dense_criterion(design: MixedDesign, reml: bool) -> tuple[Criterion, int]:
    """The criterion with its gradient in the Cholesky factors' entries, by n × n matrices; and the number of entries.

    Columns count in units of their root mean square, so that the entries are of one size.
    """
    dense = Dense(design, tuple(np.eye(f.n_effects) for f in design.factors), reml)
    n_free, x, y = dense.n_free, dense.x, design.outcome
    bases, places = [], []
    for factor in design.factors:
        same = factor.codes[:, None] == factor.codes
        values = [column_values(design, k) for k in factor.effects]
        values = [v / np.sqrt(np.mean(v**2)) for v in values]
        for block in factor.blocks:
            bases.append(np.array([[np.outer(values[a], values[b]) * same for b in block] for a in block]))
            places.append(np.tril_indices(len(block)))
    n_entries = sum(place[0].size for place in places)

    def roots_of(theta):
        at = 0
        for basis, place in zip(bases, places, strict=True):
            root = np.zeros(basis.shape[:2])
            root[place] = theta[at : at + place[0].size]
            at += place[0].size
            yield root

    def value(theta):
        roots = list(roots_of(theta))
        v = np.eye(design.n_obs)
        for root, basis in zip(roots, bases, strict=True):
            v += np.tensordot(root @ root.T, basis, axes=2)
        lower = np.linalg.cholesky(v)
        inverse = np.linalg.inv(v)
        half = inverse @ x
        information = x.T @ half
        residual = inverse @ y - half @ np.linalg.solve(information, half.T @ y)
        rss = float(y @ residual)
        trace = inverse - half @ np.linalg.solve(information, half.T) if reml else inverse
        change = trace - np.outer(residual, residual) * (n_free / rss)
        slopes = [
            (2 * np.tensordot(basis, change, axes=2) @ root)[place]
            for root, basis, place in zip(roots, bases, places, strict=True)
        ]
        determinants = 2 * np.log(np.diag(lower)).sum() + reml * np.linalg.slogdet(information)[1]
        return float(determinants + n_free * (1 + np.log(2 * np.pi * rss / n_free))), np.concatenate(slopes)

    return value, n_entries


def optima(design: MixedDesign, reml: bool, n_starts: int) -> np.ndarray:
    """What scipy reaches from each start, (n_starts,): the first of equal variances, the others drawn."""
    value, n_entries = dense_criterion(design, reml)
    rng = np.random.default_rng(0)
    starts = [np.full(n_entries, 0.3), *rng.normal(size=(n_starts - 1, n_entries))]
    tight = {"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9}
    return np.array([minimize(value, s, jac=True, method="L-BFGS-B", options=tight).fun for s in starts])
