"""Figures of meta-analyses: their frames, handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Drawable(Protocol):
    """What a forest plot needs of a result."""

    @property
    def effects(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def level(self) -> float: ...  # noqa: D102
    def glance(self) -> pd.DataFrame: ...  # noqa: D102
    def weights(self) -> pd.Series: ...  # noqa: D102


def meta_plot(result: Drawable, kind: str, ax: Axes | None) -> Axes:
    """Draw the figure that is asked for."""
    if kind != "forest":
        raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('forest',))}")
    from alliance_stats.report.figures.forest import forest

    return forest(forest_rows(result.effects, result.weights(), result.level), result.glance(), ax=ax)


def forest_rows(effects: pd.DataFrame, weights: pd.Series, level: float) -> pd.DataFrame:
    """Return ``label, estimate, ci_low, ci_high, weight``: each effect with its own normal interval."""
    from alliance_stats.engine.distributions import t_quantile

    estimate = effects[EFFECT].to_numpy(np.float64)
    half = float(t_quantile(0.5 + level / 2, np.inf)) * np.sqrt(effects[VARIANCE].to_numpy(np.float64))
    names = effects[STUDY] if STUDY in effects.columns else effects.index.to_series()
    return pd.DataFrame(
        {
            "label": names.astype(str).to_numpy(),
            "estimate": estimate,
            "ci_low": estimate - half,
            "ci_high": estimate + half,
            "weight": weights.to_numpy(np.float64),
        }
    )
