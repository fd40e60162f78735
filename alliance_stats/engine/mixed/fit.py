"""Fit a design: standardise, sum, optimise, and carry everything back to the units of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.linalg import LinAlgError

from alliance_stats.engine.mixed.coordinates import Coordinates, standardise
from alliance_stats.engine.mixed.design import Floats, GroupingFactor, MixedDesign
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.inference import FixedInference, infer
from alliance_stats.engine.mixed.kenward_roger import KenwardRoger, kenward_roger
from alliance_stats.engine.mixed.optimise import optimise
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.predict import LevelEffects, level_effects
from alliance_stats.engine.mixed.residual_basis import ResidualBasis
from alliance_stats.engine.mixed.row_prediction import (
    PredictionRows,
    row_degrees_of_freedom,
    row_estimates,
    row_variances,
)
from alliance_stats.engine.mixed.statistics import Statistics, collect
from alliance_stats.engine.mixed.story import Story
from alliance_stats.engine.mixed.summed import SummedDesign
from alliance_stats.engine.threads import one_blas_thread
from alliance_stats.errors import DesignError

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.leave_out import WithoutLevel

#: Share of the outcome's variance below which a residual variance is rounding.
_NO_RESIDUAL = 1e-11


@dataclass(frozen=True)
class ResidualEstimate:
    """Estimated residual structure.

    Parameters
    ----------
    rho : float
        Correlation of residuals one unit of time apart; NaN where residuals are not correlated.
    ratios : ndarray of shape (n_strata,)
        Residual standard deviation of each stratum relative to the first one's.
    on_boundary : ndarray of bool, shape (k,)
        Which of the parameters (correlation first) stand at the limit of what is possible.
    """

    rho: float
    ratios: Floats
    on_boundary: np.ndarray


@dataclass(frozen=True)
class StartEstimate:
    """Where the optimiser started from, in the units of the data.

    Parameters
    ----------
    random_covariances : tuple of ndarray of shape (q, q)
    sigma2 : float
    residual : ResidualEstimate or None
    criterion : float
    """

    random_covariances: tuple[Floats, ...]
    sigma2: float
    residual: ResidualEstimate | None
    criterion: float


@dataclass(frozen=True)
class MixedSolution:
    """A fitted linear mixed model, in the units of the data.

    Parameters
    ----------
    n_obs, n_fixed : int
    reml : bool
    beta : ndarray of shape (p,)
        Fixed effects.
    covariance : ndarray of shape (p, p)
        Their covariance.
    sigma2 : float
        Residual variance.
    random_covariances : tuple of ndarray of shape (q, q)
        Covariance of the random effects of each factor, in squared outcome units.
    criterion : float
        −2 log-likelihood (ML) or the REML criterion.
    n_parameters : int
        Fixed effects, covariance parameters and σ².
    story : Story
        What the optimiser did.
    residual : ResidualEstimate or None
        The residual parameters, where the model has any.
    """

    n_obs: int
    n_fixed: int
    reml: bool
    beta: Floats
    covariance: Floats
    sigma2: float
    random_covariances: tuple[Floats, ...]
    criterion: float
    n_parameters: int
    story: Story
    residual: ResidualEstimate | None
    _evaluation: Evaluation
    _coordinates: Coordinates

    @property
    def state(self) -> State:
        """The optimum: relative covariances (standardised coordinates) and residual parameters."""
        return self._evaluation.state

    @cached_property
    def inference(self) -> FixedInference:
        """Covariance of the fixed effects with its derivatives (units of the data)."""
        with one_blas_thread():
            own = infer(self._evaluation)
        to_raw = self._coordinates.fixed_covariance_to_raw
        return FixedInference(to_raw(own.covariance), to_raw(own.derivatives), own.parameter_covariance)

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """Kenward and Roger's adjusted inference (units of the data; REML fits only)."""
        with one_blas_thread():
            own = kenward_roger(self._evaluation)
        to_raw = self._coordinates.fixed_covariance_to_raw
        return KenwardRoger(to_raw(own.unadjusted), to_raw(own.adjusted), to_raw(own.slopes), own.weights)

    @cached_property
    def effects(self) -> tuple[LevelEffects, ...]:
        """Predicted random effects of each factor (units of the data)."""
        with one_blas_thread():
            own = level_effects(self._evaluation)
        scale = self._coordinates.outcome_scale
        result = []
        for turn, effect in zip(self._coordinates.random_maps, own, strict=True):
            result.append(
                LevelEffects(
                    scale * effect.estimate @ turn.T,
                    scale**2 * turn @ effect.covariance @ turn.T,
                    scale**2 * turn @ effect.conditional_covariance @ turn.T,
                )
            )
        return tuple(result)

    def predict(self, rows: PredictionRows) -> Floats:
        """Predict rows (units of the data), (n_rows,)."""
        return row_estimates(rows, self.beta, self.effects)

    def prediction_variance(self, rows: PredictionRows, outcome: bool = False) -> Floats:
        """Variance of each row's prediction error: of the mean, or of a new outcome (squared units of the data)."""
        with one_blas_thread():
            own = row_variances(self._evaluation, rows.standardised(self._coordinates), outcome)
        return self._coordinates.outcome_scale**2 * self._evaluation.sigma2 * own

    def prediction_df(self, rows: PredictionRows, outcome: bool = False) -> Floats:
        """Satterthwaite's degrees of freedom of :meth:`prediction_variance`."""
        covariance = self.inference.parameter_covariance
        with one_blas_thread():
            standardised = rows.standardised(self._coordinates)
            return row_degrees_of_freedom(self._evaluation, covariance, standardised, outcome)

    @cached_property
    def started_from(self) -> StartEstimate:
        """Where the optimiser started from (units of the data)."""
        start, coordinates, model = self.story.start, self._coordinates, self.state.model
        scale = coordinates.outcome_scale**2
        covariances = tuple(
            scale * coordinates.random_covariance_to_raw(f, matrix) for f, matrix in enumerate(start.covariances)
        )
        residual = None
        if model is not None:
            residual = ResidualEstimate(
                model.rho(start.residual),
                np.exp(model.log_ratios(start.residual)),
                np.zeros(start.residual.size, dtype=bool),
            )
        criterion = start.value + coordinates.criterion_to_raw(self.n_obs, self.reml)
        return StartEstimate(covariances, coordinates.residual_variance_to_raw(start.sigma2), residual, criterion)

    @cached_property
    def inward_slopes(self) -> tuple[Floats, Floats]:
        """Slopes of the criterion into the parameter space, where the estimates lie on its boundary.

        Returns
        -------
        of_factors : ndarray of shape (n_factors,)
            Least slope over all directions of added variance (per unit of relative variance, standardised columns).
        of_residual : ndarray of shape (k,)
            Of each residual parameter, away from its limit.

        Notes
        -----
        After Karush, Kuhn and Tucker, none is negative at an optimum. NaN away from the boundary.
        """
        state = self.state
        least = np.array(self.story.least_eigenvalue, float)
        of_factors = np.where(self.rank_deficient, least, np.nan)
        at, (lower, _) = slice(state.n_covariance, None), state.limits
        slope = self._evaluation.gradient[at]
        inward = np.where(state.values[at] <= lower[at], slope, -slope)
        return of_factors, np.where(state.on_boundary[at], inward, np.nan)

    def leave_out(self, design: MixedDesign, factor: int, refit: bool = True) -> list[WithoutLevel]:
        """Fit the model, which ``design`` is the rows of, without each level of a factor in turn."""
        from alliance_stats.engine.mixed.leave_out import leave_out

        with one_blas_thread():
            standard, _ = standardise(design)
            return list(leave_out(standard, self._evaluation, self._coordinates, factor, refit))

    @property
    def rank_deficient(self) -> tuple[bool, ...]:
        """Per factor, whether its covariance lies on the boundary (a variance of zero or a correlation of ±1)."""
        covariance = self._evaluation.covariance
        zero = covariance.pivots & (covariance.values <= 0)
        flagged = {p.factor for p, is_zero in zip(covariance.parameters, zero, strict=True) if is_zero}
        return tuple(f in flagged for f in range(len(self.random_covariances)))


def fit_mixed(design: MixedDesign, reml: bool = True) -> MixedSolution:
    """Fit a linear mixed model.

    Parameters
    ----------
    design : MixedDesign
        Full-rank fixed effects; at least one grouping factor.
    reml : bool
        Restricted maximum likelihood (True) or maximum likelihood.

    Raises
    ------
    DesignError
        If the outcome does not vary, or the effects reproduce it exactly.
    """
    if design.n_obs <= design.n_fixed:
        raise DesignError(
            f"{design.n_obs} rows cannot estimate {design.n_fixed} fixed effects and a residual variance. "
            "Drop predictors, or bring more rows."
        )
    with one_blas_thread():
        factors, source, coordinates = _summed(design)
        try:
            evaluation, story = optimise(source, factors, reml)
        except LinAlgError as error:
            raise DesignError(
                "The likelihood cannot be computed: the fixed effects are (nearly) collinear. Leave one of them out."
            ) from error
        _check_residual(evaluation, [factor.name for factor in design.factors])
        scale = coordinates.outcome_scale
        covariances = tuple(
            scale**2 * evaluation.sigma2 * coordinates.random_covariance_to_raw(f, matrix)
            for f, matrix in enumerate(evaluation.covariance.matrices)
        )
        root = evaluation.fixed_root
        return MixedSolution(
            n_obs=design.n_obs,
            n_fixed=design.n_fixed,
            reml=reml,
            beta=coordinates.fixed_to_raw(evaluation.beta),
            covariance=coordinates.fixed_covariance_to_raw(evaluation.sigma2 * root @ root.T),
            sigma2=coordinates.residual_variance_to_raw(evaluation.sigma2),
            random_covariances=covariances,
            criterion=evaluation.value + coordinates.criterion_to_raw(design.n_obs, reml),
            n_parameters=design.n_fixed + evaluation.state.values.size + 1,
            story=story,
            residual=residual_estimate(evaluation),
            _evaluation=evaluation,
            _coordinates=coordinates,
        )


def residual_estimate(evaluation: Evaluation) -> ResidualEstimate | None:
    """The residual structure at an evaluation, where the model has one."""
    state = evaluation.state
    if state.model is None:
        return None
    ratios = np.exp(state.model.log_ratios(state.residual))
    return ResidualEstimate(state.model.rho(state.residual), ratios, state.on_boundary[state.n_covariance :])


def source_of(design: MixedDesign) -> Statistics | ResidualBasis:
    """Sum the rows into what the criterion is computed from."""
    if design.residual is None:
        statistics = collect(design)
        check_outcome_varies(statistics.total)
        return statistics
    basis = ResidualBasis(design)
    model = basis.classes.model
    statistics = basis.point(model.start()).statistics
    check_outcome_varies(statistics.total)
    return basis if model.n_parameters else statistics


def _summed(
    design: MixedDesign,
) -> tuple[tuple[GroupingFactor, ...], Statistics | ResidualBasis, Coordinates]:
    """Return the factors and the sums of a design in standardised columns (which are let go), and the way back."""
    if isinstance(design, SummedDesign):
        check_outcome_varies(design.statistics.total)
        return design.standard.factors, design.statistics, design.coordinates
    standard, coordinates = standardise(design)
    return standard.factors, source_of(standard), coordinates


def check_outcome_varies(total: Floats) -> None:
    """Refuse an outcome that the fixed effects reproduce to the last digit."""
    p = total.shape[0] - 1
    explained = total[:p, p] @ np.linalg.lstsq(total[:p, :p], total[:p, p], rcond=None)[0]
    if total[p, p] - explained <= 1e-13 * max(total[p, p], 1e-300):
        raise DesignError(
            "The fixed effects reproduce the outcome exactly, so no variance is left to be explained by patients or "
            "therapists. Check that the outcome varies and is not computed from a predictor."
        )


def _check_residual(evaluation: Evaluation, groups: list[str]) -> None:
    """Refuse a fit in which fixed and random effects together reproduce the outcome."""
    if evaluation.sigma2 < _NO_RESIDUAL:
        raise DesignError(
            f"Fixed effects and {', '.join(map(repr, groups))} together reproduce the outcome exactly: no residual "
            "variance is left, and the likelihood has no maximum. Check whether the outcome is the same in all rows "
            "of a level."
        )
