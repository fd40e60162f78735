"""What a questionnaire's scoring key says: items, reversal, range, direction, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from alliance_stats.data.codebook import Direction
from alliance_stats.errors import DataError, did_you_mean

#: How sure a value is. "own": a key that a user wrote for a form of their own.
Status = Literal["verified", "recalled", "own"]
#: How items become a score.
Form = Literal["sum", "mean"]
#: Name of the scale over all items.
TOTAL = "total"


@dataclass(frozen=True)
class Scale:
    """A score of a measure: the total, or a subscale.

    Parameters
    ----------
    name : str
        ``"total"``, ``"bond"``, …; part of column names.
    label : str
        What a reader is shown.
    items : tuple of int
        Numbers of its items, from 1.
    low, high : float
        Ends of its range as the key states them.
    min_items : int
        Fewest answered items that are scored; all of them where the measure has no rule.
    """

    name: str
    label: str
    items: tuple[int, ...]
    low: float
    high: float
    min_items: int


@dataclass(frozen=True)
class PublishedValue:
    """A cutoff or a reliable change, with its source.

    Parameters
    ----------
    value : float
        In units of the scale.
    meaning : str
        What it says.
    scale : str
        The scale that it belongs to.
    status : {"verified", "recalled", "own"}
    source : str
    """

    value: float
    meaning: str
    scale: str
    status: Status
    source: str


@dataclass(frozen=True)
class MeasureKey:
    """The scoring key of one measure.

    Parameters
    ----------
    name, title, label : str
        Short name (``"WAI-SR"``), full name, and what a reader is shown for its score ("Working alliance").
    about : {"alliance", "outcome", "other"}
        What it measures.
    raters : tuple of str
        Who fills it in.
    n_items : int
    response : tuple of float
        Lowest and highest answer.
    other_responses : tuple of tuple of float
        Further response ranges in use.
    continuous : bool
        Whether answers between whole numbers are possible (visual analogue scales).
    higher : {"better", "worse"}
        What a higher score means.
    reversed : frozenset of int
        Items that are reversed inside the response range.
    form : {"sum", "mean"}
        How the items of a scale become its score.
    multiply : float
        What the sum or mean is multiplied by (CORE-OM: 10).
    scales : tuple of Scale
        The total first, where there is one.
    total_only : tuple of int
        Items that count in the total and in no subscale.
    status, source
        Of items, reversal, ranges and direction.
    missing_status, missing_source : str
        Of the rule for missing items; empty where there is none.
    cutoffs : tuple of PublishedValue
    reliable_change : PublishedValue or None
    """

    name: str
    title: str
    label: str
    n_items: int
    response: tuple[float, float]
    higher: Direction
    reversed: frozenset[int]
    scales: tuple[Scale, ...]
    form: Form = "sum"
    multiply: float = 1.0
    about: str = "other"
    raters: tuple[str, ...] = ()
    other_responses: tuple[tuple[float, float], ...] = ()
    continuous: bool = False
    total_only: tuple[int, ...] = ()
    status: Status = "own"
    source: str = ""
    missing_status: str = ""
    missing_source: str = ""
    cutoffs: tuple[PublishedValue, ...] = ()
    reliable_change: PublishedValue | None = None
    _by_name: Mapping[str, Scale] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {scale.name: scale for scale in self.scales})

    @property
    def total(self) -> Scale | None:
        """The scale over all items; None where the measure has none."""
        return self._by_name.get(TOTAL)

    @property
    def subscales(self) -> tuple[Scale, ...]:
        """The scales other than the total."""
        return tuple(scale for scale in self.scales if scale.name != TOTAL)

    def scale(self, name: str) -> Scale:
        """Return a scale by its name.

        Raises
        ------
        DataError
            If the measure has none of that name.
        """
        if name not in self._by_name:
            raise DataError(f"{self.name} has no scale {name!r}. {did_you_mean(name, self._by_name)}")
        return self._by_name[name]

    def values(self) -> pd.DataFrame:
        """Every value of the key with its status and source: ``what, value, status, source``."""
        whole = (self.status, self.source)
        rows: list[tuple[str, object, str, str]] = [
            ("response range", _span(*self.response), *whole),
            ("reversed items", _listed(sorted(self.reversed)) or "none", *whole),
            ("higher is", self.higher, *whole),
            ("score", self.form + (f" × {self.multiply:g}" if self.multiply != 1 else ""), *whole),
        ]
        for scale in self.scales:
            rows.append((f"items of {scale.name}", _listed(scale.items), *whole))
            rows.append((f"range of {scale.name}", _span(scale.low, scale.high), *whole))
        if self.total_only:
            rows.append(("items in the total only", _listed(self.total_only), *whole))
        if self.missing_status:
            fewest = ", ".join(f"{scale.name} {scale.min_items}" for scale in self.scales)
            rows.append(("fewest items answered", fewest, self.missing_status, self.missing_source))
        rows += [(f"cutoff of {cut.scale}: {cut.meaning}", cut.value, cut.status, cut.source) for cut in self.cutoffs]
        change = self.reliable_change
        if change is not None:
            rows.append((f"reliable change of {change.scale}", change.value, change.status, change.source))
        return pd.DataFrame(rows, columns=["what", "value", "status", "source"])


def _listed(items: tuple[int, ...] | list[int]) -> str:
    return " ".join(str(item) for item in items)


def _span(low: float, high: float) -> str:
    return f"{low:g} to {high:g}"
