"""Weighted sums of coefficients, for every result that has coefficients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.result import MetaResult
from alliance_stats.meta.tidy import Floats


class WeightedSums(MetaResult):
    """What can be asked of coefficients, however uncertain they are."""

    part: FixedPart

    @abstractmethod
    def _estimates(self, rows: Floats, labels: Sequence[str]) -> pd.DataFrame:
        """Estimate weighted sums (q, p), with the columns of ``table()``."""

    def combine(self, weights: pd.DataFrame, labels: Sequence[str] | None = None) -> pd.DataFrame:
        """Estimate weighted sums of coefficients, with the columns of :meth:`table`.

        Parameters
        ----------
        weights : DataFrame
            One row per sum, one column per term; terms that have no column weigh 0.
        labels : sequence of str, optional
            What to call each sum in the column ``term``; by default the index of the weights.

        Raises
        ------
        DataError
            If the model has no such term.
        """
        names = list(labels) if labels is not None else [str(name) for name in weights.index]
        return self._estimates(self._rows(weights), names)

    def contrast(self, weights: Mapping[str, float], label: str = "contrast") -> pd.DataFrame:
        """Estimate one weighted sum of coefficients, e.g. ``{"rater[T.patient]": 1, "rater[T.therapist]": -1}``."""
        return self.combine(pd.DataFrame([dict(weights)]), [label])

    def _rows(self, weights: pd.DataFrame) -> Floats:
        for term in weights.columns:
            if term not in self.part.names:
                raise DataError(f"The model has no term {term!r}. {did_you_mean(str(term), self.part.names)}")
        return weights.reindex(columns=list(self.part.names), fill_value=0.0).to_numpy(np.float64)
