"""Data that come in parts: each is summed by itself and let go, and the sums are added up.

Sums know levels by their labels, so parts may be cut anywhere and be summed anywhere (on other machines, too). What
they take grows with pairs of patients and therapists, not with sessions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from alliance_stats.design.formula import Formula
from alliance_stats.design.matrices import ModelArrays, arrays_of
from alliance_stats.design.part_columns import PartPlan
from alliance_stats.design.residuals import Residuals
from alliance_stats.design.sample import Sample, SummedSample, complete_rows
from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.parts import Part, add_parts, sum_part
from alliance_stats.engine.mixed.summed import RowlessDesign, SummedFactor
from alliance_stats.engine.threads import one_blas_thread
from alliance_stats.errors import DataError


@dataclass(frozen=True)
class SummedRows:
    """The sums of a part (or of several) that has complete rows.

    Parameters
    ----------
    sums : Part
    shape : RowlessDesign
    arrays : ModelArrays
        Names, labels of the levels, and the same design.
    seen : mapping of str to Series of bool
        For each categorical predictor, which of its categories (the index) occur.
    moments : DataFrame
        Of the numeric predictors (see :class:`~alliance_stats.design.sample.SummedSample`).
    """

    sums: Part
    shape: RowlessDesign
    arrays: ModelArrays
    seen: Mapping[str, pd.Series]
    moments: pd.DataFrame


@dataclass(frozen=True)
class SummedPart:
    """A part, or several: the account of its rows, and the sums of the complete ones (None: there are none)."""

    sample: SummedSample
    rows: SummedRows | None


def sum_frame(plan: PartPlan, frame: pd.DataFrame) -> SummedPart:
    """Sum the rows of one part.

    Parameters
    ----------
    plan : PartPlan
    frame : DataFrame
        Holds the columns of the formula.
    """
    sample = complete_rows(frame, plan.variables, plan.missing)
    account = SummedSample.of(sample, plan.variables)
    return SummedPart(account, _sum_rows(plan, sample, account) if sample.n_used else None)


def _sum_rows(plan: PartPlan, sample: Sample, account: SummedSample) -> SummedRows:
    own = plan.predictors(sample.frame)
    arrays = arrays_of(plan.formula, sample, own, {}, plan.spec, is_part=True)
    _check_labels(arrays, plan.formula)
    with one_blas_thread():
        sums = sum_part(arrays.design)
    seen = {
        name: pd.Series(np.bincount(own[name].cat.codes, minlength=len(kind.categories)) > 0, index=kind.categories)
        for name, kind in plan.kinds.items()
        if kind is not None
    }
    shape = _without_rows(arrays.design)
    residuals = Residuals(plan.spec, shape.residual)
    return SummedRows(
        sums,
        shape,
        replace(arrays, design=shape, sample=account, residuals=residuals),
        seen,
        _moments(plan, sample, own),
    )


def _moments(plan: PartPlan, sample: Sample, own: Mapping[str, pd.Series]) -> pd.DataFrame:
    numbers = [name for name, kind in plan.kinds.items() if kind is None]
    values = {name: own[name].to_numpy() for name in numbers}
    columns = {
        "mean": [column.mean() for column in values.values()],
        "squares": [column.size * column.var() for column in values.values()],
        "boolean": [sample.is_boolean(name) for name in numbers],
    }
    return pd.DataFrame(columns, index=numbers)


def _check_labels(arrays: ModelArrays, formula: Formula) -> None:
    """Refuse ids with a colon in a grouping of several columns: another pair could have the same label."""
    n_columns = {term.group_name: len(term.group) for term in formula.random}
    for name, labels in zip(arrays.group_names, arrays.levels, strict=True):
        if n_columns[name] == 1:
            continue
        unclear = labels.str.count(":") >= n_columns[name]
        if unclear.any():
            raise DataError(
                f"{int(unclear.sum())} levels of {name} come from ids that hold a colon (first: "
                f"{labels[int(unclear.argmax())]!r}), so that other ids could give the same label. Rename these ids."
            )


def _without_rows(design: MixedDesign) -> RowlessDesign:
    factors = tuple(SummedFactor(own.name, own.n_levels, own.effects, own.blocks) for own in design.factors)
    return RowlessDesign(design.n_obs, design.n_columns, design.fixed, factors, design.residual is not None)


# ---- adding up -------------------------------------------------------------------------------------------------------


def join(parts: Sequence[SummedPart]) -> SummedPart:
    """Add parts up, in their order.

    Parameters
    ----------
    parts : sequence of SummedPart
        Of one plan, at least one.
    """
    account = SummedSample.added([part.sample for part in parts])
    filled = [part.rows for part in parts if part.rows is not None]
    return SummedPart(account, _joined_rows(filled, account) if filled else None)


def _joined_rows(parts: Sequence[SummedRows], account: SummedSample) -> SummedRows:
    levels, numbers = [], []
    for factor in range(len(parts[0].arrays.levels)):
        labels, of_part = _number([part.arrays.levels[factor] for part in parts])
        levels.append(labels)
        numbers.append(of_part)
    codes = [[numbers[f][at][own] for f, own in enumerate(part.sums.cells.left)] for at, part in enumerate(parts)]
    sums = add_parts([part.sums for part in parts], codes, [len(labels) for labels in levels])
    first = parts[0].shape
    factors = tuple(
        SummedFactor(own.name, len(labels), own.effects, own.blocks)
        for own, labels in zip(first.factors, levels, strict=True)
    )
    shape = RowlessDesign(sums.n_obs, first.n_columns, first.fixed, factors, first.residual is not None)
    arrays = replace(parts[0].arrays, design=shape, levels=tuple(levels), sample=account)
    seen = {name: pd.concat([part.seen[name] for part in parts], axis=1).any(axis=1) for name in parts[0].seen}
    return SummedRows(sums, shape, arrays, seen, _joined_moments(parts))


def _joined_moments(parts: Sequence[SummedRows]) -> pd.DataFrame:
    n_rows = np.array([part.sums.n_obs for part in parts])[:, None]
    means, squares = (np.array([part.moments[name].to_numpy() for part in parts]) for name in ("mean", "squares"))
    mean = (n_rows * means).sum(axis=0) / n_rows.sum()
    squares = (squares + n_rows * (means - mean) ** 2).sum(axis=0)
    boolean = np.logical_and.reduce([part.moments["boolean"] for part in parts])
    return pd.DataFrame({"mean": mean, "squares": squares, "boolean": boolean}, index=parts[0].moments.index)


def _number(labels: Sequence[pd.Index]) -> tuple[pd.Index, list[np.ndarray]]:
    """Number the levels of all parts, in order of appearance: their labels, and the numbers of each part's levels."""
    numbers, distinct = pd.factorize(labels[0].append(list(labels[1:])))
    return pd.Index(distinct, dtype=str), np.split(
        numbers.astype(np.int64), np.cumsum([len(own) for own in labels])[:-1]
    )
