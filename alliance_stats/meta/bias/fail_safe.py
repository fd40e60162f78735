"""Fail-safe N, labelled for what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.bias.result import BiasResult, as_independent, pooled
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from alliance_stats.report.sentences import Sentences

KINDS = ("Rosenthal", "Orwin", "Rosenberg", "General")
WARNING = (
    "Fail-safe N corrects nothing and tests nothing. It assumes that unseen studies average exactly zero, ignores that "
    "they may point the other way, and grows large whenever there are many studies. Report a selection model beside it."
)


@dataclass(frozen=True, eq=False, repr=False)
class FailSafeResult(BiasResult):
    """How many unseen null results would change a conclusion; see :func:`fail_safe_n`."""

    n: int
    kind: str
    alpha: float
    target: float
    p_now: float
    estimate_then: float
    tau2_then: float
    p_then: float

    def table(self) -> pd.DataFrame:
        """One row: the number of studies, in ``estimate``."""
        return pd.DataFrame([{"term": f"Fail-safe N ({self.kind})", "estimate": float(self.n)}]).reindex(
            columns=list(TABLE_COLUMNS)
        )

    def _found(self) -> Mapping[str, object]:
        found = {"fail_safe_n": self.n, "kind": self.kind, "alpha": self.alpha, "target": self.target}
        found |= {"p_now": self.p_now, "estimate_then": self.estimate_then}
        return found | {"tau2_then": self.tau2_then, "p_then": self.p_then}

    def report(self) -> Sentences:
        """Sentences for the results section, with the caution that belongs to them."""
        from alliance_stats.meta.bias.words import fail_safe_sentences

        return fail_safe_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        return f"Fail-safe N after {self.kind}: a number of imagined studies, not a correction for publication bias."

    def _remarks(self) -> tuple[str, ...]:
        return (*as_independent(self.n_repeated, "pool them within studies first."), WARNING)


def fail_safe_n(
    effects: pd.DataFrame,
    kind: str = "Rosenthal",
    *,
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
    method: str = "REML",
) -> FailSafeResult:
    """Count the unseen null results that would change the conclusion. It corrects nothing.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``; independent.
    kind : {"Rosenthal", "Orwin", "Rosenberg", "General"}
        Until Stouffer's one-sided p is ``alpha``; until the mean falls to ``target``; until the fixed mean's p is
        ``alpha``; until the random-effects mean falls to ``target``, or, without one, its p rises to ``alpha``.
    alpha : float
        For Rosenthal, Rosenberg and General.
    target : float, optional
        For Orwin (half the mean by default) and General; its sign is that of the mean.
    weighted : bool
        Orwin: weigh effects by 1/v.
    method : str
        General: estimator of τ².

    References
    ----------
    Rosenthal (1979), Psychological Bulletin, 86, 638-641; Orwin (1983), Journal of Educational Statistics, 8, 157-159;
    Rosenberg (2005), Evolution, 59, 464-468; Becker (2005), in Publication Bias in Meta-Analysis, 111-125 (why not).
    """
    from alliance_stats.engine.pooling import fail_safe

    if kind not in KINDS:
        raise DataError(f"No fail-safe N {kind!r}. {did_you_mean(kind, KINDS)}")
    if not 0 < alpha < 0.5:
        raise DataError(f"alpha is {alpha!r}; it lies between 0 and 0.5, e.g. 0.05.")
    if target is not None and not (np.isfinite(target) and target != 0):
        raise DataError(f"target is {target!r}; a mean of 0 is never reached. Give the smallest effect that matters.")
    observed = pooled(effects, 2, "fail-safe N", method=method)
    y, v = arrays(observed.effects)
    none = float("nan")
    if kind == "Rosenthal":
        n, p = fail_safe.rosenthal(y, v, alpha)
        return FailSafeResult(observed, n, kind, alpha, none, p, none, none, none)
    if kind == "Rosenberg":
        n, p = fail_safe.rosenberg(y, v, alpha)
        return FailSafeResult(observed, n, kind, alpha, none, p, none, none, none)
    w = 1 / v if weighted else np.ones_like(v)
    mean = float(w @ y / w.sum()) if kind == "Orwin" else float(observed.fit.beta[0])
    if kind == "Orwin":
        aim = mean / 2 if target is None else float(np.copysign(target, mean))
        n = fail_safe.orwin(y, w, aim) if mean else 0
        return FailSafeResult(observed, n, kind, none, aim, none, none, none, none)
    now = float(observed.table()["p_value"].iloc[0])
    then = fail_safe.general(y, v, observed.fit.method, alpha, target)
    aim = none if target is None else float(np.copysign(target, mean))
    return FailSafeResult(observed, then.n, kind, alpha, aim, now, then.estimate, then.tau2, then.p_value)
