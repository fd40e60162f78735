"""Tests of single random effects against zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.linalg import LinAlgError

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.models.intervals import need_optimum
from alliance_stats.models.likelihood_ratio import mixture_p_value, reference_of, statistic_of
from alliance_stats.models.parallel import CHUNK, in_parallel, spawn

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.variance_test import VarianceTest
    from alliance_stats.models.mixed_result import MixedResult

TestMethod = Literal["mixture", "bootstrap"]

#: Columns of ``test_variance()``.
TEST_COLUMNS = ("group", "term", "statistic", "df", "p_value", "reference")


@dataclass(frozen=True)
class _Effect:
    """One random effect, and how many others of its block it is correlated with."""

    factor: int
    place: int
    group: str
    term: str
    n_correlated: int


def variance_tests(
    fit: MixedResult, group: str | None, method: TestMethod, n: int, seed: int | None, workers: int, progress: bool
) -> pd.DataFrame:
    """Test each random effect against zero; see :meth:`MixedResult.test_variance`."""
    if method not in get_args(TestMethod):
        raise DataError(f"method has no value {method!r}. {did_you_mean(str(method), get_args(TestMethod))}")
    names = fit.arrays.group_names
    if group is not None and group not in names:
        raise DataError(f"No grouping {group!r}. {did_you_mean(group, names)}")
    need_optimum(fit)
    rows = [_tested(fit, effect, method, n, seed, workers, progress) for effect in _effects(fit, group)]
    frame = pd.DataFrame(rows, columns=list(TEST_COLUMNS))
    return frame.astype({"statistic": float, "df": int, "p_value": float, "reference": str})


def _tested(
    fit: MixedResult, effect: _Effect, method: TestMethod, n: int, seed: int | None, workers: int, progress: bool
) -> dict[str, object]:
    from alliance_stats.engine.mixed.variance_test import VarianceTest

    test, df = VarianceTest(fit.arrays.design, fit.solution, effect.factor, effect.place), effect.n_correlated + 1
    row: dict[str, object] = {"group": effect.group, "term": effect.term, "df": df}
    try:
        statistic = statistic_of(fit.solution.criterion + test.statistic, fit.solution.criterion)
    except LinAlgError:
        why = "not tested: the model without this effect could not be fitted"
        return row | {"statistic": np.nan, "p_value": np.nan, "reference": why}
    if method == "bootstrap":
        return row | {"statistic": statistic} | _by_bootstrap(test, statistic, n, seed, workers, progress)
    mixture, reference = reference_of(df, 1)
    return row | {"statistic": statistic, "p_value": mixture_p_value(statistic, mixture), "reference": reference}


def _by_bootstrap(
    test: VarianceTest, statistic: float, n: int, seed: int | None, workers: int, progress: bool
) -> dict[str, object]:
    """P value among outcomes drawn without the effect: (1 + as large) / (1 + drawn)."""
    seeds = spawn(seed, n)
    chunks = [seeds[at : at + CHUNK] for at in range(0, n, CHUNK)]
    drawn = np.concatenate(list(in_parallel(test.drawn, chunks, workers, progress)))
    drawn = drawn[np.isfinite(drawn)]
    as_large = int((np.where(drawn > 1e-6, drawn, 0.0) >= statistic * (1 - 1e-9)).sum())
    failed = f", {n - drawn.size} more did not converge" if drawn.size < n else ""
    reference = f"{count(drawn.size, 'outcome')} drawn without the effect{failed}"
    return {"p_value": (1 + as_large) / (1 + drawn.size), "reference": reference}


def _effects(fit: MixedResult, group: str | None) -> list[_Effect]:
    arrays = fit.arrays
    return [
        _Effect(f, place, factor.name, names[place], len(block) - 1)
        for f, (factor, names) in enumerate(zip(arrays.design.factors, arrays.effect_names, strict=True))
        if group in (None, factor.name)
        for block in factor.blocks
        for place in block
    ]
