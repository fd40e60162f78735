"""Figures of meta-analyses with all their options; ``result.plot(kind)`` draws the same ones as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, require
from alliance_stats.meta.pictures import MEAN as _ALL
from alliance_stats.meta.pictures import has_moderators, residuals
from alliance_stats.meta.pictures import whole as mean_row
from alliance_stats.meta.pool import pool
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.radial import radial
from alliance_stats.meta.sensitivity import SensitivityFrame
from alliance_stats.meta.subgroups import group_means, is_moderator, model_means
from alliance_stats.meta.tidy import carried_back

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.meta.regress import RegressionResult

__all__ = ["Drawable", "bubble", "cumulative", "forest", "forest_frame", "funnel", "gosh", "orchard", "radial"]

_ENDS = ("estimate", "ci_low", "ci_high")


class Drawable(Protocol):
    """What the figures need of a result."""

    @property
    def effects(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def level(self) -> float: ...  # noqa: D102
    def glance(self) -> pd.DataFrame: ...  # noqa: D102
    def weights(self) -> pd.Series: ...  # noqa: D102


def forest(
    result: Drawable | pd.DataFrame,
    *,
    by: str | None = None,
    columns: Sequence[str] | Mapping[str, str] = (),
    order: str | None = None,
    back: str | None = "auto",
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the forest plot.

    Parameters
    ----------
    result : result or DataFrame
        Of :func:`alliance_stats.meta.pool`, ``regress``, ``multilevel`` or ``robust``; a frame of effects is pooled
        first. With moderators the diamond is
        the effect expected at their average.
    by : str, optional
        Column of subgroups: each is pooled on its own, as the whole was (several levels: with the same levels).
    columns : sequence of str, or mapping of str to str
        Columns of the effects to print; a mapping gives their headings.
    order : str, optional
        Column to sort by; ``"yi"`` for the size of effects. By default the order of the frame.
    back : {"auto", "tanh", "exp", None}
        Scale to carry effects back to; by default that of the measure, if it is known.
    unit : str, optional
        Words for the axis.
    ax : Axes, optional

    Returns
    -------
    Axes
        With ``.data``, ``.caption`` and ``.alt_text``.
    """
    from alliance_stats.report.figures.forest import forest as draw

    result = pool(result) if isinstance(result, pd.DataFrame) else result
    how = _back(result, back)
    frame = result.effects
    require(frame, *(name for name in (by, order) if name is not None), *columns)
    rows = _forest_rows(result, [*([by] if by else []), *columns])
    if order is not None:
        rows = rows.iloc[np.argsort(frame[order].to_numpy(), kind="stable")]
    if by is not None:
        rows = rows.assign(group=rows[by].astype(str))
    groups = None if by is None else group_means(result, by)
    whole = mean_row(result)
    rows, whole = _carried(rows, how), _carried(whole, how)
    groups = None if groups is None else _carried(groups, how)
    words = _axis(result, how)
    return draw(
        rows,
        whole,
        groups=groups,
        columns=columns,
        correlations=how == "tanh",
        unit=unit or words,
        mean="At the average" if has_moderators(result) else "Mean",
        level=result.level,
        ax=ax,
    )


def funnel(
    result: Drawable | pd.DataFrame,
    *,
    levels: Sequence[float] = (0.90, 0.95, 0.99),
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the funnel plot, on the scale of the analysis: contours are where an effect of 0 is rejected.

    With moderators, what they leave (residuals) stands in place of effects.

    Parameters
    ----------
    result : result or DataFrame
        A frame of effects is pooled first.
    levels : sequence of float
        One to three contours.
    unit : str, optional
        Words for the axis; by default those of the measure.
    ax : Axes, optional
    """
    from alliance_stats.meta.bias.pictures import funnel_rows
    from alliance_stats.report.figures.funnel import funnel as draw

    known = pool(result) if isinstance(result, pd.DataFrame) else result
    rows, mean, words = funnel_rows(known.effects), known.glance(), _axis(known, None)
    caption = None
    if has_moderators(known):
        rows, mean = rows.assign(estimate=residuals(known)), mean.assign(estimate=0.0)
        words = f"Residual ({words})"
        caption = (
            f"Funnel plot of what the moderators leave of {count(len(rows), 'effect')}. Dashed lines: where 95% of "
            "residuals would lie without differences between studies. Shades: p value of each residual against 0."
        )
    return draw(rows, mean, levels=levels, unit=unit or words, caption=caption, ax=ax)


def orchard(
    result: Drawable,
    *,
    by: str | None = None,
    back: str | None = "auto",
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the orchard plot: every effect, means with confidence and prediction intervals.

    Parameters
    ----------
    result, back, unit, ax
        As for :func:`forest`.
    by : str, optional
        Column of groups. Where it is the only moderator of the result, means are those of its model; else each group is
        pooled on its own.
    """
    from alliance_stats.report.figures.orchard import orchard as draw

    how = _back(result, back)
    frame = result.effects
    if by is not None:
        require(frame, by)
    names = frame[by].astype(str).to_numpy() if by else np.full(len(frame), "All effects")
    fruits = pd.DataFrame(
        {
            "group": names,
            "estimate": frame[EFFECT].to_numpy(np.float64),
            "std_error": np.sqrt(frame[VARIANCE].to_numpy(np.float64)),
        }
    )
    if by is None:
        means = mean_row(result).assign(group="All effects")
    else:
        means = model_means(result, by) if is_moderator(result, by) else group_means(result, by)
    words = _axis(result, how)
    return draw(_carried(fruits, how), _carried(means, how), unit=unit or words, level=result.level, ax=ax)


def bubble(
    result: RegressionResult | MultilevelResult,
    moderator: str | None = None,
    *,
    n: int = 101,
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw effects over a moderator, with the regression line and its prediction interval.

    Parameters
    ----------
    result : RegressionResult or MultilevelResult
    moderator : str, optional
        A column of numbers in the formula; the first by default. Others are held at their mean, or their most frequent
        category.
    n : int
        Points of the line.
    unit : str, optional
        Words for the axis; by default those of the measure.
    ax : Axes, optional

    Raises
    ------
    DesignError
        If the formula has no moderator of numbers.
    """
    from alliance_stats.report.figures.bubble import bubble as draw

    names = [name for name in result.part.variables if name != EFFECT]
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(result.effects[name])]
    if not numeric:
        raise DesignError(
            f"{count(len(names), 'moderator')}, none of numbers: there is no axis for a bubble plot. "
            "orchard() draws groups."
        )
    chosen = moderator or numeric[0]
    if chosen not in numeric:
        raise DataError(f"No moderator of numbers {chosen!r} in the formula. {did_you_mean(chosen, numeric)}")
    x = result.effects[chosen].to_numpy(np.float64)
    new = pd.DataFrame({chosen: np.linspace(x.min(), x.max(), n)})
    for name in names:
        if name != chosen:
            column = result.effects[name]
            new[name] = float(column.mean()) if name in numeric else column.mode().iloc[0]
    curve = result.predict(new).assign(x=new[chosen].to_numpy())
    points = pd.DataFrame(
        {"x": x, "estimate": result.effects[EFFECT].to_numpy(np.float64), "weight": result.weights().to_numpy()}
    )
    return draw(points, curve, moderator=chosen, unit=unit or _axis(result, None), level=result.level, ax=ax)


def cumulative(
    steps: pd.DataFrame, effects: pd.DataFrame | None = None, *, unit: str = "Mean effect", ax: Axes | None = None
) -> Axes:
    """Draw what :func:`alliance_stats.meta.cumulative` returns.

    Parameters
    ----------
    steps : DataFrame
    effects : DataFrame, optional
        The effects, for their names in ``study``, if they are not those of ``steps``.
    unit : str
    ax : Axes, optional
    """
    from alliance_stats.report.figures.cumulative import cumulative as draw

    require(steps, "added", "k", *_ENDS)
    names = steps["added"]
    effects = steps.fit.effects if effects is None and isinstance(steps, SensitivityFrame) else effects
    if effects is not None and STUDY in effects.columns:
        names = names.map(effects[STUDY][~effects.index.duplicated()])
    level = steps.fit.level if isinstance(steps, SensitivityFrame) else 0.95
    return draw(steps.assign(label=names.astype(str)), unit=unit, level=level, ax=ax)


def gosh(
    subsets: pd.DataFrame,
    *,
    without: int | None = None,
    name: str = "",
    unit: str = "Mean effect",
    ax: Axes | None = None,
) -> Axes:
    """Draw what :func:`alliance_stats.meta.gosh` returns.

    Parameters
    ----------
    subsets : DataFrame
    without : int, optional
        Place of an effect (from 0): subsets without it are drawn in another colour.
    name : str
        What that effect is called.
    unit : str
    ax : Axes, optional
    """
    from alliance_stats.report.figures.gosh import gosh as draw

    require(subsets, "estimate", "i2")
    drawn = subsets.copy(deep=False)
    if without is not None:
        if "keep" not in subsets.attrs:
            raise DataError(
                "These subsets do not say which effects they hold. Take the frame that gosh() returned as it is."
            )
        keep = np.unpackbits(subsets.attrs["keep"], axis=1)
        if not 0 <= without < int(subsets["k"].max()):
            raise DataError(f"There is no effect {without}; places run from 0 to {int(subsets['k'].max()) - 1}.")
        drawn = drawn.assign(marked=keep[:, without] == 0)
    drawn.attrs = {}
    return draw(drawn, without=name or (f"effect {without}" if without is not None else ""), unit=unit, ax=ax)


def _axis(result: Drawable, how: str | None) -> str:
    """Words for an axis of effects, carried back or not."""
    from alliance_stats.meta.pictures import axis_words

    return {"tanh": "r", "exp": "Ratio"}.get(how or "", axis_words(getattr(result, "measure", "")))


def _back(result: Drawable, back: str | None) -> str | None:
    if back != "auto":
        if back not in (None, "tanh", "exp"):
            raise DataError(f"No scale {back!r}. {did_you_mean(str(back), ('tanh', 'exp'))}")
        return back
    scale = scale_of(getattr(result, "measure", ""))
    return scale if scale in ("tanh", "exp") else None


def _carried(frame: pd.DataFrame, how: str | None) -> pd.DataFrame:
    if how is None:
        return frame
    return frame.assign(**{name: carried_back(frame[name].to_numpy(np.float64), how) for name in _ALL if name in frame})


def forest_frame(result: Drawable, back: str | None = "auto") -> pd.DataFrame:
    """Return what :func:`forest` draws: ``label, estimate, ci_low, ci_high, weight``, a row per effect."""
    return _carried(_forest_rows(result, ()), _back(result, back))


def _forest_rows(result: Drawable, more: Sequence[str]) -> pd.DataFrame:
    from alliance_stats.meta.pictures import forest_rows

    rows = forest_rows(result.effects, result.weights(), result.level)
    return rows.assign(**{name: result.effects[name].to_numpy() for name in more})
