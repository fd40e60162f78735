"""p-uniform*: the effect under which results, significant or not, are as spread as they should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.bias.result import BiasResult, as_independent, check_alternative, pooled
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.meta.tidy import coefficients_table
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from alliance_stats.engine.selection.fit import SelectionFit
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class PUniformResult(BiasResult):
    """p-uniform*; see :func:`p_uniform`."""

    fit: SelectionFit
    interval: tuple[float, float]
    tau2_interval: tuple[float, float]
    zero: float
    homogeneous: float
    n_significant: int
    alternative: str
    alpha: float

    def table(self) -> pd.DataFrame:
        """The mean: Wald's test, and the interval of the profile likelihood."""
        error = self.fit.errors[:1]
        table = coefficients_table([INTERCEPT], self._sign * self.fit.beta, error, np.inf, self.level)
        low, high = self.interval
        return table.assign(ci_low=low, ci_high=high)

    @property
    def _sign(self) -> float:
        return -1.0 if self.alternative == "less" else 1.0

    def tests(self) -> pd.DataFrame:
        """Likelihood-ratio tests that the mean, and that τ², is 0: ``test, statistic, df, p_value``."""
        from alliance_stats.engine.distributions import chi2_p_value

        rows = [("mean = 0", self.zero), ("tau2 = 0", self.homogeneous)]
        table = [(name, statistic, 1, chi2_p_value(statistic, 1)) for name, statistic in rows]
        return pd.DataFrame(table, columns=["test", "statistic", "df", "p_value"])

    def _found(self) -> Mapping[str, object]:
        row = self.table().iloc[0]
        found: dict[str, object] = {name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")}
        low, high = self.tau2_interval
        tests = self.tests()["p_value"]
        found |= {"tau2": self.fit.tau2, "tau2_ci_low": low, "tau2_ci_high": high, "tau2_error": self.fit.errors[1]}
        found |= {
            "method": "ML",
            "test": "z",
            "converged": self.fit.converged,
            "log_likelihood": self.fit.log_likelihood,
        }
        return found | {"n_significant": self.n_significant, "lrt_p": tests[0], "lrt_tau2_p": tests[1]}

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import p_uniform_sentences

        return p_uniform_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        return (
            f"p-uniform* of {count(len(self.effects), 'effect')}, {self.n_significant} of them significant (one-sided "
            f"p ≤ {self.alpha:g})."
        )

    def _remarks(self) -> tuple[str, ...]:
        found = as_independent(self.n_repeated, "take one effect per study, or pool within studies first.")
        if not self.fit.converged:
            found += ("The likelihood was not maximised: these numbers are not final.",)
        if not np.isfinite(self.interval).all():
            found += ("The likelihood is flat on one side, and the interval has no end there.",)
        return found


def p_uniform(
    effects: pd.DataFrame, *, alternative: str = "greater", alpha: float = 0.025, level: float = 0.95
) -> PUniformResult:
    """Estimate the mean from each effect's density given that it was significant, or given that it was not.

    p-uniform* estimates no weights: it allows for any probability of publication of significant and of other results,
    as long as it is the same for all results of one kind.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent.
    alternative : {"greater", "less"}
        Direction in which results were favoured.
    alpha : float
        One-sided level of significance: .025 for two-sided .05.
    level : float

    Returns
    -------
    PUniformResult

    Raises
    ------
    DesignError
        If no effect is significant: then nothing is known about selection.

    References
    ----------
    van Aert & van Assen (2018), MetaArXiv, doi:10.31222/osf.io/zqjr9.
    """
    from alliance_stats.engine.selection.fit import fit_selection
    from alliance_stats.engine.selection.likelihood import Problem
    from alliance_stats.engine.selection.profile import held_at, profile_interval
    from alliance_stats.engine.selection.weight_functions import OwnSide

    check_alternative(alternative, ("greater", "less"))
    if not 0 < alpha < 1:
        raise DataError(f"alpha is {alpha!r}; it lies between 0 and 1, e.g. 0.025.")
    observed = pooled(effects, 3, "p-uniform*", method="ML", level=level)
    sign = -1.0 if alternative == "less" else 1.0
    y, v = arrays(observed.effects)
    side = OwnSide(sign * y / np.sqrt(v), v, alpha)
    n = int(side.significant.sum())
    if n == 0:
        raise DesignError(
            f"0 of {count(len(y), 'effect')} are significant in the direction asked for (one-sided p ≤ {alpha:g}); "
            "p-uniform* has nothing to start from. Take pool(), or alternative='less'."
        )
    problem = Problem(sign * y, v, np.ones((len(y), 1)), side)
    fit = fit_selection(problem)
    low, high = profile_interval(problem, fit, 0, level)
    ends = (low, high) if sign > 0 else (-high, -low)
    drops = [2 * (fit.log_likelihood - held_at(problem, fit, at, 0.0).at.value) for at in (0, 1)]
    return PUniformResult(
        observed, fit, ends, profile_interval(problem, fit, 1, level), max(drops[0], 0.0), max(drops[1], 0.0), n,
        alternative, alpha,
    )  # fmt: skip
