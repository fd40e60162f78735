"""p-curve: whether significant p values pile up near 0, as real effects make them, or near .05."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.bias.result import BiasResult, as_independent, check_alternative, pooled
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class PCurveResult(BiasResult):
    """p-curve; see :func:`p_curve`.

    Parameters
    ----------
    tests : DataFrame
        ``term, n, statistic, p_value`` of each test.
    power, power_low, power_high : float
        Mean power of the significant studies, with its 90% interval.
    effect, effect_low, effect_high : float
        The one effect behind significant results.
    n_significant, n_opposite : int
        Significant in the direction asked for, and in the other.
    """

    tests: pd.DataFrame
    power: float
    power_low: float
    power_high: float
    effect: float
    effect_low: float
    effect_high: float
    n_significant: int
    n_opposite: int
    alternative: str

    def table(self) -> pd.DataFrame:
        """A row per test (``n`` studies took part); Stouffer's z, or for shares of p < .025 the number below."""
        return self.tests.reindex(columns=[*TABLE_COLUMNS, "n"])

    @property
    def evidential(self) -> bool:
        """Simonsohn et al.'s (2015) rule: half curve right-skewed at .05, or both curves at .10."""
        p = self.tests.set_index("term")["p_value"]
        return bool(p["right skew, half"] < 0.05 or (p["right skew, half"] < 0.10 and p["right skew, full"] < 0.10))

    @property
    def inadequate(self) -> bool:
        """Whether the curve is flatter than a power of 1/3 makes: full at .05, or half and binomial at .10."""
        p = self.tests.set_index("term")["p_value"]
        return bool(p["flatness, full"] < 0.05 or (p["flatness, half"] < 0.10 and p["flatness, binomial"] < 0.10))

    def _found(self) -> Mapping[str, object]:
        found = {"estimate": self.effect, "ci_low": self.effect_low, "ci_high": self.effect_high, "std_error": np.nan}
        found |= {"n_significant": self.n_significant, "n_opposite": self.n_opposite, "power": self.power}
        found |= {"power_low": self.power_low, "power_high": self.power_high}
        return found | {"tau2": np.nan, "evidential": self.evidential, "inadequate": self.inadequate}

    def shares(self) -> pd.DataFrame:
        """Per cent of the significant p values in steps of .01.

        Returns
        -------
        DataFrame
            ``p_high`` (upper end of a step), ``observed``; ``no_effect`` and ``third``: expected without an effect, and
            with a power of 1/3.
        """
        from scipy.special import ndtr

        from alliance_stats.engine.selection.p_curve import CRITICAL, expected_shares

        y, v = arrays(self.effects)
        z = y / np.sqrt(v) * (-1.0 if self.alternative == "less" else 1.0)
        edges = np.arange(1, 6) / 100
        p = 2 * ndtr(-z[z > CRITICAL])
        inside = np.searchsorted(edges[:-1], p, side="left")  # p = .01 belongs to the first step
        observed = np.bincount(inside, minlength=5) / len(p)
        columns = {"observed": observed, "no_effect": np.full(5, 0.2), "third": expected_shares(1 / 3, edges)}
        return pd.DataFrame({"p_high": edges, **{name: 100 * values for name, values in columns.items()}})

    def plot(self, kind: str = "curve", *, ax: Axes | None = None) -> Axes:
        """Draw the curve, or the funnel."""
        if kind == "funnel":
            return super().plot(kind, ax=ax)
        if kind != "curve":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('curve', 'funnel'))}")
        from alliance_stats.report.figures.p_curve import p_curve as draw

        return draw(self.shares(), self.n_significant, ax=ax)

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import p_curve_sentences

        return p_curve_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        return f"p-curve of {self.n_significant} significant among {count(len(self.effects), 'effect')}."

    def _remarks(self) -> tuple[str, ...]:
        found = as_independent(self.n_repeated, "take one effect per study.")
        if self.n_opposite:
            found += (f"{count(self.n_opposite, 'effect')} significant in the other direction left out of the curve.",)
        return (
            *found,
            "The effect of p-curve is that of significant studies as if all had the same; where effects vary, it is "
            "above their mean.",
        )


def p_curve(effects: pd.DataFrame, *, alternative: str = "greater", level: float = 0.95) -> PCurveResult:
    """Test the shape of the significant p values (two-sided p < .05, in the direction asked for).

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent. p values are those of ``yi / √vi``.
    alternative : {"greater", "less"}
    level : float
        Of the interval of the effect; that of power is 90%, as the authors have it.

    Returns
    -------
    PCurveResult

    Raises
    ------
    DesignError
        If no effect is significant.

    References
    ----------
    Simonsohn, Nelson & Simmons (2014), Journal of Experimental Psychology: General, 143, 534-547; (2014), Perspectives
    on Psychological Science, 9, 666-681; Simonsohn, Simmons & Nelson (2015), Journal of Experimental Psychology:
    General, 144, 1146-1152.
    """
    from alliance_stats.engine.selection import p_curve as engine

    check_alternative(alternative, ("greater", "less"))
    observed = pooled(effects, 1, "a p-curve", level=level)
    sign = -1.0 if alternative == "less" else 1.0
    y, v = arrays(observed.effects)
    z = sign * y / np.sqrt(v)
    taken = z > engine.CRITICAL
    n = int(taken.sum())
    if n == 0:
        raise DesignError(
            f"0 of {count(len(y), 'effect')} are significant in the direction asked for: there is no curve."
        )
    n_low, p_low, p_flat = engine.binomial_tests(z)
    rows = [
        ("right skew, full", *_values(engine.right_skew(z))),
        ("right skew, half", *_values(engine.right_skew(z, half=True))),
        ("right skew, binomial", n, float(n_low), p_low),
        ("flatness, full", *_values(engine.flatness(z))),
        ("flatness, half", *_values(engine.flatness(z, half=True))),
        ("flatness, binomial", n, float(n_low), p_flat),
    ]
    tests = pd.DataFrame(rows, columns=["term", "n", "statistic", "p_value"])
    effect, low, high = engine.significant_effect((sign * y)[taken], v[taken], level)
    ends = (effect, low, high) if sign > 0 else (-effect, -high, -low)
    return PCurveResult(
        observed, tests, *engine.estimated_power(z), *ends, n, int((z < -engine.CRITICAL).sum()), alternative
    )


def _values(test) -> tuple[int, float, float]:  # type: ignore[no-untyped-def]
    return test.n, test.z, test.p_value
