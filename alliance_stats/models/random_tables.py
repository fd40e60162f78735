"""The random part of a mixed model as tidy frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.matrices import ModelArrays
from alliance_stats.engine.mixed.fit import MixedSolution, StartEstimate
from alliance_stats.models.distributions import t_quantile
from alliance_stats.names import RANDOM_COLUMNS, VARIANCE_COLUMNS

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.leave_out import WithoutLevel


def variance_table(
    arrays: ModelArrays,
    solution: MixedSolution | StartEstimate | WithoutLevel,
    residual: Sequence[tuple[object, ...]],
) -> pd.DataFrame:
    """Return ``group, term, term2, vcov, sdcor``: variances, covariances, and the ``residual`` rows last."""
    rows: list[tuple[object, ...]] = []
    for factor, names, matrix in zip(
        arrays.design.factors, arrays.effect_names, solution.random_covariances, strict=True
    ):
        deviations = np.sqrt(np.diag(matrix))
        rows += [(factor.name, name, None, matrix[k, k], deviations[k]) for k, name in enumerate(names)]
        for block in factor.blocks:
            for at, j in enumerate(block):
                for k in block[at + 1 :]:
                    product = deviations[j] * deviations[k]
                    correlation = np.clip(matrix[j, k] / product, -1, 1) if product > 0 else np.nan
                    rows.append((factor.name, names[j], names[k], matrix[j, k], correlation))
    rows += residual
    return pd.DataFrame(rows, columns=list(VARIANCE_COLUMNS))


def random_table(arrays: ModelArrays, solution: MixedSolution, at: int, level: float) -> pd.DataFrame:
    """Return ``level, term, estimate, std_error, ci_low, ci_high`` of the grouping at position ``at``."""
    effects, names, labels = solution.effects[at], arrays.effect_names[at], arrays.levels[at]
    estimate = effects.estimate.ravel()
    error = np.sqrt(np.maximum(np.einsum("ljj->lj", effects.covariance), 0)).ravel()
    half = t_quantile(0.5 + level / 2, np.inf) * error
    level_of_row, term_of_row = np.repeat(labels, len(names)), list(names) * len(labels)
    columns = (level_of_row, term_of_row, estimate, error, estimate - half, estimate + half)
    return pd.DataFrame(dict(zip(RANDOM_COLUMNS, columns, strict=True)))
