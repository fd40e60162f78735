"""Predictions for single rows, and how uncertain each is.

With ``w = x'β + z'b`` the target and hats on what is estimated, the error of a row's prediction has the variance

    σ² [ z'(D − DZ'V⁻¹ZD)z + c'(X'V⁻¹X)⁻¹c ],   c = x − X'V⁻¹ZDz,

which equals ``(x, z)' C⁻¹ (x, z)`` with ``C`` the matrix of Henderson's mixed-model equations: the random effects'
uncertainty, that of the fixed effects, and their covariance. For the outer columns ``D − DZ'V⁻¹ZD`` is ``N`` of the
eliminated system; for an inner level and an outer column it is ``−D₁ U N`` with ``U = Z1'V1⁻¹Z2``. Only the entries
that the rows need are formed; nothing has rows × rows.

References
----------
Henderson (1975), Biometrics, 31, 423-447. McLean, Sanders & Stroup (1991), The American Statistician, 45, 54-64.
Giesbrecht & Burns (1985), Biometrics, 41, 477-486 (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from alliance_stats.engine.mixed.coordinates import Coordinates
from alliance_stats.engine.mixed.design import Floats, Ints
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.inference import interior_parameters
from alliance_stats.engine.mixed.outer import OuterFactor
from alliance_stats.engine.mixed.predict import LevelEffects
from alliance_stats.engine.mixed.sums import sum_by

#: Columns of the outer system that are solved for together.
_CHUNK = 256


@dataclass(frozen=True)
class Members:
    """Which known levels of one factor the rows belong to.

    Parameters
    ----------
    row, level : ndarray of int, shape (n,)
        Sorted by row; a row without a known level is not listed.
    weight : ndarray of shape (n,)
        1 where a row belongs to one level.
    """

    row: Ints
    level: Ints
    weight: Floats


@dataclass(frozen=True)
class PredictionRows:
    """Rows to predict.

    Parameters
    ----------
    fixed : ndarray of shape (n_rows, p)
        Fixed-effect columns.
    random : tuple of ndarray of shape (n_rows, q)
        Random-effect columns of each factor.
    members : tuple of Members
        Known levels of each factor, whose predicted effects are part of the prediction.
    fresh : tuple of ndarray of shape (n_rows,)
        For each factor the sum of squared weights of levels that the prediction averages over: 1 where a row belongs
        to one level that is not among the ``members``, 0 where its level is.
    stratum : ndarray of int, shape (n_rows,), optional
        Residual stratum of each row, where there are several.
    weight : ndarray of shape (n_rows,), optional
        Prior weight of each row; 1 by default.
    """

    fixed: Floats
    random: tuple[Floats, ...]
    members: tuple[Members, ...]
    fresh: tuple[Floats, ...]
    stratum: Ints | None = None
    weight: Floats | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.fixed)

    def standardised(self, coordinates: Coordinates) -> PredictionRows:
        """Return the rows in standardised columns."""
        random = tuple(z @ turn for z, turn in zip(self.random, coordinates.random_maps, strict=True))
        weight = None if self.weight is None else self.weight / coordinates.weight_scale
        return replace(self, fixed=self.fixed @ coordinates.fixed_map, random=random, weight=weight)


def row_estimates(rows: PredictionRows, beta: Floats, effects: tuple[LevelEffects, ...]) -> Floats:
    """Predict the rows, in outcome units, (n_rows,)."""
    estimate = rows.fixed @ beta
    for z, members, own in zip(rows.random, rows.members, effects, strict=True):
        parts = np.einsum("ik,ik->i", z[members.row], own.estimate[members.level]) * members.weight
        estimate += sum_by(members.row, parts, rows.n_rows)
    return estimate


def row_variances(evaluation: Evaluation, rows: PredictionRows, outcome: bool) -> Floats:
    """Variance of each row's prediction error relative to σ² (standardised coordinates).

    Parameters
    ----------
    evaluation : Evaluation
    rows : PredictionRows
        In standardised columns.
    outcome : bool
        Of a new outcome: adds the residual and the effects of levels that are not known.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    moved = _fixed_weights(evaluation, rows)
    variance = np.einsum("ij,ij->i", moved, moved) + _inner_variance(evaluation, rows)
    if evaluation.statistics.outer_factors:
        variance += _outer_variance(evaluation, rows)
    # a difference of near-equal numbers where random effects are all but known
    variance = np.maximum(variance, 0.0)
    if outcome:
        variance += _residual_variance(evaluation, rows)
        for z, fresh, matrix in zip(rows.random, rows.fresh, evaluation.covariance.matrices, strict=True):
            variance += fresh * np.einsum("ij,jk,ik->i", z, matrix, z)
    return variance


def row_degrees_of_freedom(
    evaluation: Evaluation, parameter_covariance: Floats, rows: PredictionRows, outcome: bool
) -> Floats:
    """Satterthwaite's degrees of freedom of each row's variance, ``2 v² / Var(v)``.

    Parameters
    ----------
    evaluation : Evaluation
        At the optimum.
    parameter_covariance : ndarray of shape (k, k)
        Of the free covariance parameters and log σ², as in ``FixedInference``.
    rows, outcome
        As in :func:`row_variances`.

    Returns
    -------
    ndarray of shape (n_rows,)
        Infinite where no variance parameter matters.
    """
    base = row_variances(evaluation, rows, outcome)
    size = np.where(base > 0, base, 1.0)
    state = evaluation.state
    slopes = []
    for r in np.flatnonzero(interior_parameters(evaluation)):
        value = state.values[r]
        step = 1e-4 * (value if state.pivots[r] else max(1.0, abs(value)))
        sides = []
        for shift in (step, -step):
            values = state.values.copy()
            values[r] += shift
            moved = evaluation.at(state.moved(values))
            sides.append(row_variances(moved, rows, outcome))
        slopes.append((sides[0] - sides[1]) / (2 * step) / size)
    relative = np.column_stack([*slopes, np.where(base > 0, 1.0, 0.0)])  # the last: v is proportional to σ²
    spread = np.einsum("rk,kl,rl->r", relative, parameter_covariance, relative)
    with np.errstate(divide="ignore"):
        return np.where(spread > 0, 2 / spread, np.inf)


def _residual_variance(evaluation: Evaluation, rows: PredictionRows) -> Floats:
    """Residual variance of each row relative to σ²."""
    state, variance = evaluation.state, np.ones(rows.n_rows)
    if state.model is not None and rows.stratum is not None:
        variance = np.exp(2 * state.model.log_ratios(state.residual))[rows.stratum]
    return variance if rows.weight is None else variance / rows.weight


# ---- the parts of the variance -------------------------------------------------------------------------------------


def _fixed_weights(evaluation: Evaluation, rows: PredictionRows) -> Floats:
    """``R⁻ᵀ(x − X'V⁻¹ZDz)`` with ``X'V⁻¹X = R'R``: weights of uncorrelated fixed effects of unit variance, (n, p)."""
    s = evaluation.statistics
    inner, outer = evaluation.scores
    weights = rows.fixed @ evaluation.fixed_root
    for factor, matrix in enumerate(evaluation.covariance.matrices):
        if factor == s.inner_factor:
            scores = inner[:-1].transpose(2, 1, 0)
        else:
            at = s.outer_factors.index(factor)
            own = outer[s.layout.columns_of(at), :-1]
            scores = own.reshape(s.layout.n_levels[at], s.layout.n_effects[at], -1)
        members = rows.members[factor]
        turned = rows.random[factor][members.row] @ matrix * members.weight[:, None]
        parts = np.einsum("ij,ijp->ip", turned, scores[members.level])
        for p in range(weights.shape[1]):
            weights[:, p] -= sum_by(members.row, parts[:, p], rows.n_rows)
    return weights


def _inner_variance(evaluation: Evaluation, rows: PredictionRows) -> Floats:
    """``z'(D − DZ'V⁻¹ZD)z`` of the inner factor."""
    inner = evaluation.statistics.inner_factor
    members, matrix = rows.members[inner], evaluation.covariance.matrices[inner]
    if not members.row.size:
        return np.zeros(rows.n_rows)
    gram = evaluation.level_grams()[0].transpose(2, 0, 1)
    known = matrix - matrix @ gram @ matrix
    z = rows.random[inner][members.row]
    return sum_by(members.row, np.einsum("ij,ijk,ik->i", z, known[members.level], z), rows.n_rows)


@dataclass(frozen=True)
class _Weights:
    """Sparse weights of rows on outer columns, sorted by row."""

    row: Ints
    column: Ints
    weight: Floats


def _outer_variance(evaluation: Evaluation, rows: PredictionRows) -> Floats:
    """``a'N a − 2 z1'D₁U N a`` with ``a`` the row's weights on the outer columns."""
    own = _outer_weights(evaluation, rows)
    if not own.row.size:
        return np.zeros(rows.n_rows)
    left = _joined([own, _inner_weights(evaluation, rows)])
    a, b = _same_row(left, own, rows.n_rows)
    central = _central(evaluation.outer, left.column[a], own.column[b])
    return sum_by(left.row[a], left.weight[a] * central * own.weight[b], rows.n_rows)


def _outer_weights(evaluation: Evaluation, rows: PredictionRows) -> _Weights:
    """Effect values of the known outer levels, by row."""
    s = evaluation.statistics
    parts = []
    for at, factor in enumerate(s.outer_factors):
        members, q = rows.members[factor], s.layout.n_effects[at]
        first = s.layout.first_column[at] + members.level * q
        values = rows.random[factor][members.row] * members.weight[:, None]
        parts += [_Weights(members.row, first + k, values[:, k]) for k in range(q)]
    return _joined(parts)


def _inner_weights(evaluation: Evaluation, rows: PredictionRows) -> _Weights:
    """``−2 U'D₁z₁`` by row, on the outer columns that the row's inner level meets."""
    s = evaluation.statistics
    members, matrix = rows.members[s.inner_factor], evaluation.covariance.matrices[s.inner_factor]
    n_entries = np.bincount(s.layout.entry_level, minlength=s.inner_gram.shape[2])
    first = np.cumsum(n_entries) - n_entries
    counts = n_entries[members.level]
    which = np.repeat(np.arange(members.row.size), counts)
    entry = first[members.level[which]] + _within(counts)
    turned = rows.random[s.inner_factor][members.row] @ matrix
    weight = -2 * np.einsum("ij,ji->i", turned[which], evaluation.projected_entries[:, entry])
    return _Weights(members.row[which], s.layout.entry_column[entry], weight)


def _joined(parts: list[_Weights]) -> _Weights:
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row, kind="stable")
    column, weight = (np.concatenate([getattr(part, name) for part in parts]) for name in ("column", "weight"))
    return _Weights(row[order], column[order], weight[order])


def _same_row(left: _Weights, right: _Weights, n_rows: int) -> tuple[Ints, Ints]:
    """All pairs of places in ``left`` and ``right`` that belong to one row."""
    n_right = np.bincount(right.row, minlength=n_rows)
    first = np.cumsum(n_right) - n_right
    counts = n_right[left.row]
    a = np.repeat(np.arange(left.row.size), counts)
    return a, first[left.row[a]] + _within(counts)


def _within(counts: Ints) -> Ints:
    """0, 1, …, count − 1 for each count, one after the other."""
    ends = np.cumsum(counts)
    places: Ints = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
    return places


def _central(outer: OuterFactor, a: Ints, b: Ints) -> Floats:
    """``N = Λ S⁻¹ Λ'`` at the columns (a, b), which need not have met in the data."""
    columns, place = np.unique(b, return_inverse=True)
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(0, columns.size + _CHUNK, _CHUNK))
    values = np.empty(a.size)
    for chunk, (start, stop) in enumerate(pairwise(bounds)):
        own = columns[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        unit = np.zeros((outer.layout.n_columns, own.size))
        unit[own, np.arange(own.size)] = 1.0
        solved = outer.roots.apply(outer.solve(outer.roots.apply(unit, transposed=True)))
        at = order[start:stop]
        values[at] = solved[a[at], place[at] - chunk * _CHUNK]
    return values
