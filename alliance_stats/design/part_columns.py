"""The columns of data that come in parts: each part alone must give what the whole would.

Whatever takes something from all rows (the knots of a spline, the mean of a centred score, the list of a text's
categories) cannot be computed from a part, and is refused with the way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.design.formula import Formula
from alliance_stats.design.matrices import as_predictor, require_random_terms
from alliance_stats.design.residuals import ResidualSpec
from alliance_stats.design.tokens import Token, tokenize
from alliance_stats.errors import DataError, FormulaError

#: Functions of the formula that take something from all rows.
_OF_ALL_ROWS = ("poly", "bs", "cr", "scale", "center")


@dataclass(frozen=True)
class PartPlan:
    """How every part is read.

    Parameters
    ----------
    formula : Formula
    kinds : mapping of str to (CategoricalDtype or None)
        For each predictor its categories; None for numbers.
    spec : ResidualSpec
        Prior weights and offset.
    missing : {"drop", "raise"}
    """

    formula: Formula
    kinds: Mapping[str, pd.CategoricalDtype | None]
    spec: ResidualSpec
    missing: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns that are needed."""
        return part_variables(self.formula, self.spec)

    def predictors(self, frame: pd.DataFrame) -> dict[str, pd.Series]:
        """Take the predictors of a part, each of the type that it has in all parts."""
        return {name: _as_kind(frame[name], kind) for name, kind in self.kinds.items()}


def part_variables(formula: Formula, spec: ResidualSpec) -> tuple[str, ...]:
    """Columns that a model of data in parts needs, each once."""
    return tuple(dict.fromkeys([*formula.variables, *spec.variables]))


def check_askable(formula: Formula, spec: ResidualSpec) -> None:
    """Refuse what needs all rows at once.

    Raises
    ------
    FormulaError, DataError
        With the way out.
    """
    require_random_terms(formula)
    if any(term.membership for term in formula.random):
        raise FormulaError(
            "Multiple membership, mm(…), counts rows from the first of the data, and needs them all at once. Fit a "
            "single data frame."
        )
    if spec.correlation != "none" or spec.variance is not None:
        asked = f"residual={spec.correlation!r}" if spec.correlation != "none" else f"variance={spec.variance!r}"
        raise DataError(f"{asked} needs all rows at once, not in parts. Fit a single data frame.")


def plan_parts(formula: Formula, first: pd.DataFrame, spec: ResidualSpec, missing: str) -> PartPlan:
    """Find out how the parts are read.

    Parameters
    ----------
    formula : Formula
        As :func:`check_askable` has let through.
    first : DataFrame
        Complete rows of the first part (or a frame of no rows with the same columns); its categories are those of all
        parts.
    spec : ResidualSpec
    missing : {"drop", "raise"}

    Raises
    ------
    FormulaError
        If the formula needs all rows at once.
    ColumnError, DataError
        If a column is not there, or holds text whose categories are not known.
    """
    require_columns(first, *part_variables(formula, spec))
    kinds = {name: _kind(first[name]) for name in formula.predictors}
    for expression in (formula.outcome, formula.fixed, *(term.effects for term in formula.random)):
        _check_calls(expression, kinds)
    return PartPlan(formula, kinds, spec, missing)


def _kind(column: pd.Series) -> pd.CategoricalDtype | None:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.dtype
    if column.dtype == object and column.empty:
        return None  # nothing is known of it yet; a part that holds text will say so
    if as_predictor(column.head(1000)).dtype.kind == "f":
        return None
    raise DataError(
        f"Column {column.name!r} is text, and data that come in parts must tell its categories beforehand. Make it "
        "categorical, with all categories in every part: pd.Categorical(values, categories=[…]), or a dictionary "
        "column in Parquet."
    )


def _as_kind(column: pd.Series, kind: pd.CategoricalDtype | None) -> pd.Series:
    if kind is not None:
        return _as_categories(column, kind)
    values = as_predictor(column)
    if values.dtype.kind != "f":
        raise DataError(
            f"Column {column.name!r} holds numbers elsewhere, but {column.dtype} values in this part (first: "
            f"{column.iloc[0]!r}). Convert it to numbers."
        )
    return values


def _as_categories(column: pd.Series, kind: pd.CategoricalDtype) -> pd.Series:
    # equal types may still list their categories in another order, and the first one is the reference
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = column.cat.set_categories(kind.categories, ordered=bool(kind.ordered))
    else:
        values = column.astype(object).astype(kind)
    unknown = values.isna().to_numpy()
    if unknown.any():
        raise DataError(
            f"Column {column.name!r} holds {column.iloc[int(unknown.argmax())]!r}, which is none of its categories in "
            f"the first part ({', '.join(map(str, kind.categories))}). Give the column all its categories in every "
            "part."
        )
    return values


def _check_calls(expression: str, kinds: Mapping[str, pd.CategoricalDtype | None]) -> None:
    """Refuse calls whose values in a part depend on the other parts."""
    tokens = tokenize(expression)
    for at, call in _calls(tokens):
        text = _text_of(expression, tokens, at)
        if call.text in _OF_ALL_ROWS:
            raise FormulaError(
                f"{text} takes something from all rows, and data that come in parts are read once. Compute the column "
                "before the call, with numbers that you know (such as session - 10), and name it in the formula."
            )
        if call.text == "C" and kinds.get(tokens[at + 2].text) is None:
            raise FormulaError(
                f"{text} takes its categories from all rows, and data that come in parts are read once. Make the "
                "column categorical before the call, with all categories in every part."
            )


def _calls(tokens: list[Token]) -> Iterator[tuple[int, Token]]:
    for at, token in enumerate(tokens[:-1]):
        if token.kind == "name" and tokens[at + 1].text == "(":
            yield at, token


def _text_of(expression: str, tokens: list[Token], at: int) -> str:
    """Text of the call that begins at a token."""
    depth = 0
    for token in tokens[at + 1 :]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return expression[tokens[at].place : token.place + 1]
    return tokens[at].text
