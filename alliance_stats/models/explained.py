"""Shares of the outcome's variance: intraclass correlations and R² of a mixed model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.engine.mixed.design import GroupingFactor
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.models.residual_tables import mean_residual_variance
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

Floats = NDArray[np.float64]
IccDefinition = Literal["intercept", "adjusted", "unadjusted"]
R2Definition = Literal["nakagawa", "rights-sterba"]

#: A predictor with less than this share of its variance between levels is centred within them (means of scores that
#: were rounded after centring differ a little).
_CENTRED = 1e-4


# ---- intraclass correlations -----------------------------------------------------------------------------------------


def icc_table(fit: MixedResult, definition: IccDefinition) -> pd.DataFrame:
    """Each grouping's share of the variance; see :meth:`MixedResult.icc`."""
    _check_definition(definition, get_args(IccDefinition), "icc")
    places = [at for at, effects in enumerate(fit.arrays.effect_names) if effects]
    names = [fit.arrays.group_names[at] for at in places]
    variance_at = _intercept_variance if definition == "intercept" else mean_random_variance
    variances = np.array([variance_at(fit, at) for at in places])
    total = variances.sum() + mean_residual_variance(fit)
    if definition == "unadjusted":
        total += float(np.var(fixed_part(fit), ddof=1))
    return pd.DataFrame({"group": names, "icc": variances / total, "definition": definition})


def _check_definition(asked: str, known: tuple[str, ...], who: str) -> None:
    if asked not in known:
        raise DataError(f"{who} has no definition {asked!r}. {did_you_mean(str(asked), known)}")


def _intercept_variance(fit: MixedResult, at: int) -> float:
    names = fit.arrays.effect_names[at]
    if INTERCEPT not in names:
        raise DataError(
            f"{fit.arrays.group_names[at]!r} has no random intercept (its effects: {', '.join(names)}), so its share "
            "where the predictors are 0 is not defined. Use definition='adjusted'."
        )
    place = names.index(INTERCEPT)
    return float(fit.solution.random_covariances[at][place, place])


def mean_random_variance(fit: MixedResult, at: int) -> float:
    """Variance that a grouping's random effects give the outcome, averaged over the rows: Σ z'Σz / n.

    Parameters
    ----------
    fit : MixedResult
    at : int
        Place of the grouping.

    Returns
    -------
    float
        In squared outcome units. With several memberships per row z holds the weights, too.

    References
    ----------
    Johnson (2014), Methods in Ecology and Evolution, 5, 944-946.
    """
    design = fit.arrays.design
    factor, covariance = design.factors[at], fit.solution.random_covariances[at]
    shares, total = _squared_weights(factor), 0.0
    for j, column in enumerate(factor.effects):
        for k, other in enumerate(factor.effects):
            if covariance[j, k]:
                total += covariance[j, k] * float(np.mean(_values(fit, column) * _values(fit, other) * shares))
    return max(total, 0.0)


def _squared_weights(factor: GroupingFactor) -> Floats | float:
    """Sum of the squared weights of each row's memberships; 1 where a row belongs to one level."""
    if factor.membership is None:
        return 1.0
    squares: Floats = np.bincount(factor.membership.pattern, factor.membership.weight**2).astype(float)
    return squares[factor.codes]


def _values(fit: MixedResult, column: int) -> Floats:
    design = fit.arrays.design
    values = design.columns[column]
    return np.ones(design.n_obs) if values is None else values


def fixed_part(fit: MixedResult) -> Floats:
    """What the fixed effects predict for each row used, (n_obs,)."""
    predicted = np.zeros(fit.arrays.design.n_obs)
    for weight, column in zip(fit.solution.beta, fit.arrays.design.fixed, strict=True):
        predicted += weight * _values(fit, column)
    return predicted


# ---- R² --------------------------------------------------------------------------------------------------------------


def r2_table(fit: MixedResult, definition: R2Definition) -> pd.DataFrame:
    """Share of the variance that the model explains; see :meth:`MixedResult.r2`."""
    _check_definition(definition, get_args(R2Definition), "r2")
    return _nakagawa(fit) if definition == "nakagawa" else _rights_sterba(fit)


def _nakagawa(fit: MixedResult) -> pd.DataFrame:
    fixed = float(np.var(fixed_part(fit), ddof=1))
    random = sum(mean_random_variance(fit, at) for at in range(len(fit.arrays.group_names)))
    total = fixed + random + mean_residual_variance(fit)
    return pd.DataFrame({"kind": ["marginal", "conditional"], "r2": [fixed / total, (fixed + random) / total]})


def _rights_sterba(fit: MixedResult) -> pd.DataFrame:
    """Full split; within and between levels only where every random slope's predictor is centred within levels."""
    factor = _only_level(fit)
    predicted = fixed_part(fit)
    between = _level_means(predicted, factor)
    slope, mean, centred = _random_parts(fit, factor)
    within, across = float(np.var(predicted - between, ddof=1)), float(np.var(between, ddof=1))
    sigma2 = mean_residual_variance(fit)
    parts = {"fixed_within": within, "fixed_between": across, "slope": slope, "mean": mean, "residual": sigma2}
    levels = {"total": list(parts)}
    if centred:
        levels |= {"within": ["fixed_within", "slope", "residual"], "between": ["fixed_between", "mean"]}
    rows = []
    for level, kinds in levels.items():
        total = sum(parts[kind] for kind in kinds)
        rows += [(level, kind, parts[kind] / total if total > 0 else np.nan) for kind in kinds]
    return pd.DataFrame(rows, columns=["level", "kind", "r2"])


def _only_level(fit: MixedResult) -> GroupingFactor:
    """The one grouping of the model."""
    factors = fit.arrays.design.factors
    if len(factors) != 1:
        names = ", ".join(fit.arrays.group_names)
        raise DataError(
            f"The Rights-Sterba split is defined for one grouping; this model has {count(len(factors), 'grouping')} "
            f"({names}). Use r2('nakagawa'), or fit the model with one grouping."
        )
    if factors[0].membership is not None:
        raise DataError(
            "The Rights-Sterba split is defined for rows that belong to one level each; in this model rows belong to "
            "several. Use r2('nakagawa')."
        )
    return factors[0]


def _level_means(values: Floats, factor: GroupingFactor) -> Floats:
    """Mean of each row's level, at the rows."""
    sizes = np.bincount(factor.codes, minlength=factor.n_levels)
    return (np.bincount(factor.codes, values, factor.n_levels) / np.maximum(sizes, 1))[factor.codes]


def _random_parts(fit: MixedResult, factor: GroupingFactor) -> tuple[float, float, bool]:
    """Variance by slopes, tr(T Cov z); variance by the level's mean, m'Tm; and whether all slopes are centred."""
    matrix = np.column_stack([_values(fit, column) for column in factor.effects])
    covariance, means = fit.solution.random_covariances[0], matrix.mean(axis=0)
    slope = float(np.sum(covariance * np.atleast_2d(np.cov(matrix, rowvar=False))))
    level_means = np.column_stack([_level_means(column, factor) for column in matrix.T])
    # a column of ones has no variance at all
    centred = bool((level_means.var(axis=0) <= _CENTRED * matrix.var(axis=0)).all())
    return max(slope, 0.0), max(float(means @ covariance @ means), 0.0), centred
