"""Test of excess significance: whether more studies are significant than their power lets expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count
from alliance_stats.meta.bias.result import BiasResult, as_independent, pooled
from alliance_stats.meta.pool import pool
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.meta.tidy import Floats
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class ExcessResult(BiasResult):
    """Significant results, as they are and as expected; see :func:`excess_significance`."""

    n_significant: int
    power: Floats
    p_value: float
    limit: float
    alpha: float
    at_estimate: float
    at_tau2: float

    @property
    def expected(self) -> float:
        """Expected number of significant results."""
        return float(self.power.sum())

    def table(self) -> pd.DataFrame:
        """One row: the ratio of observed to expected significant results; it has no standard error here."""
        ratio = self.n_significant / self.expected
        return pd.DataFrame([{"term": "Observed / expected", "estimate": ratio, "p_value": self.p_value}]).reindex(
            columns=list(TABLE_COLUMNS)
        )

    def powers(self) -> pd.DataFrame:
        """A row per effect: ``power`` of its test at the pooled effect, and whether it is ``significant``."""
        y, v = arrays(self.effects)
        columns = {"power": self.power, "significant": _significant(y, v, self.alpha)}
        return pd.DataFrame(columns, index=self.effects.index)

    def _found(self) -> Mapping[str, object]:
        found = {"n_significant": self.n_significant, "n_expected": self.expected, "excess_p": self.p_value}
        found |= {"at_estimate": self.at_estimate, "at_tau2": self.at_tau2}
        return {**found, "limit_estimate": self.limit, "alpha": self.alpha}

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import excess_sentences

        return excess_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        of = count(len(self.effects), "effect")
        return f"Test of excess significance of {of} at α = {self.alpha:g} (two-sided); exact p value."

    def _remarks(self) -> tuple[str, ...]:
        return as_independent(self.n_repeated, "pool them within studies first, with aggregate().")


def excess_significance(
    effects: pd.DataFrame, *, method: str = "EE", alpha: float = 0.05, limit: float = 0.10
) -> ExcessResult:
    """Compare the number of significant results with the sum of their powers at the pooled effect.

    More than expected may come from selective publication, from flexible analyses, or, with ``method="EE"``, from
    true differences between studies.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent.
    method : str
        Where powers are taken, as for :func:`alliance_stats.meta.pool`: ``"EE"`` takes one true effect; others let true
        effects vary by τ². ``glance()`` has both as ``at_estimate`` and ``at_tau2``.
    alpha : float
        Level of each study's two-sided test.
    limit : float
        ``glance()`` has as ``limit_estimate`` the pooled effect at which the test's p would be this: smaller effects
        do not agree with so many significant results. Missing where 0 agrees.

    Raises
    ------
    DataError
        If a level lies outside (0, 1).

    References
    ----------
    Ioannidis & Trikalinos (2007), Clinical Trials, 4, 245-253; Francis (2013), Journal of Mathematical Psychology, 57,
    153-169 (on its use).
    """
    from alliance_stats.engine.pooling.excess import at_least, limit_mean, powers

    for name, value in (("alpha", alpha), ("limit", limit)):
        if not 0 < value < 1:
            raise DataError(f"{name} is {value!r}; it lies between 0 and 1, e.g. 0.05.")
    observed = pooled(effects, 2, "a test of excess significance")
    y, v = arrays(observed.effects)
    at = pool(observed.effects, method).fit
    mean, tau2 = float(at.beta[0]), at.tau2
    power, n = powers(v, mean, tau2, alpha), int(_significant(y, v, alpha).sum())
    furthest = float(np.copysign(limit_mean(v, n, tau2, alpha, limit), mean))
    return ExcessResult(observed, n, power, at_least(n, power), furthest, alpha, mean, tau2)


def _significant(y: Floats, v: Floats, alpha: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    from alliance_stats.engine.distributions import t_quantile

    return np.asarray(np.abs(y) / np.sqrt(v) > float(t_quantile(1 - alpha / 2, np.inf)))
