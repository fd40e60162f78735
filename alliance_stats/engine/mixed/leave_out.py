"""A fit without the rows of one level (a therapist), for every level of a grouping, from downdated statistics.

The cells of a level are set to zero and its rows' products taken from the total: what is left are the statistics of
the other rows, in the layout of all of them (a level without rows adds nothing to the criterion). Where residuals are
correlated or of unequal variance, rows that follow on a removed one get new neighbours, and the sums are made anew.

References
----------
Cook (1977), Technometrics, 19, 15-18. Belsley, Kuh & Welsch (1980), Regression diagnostics. Nieuwenhuis, te Grotenhuis
& Pelzer (2012), The R Journal, 4(2), 38-47 (levels of a grouping).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.linalg import LinAlgError

from alliance_stats.engine.mixed.cells import Cells, items_of, sum_into_cells
from alliance_stats.engine.mixed.coordinates import Coordinates
from alliance_stats.engine.mixed.design import Floats, GroupingFactor, Ints, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.fit import ResidualEstimate, check_outcome_varies, residual_estimate, source_of
from alliance_stats.engine.mixed.optimise import optimise
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.residual import ResidualStructure
from alliance_stats.engine.mixed.residual_basis import ResidualBasis
from alliance_stats.engine.mixed.statistics import Assembly, Statistics, stack
from alliance_stats.errors import DesignError, count

#: Share of a fixed-effect column that must be its own, in the rows that are left, for it to be estimated.
_COLLINEAR = 1e-9
#: Share of a coefficient in what cannot be estimated above which it cannot be estimated itself.
_INVOLVED = 1e-6


@dataclass(frozen=True)
class WithoutLevel:
    """A fit without the rows of one level, in the units of the data.

    Parameters
    ----------
    n_removed : int
        Rows of the level.
    beta : ndarray of shape (p,)
        Fixed effects, NaN where the other rows cannot tell one.
    covariance : ndarray of shape (p, p)
    sigma2 : float
    random_covariances : tuple of ndarray of shape (q, q)
    residual : ResidualEstimate or None
    cooks_distance, covariance_ratio : float
        NaN where not every fixed effect could be estimated.
    converged : bool
    problem : str
        Why nothing could be estimated; empty where something was.
    """

    n_removed: int
    beta: Floats
    covariance: Floats
    sigma2: float
    random_covariances: tuple[Floats, ...]
    residual: ResidualEstimate | None
    cooks_distance: float
    covariance_ratio: float
    converged: bool
    problem: str = ""


def leave_out(
    design: MixedDesign, full: Evaluation, coordinates: Coordinates, factor: int, refit: bool
) -> Iterator[WithoutLevel]:
    """Fit the model without each level of a factor in turn.

    Parameters
    ----------
    design : MixedDesign
        In standardised columns.
    full : Evaluation
        At the optimum for all rows.
    coordinates : Coordinates
        From standardised columns to those of the data.
    factor : int
        Position of the grouping. With multiple membership, all rows that have any weight on the level are left out.
    refit : bool
        Whether the variance parameters are estimated anew (from those of the full fit), or held.
    """
    counts = _Counts(design)
    for rows, source in _sources(design, factor):
        problem = counts.too_few(rows)
        if problem:
            yield _nothing(full, rows.size, problem)
            continue
        kept, lost = _estimable(source.gram, full, coordinates)
        try:
            evaluation, converged = _fitted(source.without(kept), design, full, refit)
        except (DesignError, LinAlgError) as error:
            yield _nothing(full, rows.size, str(error) if isinstance(error, DesignError) else "no optimum was found")
            continue
        yield _told(evaluation, full, coordinates, rows.size, kept, lost, converged)


# ---- the rows that are left ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """What is left without some rows: ``X'X``, and what the criterion is computed from."""

    design: MixedDesign
    rows: Ints
    gram: Floats
    cells: tuple[Cells, Assembly, Ints] | None
    total: Floats

    def without(self, kept: Ints) -> Statistics | ResidualBasis:
        """The source of the criterion, with the fixed effects ``kept``."""
        if self.cells is None:
            return source_of(_subset(self.design, self.rows, kept))
        cells, assembly, gone = self.cells
        sums = {pair: own.copy() for pair, own in cells.sums.items()}
        for own in sums.values():
            own[gone] = 0.0
        statistics = assembly.statistics(Cells(cells.left, cells.right, sums), self.total)
        columns = np.append(kept, self.design.n_fixed)
        check_outcome_varies(self.total[np.ix_(columns, columns)])
        return replace(
            statistics,
            n_obs=self.design.n_obs - self.rows.size,
            n_fixed=kept.size,
            total=self.total[np.ix_(columns, columns)],
            inner_cross=statistics.inner_cross[columns],
            outer_cross=statistics.outer_cross[:, columns],
        )


def _sources(design: MixedDesign, factor: int) -> Iterator[tuple[Ints, _Source]]:
    """Rows of each level, and what is left without them."""
    own = design.factors[factor]
    stacked = stack(design)
    total = stacked.T @ stacked
    cells = assembly = None
    if design.residual is None:
        cells = sum_into_cells(design)
        assembly = Assembly(design, cells.left, cells.right)
        cells_of = _members(cells.left[factor], own)
    for level, rows in enumerate(_members(own.codes, own)):
        part = stacked[rows]
        left = total - part.T @ part
        p = design.n_fixed
        summed = (cells, assembly, cells_of[level]) if cells is not None and assembly is not None else None
        yield rows, _Source(design, rows, left[:p, :p], summed, left)


def _members(codes: Ints, factor: GroupingFactor) -> list[Ints]:
    """Rows (or cells) that belong to each level, with any weight."""
    items = items_of(codes, factor)
    has = np.ones(items.cell.size, dtype=bool) if items.weight is None else items.weight != 0
    cell, level = items.cell[has], items.level[has]
    order = np.argsort(level, kind="stable")
    ends = np.cumsum(np.bincount(level, minlength=factor.n_levels))
    return np.split(cell[order], ends[:-1])


def _subset(design: MixedDesign, removed: Ints, kept: Ints) -> MixedDesign:
    """The design without some rows and with some of its fixed effects; levels keep their numbers."""
    rows = np.setdiff1d(np.arange(design.n_obs), removed)
    columns = [None if column is None else column[rows] for column in design.columns]
    factors = tuple(replace(factor, codes=factor.codes[rows]) for factor in design.factors)
    fixed = tuple(design.fixed[k] for k in kept)
    residual = None if design.residual is None else _relinked(design.residual, rows)
    return MixedDesign(design.outcome[rows], columns, fixed, factors, residual)


def _relinked(structure: ResidualStructure, rows: Ints) -> ResidualStructure:
    """The residual structure of some rows: the row before is the nearest one that is left, at the sum of the gaps."""
    place = np.full(structure.gap.size, -1)
    place[rows] = np.arange(rows.size)
    previous, gap = structure.previous.copy(), structure.gap.copy()
    for later in structure.in_order:  # a row's own predecessor is settled before the row itself
        before = structure.previous[later]
        skip = later[place[before] < 0]
        gap[skip] += gap[structure.previous[skip]]
        previous[skip] = previous[structure.previous[skip]]
    alone = previous < 0
    gap[alone] = 0.0
    linked = np.where(alone, -1, place[previous])
    weight = None if structure.weight is None else structure.weight[rows]
    return replace(structure, previous=linked[rows], gap=gap[rows], stratum=structure.stratum[rows], weight=weight)


class _Counts:
    """Rows per level of every factor, to see what is left without some rows."""

    def __init__(self, design: MixedDesign) -> None:
        self.design = design
        self.n_rows = [self._rows_per_level(factor, np.arange(design.n_obs)) for factor in design.factors]

    def too_few(self, removed: Ints) -> str:
        """Say why nothing can be estimated from the rows that are left, if so."""
        n_left = self.design.n_obs - removed.size
        if n_left <= self.design.n_fixed:
            return f"{count(n_left, 'row is', 'rows are')} left"
        for factor, n_rows in zip(self.design.factors, self.n_rows, strict=True):
            n_levels = int((n_rows > self._rows_per_level(factor, removed)).sum())
            if n_levels < 2:
                return f"{factor.name} has {count(n_levels, 'level')} left"
        return ""

    @staticmethod
    def _rows_per_level(factor: GroupingFactor, rows: Ints) -> Ints:
        return np.bincount(items_of(factor.codes[rows], factor).level, minlength=factor.n_levels)


# ---- the fit that is left ------------------------------------------------------------------------------------------


def _estimable(gram: Floats, full: Evaluation, coordinates: Coordinates) -> tuple[Ints, np.ndarray]:
    """Fixed effects that are independent in the rows left, and which coefficients these rows cannot tell."""
    scale = np.diag(full.statistics.total)[:-1]
    kept: list[int] = []
    null: list[Floats] = []
    for k in range(len(gram)):
        weights = np.linalg.lstsq(gram[np.ix_(kept, kept)], gram[kept, k], rcond=1e-12)[0]
        if gram[k, k] - gram[kept, k] @ weights > _COLLINEAR * scale[k]:
            kept.append(k)
            continue
        direction = np.zeros(len(gram))
        direction[k], direction[kept] = 1.0, -weights
        null.append(direction)
    turned = coordinates.fixed_map @ np.array(null).reshape(len(null), len(gram)).T
    involved = np.abs(turned / np.diag(coordinates.fixed_map)[:, None]).max(axis=1, initial=0.0) > _INVOLVED
    return np.array(kept, dtype=np.int64), np.asarray(involved)


def _fitted(
    source: Statistics | ResidualBasis, design: MixedDesign, full: Evaluation, refit: bool
) -> tuple[Evaluation, bool]:
    """The model fitted to a source, from the full fit's parameters or at them."""
    start = _carried(full.state, source)
    if refit:
        evaluation, story = optimise(source, design.factors, full.reml, start)
        return evaluation, story.converged
    if isinstance(source, Statistics):
        return Evaluation(source, start.covariance, full.reml), True
    point = source.point(start.residual)
    return Evaluation(point.statistics, start.covariance, full.reml, point), True


def _carried(full: State, source: Statistics | ResidualBasis) -> State:
    """The full fit's parameters; a range is counted in median gaps, and those may be others without some rows."""
    if isinstance(source, Statistics) or full.model is None:
        return full
    model, residual = source.classes.model, full.residual.copy()
    if model.correlation == "car1":
        residual[0] += np.log(full.model.unit / model.unit)
    return State(full.covariance, residual, model)


def _told(
    evaluation: Evaluation,
    full: Evaluation,
    coordinates: Coordinates,
    n_removed: int,
    kept: Ints,
    lost: np.ndarray,
    converged: bool,
) -> WithoutLevel:
    """Carry a fit back to the units of the data, and compare it with the full one."""
    p = full.statistics.n_fixed
    root = np.zeros((p, kept.size))
    root[kept] = evaluation.fixed_root
    standard = np.zeros(p)
    standard[kept] = evaluation.beta
    beta = coordinates.fixed_to_raw(standard)
    covariance = coordinates.fixed_covariance_to_raw(evaluation.sigma2 * root @ root.T)
    beta[lost], covariance[lost], covariance[:, lost] = np.nan, np.nan, np.nan
    whole = kept.size == p
    moved = full.triangle[:-1, :-1] @ (full.beta - standard)
    size = coordinates.outcome_scale**2 * evaluation.sigma2
    return WithoutLevel(
        n_removed=n_removed,
        beta=beta,
        covariance=covariance,
        sigma2=coordinates.residual_variance_to_raw(evaluation.sigma2),
        random_covariances=tuple(
            size * coordinates.random_covariance_to_raw(f, own) for f, own in enumerate(evaluation.covariance.matrices)
        ),
        residual=residual_estimate(evaluation),
        cooks_distance=float(moved @ moved / (p * full.sigma2)) if whole else np.nan,
        covariance_ratio=float(np.exp(_log_size(evaluation) - _log_size(full))) if whole else np.nan,
        converged=converged,
    )


def _log_size(evaluation: Evaluation) -> float:
    """Log determinant of the covariance of the fixed effects (standardised columns)."""
    diagonal = np.diag(evaluation.triangle)[:-1]
    return float(diagonal.size * np.log(evaluation.sigma2) - 2 * np.log(diagonal).sum())


def _nothing(full: Evaluation, n_removed: int, problem: str) -> WithoutLevel:
    p = full.statistics.n_fixed
    known = residual_estimate(full)
    return WithoutLevel(
        n_removed=n_removed,
        beta=np.full(p, np.nan),
        covariance=np.full((p, p), np.nan),
        sigma2=np.nan,
        random_covariances=tuple(np.full_like(matrix, np.nan) for matrix in full.covariance.matrices),
        residual=None if known is None else replace(known, rho=np.nan, ratios=np.full_like(known.ratios, np.nan)),
        cooks_distance=np.nan,
        covariance_ratio=np.nan,
        converged=False,
        problem=problem,
    )
