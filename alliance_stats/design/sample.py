"""The analysis sample: which rows a model uses, and why the others were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.errors import DataError, count

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
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.n_read - len(self.frame)

    def sentence(self) -> str:
        """Say in one sentence how many rows were left out and why."""
        if self.n_dropped == 0:
            return f"All {self.n_read} rows were used."
        return f"{self.n_dropped} of {self.n_read} rows were left out because of missing values in: {self._reasons}."

    @property
    def _reasons(self) -> str:
        return ", ".join(f"{row.variable} ({row.n_missing})" for row in self.dropped.itertuples())


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
    if sample.rows.size == 0:
        raise DataError(f"No complete row is left. {sample.sentence()}")
    for name in variables:
        _check_finite(sample.frame[name])
    return sample


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
