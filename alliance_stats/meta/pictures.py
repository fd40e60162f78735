"""Figures of meta-analyses: their frames, handed to the report room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.figures import Drawable


#: What a diamond is drawn from.
MEAN = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
#: Words for axes on the scale of the analysis.
_AXES = {
    "ZCOR": "Fisher's z",
    "COR": "r",
    "UCOR": "r",
    "PCOR": "Partial r",
    "ZPCOR": "Fisher's z of partial correlations",
    "SPCOR": "Semipartial r",
    "ZSPCOR": "Fisher's z of semipartial correlations",
    "SMD": "Hedges' g",
    "SMDH": "Standardised mean difference",
    "SMCC": "Standardised mean change",
    "SMCR": "Standardised mean change",
    "OR": "Log odds ratio",
}


def axis_words(measure: str) -> str:
    """Name an axis of effects on the scale of the analysis; ``"Effect"`` where the measure is not known."""
    return _AXES.get(measure, "Effect")


def mean_words(measure: str) -> str:
    """Name an axis of means: ``"Mean effect (Fisher's z)"``; without the scale where the measure is not known."""
    words = axis_words(measure)
    return "Mean effect" if words == "Effect" else f"Mean effect ({words})"


def has_moderators(result: Drawable) -> bool:
    """Whether the result's first coefficient is not simply the mean of all effects."""
    return list(getattr(getattr(result, "part", None), "names", [INTERCEPT])) != [INTERCEPT]


def whole(result: Drawable) -> pd.DataFrame:
    """One row ``estimate, ci_low, ci_high, pi_low, pi_high``: the mean; with moderators, that at their average.

    An intercept alone would be the effect where all moderators are 0, as in the year 0.
    """
    from alliance_stats.meta.location_scale import LocationScaleResult
    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.meta.pooled_result import UnivariateResult

    if not has_moderators(result):
        return result.glance()[list(MEAN)]
    row = result.part.matrix.mean(axis=0)[None]  # type: ignore[attr-defined]
    if isinstance(result, UnivariateResult):
        return result._predicted(row, None)[list(MEAN)]
    scaled = isinstance(result, LocationScaleResult)
    table = result.expected(row) if scaled else result._estimates(row, ["mean"])  # type: ignore[attr-defined]
    ends = (np.nan, np.nan)
    if isinstance(result, MultilevelResult):
        ends = result._prediction(*(float(table[name].iloc[0]) for name in ("estimate", "std_error", "df")))
    return table.assign(pi_low=ends[0], pi_high=ends[1])[list(MEAN)]


def residuals(result: Drawable) -> NDArray[np.floating[Any]]:
    """Effects less what the moderators make expected, in the order of ``result.effects``."""
    if hasattr(result, "residuals"):
        return np.asarray(result.residuals()["residual"], np.float64)
    beta = result.beta if hasattr(result, "beta") else result.fit.beta  # type: ignore[attr-defined]
    return np.asarray(result.effects[EFFECT] - result.part.matrix @ beta, np.float64)  # type: ignore[attr-defined]


def meta_plot(result: Drawable, kind: str, ax: Axes | None) -> Axes:
    """Draw the figure that is asked for, as it comes; ``meta.figures`` has the options."""
    from alliance_stats.meta import figures
    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.meta.pool import PooledResult
    from alliance_stats.meta.regress import RegressionResult

    kinds: dict[str, Callable[..., Axes]] = {
        "forest": figures.forest,
        "funnel": figures.funnel,
        "orchard": figures.orchard,
    }
    if isinstance(result, PooledResult):
        kinds["radial"] = figures.radial
    if isinstance(result, RegressionResult) or (isinstance(result, MultilevelResult) and result.part.variables):
        kinds["bubble"] = figures.bubble
    if kind not in kinds:
        raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, kinds)}")
    return kinds[kind](result, ax=ax)


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
