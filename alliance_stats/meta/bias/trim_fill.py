"""Trim and fill: the mean with the mirror images of the studies that a lopsided funnel lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.bias.result import BiasResult, as_independent, pooled
from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.meta.pooled_result import arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.trim_fill import Trimmed
    from alliance_stats.report.sentences import Sentences

FILLED = "filled"


@dataclass(frozen=True, eq=False, repr=False)
class TrimFillResult(BiasResult):
    """Trim and fill; see :func:`trim_fill`.

    Parameters
    ----------
    filled : PooledResult
        Pooled with the missing studies filled in; the column ``filled`` marks them.
    trimmed : Trimmed
    side, estimator : str
    """

    filled: PooledResult
    trimmed: Trimmed
    side: str
    estimator: str

    def table(self) -> pd.DataFrame:
        """The mean with the missing studies filled in."""
        return self.filled.table()

    def glance(self) -> pd.DataFrame:
        """As :meth:`PooledResult.glance` with studies filled in (``k`` counts them), then what is missing.

        ``n_missing, n_missing_error, n_missing_p`` (of no study missing on that side; R0 only), ``side, estimator``.
        """
        more = {"uncorrected": self.uncorrected, "n_missing": self.trimmed.n, **self._found()}
        return self.filled.glance().assign(**more)  # type: ignore[arg-type]

    def _found(self) -> Mapping[str, object]:
        found = {"n_missing_error": self.trimmed.error, "n_missing_p": self.trimmed.p_value}
        converged = self.filled.fit.converged and self.trimmed.converged
        return found | {"side": self.side, "estimator": self.estimator, "converged": converged}

    def variance(self) -> pd.DataFrame:
        """The variance between studies, with the missing ones filled in."""
        return self.filled.variance()

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import trim_fill_sentences

        return trim_fill_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        return (
            f"Trim and fill ({self.estimator}) of {count(len(self.effects), 'effect')}, studies missing on the "
            f"{self.side}: {self.trimmed.n}."
        )

    def _remarks(self) -> tuple[str, ...]:
        found = as_independent(self.n_repeated, "pool them within studies first.")
        if not self.trimmed.converged:
            found += ("The rounds of trimming did not come to rest: these numbers are not final.",)
        return (
            *found,
            "Filled-in studies are no data: this shows how sensitive the mean is to a lopsided funnel, which "
            "differences between studies make as well as publication bias.",
        )

    def plot(self, kind: str = "funnel", *, ax: Axes | None = None) -> Axes:
        """Draw the funnel with the studies filled in as open circles."""
        if kind != "funnel":
            return super().plot(kind, ax=ax)
        from alliance_stats.meta.bias.pictures import draw_funnel

        return draw_funnel(self.filled.effects, self.filled.glance(), filled=FILLED, ax=ax)


def trim_fill(
    effects: pd.DataFrame,
    estimator: str = "L0",
    side: str | None = None,
    method: str = "REML",
    test: str = "z",
    *,
    level: float = 0.95,
) -> TrimFillResult:
    """Estimate how many studies a lopsided funnel lacks, fill in their mirror images and pool again.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent.
    estimator : {"L0", "R0", "Q0"}
        Duval and Tweedie's estimators of the number missing; R0 also tests that none is.
    side : {"left", "right"}, optional
        Where studies are missing; by default where they would be if large effects in small studies are the ones that
        were published (by the sign of Egger's slope).
    method, test, level
        As for :func:`alliance_stats.meta.pool`.

    Returns
    -------
    TrimFillResult

    References
    ----------
    Duval & Tweedie (2000), Journal of the American Statistical Association, 95, 89-98; Biometrics, 56, 455-463.
    """
    from alliance_stats.engine.pooling.trim_fill import ESTIMATORS, trim

    if estimator not in ESTIMATORS:
        raise DataError(f"No estimator {estimator!r}. {did_you_mean(estimator, ESTIMATORS)}")
    if side not in (None, "left", "right"):
        raise DataError(f"No side {side!r}. {did_you_mean(str(side), ('left', 'right'))}")
    observed = pooled(effects, 3, "trim and fill", method=method, test=test, level=level)
    y, v = arrays(observed.effects)
    side = side or ("left" if _slope(y, v, observed.fit.method) >= 0 else "right")
    sign = 1.0 if side == "left" else -1.0
    found = trim(sign * y, v, estimator, observed.fit.method)
    again = pool(_filled(observed.effects, found.places, sign * found.mirrored), method, test, level=level)
    return TrimFillResult(observed, again, found, side, estimator)


def _slope(y: np.ndarray, v: np.ndarray, method: str) -> float:
    """Egger's slope; 0 where all effects are equally precise."""
    from alliance_stats.engine.pooling.regression import fit_regression

    error = np.sqrt(v)
    if np.ptp(error) <= 1e-12 * error.max():
        return 0.0
    return float(fit_regression(y, v, np.column_stack([np.ones_like(y), error]), method).beta[1])


def _filled(effects: pd.DataFrame, places: np.ndarray, mirrored: np.ndarray) -> pd.DataFrame:
    """The effects with the mirror images below, each a study of its own."""
    own = effects[[name for name in (STUDY, EFFECT, VARIANCE) if name in effects.columns]].assign(**{FILLED: False})
    new = own.iloc[places].assign(**{EFFECT: mirrored}).assign(**{FILLED: True})
    names = [f"Filled {at + 1}" for at in range(len(new))]
    if STUDY in own.columns:
        own, new = own.assign(**{STUDY: own[STUDY].astype(str)}), new.assign(**{STUDY: names})
    joined = pd.concat([own, new.set_axis(names)])
    joined.attrs = dict(effects.attrs)
    return joined
