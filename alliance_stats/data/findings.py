"""Collect every fault of a source in one pass, and say at the end what became of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.raw_table import N_PLACES, RawTable, listed
from alliance_stats.errors import FaultsError, count

Values = pd.Series | np.ndarray


class Findings:
    """What is wrong with a source, collected while it is converted.

    Parameters
    ----------
    raw : RawTable
        The source; it names the places.
    on_faults : {"raise", "leave_out"}
        Whether faults stop the reading or their rows and values are left out.

    Attributes
    ----------
    unusable : ndarray of bool, shape (n_rows,)
        Rows that cannot be placed (patient, session or date at fault) and are left out.
    """

    def __init__(self, raw: RawTable, on_faults: str) -> None:
        self.raw = raw
        self.leave_out = on_faults == "leave_out"
        self.unusable = np.zeros(raw.n_rows, dtype=bool)
        self._faults: list[Fault] = []
        self._can_leave_out = True

    def rows(
        self,
        fault: str,
        column: str,
        bad: np.ndarray,
        values: Values | None,
        way_out: str,
        *,
        places: Sequence[str] = (),
    ) -> None:
        """Add a fault for which a row cannot be used; ``places`` replaces the usual naming of the first few."""
        self.unusable |= bad
        done = "row left out" if self.leave_out else "refused"
        self._add(fault, column, bad, values, done, way_out, places)

    def values(self, fault: str, column: str, bad: np.ndarray, values: Values | None, way_out: str) -> None:
        """Add a fault of single values, which are set to missing where faults do not stop the reading."""
        self._add(fault, column, bad, values, "value set to missing" if self.leave_out else "refused", way_out)

    def column(self, fault: str, column: str, n: int, way_out: str, *, always: bool = True) -> None:
        """Add a fault of a whole column, which stops the reading, either always or unless faults are left out."""
        done = "refused" if always or not self.leave_out else "kept"
        self._can_leave_out &= not always
        self._faults.append(Fault(fault, column, n, "all rows", done, way_out))

    def refuse(
        self,
        fault: str,
        column: str,
        bad: np.ndarray,
        values: Values,
        way_out: str,
        *,
        places: Sequence[str] = (),
    ) -> None:
        """Add a fault that stops the reading whatever ``on_faults`` says."""
        self._can_leave_out &= not bad.any()
        self._add(fault, column, bad, values, "refused", way_out, places)

    def long_lines(self) -> None:
        """Add the lines that have more fields than the header."""
        lines = self.raw.long_lines
        if lines:
            places = listed([f"line {line}" for line in lines[:N_PLACES]], len(lines))
            way_out = "Put quotes around fields that hold the delimiter."
            done = "row left out" if self.leave_out else "refused"
            self._faults.append(Fault("line has more fields than the header", "", len(lines), places, done, way_out))

    def note(self, fault: str, column: str, n: int, places: str, way_out: str) -> None:
        """Add something worth knowing that changes nothing."""
        if n:
            self._faults.append(Fault(fault, column, n, places, "kept", way_out))

    def take_over(self, faults: Sequence[Fault]) -> None:
        """Add what was found and done before the columns were converted."""
        self._faults += faults

    def _add(
        self,
        fault: str,
        column: str,
        bad: np.ndarray,
        values: Values | None,
        done: str,
        way_out: str,
        places: Sequence[str] = (),
    ) -> None:
        rows = np.flatnonzero(bad)
        if rows.size:
            named = listed(places, rows.size) if places else self.raw.where(rows, values)
            self._faults.append(Fault(fault, column, int(rows.size), named, done, way_out))

    @property
    def frame(self) -> pd.DataFrame:
        """The faults so far, one row each."""
        return faults_frame(self._faults)

    def stop_if_refused(self) -> None:
        """Raise all faults together if any of them stops the reading.

        Raises
        ------
        FaultsError
            Listing every fault, one per line, with its ``faults`` frame.
        """
        refused = [fault for fault in self._faults if fault.done == "refused"]
        if refused:
            way_out = (
                "Mend the source, or read it with on_faults='leave_out' (in study.toml, under [file]) to leave these "
                "rows and values out, counted."
            )
            self._stop(refused, way_out if self._can_leave_out and not self.leave_out else "")

    def stop_if_empty(self) -> None:
        """Raise if no row is left.

        Raises
        ------
        FaultsError
            Listing why each row was left out.
        """
        if self.unusable.all():
            self._stop([fault for fault in self._faults if fault.done == "row left out"], "That leaves 0 rows.")

    def _stop(self, named: list[Fault], last: str) -> None:
        kinds = count(len(named), "kind of fault", "kinds of fault")
        lines = [f"{kinds} in {self.raw.name} ({count(self.raw.n_rows, 'row')}):", *map(_line, named)]
        others = len(self._faults) - len(named)
        if others:
            lines.append(f"({count(others, 'further note')} in .faults of this error.)")
        raise FaultsError("\n".join([*lines, last] if last else lines), self.frame)


def _line(fault: Fault) -> str:
    column = f" in column {fault.column!r}" if fault.column else ""
    return f"  - {fault.fault}{column}: {fault.n} ({fault.places}). {fault.way_out}"
