"""Data larger than memory: frames one by one, from an iterator or from Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from alliance_stats.data.codebook import Codebook
from alliance_stats.data.session_table import SessionTable, require_columns
from alliance_stats.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

#: Data in parts: frames one by one, the path of a Parquet file or folder, or a pyarrow dataset. (A Dask frame is not
#: read here: see :mod:`alliance_stats.design.dask_parts`.)
Parts: TypeAlias = "Iterable[SessionTable | pd.DataFrame] | str | Path | Dataset"

#: Rows of Parquet that are in memory at a time.
_BATCH = 500_000
EXTRA = "pip install 'alliance-stats[distributed]'"


class FrameParts:
    """Frames one by one, and what was learned on the way.

    Parameters
    ----------
    data : Parts
    columns : sequence of str
        Only these are read from Parquet; other frames come as they are.

    Attributes
    ----------
    simulated : bool
        Whether any part says that it is simulated.
    codebook : Codebook
        Of the first part that has one.
    """

    def __init__(self, data: Parts, columns: Sequence[str]) -> None:
        self.simulated = False
        self.codebook = Codebook()
        self._parts = _batches(data, columns) if _is_stored(data) else _iterator(data)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for number, part in enumerate(self._parts, start=1):
            if isinstance(part, SessionTable):
                self.simulated |= part.source.simulated
                self.codebook = self.codebook if self.codebook.variables else part.codebook
                part = part.frame
            if not isinstance(part, pd.DataFrame):
                raise DataError(
                    f"Part {number} of the data is a {type(part).__name__}, not a DataFrame. Give an iterator of "
                    "DataFrames, such as pandas.read_csv(…, chunksize=100_000)."
                )
            yield part


def _is_stored(data: object) -> bool:
    return isinstance(data, str | Path) or type(data).__module__.startswith("pyarrow._dataset")


def _iterator(data: Any) -> Iterator[Any]:
    if isinstance(data, Iterable) and not isinstance(data, dict | bytes | pd.Series):
        return iter(data)
    raise DataError(
        f"Expected a SessionTable or a DataFrame, an iterator of them, the path of a Parquet file or folder, or a Dask "
        f"DataFrame; got {type(data).__name__}. Read a file with read_sessions()."
    )


def _batches(data: str | Path | Dataset, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read the columns, a batch of rows at a time, in the order of the files (by name) and their rows."""
    dataset = _dataset(data) if isinstance(data, str | Path) else data
    wanted = list(dict.fromkeys(columns))
    require_columns(pd.DataFrame(columns=dataset.schema.names), *wanted)
    for fragment in dataset.get_fragments():
        schema = _types_of(fragment, dataset, wanted)
        # One row group after the other: left to itself, a dataset reads as much as a gigabyte ahead.
        groups = fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]
        for group in groups:
            for batch in group.to_batches(schema=schema, columns=wanted, batch_size=_BATCH, batch_readahead=0):
                # ids that are whole numbers stay whole numbers where some are missing, so that long ones lose no digit
                yield batch.to_pandas(integer_object_nulls=True)


def _types_of(fragment: Any, dataset: Dataset, wanted: Sequence[str]) -> Any:
    """Types of the columns as a file itself has them; columns that are names of folders have those of the dataset."""
    import pyarrow

    try:
        own = fragment.physical_schema
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise _unreadable(getattr(fragment, "path", "data"), error) from error
    return pyarrow.schema([(own if name in own.names else dataset.schema).field(name) for name in wanted])


def _dataset(path: str | Path) -> Dataset:
    try:
        import pyarrow
        import pyarrow.dataset
    except ImportError:
        raise MissingExtraError(f"Reading Parquet needs pyarrow: {EXTRA}") from None
    if not Path(path).exists():
        raise DataError(f"There is no file or folder {str(path)!r}. Check the path.")
    try:
        return pyarrow.dataset.dataset(path, format="parquet", partitioning="hive")
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> DataError:
    return DataError(
        f"{Path(path).name!r} cannot be read as Parquet ({str(error).splitlines()[0]}). Other files are read with "
        "read_sessions()."
    )
