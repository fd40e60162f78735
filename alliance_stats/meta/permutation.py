"""Permutation tests of moderators."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError
from alliance_stats.meta.joint_tests import rows_of_terms, wald
from alliance_stats.meta.pooled_result import arrays

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.regression import Regression
    from alliance_stats.meta.regress import RegressionResult

#: A permuted statistic this close (relatively) to the observed one counts as equal to it.
_TIE = 1e-10


def permutation_table(result: RegressionResult, n: int, generator: np.random.Generator) -> pd.DataFrame:
    """Permute the rows of the moderators; see :meth:`RegressionResult.permutation_test`."""
    from alliance_stats.engine.pooling.regression import fit_regression

    if n < 1:
        raise DataError(f"{n} permutations are no test. Ask for 1000.")
    y, v = arrays(result.effects)
    rows = rows_of_terms(None, result.part.names, result.part.variables)
    observed = _statistics(result.fit, rows)
    reached, total = np.zeros(observed.size), 0
    for order in _orders(len(y), n, generator):
        fit = fit_regression(y, v, result.part.matrix[order], result.fit.method, result.fit.test)
        reached += np.abs(_statistics(fit, rows)) >= np.abs(observed) * (1 - _TIE)
        total += 1
    return pd.DataFrame({"term": [*result.part.names, "omnibus"], "statistic": observed, "p_value": reached / total})


def _statistics(fit: Regression, rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    each = fit.beta / np.sqrt(np.diag(fit.covariance))
    return np.append(each, wald(rows, fit.beta, fit.covariance))


def _orders(k: int, n: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Every order once where there are at most n, else the one observed and n random ones."""
    if k <= 12 and math.factorial(k) <= n:
        yield from (np.array(order) for order in permutations(range(k)))
        return
    yield np.arange(k)
    for _ in range(n):
        yield generator.permutation(k)
