"""The session table: one row per patient and session, with what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, overload

import pandas as pd

from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.faults import no_faults
from alliance_stats.errors import ColumnError, DataError, did_you_mean
from alliance_stats.names import PATIENT, THERAPIST


@dataclass(frozen=True)
class Source:
    """Where a table came from and how it was read.

    Parameters
    ----------
    name : str
        File name (never the folder, which may name a person), or ``"DataFrame"``.
    sha256 : str
        Hash of the file's bytes, or of the frame's values.
    n_rows : int
        Rows in the source, before any were left out.
    simulated : bool
        True when the numbers come from a random generator; every figure then says so.
    reading : mapping of str to str
        What was found out about the file: delimiter, decimal mark, encoding, …
    """

    name: str = "DataFrame"
    sha256: str = ""
    n_rows: int = 0
    simulated: bool = False
    reading: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SessionTable:
    """Sessions under canonical column names, frozen.

    Parameters
    ----------
    frame : DataFrame
        One row per patient and session, sorted by both. Ids are strings, ``session`` is a positive
        whole number, scores are floats in scale units.
    codebook : Codebook
        What each column means.
    faults : DataFrame
        What was found while reading, one row per kind: ``fault, column, n, places, done, way_out``.
    source : Source
        Where the table came from.
    """

    frame: pd.DataFrame
    codebook: Codebook = field(default_factory=Codebook)
    faults: pd.DataFrame = field(default_factory=no_faults)
    source: Source = field(default_factory=Source)

    def __getattribute__(self, name: str) -> Any:
        # A frame can be written to in place; handing out copies (free under copy-on-write) keeps the table frozen.
        value = object.__getattribute__(self, name)
        return value.copy(deep=False) if isinstance(value, pd.DataFrame) else value

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return self._summary() + "\n" + repr(self.frame.head())

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(self._summary())}</p>" + self.frame.head().to_html(index=False)

    def _summary(self) -> str:
        frame = self.frame
        parts = [f"{len(frame)} sessions"]
        for column, noun in ((PATIENT, "patients"), (THERAPIST, "therapists")):
            if column in frame:
                parts.append(f"{frame[column].nunique()} {noun}")
        simulated = ", SIMULATED" if self.source.simulated else ""
        return f"SessionTable: {', '.join(parts)} (from {self.source.name}{simulated})"

    def with_frame(self, frame: pd.DataFrame, *variables: Variable) -> SessionTable:
        """Return the table with another frame, and these variables added to the codebook."""
        return replace(self, frame=frame, codebook=self.codebook.with_variables(*variables))


Data = TypeVar("Data", SessionTable, pd.DataFrame)


def frame_of(data: SessionTable | pd.DataFrame) -> pd.DataFrame:
    """Return the frame of a session table, or the frame itself.

    Raises
    ------
    DataError
        If it is neither, or has no rows.
    """
    if not isinstance(data, SessionTable | pd.DataFrame):
        raise DataError(
            f"Expected a SessionTable or a DataFrame, got {type(data).__name__}. Read a file with read_sessions()."
        )
    frame = data.frame if isinstance(data, SessionTable) else data
    if frame.empty:
        raise DataError("The data have 0 rows. Check the file, or the filter that came before.")
    return frame


def codebook_of(data: SessionTable | pd.DataFrame) -> Codebook:
    """Return the codebook of a session table; an empty one for a frame."""
    return data.codebook if isinstance(data, SessionTable) else Codebook()


@overload
def rewrap(data: SessionTable, frame: pd.DataFrame, *variables: Variable) -> SessionTable: ...
@overload
def rewrap(data: pd.DataFrame, frame: pd.DataFrame, *variables: Variable) -> pd.DataFrame: ...
def rewrap(data: SessionTable | pd.DataFrame, frame: pd.DataFrame, *variables: Variable) -> SessionTable | pd.DataFrame:
    """Hand a changed frame back in the form in which the data came in."""
    return data.with_frame(frame, *variables) if isinstance(data, SessionTable) else frame


def require_columns(frame: pd.DataFrame, *columns: str) -> None:
    """Check that the columns are there.

    Raises
    ------
    ColumnError
        Naming every missing column and, for each, the nearest that there is.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        hints = " ".join(f"No column {name!r}. {did_you_mean(name, map(str, frame.columns))}" for name in missing)
        raise ColumnError(hints)
