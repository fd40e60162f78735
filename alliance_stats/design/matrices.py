"""Formula and frame to the arrays of a mixed model, with everything named that the data cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from alliance_stats.design.formula import Formula, RandomTerm
from alliance_stats.design.functions import formula_functions
from alliance_stats.design.group_checks import check_groups
from alliance_stats.design.levels import levels_of
from alliance_stats.design.membership import Members, check_members
from alliance_stats.design.predictor_checks import check_categories, check_predictors, refuse_constant_outcome
from alliance_stats.design.recipes import Recipe
from alliance_stats.design.residuals import Residuals, ResidualSpec, group_codes, residual_columns
from alliance_stats.design.safe_names import safe_names, user_names
from alliance_stats.design.sample import Sample, take_sample
from alliance_stats.design.tokens import tokenize
from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.errors import AllianceStatsError, DataError, FormulaError
from alliance_stats.names import INTERCEPT


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
    recipes : mapping of str to Recipe
        For each expression of the formula's right side, how to compute it for new rows.
    residuals : Residuals
        Residual structure and offset, with their names.
    """

    design: MixedDesign
    fixed_names: tuple[str, ...]
    effect_names: tuple[tuple[str, ...], ...]
    levels: tuple[pd.Index, ...]
    sample: Sample
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    residuals: Residuals = field(default_factory=Residuals)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the grouping factors."""
        return tuple(factor.name for factor in self.design.factors)

    @property
    def varying_groups(self) -> tuple[str, ...]:
        """Names of those that have random effects: all but a grouping that only carries correlated residuals."""
        return tuple(factor.name for factor in self.design.factors if factor.effects)


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


def model_arrays(
    formula: Formula,
    frame: pd.DataFrame,
    missing: str = "drop",
    membership: Mapping[str, pd.DataFrame] | None = None,
    residual: ResidualSpec | None = None,
) -> ModelArrays:
    """Build the arrays of a mixed model.

    Parameters
    ----------
    formula : Formula
    frame : DataFrame
        One row per observation; ids may be text or numbers.
    missing : {"drop", "raise"}
    membership : mapping of str to DataFrame, optional
        For each ``mm(group)`` of the formula, its ``row, level, weight``.
    residual : ResidualSpec, optional
        What is asked about residuals, and the offset.

    Raises
    ------
    DesignError
        If the data cannot tell what the formula asks: a constant or collinear predictor, a grouping with one level
        or with as many as rows.
    """
    require_random_terms(formula)
    members = check_members(tuple(t.group[0] for t in formula.random if t.membership), membership, len(frame))
    known = {own.column: own.known() for own in members.values()}
    spec = residual or ResidualSpec()
    wanted = tuple(dict.fromkeys([*formula.variables, *known, *spec.variables]))
    sample = take_sample(frame.assign(**known) if known else frame, wanted, missing)
    predictors = {name: as_predictor(sample.frame[name]) for name in formula.predictors}
    arrays = arrays_of(formula, sample, predictors, members, spec)
    check_groups(arrays.design)
    return _with_inner(arrays)


def require_random_terms(formula: Formula) -> None:
    """Refuse a formula that has no bar term."""
    if not formula.random:
        raise FormulaError(
            f"The formula has no bar term such as (1 | patient_id): {formula.text!r}. Without one it is an ordinary "
            "regression; sessions of one patient would be taken as independent."
        )


def arrays_of(
    formula: Formula,
    sample: Sample,
    predictors: Mapping[str, pd.Series],
    members: Mapping[str, Members],
    spec: ResidualSpec,
    is_part: bool = False,
) -> ModelArrays:
    """Build the arrays of the rows of a sample.

    Parameters
    ----------
    formula : Formula
    sample : Sample
        At least one row.
    predictors : mapping of str to Series
        Predictors of its rows, as :func:`as_predictor` returns them.
    members : mapping of str to Members
        For each ``mm(group)`` of the formula.
    spec : ResidualSpec
    is_part : bool
        Whether there are more rows elsewhere: then a predictor may be constant, or follow from others, in these.
    """
    if INTERCEPT in formula.predictors:
        raise DataError(f"The column {INTERCEPT!r} has the name of the intercept's own term. Rename it.")
    outcome = _outcome(formula, predictors, is_part)
    if not is_part:
        check_categories(predictors)
    pool = _Pool()
    recipes: dict[str, Recipe] = {}
    fixed = expand(formula.fixed, predictors, recipes, is_part)
    places = tuple(pool.add(name, values) for name, values in fixed.items())
    terms = [(term, expand(term.effects, predictors, recipes, is_part)) for term in formula.random]
    for term, columns in terms:
        if not columns:
            raise FormulaError(f"The bar term ({term.effects} | {term.group_name}) holds no effect.")
    if not is_part:
        for columns in (fixed, *(columns for _, columns in terms)):
            check_predictors(columns)
    factors, effect_names, levels = _grouping_factors(terms, sample, pool, members)
    residuals = residual_columns(sample.frame, spec)
    if residuals.offset is not None:
        outcome = outcome - residuals.offset
    design = MixedDesign(outcome, pool.columns, places, factors, residuals.structure)
    return ModelArrays(design, tuple(fixed), effect_names, levels, sample, recipes, residuals)


def _with_inner(arrays: ModelArrays) -> ModelArrays:
    """Add patients without effects of their own where no grouping keeps the residual groups whole."""
    if arrays.design.has_inner:
        return arrays
    spec = arrays.residuals.spec
    codes = group_codes(arrays.sample.frame, spec.group)
    carrier = GroupingFactor(spec.group_name, codes, int(codes.max()) + 1, (), ())
    return replace(
        arrays,
        design=replace(arrays.design, factors=(*arrays.design.factors, carrier)),
        effect_names=(*arrays.effect_names, ()),
        levels=(*arrays.levels, pd.RangeIndex(carrier.n_levels).astype(str)),
    )


def as_predictor(column: pd.Series) -> pd.Series:
    """Numbers stay numbers, true/false becomes 1/0, text a category (without unused levels)."""
    if column.dtype.kind in "mMc" or isinstance(column.dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        raise DataError(
            f"Column {column.name!r} holds {column.dtype} values, not numbers. Count days (or sessions) from a start, "
            "as a number, and use that."
        )
    if column.dtype == np.float64:
        return column
    if column.dtype == object:
        column = _numbers_in_objects(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float)
    return column.astype(str).astype("category")


def _numbers_in_objects(column: pd.Series) -> pd.Series:
    """Turn a column of Python objects that are all numbers into numbers."""
    numeric = ("floating", "integer", "mixed-integer-float", "decimal", "boolean")
    return column.astype(float) if pd.api.types.infer_dtype(column) in numeric else column


def expand(
    expression: str,
    predictors: Mapping[str, pd.Series],
    recipes: dict[str, Recipe] | None = None,
    is_part: bool = False,
) -> dict[str, np.ndarray]:
    """Evaluate the right side of a formula: column name → values, the intercept as ``(Intercept)``.

    ``predictors`` holds at least one column. ``recipes``, if given, gains the recipe for computing the expression for
    other rows. ``is_part`` says that these are not all rows, so that one category alone is no fault.

    Raises
    ------
    DataError
        If a function cannot be applied, or gives values that are not finite.
    """
    index = next(iter(predictors.values())).index
    plain = _plain_sum(expression, predictors)
    if plain is not None:
        intercept, named = plain
        if recipes is not None:
            recipes[expression] = Recipe(expression, {name: name for name in named}, {}, intercept=intercept)
        ones = {INTERCEPT: np.ones(len(index))} if intercept else {}
        return ones | {name: predictors[name].to_numpy() for name in named}
    from formulaic import model_matrix

    safe, names, texts = safe_names(expression)
    renamed = pd.DataFrame({own: predictors[name] for own, name in names.items()}, index=index)
    try:
        context = formula_functions(new_rows=is_part) | texts
        matrix = model_matrix(safe, renamed, na_action="ignore", context=context)
    except Exception as error:
        if isinstance(error.__cause__, AllianceStatsError):
            raise error.__cause__ from None
        lines = user_names(str(error.__cause__ or error), names, texts).splitlines()
        reason = lines[0] if lines else type(error).__name__
        said = f"{expression!r} cannot be computed from the data: {reason.rstrip('.')}"
        raise DataError(f"{said}. Correct the values, or the formula.") from error
    columns = {
        INTERCEPT if name == "Intercept" else user_names(str(name), names, texts): matrix[name].to_numpy(float)
        for name in matrix.columns
    }
    if len(columns) < matrix.shape[1]:
        raise DataError(f"A column has the name of another term of {expression!r}, such as 'phase[T.late]'. Rename it.")
    for name, values in columns.items():
        bad = ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"{name!r} is not finite in {bad.sum()} of {bad.size} rows (first at row {index[bad.argmax()]}). "
                "Check the values that the function is applied to."
            )
    if recipes is not None:
        used = {name: predictors[name].dtype for name in names.values()}
        categories = {name: dtype for name, dtype in used.items() if isinstance(dtype, pd.CategoricalDtype)}
        recipes[expression] = Recipe(expression, names, categories, matrix.model_spec, texts=texts)
    return columns


def _plain_sum(expression: str, predictors: Mapping[str, pd.Series]) -> tuple[bool, list[str]] | None:
    """Intercept and columns of a sum of numeric columns (``1 + session``); None for anything else.

    Most formulas are no more than that, and need no library to evaluate them.
    """
    tokens = tokenize(expression)[:-1]
    terms, signs = tokens[::2], tokens[1::2]
    if len(tokens) % 2 == 0 or any(sign.text != "+" for sign in signs):
        return None
    numbers = [term.text for term in terms if term.kind == "number"]
    names = list(dict.fromkeys(term.text for term in terms if term.kind == "name"))
    if len(numbers) + sum(term.kind == "name" for term in terms) < len(terms):
        return None
    if numbers not in ([], ["0"], ["1"]) or any(predictors[name].dtype.kind != "f" for name in names):
        return None
    return numbers != ["0"], names


def _outcome(formula: Formula, predictors: Mapping[str, pd.Series], is_part: bool) -> np.ndarray:
    """Values of the left side, which must be one number per row."""
    if not predictors:
        raise DataError(f"The outcome {formula.outcome!r} names no column. Name the column that is to be explained.")
    plain = predictors.get(formula.outcome.strip("`"))
    if plain is not None and plain.dtype.kind != "f":
        raise DataError(
            f"The outcome {formula.outcome!r} is not numeric (it has {plain.nunique()} categories). "
            "Convert it to numbers, or choose another column."
        )
    columns = expand(f"0 + {formula.outcome}", predictors, is_part=is_part)
    if len(columns) != 1:
        raise DataError(
            f"The outcome {formula.outcome!r} gives {len(columns)} columns instead of one number per row. "
            "Name one column, or compute one inside I(…)."
        )
    (values,) = columns.values()
    if not is_part and np.ptp(values) == 0:
        refuse_constant_outcome(formula, values[0], values.size)
    return values


def _grouping_factors(
    terms: list[tuple[RandomTerm, dict[str, np.ndarray]]],
    sample: Sample,
    pool: _Pool,
    members: Mapping[str, Members],
) -> tuple[tuple[GroupingFactor, ...], tuple[tuple[str, ...], ...], tuple[pd.Index, ...]]:
    """One factor per grouping; several bar terms on the same grouping become blocks of it."""
    merged: dict[tuple[str, ...], list[tuple[list[str], list[int], bool]]] = {}
    for term, columns in terms:
        own_places = [pool.add(name, values) for name, values in columns.items()]
        merged.setdefault(term.group, []).append((list(columns), own_places, term.correlated))

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
        name, belonging = ":".join(group), None
        if name in members:
            codes, belonging, labels = members[name].of_rows(sample.rows)
        else:
            codes, labels = levels_of(sample.frame, group)
        places = tuple(place for _, part, _ in parts for place in part)
        factors.append(GroupingFactor(name, codes, len(labels), places, tuple(blocks), belonging))
        names.append(tuple(own_names))
        levels.append(labels)
    return tuple(factors), tuple(names), tuple(levels)
