"""Formula and frame to the arrays of a mixed model, with everything named that the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.design.formula import Formula, RandomTerm
from alliance_stats.design.sample import Sample, take_sample
from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.errors import AllianceStatsError, DataError, DesignError, FormulaError, count
from alliance_stats.names import INTERCEPT

#: Share of a column's variance that must be its own, beside the columns before it.
_COLLINEAR = 1e-9


@dataclass(frozen=True)
class ModelArrays:
    """Arrays of a model and the names that go with them.

    Parameters
    ----------
    design : MixedDesign
    fixed_names : tuple of str
        Fixed-effect terms, in order.
    effect_names : tuple of tuple of str
        Random-effect terms of each factor.
    levels : tuple of Index
        Labels of the levels of each factor.
    sample : Sample
        Rows used and left out.
    """

    design: MixedDesign
    fixed_names: tuple[str, ...]
    effect_names: tuple[tuple[str, ...], ...]
    levels: tuple[pd.Index, ...]
    sample: Sample

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the grouping factors."""
        return tuple(factor.name for factor in self.design.factors)


class _Pool:
    """Distinct columns by name; the intercept is kept as None."""

    def __init__(self) -> None:
        self.columns: list[np.ndarray | None] = []
        self._place: dict[str, int] = {}

    def add(self, name: str, values: np.ndarray) -> int:
        if name not in self._place:
            self._place[name] = len(self.columns)
            self.columns.append(None if name == INTERCEPT else np.ascontiguousarray(values, dtype=float))
        return self._place[name]


def model_arrays(formula: Formula, frame: pd.DataFrame, missing: str = "drop") -> ModelArrays:
    """Build the arrays of a mixed model.

    Parameters
    ----------
    formula : Formula
    frame : DataFrame
        One row per observation; ids may be text or numbers.
    missing : {"drop", "raise"}

    Raises
    ------
    DesignError
        If the data cannot tell what the formula asks: a constant or collinear predictor, a grouping with one level
        or with as many as rows.
    """
    if not formula.random:
        raise FormulaError(
            f"The formula has no bar term such as (1 | patient_id): {formula.text!r}. Without one it is an ordinary "
            "regression; sessions of one patient would be taken as independent."
        )
    sample = take_sample(frame, formula.variables, missing)
    groups = {name for term in formula.random for name in term.group}
    predictors = sample.frame.assign(
        **{name: _as_predictor(sample.frame[name]) for name in formula.variables if name not in groups}
    )
    pool = _Pool()
    fixed = expand(formula.fixed, predictors)
    _check_predictors(fixed)
    places = tuple(pool.add(name, values) for name, values in fixed.items())
    factors, effect_names, levels = _grouping_factors(formula.random, sample.frame, predictors, pool)
    design = MixedDesign(_outcome(formula, predictors), pool.columns, places, factors)
    _check_groups(design)
    return ModelArrays(design, tuple(fixed), effect_names, levels, sample)


def _as_predictor(column: pd.Series) -> pd.Series:
    """Numbers stay numbers, true/false becomes 1/0, everything else a category (without unused levels)."""
    if column.dtype.kind == "b":
        return column.astype(float)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float)
    return column.astype(str).astype("category")


def expand(expression: str, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Evaluate the right side of a formula: column name → values, the intercept as ``(Intercept)``.

    Raises
    ------
    DataError
        If a function cannot be applied, or gives values that are not finite.
    """
    if expression in frame.columns:
        plain = frame[expression]
        if plain.dtype.kind == "f":
            return {INTERCEPT: np.ones(len(frame)), expression: plain.to_numpy()}
    from formulaic import model_matrix

    try:
        matrix = model_matrix(expression, frame, na_action="ignore", context=_functions())
    except AllianceStatsError:
        raise
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DataError(f"{expression!r} cannot be computed from the data: {reason}") from error
    columns = {INTERCEPT if name == "Intercept" else str(name): matrix[name].to_numpy(float) for name in matrix.columns}
    for name, values in columns.items():
        bad = ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"{name!r} is not finite in {bad.sum()} of {bad.size} rows (first at row {frame.index[bad.argmax()]}). "
                "Check the values that the function is applied to."
            )
    return columns


def _functions() -> dict[str, object]:
    return {"log": np.log, "log10": np.log10, "log2": np.log2, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs, "I": _same}


def _same(values: pd.Series) -> pd.Series:
    return values


def _outcome(formula: Formula, predictors: pd.DataFrame) -> np.ndarray:
    """Values of the left side, which must be one number per row."""
    columns = expand(f"0 + {formula.outcome}", predictors)
    if len(columns) != 1:
        raise DataError(
            f"The outcome {formula.outcome!r} is not numeric (it has {len(columns)} categories). "
            "Convert it to numbers, or choose another column."
        )
    (values,) = columns.values()
    if np.ptp(values) == 0:
        raise DesignError(f"The outcome {formula.outcome!r} is {values[0]:g} in all {values.size} rows: nothing to explain.")
    return values


def _check_predictors(columns: dict[str, np.ndarray]) -> None:
    """Name every predictor that is constant, or a combination of those before it."""
    if not columns:
        raise DesignError("The model has no fixed effects at all; add 1 for an intercept.")
    constant = [name for name, values in columns.items() if name != INTERCEPT and np.ptp(values) == 0]
    if constant and (INTERCEPT in columns or any(columns[name][0] == 0 for name in constant)):
        values = ", ".join(f"{name!r} (always {columns[name][0]:g})" for name in constant)
        raise DesignError(f"{count(len(constant), 'predictor is', 'predictors are')} constant: {values}. Leave it out.")
    names = [name for name in columns if name != INTERCEPT]
    if not names:
        return
    matrix = np.column_stack([columns[name] for name in names])
    if INTERCEPT in columns:
        matrix = matrix - matrix.mean(axis=0)
    matrix = matrix / np.sqrt((matrix**2).mean(axis=0))
    gram = matrix.T @ matrix / len(matrix)
    for k in range(1, len(names)):
        weights = np.linalg.lstsq(gram[:k, :k], gram[:k, k], rcond=1e-12)[0]
        if 1.0 - gram[:k, k] @ weights < _COLLINEAR:
            partners = [names[j] for j in range(k) if abs(weights[j]) > 1e-6]
            raise DesignError(
                f"{names[k]!r} follows exactly from {', '.join(map(repr, partners))}, so their effects cannot be told "
                "apart. Leave one of them out."
            )


def _grouping_factors(
    terms: tuple[RandomTerm, ...], frame: pd.DataFrame, predictors: pd.DataFrame, pool: _Pool
) -> tuple[tuple[GroupingFactor, ...], tuple[tuple[str, ...], ...], tuple[pd.Index, ...]]:
    """One factor per grouping; several bar terms on the same grouping become blocks of it."""
    merged: dict[tuple[str, ...], list[tuple[list[str], list[int], bool]]] = {}
    for term in terms:
        effects = expand(term.effects, predictors)
        if not effects:
            raise FormulaError(f"The bar term ({term.effects} | {term.group_name}) holds no effect.")
        places = [pool.add(name, values) for name, values in effects.items()]
        merged.setdefault(term.group, []).append((list(effects), places, term.correlated))

    factors, names, levels = [], [], []
    for group, parts in merged.items():
        own_names = [name for effects, _, _ in parts for name in effects]
        twice = {name for name in own_names if own_names.count(name) > 1}
        if twice:
            raise FormulaError(f"{', '.join(sorted(twice))} varies over {':'.join(group)} in more than one bar term.")
        blocks: list[tuple[int, ...]] = []
        for effects, _, correlated in parts:
            first = sum(len(block) for block in blocks)
            own = tuple(range(first, first + len(effects)))
            blocks += [own] if correlated else [(k,) for k in own]
        codes, labels = _levels(frame, group)
        places = tuple(place for _, part, _ in parts for place in part)
        factors.append(GroupingFactor(":".join(group), codes, len(labels), places, tuple(blocks)))
        names.append(tuple(own_names))
        levels.append(labels)
    return tuple(factors), tuple(names), tuple(levels)


def _levels(frame: pd.DataFrame, group: tuple[str, ...]) -> tuple[np.ndarray, pd.Index]:
    """Level of each row, in order of appearance, and the levels' labels (``a:b`` for combinations)."""
    codes, labels = pd.factorize(frame[group[0]])
    labels = pd.Index(labels).map(str)
    for name in group[1:]:
        more, more_labels = pd.factorize(frame[name])
        combined, unique = pd.factorize(codes.astype(np.int64) * len(more_labels) + more)
        first, second = np.divmod(unique, len(more_labels))
        labels = pd.Index([f"{labels[i]}:{more_labels[j]}" for i, j in zip(first, second, strict=True)])
        codes = combined
    return codes.astype(np.int64), labels


def _check_groups(design: MixedDesign) -> None:
    """Refuse groupings that carry no information."""
    for factor in design.factors:
        if factor.n_levels == 1:
            raise DesignError(
                f"Grouping {factor.name!r} has 1 level in {design.n_obs} rows, so its variance cannot be estimated. "
                "Leave this bar term out."
            )
        if factor.n_levels >= design.n_obs:
            raise DesignError(
                f"Grouping {factor.name!r} has {factor.n_levels} levels in {design.n_obs} rows: with one row per level its "
                "effects cannot be told from the residual. Leave this bar term out, or check the id column."
            )
        n_effects = factor.n_levels * factor.n_effects
        if n_effects >= design.n_obs:
            raise DesignError(
                f"Grouping {factor.name!r} has {factor.n_effects} effects for each of {factor.n_levels} levels: {n_effects} "
                f"random effects in {design.n_obs} rows cannot be told from the residual. Use fewer effects per level."
            )
