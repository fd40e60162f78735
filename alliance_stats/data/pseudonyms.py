"""Pseudonyms for reports: who is who cannot be read from them without the data."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, rewrap
from alliance_stats.names import PATIENT, SESSION, THERAPIST

_NO_PLACES = "not shown with pseudonyms"
_PREFIXES = {PATIENT: "P", THERAPIST: "T"}


def with_pseudonyms(sessions: SessionTable) -> SessionTable:
    """Replace patient and therapist ids by ``P001``, ``T01``, ….

    The numbers follow the order of a hash keyed with the content of the data: the same data give the same pseudonyms,
    in whatever order the rows stand, and the order says nothing about the ids. Rows are sorted by pseudonym, for rows
    in the order of the ids would tell it. What was found while reading keeps its counts, but no places, because these
    may name patients.
    """
    frame = sessions.frame
    content = np.sort(pd.util.hash_pandas_object(frame, index=False).to_numpy())
    key = hashlib.sha256(content.tobytes()).digest()
    for column, prefix in _PREFIXES.items():
        if column in frame:
            frame = frame.assign(**{column: frame[column].map(_pseudonyms(frame[column], prefix, key)).astype("str")})
    if PATIENT in frame:
        order = [PATIENT, *([SESSION] if SESSION in frame else [])]
        frame = frame.sort_values(order, kind="stable", ignore_index=True)
    # Value labels of ids are names: files of SPSS label therapists so.
    bare = [replace(variable, value_labels={}) for variable in sessions.codebook if variable.role == "id"]
    return replace(rewrap(sessions, frame, *bare), faults=without_places(sessions.faults))


def without_places(faults: pd.DataFrame) -> pd.DataFrame:
    """Return the findings without their places, which may quote ids and cells."""
    return faults.assign(places=_NO_PLACES)


def _pseudonyms(ids: pd.Series, prefix: str, key: bytes) -> dict[str, str]:
    known = ids.dropna().unique()
    ordered = sorted(known, key=lambda name: hashlib.blake2b(str(name).encode(), key=key[:32]).digest())
    width = max(2, len(str(len(ordered))))
    return {name: f"{prefix}{number:0{width}d}" for number, name in enumerate(ordered, 1)}
