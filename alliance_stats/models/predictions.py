"""What a fitted mixed model predicts, leaves over and would have produced: predictions, residuals, new outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, frame_of
from alliance_stats.design.membership import check_members
from alliance_stats.design.new_rows import new_rows
from alliance_stats.design.residuals import new_noise, new_offset
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.models.distributions import t_quantile

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.design import GroupingFactor
    from alliance_stats.engine.mixed.row_prediction import Members, PredictionRows
    from alliance_stats.models.mixed_result import MixedResult

Interval = Literal["confidence", "prediction"]
ResidualKind = Literal["conditional", "marginal", "standardised", "normalised"]
Unknown = Literal["population", "raise"]

#: Columns of ``predict()`` with an interval, after ``row`` and ``estimate``.
_INTERVAL_COLUMNS = ("std_error", "df", "ci_low", "ci_high")


def predict(
    result: MixedResult,
    new: SessionTable | pd.DataFrame | None,
    level: str | Sequence[str],
    interval: Interval | None,
    confidence: float,
    unknown: Unknown,
    membership: Mapping[str, pd.DataFrame] | None,
) -> pd.DataFrame:
    """Predict rows; see ``MixedResult.predict``."""
    _check_options(interval, confidence, unknown)
    groups = _groupings(result.arrays.varying_groups, level)
    if new is None:
        if membership:
            raise DataError(
                "The rows of the fit have their membership already. Leave membership= out, or give new rows."
            )
        rows, labels, codes = _rows_used(result, groups), result.arrays.sample.rows, None
    else:
        rows, codes = _other_rows(result, frame_of(new), groups, membership)
        labels = np.arange(rows.n_rows)
    frame = None if new is None else frame_of(new)
    if interval == "prediction":
        stratum, weight = new_noise(result.arrays.residuals, frame)
        rows = replace(rows, stratum=stratum, weight=weight)
    table = pd.DataFrame({"row": labels, "estimate": result.solution.predict(rows)})
    if (offset := new_offset(result.arrays.residuals, frame)) is not None:
        table["estimate"] += offset
    if interval is not None:
        table[list(_INTERVAL_COLUMNS)] = _with_interval(result, rows, groups, interval, confidence, table["estimate"])
    if groups:
        _note_unknown(table, groups, codes, unknown)
    return table


def residuals(result: MixedResult, kind: ResidualKind) -> pd.Series:
    """Return what the model leaves over of the outcome; see ``MixedResult.residuals``."""
    from alliance_stats.engine.mixed.draw import fixed_part

    if kind not in get_args(ResidualKind):
        raise DataError(f"kind has no value {kind!r}. {did_you_mean(str(kind), get_args(ResidualKind))}")
    from alliance_stats.models.residual_tables import normalised, row_sd

    fitted, design = result.fitted(), result.arrays.design
    offset = result.arrays.residuals.offset
    observed = design.outcome if offset is None else design.outcome + offset
    values = observed - fitted.to_numpy()
    if kind == "marginal":
        values = design.outcome - fixed_part(design, result.solution.beta)
    elif kind == "standardised":
        values = values / row_sd(result)
    elif kind == "normalised":
        values = normalised(result, values)
    return pd.Series(values, index=fitted.index, name="residual")


def simulate(result: MixedResult, n: int, seed: int | None) -> pd.DataFrame:
    """Draw outcomes from the fitted model; see ``MixedResult.simulate``."""
    from alliance_stats.engine.mixed.draw import draw_outcomes

    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise DataError(f"n is a whole number of outcomes, 1 or more, not {n!r}.")
    try:
        generator = np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise DataError(f"seed is a whole number, 0 or more, not {seed!r}.") from None
    outcomes = draw_outcomes(result.arrays.design, result.solution, int(n), generator)
    if result.arrays.residuals.offset is not None:
        outcomes += result.arrays.residuals.offset[:, None]
    index = pd.Index(result.arrays.sample.rows, name="row")
    return pd.DataFrame(outcomes, index=index, columns=[f"simulation_{k}" for k in range(1, n + 1)])


# ---- what was asked ------------------------------------------------------------------------------------------------


def _check_options(interval: Interval | None, confidence: float, unknown: Unknown) -> None:
    if interval is not None and interval not in get_args(Interval):
        raise DataError(f"interval has no value {interval!r}. {did_you_mean(str(interval), get_args(Interval))}")
    if not 0 < confidence < 1:
        raise DataError(f"confidence lies between 0 and 1, such as 0.95, not at {confidence!r}.")
    if unknown not in get_args(Unknown):
        raise DataError(f"unknown is 'population' or 'raise', not {unknown!r}.")


def _groupings(names: tuple[str, ...], level: str | Sequence[str]) -> tuple[str, ...]:
    """Groupings whose known levels the prediction is for."""
    if isinstance(level, str):
        if level == "population":
            return ()
        if level == "all":
            return names
        level = (level,)
    for name in level:
        if name not in names:
            raise DataError(f"level has no grouping {name!r}. {did_you_mean(str(name), ('population', 'all', *names))}")
    return tuple(name for name in names if name in level)


# ---- rows ----------------------------------------------------------------------------------------------------------


def _rows_used(result: MixedResult, groups: tuple[str, ...]) -> PredictionRows:
    """Return the rows of the fit."""
    from alliance_stats.engine.mixed.row_prediction import PredictionRows

    design = result.arrays.design

    def stacked(places: tuple[int, ...]) -> np.ndarray:
        columns = np.ones((design.n_obs, len(places)))
        for at, place in enumerate(places):
            if (own := design.columns[place]) is not None:
                columns[:, at] = own
        return columns

    pairs = [_belonging(factor, factor.name in groups) for factor in design.factors]
    return PredictionRows(
        stacked(design.fixed),
        tuple(stacked(factor.effects) for factor in design.factors),
        tuple(members for members, _ in pairs),
        tuple(fresh for _, fresh in pairs),
    )


def _belonging(factor: GroupingFactor, known: bool) -> tuple[Members, np.ndarray]:
    """Members of the rows of the fit, and the weight of what is averaged over."""
    from alliance_stats.engine.mixed.row_prediction import Members

    n = factor.codes.size
    row, level, weight = (
        (np.arange(n), factor.codes, np.ones(n)) if factor.membership is None else factor.membership.items(factor.codes)
    )
    if known:
        return Members(row, level, weight), np.zeros(n)
    nobody = np.zeros(0, np.int64)
    return Members(nobody, nobody, np.zeros(0)), np.bincount(row, weight**2, minlength=n)


def _other_rows(
    result: MixedResult,
    frame: pd.DataFrame,
    groups: tuple[str, ...],
    membership: Mapping[str, pd.DataFrame] | None,
) -> tuple[PredictionRows, dict[str, np.ndarray]]:
    """Return new rows, and the level that each has in the fit (−1 where it has one that the fit did not have)."""
    from alliance_stats.engine.mixed.row_prediction import Members, PredictionRows

    weighed = _members_of_new(result, len(frame), groups, membership)
    arrays = new_rows(result.formula, result.arrays, frame, [name for name in groups if name not in weighed])
    members, fresh, found = [], [], {}
    for name, codes in zip(result.arrays.group_names, arrays.codes, strict=True):
        if name in weighed:
            own, rest, codes = weighed[name]
        else:
            row = np.flatnonzero(codes >= 0)
            own, rest = Members(row, codes[row], np.ones(row.size)), (codes < 0).astype(float)
        members.append(own)
        fresh.append(rest)
        found[name] = codes
    return PredictionRows(arrays.fixed, arrays.random, tuple(members), tuple(fresh)), found


def _members_of_new(
    result: MixedResult, n_rows: int, groups: tuple[str, ...], membership: Mapping[str, pd.DataFrame] | None
) -> dict[str, tuple[Members, np.ndarray, np.ndarray]]:
    """For each ``mm(…)`` with weights of new rows: members that are known, the squared weight of others, and codes."""
    from alliance_stats.engine.mixed.row_prediction import Members

    multiple = [factor.name for factor in result.arrays.design.factors if factor.membership is not None]
    given = membership or {}
    for name in multiple:
        if name in groups and name not in given:
            raise DataError(
                f"New rows do not say by themselves whom they belong to in mm({name}). Give "
                f"membership={{{name!r}: frame}} with their row, level and weight, or leave {name!r} out of level=."
            )
    checked = check_members(tuple(name for name in multiple if name in given), given, n_rows)
    found = {}
    for name, own in checked.items():
        levels = result.arrays.levels[result.arrays.group_names.index(name)]
        at = levels.get_indexer(own.labels)[own.level]
        known = (at >= 0) if name in groups else np.zeros(at.size, dtype=bool)
        rest = np.bincount(own.row[~known], own.weight[~known] ** 2, minlength=n_rows)
        missing = np.bincount(own.row, minlength=n_rows) == 0
        codes = np.zeros(n_rows, dtype=np.int64)
        codes[own.row[~known]] = -1
        codes[missing] = -1
        members = Members(own.row[known], at[known], own.weight[known])
        found[name] = (members, np.where(missing, 1.0, rest), codes)
    return found


# ---- what is said of them ------------------------------------------------------------------------------------------


def _with_interval(
    result: MixedResult,
    rows: PredictionRows,
    groups: tuple[str, ...],
    interval: Interval,
    confidence: float,
    estimate: pd.Series,
) -> np.ndarray:
    """Standard error, degrees of freedom and limits of each row, (n_rows, 4)."""
    if not groups and interval == "confidence":
        error, df = _population_uncertainty(result, rows.fixed)
    else:
        outcome = interval == "prediction"
        error = np.sqrt(result.solution.prediction_variance(rows, outcome))
        normal = result.df_method == "normal"
        df = np.full(rows.n_rows, np.inf) if normal else result.solution.prediction_df(rows, outcome)
    half = t_quantile(0.5 + confidence / 2, df) * error
    return np.column_stack([error, df, estimate - half, estimate + half])


def _population_uncertainty(result: MixedResult, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and degrees of freedom of weighted sums of fixed effects, each distinct sum once."""
    distinct, place = np.unique(fixed, axis=0, return_inverse=True)
    table = result.combine(pd.DataFrame(distinct, columns=list(result.arrays.fixed_names)))
    return table["std_error"].to_numpy()[place.ravel()], table["df"].to_numpy()[place.ravel()]


def _note_unknown(
    table: pd.DataFrame, groups: tuple[str, ...], codes: dict[str, np.ndarray] | None, unknown: Unknown
) -> None:
    """Add ``unknown_levels``: the groupings in which a row's level was not in the fit."""
    absent = {name: codes[name] < 0 if codes else np.zeros(len(table), dtype=bool) for name in groups}
    counts = {name: int(own.sum()) for name, own in absent.items()}
    if unknown == "raise" and any(counts.values()):
        said = ", ".join(
            f"{name}: {count(n, 'row')} (first at row {absent[name].argmax()})" for name, n in counts.items() if n
        )
        raise DataError(
            f"Levels that the fit did not have: {said}. Use unknown='population', or leave these groupings out of "
            "level=."
        )
    table["unknown_levels"] = [
        ", ".join(name for name, own in zip(groups, row, strict=True) if own)
        for row in np.column_stack(list(absent.values()))
    ]
    table["unknown_levels"] = table["unknown_levels"].astype(str)
    table.attrs["unknown_levels"] = counts
