"""The session table: one row per patient and session, with what is known about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pandas as pd

from alliance_stats.cells import NO_MATHJAX
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.faults import no_faults
from alliance_stats.errors import ColumnError, DataError, did_you_mean
from alliance_stats.names import PATIENT, THERAPIST

if TYPE_CHECKING:
    from alliance_stats.data.description import Description


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

        table = self.frame.head().to_html(index=False, escape=True, classes=NO_MATHJAX)
        return f'<p class="{NO_MATHJAX}">{html.escape(self._summary())}</p>{table}'

    def _summary(self) -> str:
        frame = self.frame
        parts = [f"{len(frame)} sessions"]
        for column, noun in ((PATIENT, "patients"), (THERAPIST, "therapists")):
            if column in frame:
                parts.append(f"{frame[column].nunique()} {noun}")
        simulated = ", SIMULATED" if self.source.simulated else ""
        return f"SessionTable: {', '.join(parts)} (from {self.source.name}{simulated})"

    def pseudonymize(
        self, key: str | bytes, *, shift_dates: int | None = None, keep: str | Iterable[str] = ()
    ) -> SessionTable:
        """Return the table with pseudonyms in place of ids, so that it can be shared.

        Patients, therapists and sites are replaced by a prefix and 16 digits of HMAC-SHA-256 over the id. The same
        key gives the same id the same pseudonym, in every file and every year, so that later exports can be joined;
        without the key nobody can compute them, not even who has the list of ids. Rows are sorted by pseudonym.
        Whoever has the key can tell which pseudonym belongs to a known id: keep it apart from the data.

        Parameters
        ----------
        key : str or bytes
            The secret, 16 bytes or more. ``secrets.token_hex()`` makes one. It is stored nowhere.
        shift_dates : int, optional
            Move the dates of each patient by a keyed number of days, from 1 to this many, forward or back. All dates
            of a patient move together, so the days between them stay; the same key and length give the same shift.
            Left out, dates stay as they are.
        keep : str or iterable of str, optional
            Columns of text to leave as they are. Any other column of text is refused, because it may name people, and
            so is a column of numbers that repeats the ids. ``phase`` is always left as it is.

        Returns
        -------
        SessionTable
            The same sessions. Findings keep their counts and lose their places, which may quote ids.

        Raises
        ------
        DataError
            If the key can be guessed, a column may name people, or there are no dates to shift.

        Notes
        -----
        Pseudonyms are no anonymity: rare courses, exact dates and scores can still be recognised by who knows the
        person. ``source`` keeps the file's name and hash.

        Examples
        --------
        >>> import secrets
        >>> import alliance_stats as als
        >>> shared = als.simulate_sessions(3, 4, seed=1).pseudonymize(secrets.token_hex())
        >>> shared.frame["patient_id"].str.fullmatch("P[0-9a-f]{16}").all()
        np.True_
        """
        from alliance_stats.data.pseudonymize import pseudonymized

        return pseudonymized(self, key, shift_dates, (keep,) if isinstance(keep, str) else tuple(keep))

    def describe(self) -> Description:
        """Describe who is in the table: when, how many, gaps, caseloads, changes of therapist, what is missing.

        Returns
        -------
        Description
            Frames (``overview``, ``scores``, ``by_session``, ``missing``, ``patients``, ``caseloads``, ``changes``),
            and ``plot()`` for attendance and missingness.

        Raises
        ------
        DataError
            If the table has no rows.
        """
        from alliance_stats.data.description import describe

        return describe(self.frame, self.codebook, self.source.simulated)

    def with_frame(self, frame: pd.DataFrame, *variables: Variable) -> SessionTable:
        """Return the table with another frame, and these variables added to the codebook."""
        from alliance_stats.data.describe_columns import with_types

        return replace(self, frame=frame, codebook=self.codebook.with_variables(*with_types(frame, variables)))


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
