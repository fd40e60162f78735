"""The main analysis: several levels where studies have several effects, else random effects; simpler where few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.multilevel import multilevel
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.study.meta.coded import Coded
from alliance_stats.study.meta.part import Main
from alliance_stats.study.meta.study_file import ModelOptions

#: With fewer studies Knapp and Hartung's factor may not fall below 1: by chance it can be next to 0 there.
_FEW = 5
#: Below this a standard error is rounding, not knowledge: all effects agree.
_NO_ERROR = 1e-9


def main_model(coded: Coded) -> tuple[Main, tuple[str, ...]]:
    """Fit the main analysis.

    Returns
    -------
    result : MultilevelResult or PooledResult
    remarks : tuple of str
        Why it is not the analysis that would have been chosen first; empty if it is.
    """
    options = coded.study.model
    if options.random is None and not coded.dependent:
        return pooled(coded.frame, options)
    try:
        return levels(coded.frame, options), ()
    except DesignError as refusal:
        if coded.n_studies == len(coded.frame):  # levels were asked for, and there is one effect for each study
            result, remarks = pooled(coded.frame, options)
            return result, (f"Not pooled in levels. {refusal}", *remarks)
        one = aggregate(coded.frame, options.rho)
        result, remarks = pooled(one, options)
        why = (
            f"Not pooled in levels: {refusal} Instead, the effects of each study were pooled into one (correlation of "
            f"their sampling errors {options.rho:g})."
        )
        return result, (why, *remarks)


def levels(frame: pd.DataFrame, options: ModelOptions, **changes: object) -> MultilevelResult:
    """Fit the multilevel model that is asked for.

    Raises
    ------
    DesignError
        If there are too few studies for it, or all effects agree so that robust errors are 0.
    """
    if options.test in ("knha", "adhoc"):
        raise DataError(
            f"[model] test = {options.test!r} is for one effect per study. With several, leave it out (robust tests), "
            'or write robust = "none" with test = "z" or "t".'
        )
    if options.prediction is not None:
        raise DataError(
            f"[model] prediction = {options.prediction!r} is for one effect per study. With several, leave it out: the "
            "interval has the distribution of the mean's test."
        )
    how: dict[str, object] = {
        "random": list(options.random) if isinstance(options.random, tuple) else options.random or f"{STUDY}/effect",
        "rho": options.rho,
        "method": options.method,
        "robust": None if options.robust == "none" else options.robust,
        "test": options.test or "z",
        "level": options.level,
    }
    if options.subgroup is not None:
        how |= {"working": "SCE", "subgroup": options.subgroup}
    result = multilevel(frame, **{**how, **changes})  # type: ignore[arg-type]
    table = result.table()
    none = ~(table["std_error"].to_numpy(np.float64) > _NO_ERROR)
    if none.any() and not none.all():
        names, verb = ", ".join(table["term"][none]), "has" if none.sum() == 1 else "have"
        raise DesignError(
            f"{count(int(none.sum()), 'coefficient')} of {len(table)} ({names}) {verb} a robust "
            "standard error of 0: the effects behind come from one study, or agree exactly. Join this category "
            "with another one, or leave its effects out."
        )
    if none.all():
        raise DesignError(
            f"All {len(frame)} effects lie on the model exactly, so robust standard errors are 0. Check whether one "
            "effect was entered several times."
        )
    return result


def pooled(frame: pd.DataFrame, options: ModelOptions) -> tuple[PooledResult, tuple[str, ...]]:
    """Pool independent effects; with one effect, or all equal, what can still be said."""
    k = len(frame)
    if k == 1:
        only = "There is 1 study: its effect is shown, nothing is pooled, and nothing is known about others."
        return pool(frame, "EE", "z", level=options.level), (only,)
    test = options.test or ("knha" if k >= _FEW else "adhoc")
    how: dict[str, Any] = {"prediction": options.prediction, "level": options.level}
    try:
        return pool(frame, options.method, test, **how), ()
    except DesignError:
        if test != "knha":
            raise
        remark = (
            f"All {k} effects agree exactly, so that Knapp and Hartung's standard errors would be 0; their factor was "
            "not let fall below 1. Check whether one effect was entered several times."
        )
        return pool(frame, options.method, "adhoc", **how), (remark,)


def few(coded: Coded) -> tuple[str, ...]:
    """Warn where there are so few studies that little can be said."""
    n = coded.n_studies
    if n >= 5:
        return ()
    return (
        f"The data hold {count(n, 'study', 'studies')}. With so few, the variance between studies is hardly known, "
        "and intervals and tests can be far off.",
    )
