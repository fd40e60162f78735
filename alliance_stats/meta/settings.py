"""Checks of the arguments that several analyses share."""

from __future__ import annotations

import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean

#: Other names of estimators.
_ALIASES = {"FE": "EE", "CE": "EE"}


def check_method(method: str) -> str:
    """Return the estimator's own name, or say which there are."""
    from alliance_stats.engine.pooling.regression import METHODS

    name = _ALIASES.get(method, method)
    if name not in METHODS:
        raise DataError(f"No estimator {method!r}. {did_you_mean(method, (*METHODS, *_ALIASES))}")
    return name


def check_test(test: str, k: int, p: int) -> None:
    """Refuse an unknown test, and one for which no degrees of freedom are left."""
    from alliance_stats.engine.pooling.regression import TESTS

    if test not in TESTS:
        raise DataError(f"No test {test!r}. {did_you_mean(test, TESTS)}")
    if test != "z" and k <= p:
        raise DesignError(
            f"{count(k, 'effect')} and {count(p, 'coefficient')} leave {k - p} degrees of freedom for test={test!r}. "
            "Use test='z', or find more studies."
        )


def check_level(level: float) -> None:
    """Refuse a level outside (0, 1)."""
    if not 0 < level < 1:
        raise DataError(f"level is {level!r}; it lies between 0 and 1, e.g. 0.95.")


def measure_of(frame: pd.DataFrame, measure: str | None) -> str:
    """The effect size: named, or as :func:`effect_sizes` noted it on the frame; empty if unknown."""
    from alliance_stats.meta.effect_sizes import MEASURES

    name = measure if measure is not None else str(frame.attrs.get("measure", ""))
    if name and name not in MEASURES:
        raise DataError(f"No measure {name!r}. {did_you_mean(name, MEASURES)}")
    return name
