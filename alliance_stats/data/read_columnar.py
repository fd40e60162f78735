"""Read Parquet and Feather files through pyarrow."""

from __future__ import annotations

import io

import numpy as np

from alliance_stats.data.file_kind import KIND_WORDS
from alliance_stats.data.stored_table import StoredTable, need
from alliance_stats.errors import DataError


def read_columnar(content: bytes, kind: str, name: str) -> StoredTable:
    """Read a Parquet or Feather file.

    Parameters
    ----------
    content : bytes
        The whole file.
    kind : {"parquet", "feather"}
        As :func:`~alliance_stats.data.file_kind.file_kind` found it.
    name : str
        File name, for messages.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    DataError
        If the file is damaged.
    """
    library = need("pyarrow.parquet" if kind == "parquet" else "pyarrow.feather", "parquet", KIND_WORDS[kind])
    try:
        table = library.read_table(io.BytesIO(content))
        # Lengths and offsets that are damaged would break the whole process down later on, outside of any exception.
        table.validate(full=True)
        # An index that pandas stored is a column like the others.
        frame = table.replace_schema_metadata(None).to_pandas()
    except Exception as error:  # the library raises whatever its layers raise
        raise DataError(
            f"{name} cannot be read as a file of {KIND_WORDS[kind]}: {str(error).strip()[:200]}. Write it anew."
        ) from None
    return StoredTable(
        header=tuple(str(column) for column in table.column_names),
        columns=[frame.iloc[:, at].reset_index(drop=True) for at in range(frame.shape[1])],
        places=np.arange(1, len(frame) + 1),
        reading={"format": f"{KIND_WORDS[kind]} (found)"},
    )
