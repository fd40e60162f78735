"""Effects with their sampling variances, signs aligned, from the columns of a coding sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from alliance_stats.errors import ColumnError, DataError, did_you_mean
from alliance_stats.meta.columns import (
    EFFECT,
    LARGEST,
    VARIANCE,
    Bools,
    Floats,
    numbers,
    places,
    refuse,
    require,
)

Column: TypeAlias = str | float
#: From what a correlation was taken.
SOURCE = "r_from"

_CELLS = ("ai", "bi", "ci", "di")
_TABLE = "2x2"
_GROUPS = ("m1", "m2", "sd1", "sd2", "n1", "n2")


@dataclass(frozen=True)
class Measure:
    """An effect size: its formula in the engine, the columns that it takes, and what it is in words."""

    formula: str
    takes: tuple[str, ...]
    words: str
    back: str = ""


#: Measures by name. ``back`` names what carries them to the scale that readers know.
MEASURES: Mapping[str, Measure] = {
    "ZCOR": Measure("fisher_z", ("r", "n"), "Fisher's z of correlations", "tanh"),
    "COR": Measure("raw_correlation", ("r", "n"), "correlations"),
    "UCOR": Measure("unbiased_correlation", ("r", "n"), "correlations, bias off"),
    "PCOR": Measure("partial_correlation", ("t", "n", "predictors"), "partial correlations"),
    "ZPCOR": Measure("partial_fisher_z", ("t", "n", "predictors"), "Fisher's z of partial correlations", "tanh"),
    "SPCOR": Measure("semipartial_correlation", ("t", "n", "predictors", "r_squared"), "semipartial correlations"),
    "ZSPCOR": Measure(
        "semipartial_fisher_z", ("t", "n", "predictors", "r_squared"), "Fisher's z of semipartial correlations", "tanh"
    ),
    "SMD": Measure("standardised_difference", _GROUPS, "standardised mean differences (Hedges' g)"),
    "SMDH": Measure("unequal_variance_difference", _GROUPS, "standardised mean differences, unequal variances"),
    "SMCC": Measure(
        "change_by_change_sd", ("m1", "m2", "sd1", "sd2", "r", "n"), "standardised mean changes (SD of the changes)"
    ),
    "SMCR": Measure("change_by_first_sd", ("m1", "m2", "sd1", "r", "n"), "standardised mean changes (raw SD)"),
    "OR": Measure("log_odds_ratio", _CELLS, "log odds ratios", "exp"),
}
#: Fewest cases at which a measure has a variance.
_FEWEST = {"ZCOR": 4, "COR": 2, "UCOR": 3, "SMCC": 3, "SMCR": 3}


def effect_sizes(
    frame: pd.DataFrame,
    measure: str = "ZCOR",
    *,
    r: Column | None = None,
    n: Column | None = None,
    t: Column | None = None,
    f: Column | None = None,
    p: Column | None = None,
    chi2: Column | None = None,
    d: Column | None = None,
    sign: Column | None = None,
    predictors: Column | None = None,
    r_squared: Column | None = None,
    m1: Column | None = None,
    m2: Column | None = None,
    sd1: Column | None = None,
    sd2: Column | None = None,
    n1: Column | None = None,
    n2: Column | None = None,
    ai: Column | None = None,
    bi: Column | None = None,
    ci: Column | None = None,
    di: Column | None = None,
    beta: Column | None = None,
    higher: str | Mapping[object, str] | None = None,
    outcome: str | None = None,
) -> pd.DataFrame:
    """Compute effects and their sampling variances; a positive effect can be made to mean "better".

    Parameters
    ----------
    frame : DataFrame
        One row per effect.
    measure : str
        Correlations: ``"ZCOR"`` (Fisher's z, default), ``"COR"``, ``"UCOR"`` (bias off). Of regressions: ``"PCOR"``,
        ``"ZPCOR"`` (partial), ``"SPCOR"``, ``"ZSPCOR"`` (semipartial). Differences: ``"SMD"`` (Hedges' g), ``"SMDH"``
        (unequal variances). Changes: ``"SMCC"``, ``"SMCR"``. 2 × 2 tables: ``"OR"`` (log odds ratio).
    r, n : str or float
        Correlation and cases (a column, or one number for all). Rows without r take it from ``t``, ``f`` (one numerator
        df), ``p`` (two-sided), ``chi2`` (one df), ``d`` (with ``n1``, ``n2``) or a 2 × 2 table (``ai, bi, ci, di``; φ),
        in this order; the column ``r_from`` then says from which.
    t, predictors, r_squared : str or float
        For PCOR and SPCOR: t of the coefficient, number of predictors, the regression's R².
    sign : str or float
        1 or −1 for ``f``, ``p`` and ``chi2``, which have none.
    m1, m2, sd1, sd2, n1, n2 : str or float
        Means, standard deviations and cases of two groups (or times, with ``r`` and ``n``). SMD also takes ``d``.
    ai, bi, ci, di : str or float
        Cells of a 2 × 2 table, rows ``ai bi`` and ``ci di``; a missing ``n`` is their sum.
    beta : str
        Refused, with the reason: a regression weight is no correlation.
    higher : {"better", "worse"}, mapping or str
        What a higher score of the outcome means: one word for all effects; a mapping from the values of ``outcome``; or
        a column of these words. Effects of outcomes where higher is worse change their sign.
    outcome : str
        The column that a mapping refers to.

    Returns
    -------
    DataFrame
        The frame with ``yi`` and ``vi`` added. Rows that lack a value have both missing.

    Raises
    ------
    ColumnError
        If a column is not there, or the measure needs one that was not named.
    DataError
        If values are impossible: correlations beyond 1, too few cases, negative spreads, unknown words in ``higher``.

    Notes
    -----
    The formula of each measure, with its source, stands in ``alliance_stats.engine.pooling.effect_sizes``; conversions
    in :mod:`alliance_stats.meta.convert`.
    """
    if beta is not None:
        from alliance_stats.meta.convert import r_from_beta

        r_from_beta()
    if measure not in MEASURES:
        raise DataError(f"No measure {measure!r}. {did_you_mean(measure, MEASURES)}")
    require(frame)
    named = {"r": r, "n": n, "t": t, "f": f, "p": p, "chi2": chi2, "d": d, "sign": sign, "predictors": predictors}
    named |= {"r_squared": r_squared, "m1": m1, "m2": m2, "sd1": sd1, "sd2": sd2, "n1": n1, "n2": n2}
    named |= dict(zip(_CELLS, (ai, bi, ci, di), strict=True))
    given = {name: _values(frame, column) for name, column in named.items() if column is not None}
    added: dict[str, pd.Series] = {}
    if MEASURES[measure].takes == ("r", "n"):
        given, added = _fill_correlations(frame, given)
    estimate, variance = _compute(frame, measure, given)
    signs = directions(frame, higher, outcome)
    turned = signs * estimate + 0.0  # an effect of 0 has no sign
    result = frame.assign(**added, **{EFFECT: turned, VARIANCE: variance})
    result.attrs["measure"] = measure
    return result


def _values(frame: pd.DataFrame, column: Column) -> Floats:
    return numbers(frame, column) if isinstance(column, str) else np.full(len(frame), float(column))


def _compute(frame: pd.DataFrame, measure: str, given: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    from alliance_stats.engine.pooling import effect_sizes as formulas

    if measure == "SMD" and "d" in given:
        takes: tuple[str, ...] = ("d", "n1", "n2")
        formula = formulas.hedges_g
    else:
        takes, formula = MEASURES[measure].takes, getattr(formulas, MEASURES[measure].formula)
    missing = [name for name in takes if name not in given]
    if missing:
        raise ColumnError(
            f"{measure} needs {', '.join(takes)}; {len(missing)} of them not named: {', '.join(missing)}. "
            f"Name the columns, e.g. {missing[0]}='{missing[0]}'."
        )
    values = [given[name] for name in takes]
    complete = ~np.any(np.isnan(values), axis=0)
    _check(frame, measure, dict(zip(takes, values, strict=True)), complete)
    estimate, variance = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    if complete.any():
        with np.errstate(all="ignore"):  # what comes of it is looked at below
            estimate[complete], variance[complete] = formula(*(value[complete] for value in values))
        none = complete & ~(np.isfinite(estimate) & np.isfinite(variance) & (variance > 0))
        refuse(frame, none, f"effects ({measure}) have no variance that is a positive number", "Check their values.")
    return estimate, variance


def _check(frame: pd.DataFrame, measure: str, values: Mapping[str, Floats], complete: Bools) -> None:
    """Refuse impossible values, among the rows that would be used."""

    def bad(name: str, wrong: Callable[[Floats], Bools], what: str, way_out: str) -> None:
        if name in values:
            with np.errstate(invalid="ignore"):
                refuse(frame, wrong(values[name]) & complete, what, way_out, values[name])

    for name in values:
        wrong = f"values of {name} are infinite or beyond ±{LARGEST:g}"
        bad(name, lambda x: np.abs(x) > LARGEST, wrong, "Correct them, or set them to missing.")
    with_r = MEASURES[measure].takes == ("r", "n")
    bad("r", lambda r: np.abs(r) > 1, "correlations lie outside [−1, 1]", "Correct them.")
    if with_r:
        bad("r", lambda r: np.abs(r) == 1, "correlations are 1 or −1", "They have no variance; check them.")
    least = _FEWEST.get(measure, 2)
    bad("n", lambda n: n < least, f"sample sizes are below {least}", "Correct them, or leave these effects out.")
    for name in ("n1", "n2"):
        bad(name, lambda n: n < 2, f"values of {name} are below 2", "A group needs 2 cases for its SD.")
    for name in ("sd1", "sd2"):
        bad(name, lambda s: s <= 0, f"values of {name} are not positive", "Correct them.")
    for name in _CELLS:
        bad(name, lambda x: x < 0, f"cells {name} are negative", "Correct them.")
    bad("r_squared", lambda x: (x < 0) | (x > 1), "values of R² lie outside [0, 1]", "Correct them.")
    if "predictors" in values:
        spare = values["n"] - values["predictors"] - 2
        refuse(frame, (spare <= 0) & complete, "effects have too few cases for their predictors", "Correct n.", spare)


def _fill_correlations(
    frame: pd.DataFrame, given: Mapping[str, Floats]
) -> tuple[dict[str, Floats], dict[str, pd.Series]]:
    """Take r where it is missing from the first statistic that the row has."""
    from alliance_stats.meta import convert

    empty = np.full(len(frame), np.nan)
    if "d" in given and "n" not in given and {"n1", "n2"} <= set(given):
        given = {**given, "n": given["n1"] + given["n2"]}
    r, n, sign = given.get("r", empty).copy(), given.get("n", empty), given.get("sign", np.ones(len(frame)))
    source = np.where(np.isnan(r), "", "r").astype(object)
    for name in ("t", "f", "p", "chi2", "d"):
        if name not in given:
            continue
        needed = [given[name], *([given["n1"], given["n2"]] if name == "d" else [n, sign])]
        rows = np.isnan(r) & ~np.any(np.isnan(needed), axis=0)
        if not rows.any():
            continue
        first, *rest = (values[rows] for values in needed)
        if name == "t":
            r[rows] = convert.r_from_t(first, rest[0]).estimate
        elif name == "d":
            r[rows] = convert.r_from_d(first, *rest).estimate
        else:
            r[rows] = getattr(convert, f"r_from_{name}")(first, rest[0], sign=rest[1]).estimate
        source[rows] = name
    if set(_CELLS) <= set(given):
        cells = [given[name] for name in _CELLS]
        for name, values in zip(_CELLS, cells, strict=True):
            with np.errstate(invalid="ignore"):
                refuse(frame, values < 0, f"cells {name} are negative", "Correct them.", values)
        rows = np.isnan(r) & ~np.any(np.isnan(cells), axis=0)
        if rows.any():
            r[rows] = convert.r_from_2x2(*(values[rows] for values in cells)).estimate
            source[rows] = _TABLE
        given = {**given, "n": np.where(np.isnan(n) & (source == _TABLE), np.sum(cells, axis=0), n)}
    others = set(given) & {"t", "f", "p", "chi2", "d", *_CELLS}
    added: dict[str, pd.Series] = {SOURCE: pd.Series(source, index=frame.index, dtype=str)} if others else {}
    filled = {**given, "r": r} if others or "r" in given else dict(given)
    return filled, added


def directions(frame: pd.DataFrame, higher: str | Mapping[object, str] | None, outcome: str | None) -> Floats:
    """Sign of each effect: −1 where a higher score of the outcome is worse; arguments as in :func:`effect_sizes`."""
    signs = {"better": 1.0, "worse": -1.0}
    if higher is None:
        return np.ones(len(frame))
    if isinstance(higher, str):
        if higher in signs:
            return np.full(len(frame), signs[higher])
        require(frame, higher)
        words, what = frame[higher], f"values of {higher!r}"
    else:
        if outcome is None:
            raise DataError("higher is a mapping, and it is not said of which column. Name it with outcome=.")
        require(frame, outcome)
        words, what = frame[outcome].map(dict(higher)), f"outcomes in {outcome!r}"
        unknown = words.isna().to_numpy()
        refuse(frame, unknown, f"{what} have no direction", "Add them to higher=.", frame[outcome])
    unknown = ~words.isin(list(signs)).to_numpy()
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} of {len(frame)} {what} are neither 'better' nor 'worse' "
            f"({places(frame, unknown, words)}). Write one of the two."
        )
    return np.asarray(words.map(signs), dtype=np.float64)
