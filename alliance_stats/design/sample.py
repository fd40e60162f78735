"""The analysis sample: which rows a model uses, and why the others were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.errors import DataError, RowsNotKeptError, count, rows_not_kept

#: Columns of the table of rows left out, and that table where there are none.
_DROPPED = ("variable", "n_missing", "n_only_this")
_NOTHING_DROPPED = pd.DataFrame([], columns=list(_DROPPED))


@dataclass(frozen=True)
class Sample:
    """Rows that a model uses.

    Parameters
    ----------
    frame : DataFrame
        Complete rows, only the columns that the model names.
    rows : ndarray of int
        Their positions in the data, from 0.
    n_read : int
        Rows in the data.
    dropped : DataFrame
        ``variable, n_missing, n_only_this``: rows left out because of each variable, and because of it alone.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    n_read: int
    dropped: pd.DataFrame

    @property
    def n_used(self) -> int:
        """Rows that the model uses."""
        return len(self.frame)

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.n_read - self.n_used

    def mean(self, name: str) -> float:
        """Mean of a numeric column over the rows used."""
        return float(self.frame[name].to_numpy(float).mean())

    def deviation(self, name: str) -> float:
        """Standard deviation of a numeric column over the rows used (divisor n)."""
        return float(self.frame[name].to_numpy(float).std())

    def is_boolean(self, name: str) -> bool:
        """Whether a column holds true and false."""
        return bool(pd.api.types.is_bool_dtype(self.frame[name].dtype))

    def sentence(self) -> str:
        """Say in one sentence how many rows were left out and why."""
        if self.n_dropped == 0:
            return f"All {self.n_read} rows were used."
        return f"{self.n_dropped} of {self.n_read} rows were left out because of missing values in: {self._reasons}."

    @property
    def _reasons(self) -> str:
        return ", ".join(f"{row.variable} ({row.n_missing})" for row in self.dropped.itertuples())


class SummedSample(Sample):
    """The account of rows that were summed part by part and let go: asking for them is an error.

    Parameters
    ----------
    n_used, n_read : int
        Rows used, and rows in the data.
    counts : DataFrame
        ``n_missing, n_only_this`` of every variable (the index), also of those that are never missing.
    moments : DataFrame, optional
        ``mean, squares, boolean`` of every numeric predictor (the index): its mean, the sum of squared deviations from
        it, and whether it holds true and false.
    """

    frame = property(rows_not_kept)
    rows = property(rows_not_kept)

    def __init__(self, n_used: int, n_read: int, counts: pd.DataFrame, moments: pd.DataFrame | None = None) -> None:
        dropped = counts[counts["n_missing"] > 0].rename_axis("variable").reset_index()
        vars(self).update(_n_used=n_used, n_read=n_read, dropped=dropped, counts=counts, _moments=moments)

    counts: pd.DataFrame
    _moments: pd.DataFrame | None

    @classmethod
    def of(cls, sample: Sample, variables: Sequence[str]) -> SummedSample:
        """Keep the account of a sample and let its rows go."""
        counts = sample.dropped.set_index("variable").reindex(list(dict.fromkeys(variables)), fill_value=0)
        return cls(sample.n_used, sample.n_read, counts.astype(np.int64))

    def with_moments(self, moments: pd.DataFrame) -> SummedSample:
        """Return the account with what is known of the predictors."""
        return SummedSample(self.n_used, self.n_read, self.counts, moments)

    def mean(self, name: str) -> float:
        """Mean of a numeric predictor over the rows used."""
        return self._moment(name, "mean")

    def deviation(self, name: str) -> float:
        """Standard deviation of a numeric predictor over the rows used (divisor n)."""
        return float(np.sqrt(self._moment(name, "squares") / self.n_used))

    def is_boolean(self, name: str) -> bool:
        """Whether a predictor holds true and false."""
        return bool(self._moment(name, "boolean"))

    def _moment(self, name: str, which: str) -> float:
        if self._moments is None or name not in self._moments.index:
            raise RowsNotKeptError
        return float(self._moments[which][name])

    @classmethod
    def added(cls, samples: Sequence[SummedSample]) -> SummedSample:
        """Add accounts of the same variables up."""
        n_used, n_read = (sum(getattr(sample, name) for sample in samples) for name in ("n_used", "n_read"))
        return cls(n_used, n_read, sum(sample.counts for sample in samples))  # type: ignore[arg-type]

    @property
    def n_used(self) -> int:
        """Rows that the model uses."""
        return int(vars(self)["_n_used"])


def take_sample(frame: pd.DataFrame, variables: Sequence[str], missing: str = "drop") -> Sample:
    """Keep the rows in which every variable is present.

    Parameters
    ----------
    frame : DataFrame
    variables : sequence of str
        Columns that the model names.
    missing : {"drop", "raise"}
        What to do about rows with missing values.

    Raises
    ------
    ColumnError
        If a column is not there; the nearest is named.
    DataError
        If no complete row is left, a column holds infinite values, or two columns have one name.
    """
    sample = complete_rows(frame, variables, missing)
    check_any_left(sample)
    return sample


def complete_rows(frame: pd.DataFrame, variables: Sequence[str], missing: str = "drop") -> Sample:
    """Take a sample as :func:`take_sample` does, which may be empty."""
    if missing not in ("drop", "raise"):
        raise DataError(f"missing is 'drop' or 'raise', not {missing!r}.")
    require_columns(frame, *variables)
    _check_once(frame, variables)
    absent = {name: gone for name in variables if (gone := _absent(frame[name])) is not None}
    if absent:
        n_absent = np.sum(list(absent.values()), axis=0)
        rows = np.flatnonzero(n_absent == 0)
        counted = [(name, int(gone.sum()), int((gone & (n_absent == 1)).sum())) for name, gone in absent.items()]
        dropped = pd.DataFrame(counted, columns=list(_DROPPED))
        sample = Sample(frame[list(variables)].take(rows), rows, len(frame), dropped)
    else:
        sample = Sample(frame[list(variables)], np.arange(len(frame)), len(frame), _NOTHING_DROPPED.copy(deep=False))
    if missing == "raise" and sample.n_dropped:
        raise DataError(
            f"{sample.n_dropped} of {sample.n_read} rows have missing values, in: {sample._reasons}. Impute or drop "
            "them before the call, or use missing='drop'."
        )
    for name in variables:
        _check_finite(sample.frame[name])
    return sample


def check_any_left(sample: Sample) -> None:
    """Refuse a sample without a row."""
    if sample.n_used == 0:
        raise DataError(f"No complete row is left. {sample.sentence()}")


def _absent(column: pd.Series) -> np.ndarray | None:
    """Which rows have no value in a column; None where all have one."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return None
    gone = column.isna().to_numpy()
    return gone if gone.any() else None


def _check_once(frame: pd.DataFrame, variables: Sequence[str]) -> None:
    if frame.columns.is_unique:
        return
    for name in variables:
        n_columns = int((frame.columns == name).sum())
        if n_columns > 1:
            raise DataError(
                f"{n_columns} columns have the name {name!r}, so it is not clear which is meant. Rename them."
            )


def _check_finite(column: pd.Series) -> None:
    if column.dtype.kind != "f":
        return
    infinite = np.isinf(column.to_numpy())
    if infinite.any():
        raise DataError(
            f"Column {column.name!r} holds {count(int(infinite.sum()), 'infinite value')} "
            f"(first at row {column.index[infinite.argmax()]}). Set them to missing, or correct them."
        )
