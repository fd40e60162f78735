"""The result of a selection model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.errors import count
from alliance_stats.meta.bias.result import BiasResult, as_independent
from alliance_stats.meta.result import first_coefficient
from alliance_stats.meta.tidy import coefficients_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.selection.fit import SelectionFit
    from alliance_stats.engine.selection.weight_functions import WeightFunction
    from alliance_stats.report.sentences import Sentences

Floats = NDArray[np.floating[Any]]

WORDS = {
    "beta": "beta weights",
    "halfnorm": "half-normal weights",
    "negexp": "negative exponential weights",
    "logistic": "logistic weights",
    "power": "power weights",
}


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates of (β, τ², δ) in draws of clusters.

    Parameters
    ----------
    drawn : ndarray of shape (n, p + 1 + d)
    n_failed : int
        Draws that could not be fitted.
    cluster : str
    n_clusters : int
    """

    drawn: Floats
    n_failed: int
    cluster: str
    n_clusters: int

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Percentile interval of each parameter."""
        low, high = np.quantile(self.drawn, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return low, high


@dataclass(frozen=True, eq=False, repr=False)
class SelectionResult(BiasResult):
    """A selection model; see :func:`alliance_stats.meta.bias.selection`."""

    fit: SelectionFit
    null_log_likelihood: float
    part: FixedPart
    function: WeightFunction
    model: str
    alternative: str
    severity: str
    tails: int
    equal: bool
    mods: str
    boot: Bootstrap | None

    @property
    def _sign(self) -> float:
        return -1.0 if self.alternative == "less" else 1.0

    @cached_property
    def _limits(self) -> tuple[Floats, Floats, Floats]:
        """Standard errors and intervals of (β, τ², δ), τ² and δ inside their bounds."""
        from alliance_stats.engine.distributions import t_quantile

        theta = np.concatenate([self.fit.beta, [self.fit.tau2], self.fit.delta])
        if self.boot is not None:
            return np.std(self.boot.drawn, axis=0, ddof=1), *self.boot.interval(self.level)
        error = self.fit.errors
        half = float(t_quantile(0.5 + self.level / 2, np.inf)) * error
        low, high = theta - half, theta + half
        p = self.fit.beta.size
        bounds = np.concatenate([np.full(p, -np.inf), [0.0], self.function.lower])
        return error, np.maximum(low, bounds), high

    def table(self) -> pd.DataFrame:
        """Coefficients of the effects behind the published ones; normal tests.

        With a bootstrap, standard errors and intervals come from the draws.
        """
        p = self.fit.beta.size
        error, low, high = (values[:p] for values in self._limits)
        table = coefficients_table(self.part.names, self._sign * self.fit.beta, error, np.inf, self.level)
        if self.boot is not None:
            ends = (low, high) if self._sign > 0 else (-high, -low)
            table = table.assign(ci_low=ends[0], ci_high=ends[1])
        return table

    def selection_weights(self) -> pd.DataFrame:
        """How likely results were to be published, relative to those most favoured.

        Returns
        -------
        DataFrame
            For steps a row per interval of p: ``p_low, p_high, k, weight, std_error, ci_low, ci_high``; the first
            weight is 1. For smooth weights a row per parameter: ``parameter, estimate, std_error, ci_low, ci_high``.
        """
        p = self.fit.beta.size + 1
        error, low, high = (values[p:] for values in self._limits)
        steps = getattr(self.function, "steps", None)
        if steps is None:
            names = [f"delta{at + 1}" for at in range(self.fit.delta.size)]
            columns = {
                "parameter": names,
                "estimate": self.fit.delta,
                "std_error": error,
                "ci_low": low,
                "ci_high": high,
            }
            return pd.DataFrame(columns)
        given = self.function.given  # type: ignore[attr-defined]
        weight = given if given is not None else np.append(1.0, self.fit.delta)
        first = np.full(steps.size - self.fit.delta.size, np.nan)
        errors, lows, highs = (np.concatenate([first, values]) for values in (error, low, high))
        return pd.DataFrame(
            {
                "p_low": np.append(0.0, steps[:-1]),
                "p_high": steps,
                "k": self.function.counts,  # type: ignore[attr-defined]
                "weight": weight,
                "std_error": errors,
                "ci_low": lows,
                "ci_high": highs,
            }
        )

    def curve(self, n: int = 400) -> pd.DataFrame:
        """The weight function over p: ``p, weight``, the largest weight 1."""
        from alliance_stats.engine.selection.weight_functions import weight_curve

        p = np.linspace(0, 1, n + 1)[1:-1]
        p = np.unique(np.concatenate([p, np.geomspace(1e-4, 0.05, 60)]))
        weight = weight_curve(self.function, p, self.fit.delta)
        return pd.DataFrame({"p": p, "weight": weight / weight.max()})

    def likelihood_ratio(self) -> pd.DataFrame:
        """Test of no selection: ``test, statistic, df, p_value``; no p value where weights are fixed."""
        from alliance_stats.engine.distributions import chi2_p_value

        df = self.fit.delta.size
        statistic = 2 * (self.fit.log_likelihood - self.null_log_likelihood)
        statistic = max(0.0, statistic) if df else statistic
        p = chi2_p_value(statistic, df) if df else float("nan")
        return pd.DataFrame([("no selection", statistic, df, p)], columns=["test", "statistic", "df", "p_value"])

    def _found(self) -> Mapping[str, object]:
        row = first_coefficient(self.table())
        p = self.fit.beta.size
        error, low, high = (float(values[p]) for values in self._limits)
        test = self.likelihood_ratio().iloc[0]
        n = p + (not self.equal) + self.fit.delta.size
        found: dict[str, object] = {name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")}
        found |= {"tau2": self.fit.tau2, "tau2_ci_low": low, "tau2_ci_high": high, "tau2_error": error}
        found |= {"method": "EE" if self.equal else "ML", "test": "bootstrap" if self.boot is not None else "z"}
        found |= {"converged": self.fit.converged, "log_likelihood": self.fit.log_likelihood}
        found |= {"aic": 2 * (n - self.fit.log_likelihood)}
        found |= {"bic": n * np.log(len(self.effects)) - 2 * self.fit.log_likelihood}
        return found | {"model": self.model, "lrt": test["statistic"], "lrt_df": test["df"], "lrt_p": test["p_value"]}

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import selection_sentences

        return selection_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        if self.model in WORDS:
            kind = WORDS[self.model]
        elif self.model == "Vevea-Woods":
            tails = "both tails" if self.tails == 2 else "one tail"
            kind = f"{self.severity} weights fixed beforehand (Vevea & Woods), {tails}"
        else:
            steps = self.function.steps[:-1]  # type: ignore[attr-defined]
            kind = f"weights by steps of p at {', '.join(f'{step:g}' for step in steps)}"
        favoured = {"greater": "positive", "less": "negative", "two-sided": "significant"}[self.alternative]
        boot = f"; bootstrap of {self.boot.n_clusters} clusters" if self.boot is not None else ""
        return f"Selection model of {count(len(self.effects), 'effect')}, {kind}, {favoured} results favoured{boot}."

    def _remarks(self) -> tuple[str, ...]:
        found: list[str] = []
        if self.boot is None:
            found += as_independent(self.n_repeated, "name the studies in cluster= for a bootstrap.")
        elif self.boot.n_failed:
            found.append(f"{self.boot.n_failed} draws could not be fitted and were left out.")
        if not self.fit.converged:
            found.append("The likelihood was not maximised: these numbers are not final.")
        if np.isnan(self._limits[0][: self.fit.beta.size]).any():
            found.append(
                "Standard errors of coefficients are missing: the likelihood is flat in a direction that joins them. "
                "Take moderators as deviations from their means, or leave some out."
            )
        mean = self.observed.fit.beta[0] * self._sign
        if self.alternative != "two-sided" and mean < 0 and not self.mods:
            found.append(
                f"The mean without correction points the other way ({self.observed.fit.beta[0]:.2f}); "
                f"alternative={'less' if self.alternative == 'greater' else 'greater'!r} is the question then."
            )
        return (*found, *self._cautions())

    def _cautions(self) -> tuple[str, ...]:
        found = []
        counts = getattr(self.function, "counts", None)
        if counts is not None and self.fit.delta.size and counts.min() < 4:
            found.append(f"An interval of p holds {count(int(counts.min()), 'effect')}: its weight is hardly known.")
        n_flat = int(np.isnan(self.fit.errors[self.fit.beta.size + 1 :]).sum())
        if n_flat:
            found.append(
                f"The effects tell nothing about {count(n_flat, 'parameter')} of the weights, and standard errors take "
                "it as known."
            )
        from alliance_stats.engine.selection.weight_functions import LARGEST

        n_edge = int(((self.fit.delta <= self.function.lower) | (self.fit.delta >= LARGEST)).sum())
        if n_edge:
            found.append(f"{count(n_edge, 'parameter')} of the weights at the edge of what is possible.")
        return tuple(found)

    def plot(self, kind: str = "funnel", *, ax: Axes | None = None) -> Axes:
        """Draw the funnel (``"funnel"``), or the weight function (``"weights"``)."""
        if kind != "weights":
            return super().plot(kind, ax=ax)
        from alliance_stats.meta.bias.pictures import draw_weights

        return draw_weights(self, ax=ax)
