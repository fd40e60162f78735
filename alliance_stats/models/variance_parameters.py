"""The parameters of a mixed model that intervals are for: what they are called, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from alliance_stats.names import INTERCEPT, RESIDUAL

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.refit import Refits
    from alliance_stats.engine.mixed.targets import Target
    from alliance_stats.models.mixed_result import MixedResult

Kind = Literal["sd", "correlation", "icc", "residual_sd", "rho", "sd_ratio", "fixed"]


@dataclass(frozen=True)
class ModelParameter:
    """One parameter.

    Parameters
    ----------
    kind : {"sd", "correlation", "icc", "residual_sd", "rho", "sd_ratio", "fixed"}
    group : str
        Grouping; ``"residual"`` or ``"fixed"`` for parameters that belong to none.
    term, term2 : str or None
        Effects, or residual strata.
    factor : int
        Place of the grouping.
    at : tuple of int
        Places of the effects, of the residual stratum, or of the fixed effect.
    """

    kind: Kind
    group: str
    term: str | None = None
    term2: str | None = None
    factor: int = -1
    at: tuple[int, ...] = ()

    def row(self) -> dict[str, object]:
        """``group, term, term2, parameter``."""
        return {"group": self.group, "term": self.term, "term2": self.term2, "parameter": self.kind}

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest value that the parameter can have."""
        ranges = {"correlation": (-1.0, 1.0), "rho": (-1.0, 1.0), "icc": (0.0, 1.0), "fixed": (-np.inf, np.inf)}
        return ranges.get(self.kind, (0.0, np.inf))


def model_parameters(fit: MixedResult) -> list[ModelParameter]:
    """Every parameter of a fit: of the random effects, of the residuals, then the fixed effects."""
    arrays, found = fit.arrays, []
    for f, (factor, names) in enumerate(zip(arrays.design.factors, arrays.effect_names, strict=True)):
        found += [ModelParameter("sd", factor.name, name, None, f, (k,)) for k, name in enumerate(names)]
        found += [
            ModelParameter("correlation", factor.name, names[j], names[k], f, (j, k))
            for block in factor.blocks
            for at, j in enumerate(block)
            for k in block[at + 1 :]
        ]
    found += _of_residuals(fit)
    found += [
        ModelParameter("icc", factor.name, None, None, f, (names.index(INTERCEPT),))
        for f, (factor, names) in enumerate(zip(arrays.design.factors, arrays.effect_names, strict=True))
        if INTERCEPT in names
    ]
    found += [ModelParameter("fixed", "fixed", name, None, -1, (k,)) for k, name in enumerate(arrays.fixed_names)]
    return found


def _of_residuals(fit: MixedResult) -> list[ModelParameter]:
    strata, spec = fit.arrays.residuals.strata, fit.arrays.residuals.spec
    names = [f"{spec.variance}[{level}]" for level in strata]
    found = [ModelParameter("residual_sd", RESIDUAL, name, None, -1, (k,)) for k, name in enumerate(names or [None])]
    found += [
        ModelParameter("sd_ratio", RESIDUAL, name, names[0], -1, (k,)) for k, name in enumerate(names[1:], start=1)
    ]
    if spec.correlation != "none":
        found.append(ModelParameter("rho", RESIDUAL, spec.group_name))
    return found


def target_of(fit: MixedResult, parameter: ModelParameter) -> Target:
    """What a profile holds fixed."""
    from alliance_stats.engine.mixed.effect_targets import Correlation, EffectDeviation, Share
    from alliance_stats.engine.mixed.fixed_targets import FixedCoefficient
    from alliance_stats.engine.mixed.residual_targets import DeviationRatio, ResidualCorrelation, ResidualDeviation

    solution, factor, at = fit.solution, parameter.factor, parameter.at
    match parameter.kind:
        case "sd":
            return EffectDeviation(solution, factor, at)
        case "correlation":
            return Correlation(solution, factor, at)
        case "icc":
            return Share(solution, factor, at, intercept_places(fit), tuple(residual_noise(fit)))
        case "residual_sd":
            return ResidualDeviation(solution, at[0])
        case "rho":
            return ResidualCorrelation(solution)
        case "sd_ratio":
            return DeviationRatio(solution, at[0])
        case _:
            return FixedCoefficient(solution, at[0])


def values_in(fit: MixedResult, parameter: ModelParameter, refits: Refits) -> np.ndarray:
    """The parameter's value in each of many refits, (n,)."""
    at = parameter.at
    if parameter.kind == "fixed":
        return refits.beta[:, at[0]]
    if parameter.kind == "rho":
        return refits.rho
    if parameter.kind == "sd_ratio":
        return refits.ratios[:, at[0]]
    if parameter.kind == "residual_sd":
        return np.sqrt(refits.sigma2) * refits.ratios[:, at[0]]
    own = refits.random_covariances[parameter.factor]
    if parameter.kind == "sd":
        return np.sqrt(own[:, at[0], at[0]])
    if parameter.kind == "correlation":
        product = np.sqrt(own[:, at[0], at[0]] * own[:, at[1], at[1]])
        defined = product > 0
        return np.where(defined, np.clip(own[:, at[0], at[1]] / np.where(defined, product, 1.0), -1, 1), np.nan)
    total = refits.sigma2 * (residual_noise(fit) * refits.ratios**2).sum(axis=1)
    for matrices, place in zip(refits.random_covariances, intercept_places(fit), strict=True):
        if place is not None:
            total = total + matrices[:, place, place]
    return own[:, at[0], at[0]] / total


def intercept_places(fit: MixedResult) -> tuple[int | None, ...]:
    """Place of the intercept among each grouping's effects."""
    return tuple(names.index(INTERCEPT) if INTERCEPT in names else None for names in fit.arrays.effect_names)


def residual_noise(fit: MixedResult) -> np.ndarray:
    """Per residual stratum, the sum of 1 / prior weight over its rows, divided by the number of all rows."""
    structure = fit.arrays.design.residual
    if structure is None:
        return np.ones(1)
    shares = np.bincount(structure.stratum, 1 / structure.root_weight**2, structure.n_strata)
    return shares / fit.arrays.design.n_obs
