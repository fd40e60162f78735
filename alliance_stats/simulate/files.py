"""Write a simulated data set beside its ``make.py``: sessions, truth, and what ``SOURCE.toml`` has to say of them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from alliance_stats.errors import DataError

#: What a ``make.py`` makes: the sessions and the values they were made from.
Made = tuple[pd.DataFrame, pd.DataFrame]


def check_ranges(frame: pd.DataFrame, ranges: dict[str, tuple[float, float]]) -> None:
    """Check that every score lies within its scale: scores are never cut off, or the parameters would not hold.

    Raises
    ------
    DataError
        If a score falls outside; another seed is the way out.
    """
    for name, (low, high) in ranges.items():
        outside = int((~frame[name].dropna().between(low, high)).sum())
        if outside:
            raise DataError(f"{outside} values of {name} fall outside {low:g} to {high:g}. Choose another seed.")


def write_simulated(folder: Path, made: Made) -> None:
    """Write ``sessions.csv`` (scores with two decimals) and ``truth.csv`` into the folder."""
    sessions, truth = made
    sessions.to_csv(folder / "sessions.csv", index=False, float_format="%.2f", lineterminator="\n")
    truth.to_csv(folder / "truth.csv", index=False, lineterminator="\n")


def run(make: Callable[[], Made], folder: Path) -> None:
    """Make the files in the folder, or in the one named on the command line, and print what ``SOURCE.toml`` needs."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else folder
    write_simulated(target, make())
    content = (target / "sessions.csv").read_bytes()
    n_rows = len(content.splitlines()) - 1
    print(f'n_rows = {n_rows}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')
