"""All corrected means side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.bias.egger import AUTO, cluster_of
from alliance_stats.meta.bias.p_uniform import p_uniform
from alliance_stats.meta.bias.pet_peese import PetPeeseResult, pet_peese
from alliance_stats.meta.bias.result import BiasResult, check_alternative, pooled
from alliance_stats.meta.bias.selection import selection
from alliance_stats.meta.bias.trim_fill import trim_fill
from alliance_stats.meta.multilevel import multilevel
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.result import MetaResult
from alliance_stats.meta.tidy import carried_back
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences

_WALD = ("estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonResult(BiasResult):
    """Corrected means side by side; see :func:`compare`."""

    rows: pd.DataFrame
    alternative: str
    dependent: bool
    #: The result behind each row, by its name; methods that could not be used have none.
    results: Mapping[str, MetaResult] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """A row per method: the columns of every result, then ``tau2, r, r_low, r_high, note``.

        ``r`` is there where the measure is known to be Fisher's z. A method that could not be used has missing values,
        and the reason in ``note``.
        """
        return self.rows.copy()

    def _found(self) -> Mapping[str, object]:
        corrected = self.rows["estimate"].iloc[1:].dropna()
        lowest, highest = (float(corrected.min()), float(corrected.max())) if len(corrected) else (np.nan, np.nan)
        found: dict[str, object] = {"n_methods": len(corrected), "lowest": lowest, "highest": highest}
        if not self.dependent:
            return found
        plain = self.rows.iloc[0]
        own = {name: plain[name] for name in ("estimate", "std_error", "ci_low", "ci_high", "tau2")}
        return found | own | {"test": "satterthwaite"}

    @property
    def uncorrected(self) -> float:
        """The mean without correction, as in the first row of the table."""
        return float(self.rows["estimate"].iloc[0])

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import comparison_sentences

        return comparison_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        return (
            f"Mean of {count(len(self.effects), 'effect')} without correction, and by "
            f"{count(int(self.rows['estimate'].iloc[1:].notna().sum()), 'correction')}."
        )

    def _remarks(self) -> tuple[str, ...]:
        failed = self.rows["estimate"].isna()
        found = [f"{row['term']}: {row['note']}" for _, row in self.rows[failed].iterrows()]
        return (
            *found,
            "No method is best everywhere; corrections that agree say more than any one of them (Carter et al., 2019).",
        )

    def plot(self, kind: str = "estimates", *, ax: Axes | None = None) -> Axes:
        """Draw the means with their intervals (``"estimates"``), or the funnel."""
        if kind != "estimates":
            return super().plot(kind, ax=ax)
        from alliance_stats.meta.bias.pictures import draw_comparison
        from alliance_stats.meta.pictures import mean_words

        return draw_comparison(self.rows, unit=mean_words(self.observed.measure), level=self.level, ax=ax)


def compare(
    effects: pd.DataFrame,
    *,
    methods: tuple[str, ...] | None = None,
    alternative: str = "greater",
    cluster: str | None = AUTO,
    rho: float = 0.6,
    n_boot: int = 500,
    seed: int = 0,
    level: float = 0.95,
    progress: bool = True,
) -> ComparisonResult:
    """Put the means that every correction gives beside the one without.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``.
    methods : tuple of str, optional
        Which, by name; by default all: ``"uncorrected"``, ``"trim and fill (L0)"``, ``"trim and fill (R0)"``,
        ``"PET"``, ``"PEESE"``, ``"PET-PEESE"``, ``"3PSM"``, ``"4PSM"``, ``"Vevea-Woods (moderate)"``, ``"Vevea-Woods
        (severe)"``, ``"beta"``, ``"p-uniform*"``. The one without correction always comes first.
    alternative : {"greater", "less"}
        Direction in which results were favoured.
    cluster : str, optional
        Column of studies that have several effects; by default ``study`` where one has. Then the mean without
        correction and PET-PEESE come from multilevel models with robust errors, intervals of selection models from a
        bootstrap; methods that know independent effects only say so in ``note``.
    rho : float
        Correlation of the sampling errors of one study, in the multilevel models.
    n_boot, seed, level, progress
        As in :func:`selection`.

    Returns
    -------
    ComparisonResult

    References
    ----------
    Carter, Schönbrodt, Gervais & Hilgard (2019), Advances in Methods and Practices in Psychological Science, 2,
    115-144.
    """
    check_alternative(alternative, ("greater", "less"))
    study = cluster_of(effects, cluster)
    observed = pooled(effects, 3, "a comparison of corrections", [study], level=level)
    kept = observed.effects
    study = cluster_of(kept, cluster)
    boot = {"n_boot": n_boot, "seed": seed, "progress": progress}
    ways = _ways(kept, alternative, study, rho, level, boot)
    wanted = list(ways) if methods is None else ["uncorrected", *(name for name in methods if name != "uncorrected")]
    for name in wanted:
        if name not in ways:
            raise DataError(f"No correction {name!r}. {did_you_mean(name, ways)}")
    results: dict[str, MetaResult] = {}
    rows = [_row(name, ways[name], study, results) for name in wanted]
    frame = pd.DataFrame(rows, columns=[*TABLE_COLUMNS, "tau2", "note"])
    back = scale_of(observed.measure)
    for name, source in (("r", "estimate"), ("r_low", "ci_low"), ("r_high", "ci_high")):
        values = frame[source].to_numpy(np.float64)
        frame.insert(len(frame.columns) - 1, name, carried_back(values, "tanh") if back == "tanh" else np.nan)
    return ComparisonResult(observed, frame, alternative, study is not None, results)


#: The row of the table, τ², and the result that they are from.
_Found = tuple[pd.Series, float, MetaResult]
_Way = Callable[[], _Found]


def _ways(
    kept: pd.DataFrame, alternative: str, study: str | None, rho: float, level: float, boot: dict[str, Any]
) -> dict[str, _Way]:
    side = "left" if alternative == "greater" else "right"

    def uncorrected() -> _Found:
        if study is None:
            result = pooled(kept, 3, "pooling", level=level)
            return result.table().iloc[0], result.fit.tau2, result
        fit = multilevel(kept, f"{study}/effect", rho=rho, cluster=study, level=level)
        return fit.table().iloc[0], float(fit.variance(intervals=False)["variance"].sum()), fit

    def filled(estimator: str) -> _Found:
        result = trim_fill(kept, estimator, side, level=level)
        return result.table().iloc[0], float(result.glance()["tau2"].iloc[0]), result

    @cache
    def lines() -> PetPeeseResult:
        return pet_peese(kept, alternative=alternative, cluster=study, rho=rho, level=level)

    def line(term: str) -> _Found:
        result = lines()
        fit = {"PET": result.pet, "PEESE": result.peese}[result.chosen if term == "PET-PEESE" else term]
        return result.table().iloc[["PET", "PEESE", "PET-PEESE"].index(term)], fit.tau2, result

    def selected(model: str, **more: Any) -> _Found:
        result = selection(kept, model, alternative=alternative, cluster=study, level=level, **boot, **more)
        return result.table().iloc[0], result.fit.tau2, result

    def uniform() -> _Found:
        result = p_uniform(kept, alternative=alternative, level=level)
        return result.table().iloc[0], result.fit.tau2, result

    return {
        "uncorrected": uncorrected,
        "trim and fill (L0)": lambda: filled("L0"),
        "trim and fill (R0)": lambda: filled("R0"),
        "PET": lambda: line("PET"),
        "PEESE": lambda: line("PEESE"),
        "PET-PEESE": lambda: line("PET-PEESE"),
        "3PSM": lambda: selected("3PSM"),
        "4PSM": lambda: selected("4PSM"),
        "Vevea-Woods (moderate)": lambda: selected("Vevea-Woods", severity="moderate"),
        "Vevea-Woods (severe)": lambda: selected("Vevea-Woods", severity="severe"),
        "beta": lambda: selected("beta"),
        "p-uniform*": uniform,
    }


def _row(name: str, way: _Way, study: str | None, results: dict[str, MetaResult]) -> dict[str, object]:
    alone = study is not None and (name.startswith("trim") or name == "p-uniform*")
    note = "takes all effects as independent" if alone else ""
    try:
        row, tau2, results[name] = way()
    except DataError as reason:
        return {"term": name, "note": str(reason)}
    return {"term": name, **{column: row[column] for column in _WALD}, "tau2": tau2, "note": note}
