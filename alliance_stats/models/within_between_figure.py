"""The frames of the within/between figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.courses import TIME
from alliance_stats.names import INTERCEPT, PATIENT, between, within
from alliance_stats.report.figures.within_between import within_between as panels

if TYPE_CHECKING:
    from alliance_stats.models.within_between import WithinBetweenResult
    from alliance_stats.report.figures.canvas import Panels


def draw(result: WithinBetweenResult, axes: object) -> Panels:
    """Draw patient means with the between line beside centred points with the within line."""
    own, patient = result.frame, result.columns.patient
    mean = own.groupby(patient, observed=True, sort=False)[[result.predictor, result.outcome]].mean().reset_index()
    mean.columns = pd.Index([PATIENT, "predictor", "outcome"])
    centred = pd.DataFrame(
        {
            "predictor": own[within(result.predictor)],
            "outcome": own[result.outcome] - own.groupby(patient, observed=True)[result.outcome].transform("mean"),
        }
    )
    return panels(
        mean,
        centred.reset_index(drop=True),
        pd.concat([_between_line(result, own), _within_line(result, own)], ignore_index=True),
        predictor=result.labelled(result.predictor),
        outcome=result.labelled(result.outcome),
        axes=axes,  # type: ignore[arg-type]
        simulated=result.fit.simulated,
    )


def _between_line(result: WithinBetweenResult, own: pd.DataFrame) -> pd.DataFrame:
    """Expected outcome over patient means, at the average time."""
    x = np.linspace(own[between(result.predictor)].min(), own[between(result.predictor)].max(), 25)
    weights = pd.DataFrame({INTERCEPT: 1.0, between(result.predictor): x})
    if TIME in result.fit.arrays.fixed_names:
        weights[TIME] = own[TIME].mean()
    return _line(result, weights, x, "between")


def _within_line(result: WithinBetweenResult, own: pd.DataFrame) -> pd.DataFrame:
    """Expected deviation of the outcome over deviations of the predictor."""
    x = np.linspace(own[within(result.predictor)].min(), own[within(result.predictor)].max(), 25)
    return _line(result, pd.DataFrame({within(result.predictor): x}), x, "within")


def _line(result: WithinBetweenResult, weights: pd.DataFrame, x: np.ndarray, level: str) -> pd.DataFrame:
    table = result.fit.combine(weights)
    return table[["estimate", "ci_low", "ci_high"]].assign(x=x, level=level)
