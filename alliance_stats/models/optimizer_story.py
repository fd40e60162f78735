"""How the optimiser came to its end, in the words and units of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.models.random_tables import variance_table
from alliance_stats.models.residual_tables import residual_variances

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult


def optimizer_story(fit: MixedResult) -> pd.Series:
    """The story as named values; see :meth:`MixedResult.optimizer`."""
    story, solution = fit.solution.story, fit.solution
    slopes = boundary_slopes(fit)
    return pd.Series(
        {
            "converged": story.converged,
            "starts": story.starts,
            "steps": story.steps,
            "evaluations": story.evaluations,
            "start": _start(fit),
            "start_criterion": solution.started_from.criterion,
            "criterion": solution.criterion,
            "promised_by_next_step": story.decrement,
            "gradient_norm": story.gradient_norm,
            "on_boundary": ", ".join(slopes),
            "boundary_slopes": slopes,
            "least_eigenvalue": min(story.least_eigenvalue),
            "message": _sentence(fit, slopes),
        },
        name="optimizer",
    )


def boundary_slopes(fit: MixedResult) -> dict[str, float]:
    """What lies on the boundary, and the slope of the criterion from there into the parameter space."""
    of_factors, of_residual = fit.solution.inward_slopes
    named = dict(zip(fit.arrays.group_names, of_factors, strict=True))
    named |= dict(zip(_residual_names(fit), of_residual, strict=True))
    return {name: float(slope) for name, slope in named.items() if not np.isnan(slope)}


def _residual_names(fit: MixedResult) -> list[str]:
    """Names of the residual parameters, in order."""
    spec, strata = fit.arrays.residuals.spec, fit.arrays.residuals.strata
    return [*(["rho"] if spec.correlation != "none" else []), *(f"{spec.variance}[{level}]" for level in strata[1:])]


def _start(fit: MixedResult) -> dict[str, float]:
    """Variances (and ρ) that the optimiser started from, in squared outcome units."""
    start = fit.solution.started_from
    table = variance_table(fit.arrays, start, residual_variances(fit.arrays, start))
    single = table[table["term2"].isna()]
    names = [
        f"{group} {term}" if isinstance(term, str) else str(group)
        for group, term in zip(single["group"], single["term"], strict=True)
    ]
    values = dict(zip(names, map(float, single["vcov"]), strict=True))
    if start.residual is not None and not np.isnan(start.residual.rho):
        values["rho"] = float(start.residual.rho)
    return values


def _sentence(fit: MixedResult, slopes: dict[str, float]) -> str:
    """What happened, in one plain sentence."""
    message = fit.solution.story.message
    if not fit.converged or not slopes:
        return message
    away = "each" if len(slopes) > 1 else "it"
    return (
        f"{message.removesuffix('.')}; {', '.join(slopes)} {'lie' if len(slopes) > 1 else 'lies'} on the boundary, and "
        f"from {away} no step into the parameter space would fit better."
    )
