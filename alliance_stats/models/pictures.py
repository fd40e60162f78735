"""Figures of a plain mixed model: its frames, handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import INTERCEPT, PATIENT, SESSION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.models.mixed_result import MixedResult


def mixed_plot(fit: MixedResult, kind: str, group: str | None, ax: Axes | None) -> Axes:
    """Draw the random effects of a grouping, or its fitted courses."""
    if kind == "caterpillar":
        return _caterpillar(fit, group, ax)
    if kind == "trajectories":
        return _trajectories(fit, group, ax)
    raise DataError(f"A mixed model has no figure {kind!r}. {did_you_mean(kind, ('caterpillar', 'trajectories'))}")


def _group(fit: MixedResult, group: str | None) -> str:
    if group is None:
        varying = [factor for factor in fit.arrays.design.factors if factor.effects]
        return max(varying, key=lambda factor: factor.n_levels * (factor.membership is None)).name
    return fit.arrays.group_names[fit._group_place(group)]


def _caterpillar(fit: MixedResult, group: str | None, ax: Axes | None) -> Axes:
    from alliance_stats.report.figures.caterpillar import caterpillar

    name = _group(fit, group)
    effects = fit.random(name)
    first = effects["term"].iloc[0]
    own = effects[effects["term"] == first].reset_index(drop=True)
    unit = fit.codebook.get(fit.formula.outcome).title
    return caterpillar(own, unit=unit, levels=name, ax=ax, simulated=fit.simulated)


def _trajectories(fit: MixedResult, group: str | None, ax: Axes | None) -> Axes:
    """Fitted values of each level over its first random slope, and the fixed course at the other terms' means."""
    from alliance_stats.report.figures.trajectories import trajectories

    name = _group(fit, group)
    at = fit.arrays.group_names.index(name)
    slopes = [term for term in fit.arrays.effect_names[at] if term != INTERCEPT and term in fit.arrays.fixed_names]
    if not slopes:
        raise DataError(
            f"{name} has no random slope of a predictor, so there is no course to draw. Use kind='caterpillar'."
        )
    design = fit.arrays.design
    over = design.columns[design.fixed[fit.arrays.fixed_names.index(slopes[0])]]
    assert over is not None  # the intercept is not a slope
    labels = fit.arrays.levels[at].take(design.factors[at].codes)
    courses = pd.DataFrame({PATIENT: labels, SESSION: over, "value": fit.fitted().to_numpy()})
    grid = np.linspace(over.min(), over.max(), 50)
    means = {
        term: 1.0 if design.columns[k] is None else float(np.mean(design.columns[k]))  # type: ignore[arg-type]
        for term, k in zip(fit.arrays.fixed_names, design.fixed, strict=True)
    }
    curve = fit.combine(pd.DataFrame({**means, slopes[0]: grid}))[["estimate", "ci_low", "ci_high"]].assign(
        session=grid
    )
    score = fit.codebook.get(fit.formula.outcome).title
    return trajectories(courses, curve, score=score, time=slopes[0], ax=ax, simulated=fit.simulated)
