"""The cumulative analysis: studies pooled in the order of their years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.meta import figures
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.influence import cumulative
from alliance_stats.meta.pictures import mean_words
from alliance_stats.study.meta.part import Asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def over_time(asked: Asked) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Pool studies in the order of their year, one effect per study; None where years are not known.

    Returns
    -------
    steps, effects : DataFrame
        As :func:`alliance_stats.meta.cumulative` returns them, and the effects with the year in their names.
    """
    year = asked.coded.columns.get("year")
    frame = asked.main.effects
    if year is None or year not in frame.columns or not pd.api.types.is_numeric_dtype(frame[year]):
        return None
    one = aggregate(frame, asked.coded.study.model.rho)
    if year not in one.columns or one[year].isna().any():  # it varies within studies, or is not always known
        return None
    one = one.assign(**{STUDY: [_with_year(name, f"{at:g}") for name, at in zip(one[STUDY], one[year], strict=True)]})
    try:
        return cumulative(one, year, level=asked.level), one
    except DataError:
        return None


def _with_year(name: str, year: str) -> str:
    return name if year in name else f"{name} ({year})"


def drawn_over_time(asked: Asked, steps: pd.DataFrame, one: pd.DataFrame) -> Axes:
    """Draw the mean after each study."""
    return figures.cumulative(steps, one, unit=mean_words(asked.main.measure))
