"""The table of a mixed model: fixed effects, random effects, counts and fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from alliance_stats.errors import ColumnError, DataError, did_you_mean
from alliance_stats.names import INTERCEPT, PATIENT, RESIDUAL, SITE, THERAPIST
from alliance_stats.report.frames import need_columns
from alliance_stats.report.numbers import DecimalMark, decimals_for
from alliance_stats.report.tables import BLOCK, ROW_KIND, ResultTable

__all__ = ["model_table"]

_NAMES = {INTERCEPT: "Intercept", PATIENT: "Patients", THERAPIST: "Therapists", SITE: "Sites", RESIDUAL: "Residual"}
_COUNTED = {
    "obs": "Observations",
    "patients": "Patients",
    "therapists": "Therapists",
    "parameters": "Parameters",
    "dropped": "Rows left out",
}
_NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "statistic", "df", "p_value")
_COLUMNS = (BLOCK, "term", ROW_KIND, *_NUMBERS)
_FIXED, _RANDOM, _COUNTS, _FIT = "Fixed effects", "Random effects", "Counts", "Fit"
_DF_METHODS = {
    "satterthwaite": "Degrees of freedom after Satterthwaite.",
    "kenward-roger": "Standard errors and degrees of freedom after Kenward and Roger.",
    "normal": "Tests and intervals from the normal distribution.",
}
NOT_CONVERGED = (
    "The optimiser did not reach the optimum: these numbers are not final and should not be reported. "
    "Try a simpler random part, or predictors on a similar scale."
)
SINGULAR = (
    "The fit lies on the boundary (singular): a standard deviation is estimated at zero or a correlation at ±1. "
    "The fixed effects can be used; that part of the random effects cannot be told apart from zero in these data."
)


def model_table(
    fixed: pd.DataFrame,
    variance: pd.DataFrame,
    glance: pd.DataFrame,
    title: str,
    notes: Sequence[str] = (),
    number: int | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    decimal: DecimalMark = ".",
) -> ResultTable:
    """Lay out a mixed model's table: fixed block, random block, counts, fit.

    Parameters
    ----------
    fixed : DataFrame
        A result's ``table()``: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``.
    variance : DataFrame
        A result's ``variance()``: ``group, term, term2, vcov, sdcor``. With ``term2`` missing or empty ``sdcor`` is a
        standard deviation (outcome units), else a correlation.
    glance : DataFrame
        A result's ``glance()``, one row. Printed are its ``n_*``, ``icc*``, ``r2*``, ``deviance``, ``aic``
        and ``bic``; ``method`` and ``df_method`` are named in the notes; ``rho`` stands among the random effects;
        ``converged`` and ``singular`` put a sentence into the notes.
    title, notes, number
        As in :class:`ResultTable`.
    labels : mapping of str to str, optional
        Words for terms and groups, e.g. ``{"alliance_within": "Alliance, within patients"}``.
    decimal : {".", ","}
        The decimal mark.

    Returns
    -------
    ResultTable

    Raises
    ------
    ColumnError
        If a frame lacks a column of its contract.
    DataError
        If ``glance`` has not exactly one row, or ``fixed`` has none.
    """
    need_columns(fixed, ("term", *_NUMBERS), "table()")
    need_columns(variance, ("group", "term", "term2", "sdcor"), "variance()")
    if len(glance) != 1:
        raise DataError(f"glance() has {len(glance)} rows, and a model's table takes 1. Pass one model at a time.")
    if fixed.empty:
        raise DataError("table() has 0 rows. A model has at least an intercept.")
    words = {**_NAMES, **(labels or {})}
    one = glance.iloc[0]
    rows = [
        *_fixed_rows(fixed, words),
        *_random_rows(variance, words),
        *_correlation_rows(one),
        *_count_rows(one, words),
        *_fit_rows(one),
    ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(_NUMBERS, "float64"))
    return ResultTable(
        frame,
        title,
        (*_warnings(one, notes), *_abbreviations(one), *notes),
        formats=_formats(fixed),
        headings={"term": "", "statistic": _test_heading(fixed)},
        number=number,
        stub="term",
        decimal=decimal,
    )


def _formats(fixed: pd.DataFrame) -> dict[str, Mapping[str, str]]:
    # Standard errors are what says how many digits of an estimate mean something.
    places = decimals_for(*fixed["std_error"])
    number, interval = f"number:{places}", f"interval:{places}"
    estimate = {"coefficient": number, "sd": number, "correlation": "bounded", "share": "bounded:3"}
    return {
        "estimate": {**estimate, "count": "whole", "criterion": "number:2"},
        "std_error": {"coefficient": number},
        "ci_low": {"coefficient": interval},
        "statistic": {"coefficient": "number:2"},
        "df": {"coefficient": "df"},
        "p_value": {"coefficient": "p"},
    }


def _fixed_rows(fixed: pd.DataFrame, words: Mapping[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for term, *values in fixed[["term", *_NUMBERS]].itertuples(index=False):
        shown = {"term": words.get(str(term), term), **dict(zip(_NUMBERS, values, strict=True))}
        rows.append(shown | _kind(_FIXED, "coefficient"))
    return rows


def _random_rows(variance: pd.DataFrame, words: Mapping[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for group, term, term2, sdcor in variance[["group", "term", "term2", "sdcor"]].itertuples(index=False):
        level = words.get(group, group)
        first, second = (words.get(name, name) if isinstance(name, str) else "" for name in (term, term2))
        if second:
            shown, kind = f"{level}: correlation of {_low(first)} and {_low(second)}", "correlation"
        else:
            shown, kind = (f"{level}: SD of {_low(first)}" if first else f"{level} SD"), "sd"
        rows.append({"term": shown, "estimate": sdcor} | _kind(_RANDOM, kind))
    return rows


def _correlation_rows(glance: pd.Series) -> list[dict[str, object]]:
    """The correlation of residuals over time, where the model has one."""
    if "rho" not in glance.index:
        return []
    return [
        {"term": "Residuals: correlation over one unit of time", "estimate": glance["rho"]}
        | _kind(_RANDOM, "correlation")
    ]


def _low(term: str) -> str:
    return "intercept" if term == "Intercept" else term


def _count_rows(glance: pd.Series, words: Mapping[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for column in (str(name) for name in glance.index if str(name).startswith("n_")):
        group = column.removeprefix("n_")
        shown = words.get(group) or _COUNTED.get(group, group)
        rows.append({"term": shown, "estimate": glance[column]} | _kind(_COUNTS, "count"))
    return rows


def _fit_rows(glance: pd.Series) -> list[dict[str, object]]:
    columns = [str(column) for column in glance.index]
    shares = [column for column in columns if column.startswith(("icc", "r2")) and "_ci_" not in column]
    rows = [{"term": _share_name(column), "estimate": glance[column]} | _kind(_FIT, "share") for column in shares]
    reml = str(glance.get("method", "")).upper() == "REML"
    criteria = {"deviance": "REML criterion" if reml else "−2 log-likelihood", "aic": "AIC", "bic": "BIC"}
    there = {column: name for column, name in criteria.items() if column in glance.index}
    return rows + [{"term": name, "estimate": glance[at]} | _kind(_FIT, "criterion") for at, name in there.items()]


def _share_name(column: str) -> str:
    name, _, rest = column.partition("_")
    shown = {"icc": "ICC", "r2": "R²"}.get(name, name)
    return f"{shown}, {rest.replace('_', ' ')}" if rest else shown


def _kind(block: str, kind: str) -> dict[str, object]:
    return {BLOCK: block, ROW_KIND: kind}


def _test_heading(fixed: pd.DataFrame) -> str:
    from alliance_stats.report.sentences import Sentences

    finite = pd.to_numeric(fixed["df"]).lt(float("inf")).any()
    return Sentences("*t*" if finite else "*z*")


def _abbreviations(glance: pd.Series) -> tuple[str, ...]:
    method = str(glance.get("method", "")).upper()
    estimator = {"REML": "Restricted maximum likelihood.", "ML": "Maximum likelihood."}.get(method, "")
    df = _DF_METHODS.get(str(glance.get("df_method", "")), "")
    return tuple(note for note in ("SD = standard deviation; CI = confidence interval.", estimator, df) if note)


def _warnings(glance: pd.Series, notes: Sequence[str]) -> tuple[str, ...]:
    for name in ("converged", "singular"):
        if name not in glance.index:
            raise ColumnError(f"glance() has no column {name!r}. {did_you_mean(name, map(str, glance.index))}")
    converged, singular = bool(glance["converged"]), bool(glance["singular"])
    explained = any("on the boundary" in note for note in notes)  # by the model itself, with the group's name
    return (*(() if converged else (NOT_CONVERGED,)), *((SINGULAR,) if singular and not explained else ()))
