"""Rows behind a multilevel result: groups of a level, effects, values of rho."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.columns import EFFECT

if TYPE_CHECKING:
    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.meta.sensitivity import SensitivityFrame


def random_effects(result: MultilevelResult, level: str | None) -> pd.DataFrame:
    """Predicted effects of the groups of a level; see :meth:`MultilevelResult.random`."""
    from alliance_stats.engine.distributions import t_quantile

    names = [own.name for own in result.structure.levels]
    level = names[0] if level is None and names else level
    if level not in names:
        raise DataError(f"No level {level!r}. {did_you_mean(str(level), names)}")
    at = names.index(level)
    term, value = result.structure.terms[at], float(result.peak.theta[at])
    own = term.parameter == at
    evaluation = result.peak.at
    x = term.sums(evaluation.solved_x)
    spread = evaluation.factored.quadratics(term) - np.einsum("ig,ij,jg->g", x, evaluation.inverse, x)
    estimate = (value * term.sums(evaluation.py[None])[0])[own]
    error = np.sqrt(np.maximum(value - value**2 * spread, 0.0))[own]
    half = float(t_quantile(0.5 + result.level / 2, np.inf)) * error
    labels = result.structure.levels[at].labels(result.structure.rows)
    columns = {"level": labels, "estimate": estimate, "std_error": error}
    return pd.DataFrame({**columns, "ci_low": estimate - half, "ci_high": estimate + half})


def residual_table(result: MultilevelResult) -> pd.DataFrame:
    """Fitted values, residuals and leverage of the effects; see :meth:`MultilevelResult.residuals`."""
    at, x = result.peak.at, result.problem.basis
    fitted = result.part.matrix @ result.beta
    residual = result.structure.rows[EFFECT].to_numpy(np.float64) - fitted
    single = np.arange(result.problem.k)[:, None]
    total = result.structure.covariance.blocks(single, result.peak.theta)[:, 0, 0]
    turned = at.inverse @ x
    error = np.sqrt(np.maximum(total - (x * turned).sum(axis=0), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # an effect that alone fixes a coefficient has no residual to standardise: missing
        standard = np.where(error > 0, residual / error, np.nan)
    columns = {"fitted": fitted, "residual": residual, "std_error": error, "rstandard": standard}
    frame = pd.DataFrame({**columns, "hat": (turned * at.solved_x).sum(axis=0)}, index=result.structure.rows.index)
    return frame.iloc[np.argsort(result.structure.order)]


def over_rho(result: MultilevelResult, rho: float | Sequence[float]) -> SensitivityFrame:
    """Refit at other correlations; see :meth:`MultilevelResult.sensitivity`."""
    from alliance_stats.meta.multilevel import refit
    from alliance_stats.meta.sensitivity import SensitivityFrame

    tried = [rho] if isinstance(rho, int | float) else list(rho)
    if not tried:
        raise DataError("rho names 0 correlations. Name some in [0, 1), e.g. (0, 0.3, 0.6, 0.9).")
    if np.isnan(result.structure.rho):
        raise DataError("V was given, not imputed from rho, so there is no other rho to try. Give other matrices.")
    frames = []
    for one in tried:
        fit = refit(result, rho=one)
        variances = zip(result.structure.levels, fit.peak.theta, strict=True)
        named = {f"variance ({level.name})": float(value) for level, value in variances}
        frames.append(fit.table().assign(rho=one, **named))
    table = pd.concat(frames, ignore_index=True)
    ordered = table[["rho", *(name for name in table.columns if name != "rho")]]
    return SensitivityFrame.of(ordered, result, "rho")
