"""The residual structure of a fitted mixed model: its estimates, and what it means for single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.engine.mixed.residual_rows import row_scale, whiten
from alliance_stats.names import RESIDUAL

if TYPE_CHECKING:
    from alliance_stats.design.matrices import ModelArrays
    from alliance_stats.engine.mixed.fit import MixedSolution, StartEstimate
    from alliance_stats.engine.mixed.leave_out import WithoutLevel
    from alliance_stats.models.mixed_result import MixedResult


def residual_table(fit: MixedResult) -> pd.DataFrame:
    """``parameter, level, estimate``; see :meth:`MixedResult.residual`."""
    residuals, solution = fit.arrays.residuals, fit.solution
    sigma = float(np.sqrt(solution.sigma2))
    rows: list[tuple[str, str, float]] = []
    estimate = solution.residual
    if estimate is not None and not np.isnan(estimate.rho):
        rows.append(("rho", residuals.spec.group_name, estimate.rho))
    if residuals.strata and estimate is not None:
        rows += [("sd", level, sigma * ratio) for level, ratio in zip(residuals.strata, estimate.ratios, strict=True)]
        first = residuals.strata[0]
        ratios = zip(residuals.strata[1:], estimate.ratios[1:], strict=True)
        rows += [("sd_ratio", f"{level} / {first}", ratio) for level, ratio in ratios]
    else:
        rows.append(("sd", "", sigma))
    return pd.DataFrame(rows, columns=["parameter", "level", "estimate"])


def residual_variances(
    arrays: ModelArrays, solution: MixedSolution | StartEstimate | WithoutLevel
) -> list[tuple[object, ...]]:
    """Rows of the variance table: one residual variance, or one per stratum."""
    sigma2, residuals, estimate = solution.sigma2, arrays.residuals, solution.residual
    if not residuals.strata or estimate is None:
        return [(RESIDUAL, None, None, sigma2, np.sqrt(sigma2))]
    column = residuals.spec.variance
    return [
        (RESIDUAL, f"{column}[{level}]", None, sigma2 * ratio**2, np.sqrt(sigma2) * ratio)
        for level, ratio in zip(residuals.strata, estimate.ratios, strict=True)
    ]


def row_sd(fit: MixedResult) -> np.ndarray:
    """Residual standard deviation of each row used, outcome units, (n_obs,)."""
    structure, state = fit.arrays.design.residual, fit.solution.state
    sigma = np.sqrt(fit.solution.sigma2)
    if structure is None:
        return np.full(fit.arrays.design.n_obs, sigma)
    if state.model is None:
        return sigma / structure.root_weight
    return sigma * row_scale(structure, state.model, state.residual)


def mean_residual_variance(fit: MixedResult) -> float:
    """Residual variance, averaged over the rows used where it is not the same for all (squared outcome units)."""
    return fit.solution.sigma2 if fit.arrays.design.residual is None else float(np.mean(row_sd(fit) ** 2))


def normalised(fit: MixedResult, conditional: np.ndarray) -> np.ndarray:
    """Conditional residuals divided by their standard deviation, with the correlation over time taken out."""
    structure, state = fit.arrays.design.residual, fit.solution.state
    if structure is None or state.model is None:
        return conditional / row_sd(fit)
    return whiten(structure, state.model, state.residual, conditional) / np.sqrt(fit.solution.sigma2)


def residual_words(fit: MixedResult) -> str:
    """The residual structure in half a sentence; empty where there is none."""
    spec, parts = fit.arrays.residuals.spec, []
    kinds = {"ar1": "first-order autoregressive", "car1": "continuous-time first-order autoregressive"}
    if spec.correlation != "none":
        parts.append(f"{kinds[spec.correlation]} residuals over {spec.time} within {spec.group_name}")
    if spec.variance:
        parts.append(f"a residual variance for each level of {spec.variance}")
    if spec.weights:
        parts.append(f"prior weights {spec.weights}")
    if spec.offset:
        parts.append(f"offset {spec.offset}")
    return ", ".join(parts)


def residual_notes(fit: MixedResult) -> list[str]:
    """What must be said about residual parameters that lie on the boundary."""
    estimate, spec = fit.solution.residual, fit.arrays.residuals.spec
    if estimate is None or not estimate.on_boundary.any():
        return []
    notes = []
    if spec.correlation != "none" and estimate.on_boundary[0]:
        where = "at zero" if abs(estimate.rho) < 0.5 else "at its limit of ±1"
        notes.append(
            f"The correlation of residuals over {spec.time} was estimated {where} (on the boundary): "
            + (
                "these data show no correlation beyond the random effects. The model without it has the same fit."
                if abs(estimate.rho) < 0.5
                else "it cannot be told apart from a random intercept. Leave one of the two out."
            )
        )
    if estimate.on_boundary[int(spec.correlation != "none") :].any():
        notes.append(
            f"A residual standard deviation of {spec.variance} runs to zero or beyond all bounds (on the boundary): "
            "look for a level whose outcomes are all reproduced by the model, and combine levels."
        )
    return notes
