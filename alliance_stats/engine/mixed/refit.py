"""Fit one design to many outcomes: only the sums with the outcome are formed anew.

The sums of predictors and groupings, and the layout of the outer columns, are those of the first fit. Refits start at
its estimates, from where a few Newton steps suffice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.linalg import LinAlgError
from scipy.sparse import csr_array

from alliance_stats.engine.mixed.coordinates import Coordinates, standardise
from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import ONES, Floats, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.draw import draw_outcomes
from alliance_stats.engine.mixed.fit import MixedSolution, residual_estimate
from alliance_stats.engine.mixed.optimise import _Counter, _run, optimise
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.residual_basis import ResidualBasis
from alliance_stats.engine.mixed.statistics import Statistics
from alliance_stats.engine.threads import one_blas_thread

#: Least relative variance (in standardised columns) that a refit starts from: from zero no variance grows quickly.
_FLOOR = 0.01


@dataclass(frozen=True)
class Refits:
    """Estimates from many outcomes, in the units of the data; NaN where a criterion could not be computed.

    Parameters
    ----------
    beta : ndarray of shape (n, p)
    sigma2 : ndarray of shape (n,)
    random_covariances : tuple of ndarray of shape (n, q, q)
        Per factor.
    rho : ndarray of shape (n,)
        Correlation of residuals one unit of time apart.
    ratios : ndarray of shape (n, n_strata)
        Residual standard deviations relative to the first stratum's.
    criterion : ndarray of shape (n,)
        −2 log-likelihood or REML criterion.
    converged, boundary : ndarray of bool, shape (n,)
        Whether the optimality conditions hold; whether a covariance is singular.
    """

    beta: Floats
    sigma2: Floats
    random_covariances: tuple[Floats, ...]
    rho: Floats
    ratios: Floats
    criterion: Floats
    converged: np.ndarray
    boundary: np.ndarray

    def __len__(self) -> int:
        return self.sigma2.size

    @classmethod
    def joined(cls, parts: Sequence[Refits]) -> Refits:
        """Put the refits of several chunks one after the other."""
        return cls(
            np.concatenate([part.beta for part in parts]),
            np.concatenate([part.sigma2 for part in parts]),
            tuple(np.concatenate(own) for own in zip(*(part.random_covariances for part in parts), strict=True)),
            np.concatenate([part.rho for part in parts]),
            np.concatenate([part.ratios for part in parts]),
            np.concatenate([part.criterion for part in parts]),
            np.concatenate([part.converged for part in parts]),
            np.concatenate([part.boundary for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Refitter:
    """Refits a model to outcomes drawn from a fit or given.

    Parameters
    ----------
    design : MixedDesign
    solution : MixedSolution
        The model's fit to the design's own outcome.
    """

    design: MixedDesign
    solution: MixedSolution

    @cached_property
    def _standard(self) -> MixedDesign:
        return standardise(self.design)[0]

    @cached_property
    def _fixed(self) -> Floats:
        """``X``, (n_obs, p)."""
        columns = [self._standard.columns[k] for k in self._standard.fixed]
        ones = np.ones(self._standard.n_obs)
        return np.column_stack([ones if column is ONES else column for column in columns] or [ones[:, :0]])

    @cached_property
    def _random(self) -> csr_array:
        """``Z'`` of the inner factor (effect by effect), then of the outer ones (level by level)."""
        statistics = self.solution._evaluation.statistics
        factors, columns = self._standard.factors, self._standard.columns
        inner = factors[statistics.inner_factor]
        places = [np.arange(inner.n_effects)[:, None] * inner.n_levels + np.arange(inner.n_levels)]
        after = inner.n_levels * inner.n_effects
        for at, f in enumerate(statistics.outer_factors):
            own = statistics.layout.columns_of(at)
            shape = (factors[f].n_levels, factors[f].n_effects)
            places.append(after + np.arange(own.start, own.stop).reshape(shape).T)
        order = (statistics.inner_factor, *statistics.outer_factors)
        parts = [_indicators(factors[f], columns, own) for f, own in zip(order, places, strict=True)]
        rows, columns_at, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return csr_array(
            (values, (rows, columns_at)), shape=(after + statistics.layout.n_columns, self._standard.n_obs)
        )

    @cached_property
    def _start(self) -> State:
        """The fit's estimates, but no covariance quite singular."""
        point = self.solution.state
        if not point.on_boundary.any():
            return point
        matrices = []
        for factor, matrix in zip(point.covariance.factors, point.covariance.matrices, strict=True):
            lifted = matrix.copy()
            for block in factor.blocks:
                grid = np.ix_(block, block)
                values, vectors = np.linalg.eigh(matrix[grid])
                lifted[grid] = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
            matrices.append(lifted)
        return point.with_covariance(state(point.covariance.factors, matrices))

    def draw(self, seeds: Sequence[np.random.SeedSequence]) -> Floats:
        """Draw an outcome from the fit for each seed, (n_obs, n)."""
        own = self.solution
        return np.column_stack(
            [draw_outcomes(self.design, own, 1, np.random.default_rng(seed))[:, 0] for seed in seeds]
        )

    def sources(self, outcomes: Floats) -> Iterator[Statistics | ResidualBasis]:
        """Sums of the design with each of the outcomes (n_obs, n) in place of its own."""
        coordinates: Coordinates = self.solution._coordinates
        own = self.solution._evaluation.statistics
        y = (outcomes - coordinates.outcome_shift) / coordinates.outcome_scale
        if self.solution.state.residual.size:
            for k in range(y.shape[1]):
                yield ResidualBasis(replace(self._standard, outcome=y[:, k]))
            return
        structure = self._standard.residual
        weighted = y if structure is None else y * structure.root_weight[:, None] ** 2
        squares = np.einsum("ij,ij->j", y, weighted)
        fixed, random = self._fixed.T @ weighted, self._random @ weighted
        inner = random[: own.inner_gram[0].size].reshape(*own.inner_gram.shape[1:], -1)
        outer = random[own.inner_gram[0].size :]
        for k in range(y.shape[1]):
            yield _with_outcome(own, fixed[:, k], squares[k], inner[..., k], outer[:, k])

    def fit(self, outcomes: Floats) -> Refits:
        """Fit the model to each of the outcomes (n_obs, n), in units of the data."""
        with one_blas_thread():
            return self._collect(list(self.evaluations(outcomes)))

    def drawn(self, seeds: Sequence[np.random.SeedSequence]) -> Refits:
        """Fit the model to an outcome drawn from the fit for each seed."""
        return self.fit(self.draw(seeds))

    def evaluations(self, outcomes: Floats) -> Iterator[tuple[Evaluation, bool] | None]:
        """The optimum for each of the outcomes, and whether it converged; None where nothing could be computed."""
        for source in self.sources(outcomes):
            yield self._fit_one(source)

    def _fit_one(self, source: Statistics | ResidualBasis) -> tuple[Evaluation, bool] | None:
        """Fit from the first fit's estimates; with the full search where that does not converge."""
        reml = self.solution.reml
        run = _run(_Counter(source, reml), self._start)
        if run is None or not run[1].converged:
            try:
                run = optimise(source, self._start.covariance.factors, reml)
            except LinAlgError:
                return None
        return run[0], run[1].converged

    def _collect(self, fits: Sequence[tuple[Evaluation, bool] | None]) -> Refits:
        n, coordinates = len(fits), self.solution._coordinates
        scale2 = coordinates.outcome_scale**2
        beta, sigma2 = np.full((n, self.solution.n_fixed), np.nan), np.full(n, np.nan)
        covariances = tuple(np.full((n, *own.shape), np.nan) for own in self.solution.random_covariances)
        model = self.solution.state.model
        rho, ratios = np.full(n, np.nan), np.full((n, 1 if model is None else model.n_strata), np.nan)
        criterion, converged, boundary = np.full(n, np.nan), np.zeros(n, bool), np.zeros(n, bool)
        shift = coordinates.criterion_to_raw(self.solution.n_obs, self.solution.reml)
        for k, fitted in enumerate(fits):
            if fitted is None:
                continue
            evaluation, converged[k] = fitted
            beta[k] = coordinates.fixed_to_raw(evaluation.beta)
            sigma2[k] = coordinates.residual_variance_to_raw(evaluation.sigma2)
            for f, matrix in enumerate(evaluation.covariance.matrices):
                covariances[f][k] = scale2 * evaluation.sigma2 * coordinates.random_covariance_to_raw(f, matrix)
            residual = residual_estimate(evaluation)
            rho[k], ratios[k] = (np.nan, 1.0) if residual is None else (residual.rho, residual.ratios)
            criterion[k], boundary[k] = evaluation.value + shift, bool(evaluation.state.on_boundary.any())
        return Refits(beta, sigma2, covariances, rho, ratios, criterion, converged, boundary)


def _indicators(
    factor: GroupingFactor, columns: Sequence[Floats | None], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values of ``Z'``; ``places`` (effects, levels) says where each level's effect stands."""
    own = factor.membership
    rows = np.arange(factor.codes.size, dtype=np.int64)
    at, level, weight = (rows, factor.codes, np.ones(rows.size)) if own is None else own.items(factor.codes)
    values = [weight if columns[k] is ONES else weight * columns[k][at] for k in factor.effects]  # type: ignore[index]
    return np.concatenate([place[level] for place in places]), np.tile(at, len(values)), np.concatenate(values)


def _with_outcome(own: Statistics, fixed: Floats, square: float, inner: Floats, outer: Floats) -> Statistics:
    """Put another outcome's sums in place of the last column's."""
    total, inner_cross, outer_cross = own.total.copy(), own.inner_cross.copy(), own.outer_cross.copy()
    total[:-1, -1] = total[-1, :-1] = fixed
    total[-1, -1] = square
    inner_cross[-1] = inner
    outer_cross[:, -1] = outer
    return replace(own, total=total, inner_cross=inner_cross, outer_cross=outer_cross)
