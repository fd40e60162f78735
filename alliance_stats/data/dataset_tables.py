"""From the file of a registered data set to a frame: one small function for each shape of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.dataset_entry import DatasetEntry
from alliance_stats.data.read_delimited import read_bytes
from alliance_stats.data.read_r import read_r
from alliance_stats.data.read_sessions import read_mapped
from alliance_stats.data.session_table import SessionTable
from alliance_stats.data.study_file import read_study
from alliance_stats.errors import DataError
from alliance_stats.names import ALLIANCE, OUTCOME, PATIENT, PHASE, SESSION, THERAPIST

WAI = tuple(f"wai_{k}" for k in range(1, 10))
BAI = tuple(f"bai_p{k}" for k in range(1, 4))
#: Measurements of ``sgdata`` in order; the session is their place.
OCCASIONS = ("s0", *(f"s{k}" for k in range(1, 13)), "fu1", "fu2")


def read_table(entry: DatasetEntry, path: Path) -> SessionTable:
    """Read the sessions of a data set that is not shipped.

    Raises
    ------
    DataError
        If the file does not hold what the registry says.
    """
    frame = _READERS[entry.reader](path)
    if len(frame) != entry.n_rows:
        raise DataError(
            f"Data set {entry.name!r}: {path.name} gave {len(frame)} rows, and {entry.n_rows} are registered."
        )
    study = read_study(entry.folder / "study.toml")
    return read_mapped(frame, study.columns, study.options)


def implement_arrays(path: Path) -> pd.DataFrame:
    """Name the columns of the array (patients × occasions × variables) of the trial's own file; anxiety comes first."""
    frame = _r_frame(path, "data")
    if frame.shape[1] != 2 + len(WAI) + len(BAI):
        raise DataError(f"{path.name} holds no array of patients, occasions and 12 variables.")
    frame = frame.set_axis([PATIENT, SESSION, *BAI, *WAI], axis=1)
    frame[[*BAI, *WAI]] = _plain_nan(frame[[*BAI, *WAI]])
    return _with_means(frame[[PATIENT, SESSION, *WAI, *BAI]])


def implement_text(path: Path) -> pd.DataFrame:
    """Read the same in points, with therapists."""
    names = {"patient": PATIENT, "therapist": THERAPIST, "time": SESSION}
    return _with_means(pd.read_csv(path).rename(columns=names)[[PATIENT, THERAPIST, SESSION, *WAI, *BAI]])


def sgdata_wide(path: Path) -> pd.DataFrame:
    """Turn one row per person into one row per measurement with at least one of the two scores."""
    wide = pd.read_csv(path) if path.suffix == ".csv" else _r_frame(path, "sgdata")
    parts = [
        pd.DataFrame(
            {
                PATIENT: wide["id"].astype("int64"),
                SESSION: place,
                PHASE: "baseline" if occasion == "s0" else "follow-up" if occasion.startswith("fu") else "therapy",
                OUTCOME: _plain_nan(wide[f"bdi_{occasion}"].astype("float64")),
                "rumination": _plain_nan(wide[f"rq_{occasion}"].astype("float64")),
            }
        )
        for place, occasion in enumerate(OCCASIONS, 1)
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset=[OUTCOME, "rumination"], how="all")


def _plain_nan(values: Any) -> Any:
    """Write the missing values of R, which raise warnings in arithmetic, as ordinary ones."""
    return np.where(np.isnan(values), np.nan, values)


def _r_frame(path: Path, name: str) -> pd.DataFrame:
    stored = read_r(read_bytes(path), path.name, name)
    return pd.DataFrame(dict(zip(stored.header, stored.columns, strict=True)))


def _with_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of the answered items of each scale where three quarters of them or more are there."""
    place = list(frame.columns).index(SESSION) + 1
    for name, items in ((OUTCOME, list(BAI)), (ALLIANCE, list(WAI))):
        answered = frame[items].notna().mean(axis=1)
        frame.insert(place, name, frame[items].mean(axis=1).where(answered >= 0.75))
    return frame


_READERS = {
    "implement_arrays": implement_arrays,
    "implement_text": implement_text,
    "sgdata_wide": sgdata_wide,
}
