"""Faults of a file: what, how many, where first, what was done, the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

FAULT_COLUMNS = ("fault", "column", "n", "places", "done", "way_out")


@dataclass(frozen=True)
class Fault:
    """One kind of fault in one column.

    Parameters
    ----------
    fault : str
        What is wrong, in words: ``"session is no whole number"``.
    column : str
        The column of the source, as it is named there.
    n : int
        How many rows (or values) have it.
    places : str
        The first few places: ``"line 14 ('2.5'), line 20 ('x')"``.
    done : {"refused", "row left out", "value set to missing", "kept"}
        What became of it. ``"refused"`` faults stop the reading, all listed together.
    way_out : str
        What the user can do.
    """

    fault: str
    column: str
    n: int
    places: str
    done: str
    way_out: str


def faults_frame(faults: Iterable[Fault]) -> pd.DataFrame:
    """Return the faults as a frame, one row each."""
    rows = [[getattr(fault, column) for column in FAULT_COLUMNS] for fault in faults]
    return pd.DataFrame(rows, columns=list(FAULT_COLUMNS))


def no_faults() -> pd.DataFrame:
    """Return the frame of a source without faults."""
    return faults_frame(())
