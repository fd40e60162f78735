"""What results about publication bias have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, STUDY, require
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.meta.result import VARIANCES, MetaResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALTERNATIVES = ("greater", "less", "two-sided")


@dataclass(frozen=True, eq=False, repr=False)
class BiasResult(MetaResult):
    """A result beside the mean without correction.

    Parameters
    ----------
    observed : PooledResult
        The effects as they are, pooled without correction.
    """

    observed: PooledResult

    @property
    def effects(self) -> pd.DataFrame:
        """The rows used."""
        return self.observed.effects

    @property
    def level(self) -> float:
        """Level of all intervals."""
        return self.observed.level

    @property
    def uncorrected(self) -> float:
        """The mean without correction; where a method allows for dependent effects, from a model that does so too."""
        return float(self.observed.fit.beta[0])

    @abstractmethod
    def _found(self) -> Mapping[str, object]:
        """What stands in ``glance()`` instead of, or beside, the values without correction."""

    def glance(self) -> pd.DataFrame:
        """One row: that of :func:`alliance_stats.meta.pool` for the effects as they are, then what is found here.

        Where the method corrects the mean, ``estimate`` and its interval are the corrected ones, and ``uncorrected``
        holds the mean as it is; otherwise they are the same. I² in per cent.
        """
        plain = self.observed.glance()
        found = {"uncorrected": self.uncorrected, **self._found()}
        if "tau2" in found:  # what describes the spread without correction has no place beside another τ²
            blank = [*("tau2_ci_low", "tau2_ci_high", "i2", "h2", "pi_low", "pi_high", "tau2_error", "log_likelihood")]
            blank += ["i2_ci_low", "i2_ci_high", "h2_ci_low", "h2_ci_high", "aic", "bic"]
            plain = plain.assign(**dict.fromkeys(blank, np.nan))
        return plain.assign(**found)  # type: ignore[arg-type]

    def variance(self) -> pd.DataFrame:
        """The variance between studies: ``level, n_levels, variance, sd, ci_low, ci_high, i2``."""
        row = self.glance().iloc[0]
        values = (
            "study",
            row["k"],
            row["tau2"],
            row["tau2"] ** 0.5,
            row["tau2_ci_low"],
            row["tau2_ci_high"],
            row["i2"],
        )
        return pd.DataFrame([values], columns=list(VARIANCES))

    def plot(self, kind: str = "funnel", *, ax: Axes | None = None) -> Axes:
        """Draw the funnel plot."""
        if kind != "funnel":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('funnel',))}")
        from alliance_stats.meta.bias.pictures import draw_funnel

        return draw_funnel(self.effects, self.observed.glance(), ax=ax)

    def notes(self) -> tuple[str, ...]:
        """Rows left out, and effects of the same study."""
        found = []
        if self.observed.n_dropped:
            found.append(
                f"{count(self.observed.n_dropped, 'row')} without effect, variance or a column that is needed left out."
            )
        return (*found, *self._remarks())

    def _remarks(self) -> tuple[str, ...]:
        return ()

    @property
    def n_repeated(self) -> int:
        """Effects of a study that has another one here."""
        return repeated(self.effects)


def repeated(effects: pd.DataFrame, study: str = STUDY) -> int:
    """Effects of a study that has another one before them."""
    return int(effects[study].dropna().duplicated().sum()) if study in effects.columns else 0


def as_independent(n: int, way_out: str) -> tuple[str, ...]:
    """Say that dependent effects were taken as independent, where there are any."""
    if not n:
        return ()
    verb = "comes" if n == 1 else "come"
    return (f"{count(n, 'effect')} {verb} from a study that has another one here, and this method takes all effects as "
            f"independent: {way_out}",)  # fmt: skip


def pooled(
    effects: pd.DataFrame, least: int, what: str, needs: Sequence[str | None] = (), **how: object
) -> PooledResult:
    """Pool the effects as they are, and refuse too few.

    Rows that lack a value of a column in ``needs`` (moderators, studies) are left out, and counted.

    Raises
    ------
    DesignError
        If there are fewer than ``least`` effects.
    """
    named = [name for name in dict.fromkeys(needs) if name is not None and name != EFFECT]
    kept = effects
    if named:
        require(effects, *named)
        kept = effects.dropna(subset=named)
        if kept.empty and len(effects):
            raise DataError(f"0 of {count(len(effects), 'row')} have all named columns: {', '.join(named)}.")
    result = pool(kept, **how)  # type: ignore[arg-type]
    if len(kept) < len(effects):
        result = replace(result, n_dropped=len(effects) - len(result.effects))
    k = len(result.effects)
    if k < least:
        raise DesignError(f"{count(k, 'effect')}: {what} needs at least {least}.")
    return result


def check_alternative(alternative: str, allowed: tuple[str, ...] = ALTERNATIVES) -> str:
    """Refuse a direction that is not known."""
    if alternative not in allowed:
        raise DataError(f"No direction {alternative!r}. {did_you_mean(alternative, allowed)}")
    return alternative
