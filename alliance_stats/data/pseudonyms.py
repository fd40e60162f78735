"""Pseudonyms for reports: who is who cannot be read from them without the data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, rewrap
from alliance_stats.names import PATIENT, SESSION, THERAPIST

_NO_PLACES = "not shown with pseudonyms"
_PREFIXES = {PATIENT: "P", THERAPIST: "T"}
#: From here on a way out may quote cells of the file.
_QUOTING = re.compile(r"(missing=\(|occasions=\{).*", re.DOTALL)


def with_pseudonyms(sessions: SessionTable) -> SessionTable:
    """Replace patient and therapist ids by ``P001``, ``T01``, ….

    The numbers follow the order of a hash keyed with the content of the data: the same data give the same pseudonyms,
    in whatever order the rows stand, and the order says nothing about the ids. Rows are sorted by pseudonym, for rows
    in the order of the ids would tell it. What was found while reading keeps its counts, but no places, because these
    may name patients.
    """
    frame = sessions.frame
    for column, known in pseudonyms_of(frame).items():
        frame = frame.assign(**{column: frame[column].map(known).astype("str")})
    if PATIENT in frame:
        order = [PATIENT, *([SESSION] if SESSION in frame else [])]
        frame = frame.sort_values(order, kind="stable", ignore_index=True)
    # Value labels of ids are names: files of SPSS label therapists so.
    bare = [replace(variable, value_labels={}) for variable in sessions.codebook if variable.role == "id"]
    return without_quotes(rewrap(sessions, frame, *bare))


def pseudonyms_of(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return column → id → pseudonym, for patients and therapists."""
    content = np.sort(pd.util.hash_pandas_object(frame, index=False).to_numpy())
    key = hashlib.sha256(content.tobytes()).digest()
    return {column: _pseudonyms(frame[column], prefix, key) for column, prefix in _PREFIXES.items() if column in frame}


def without_quotes(sessions: SessionTable) -> SessionTable:
    """Return the table without what quotes the file: places, cells in ways out, and sheets, which may be people's."""
    faults = sessions.faults
    ways_out = [_QUOTING.sub(r"\1…", way_out) for way_out in faults["way_out"].astype(str)]
    reading = {key: words for key, words in sessions.source.reading.items() if key != "sheet"}
    return replace(
        sessions,
        faults=faults.assign(places=_NO_PLACES, way_out=pd.Series(ways_out, index=faults.index, dtype="object")),
        source=replace(sessions.source, reading=reading),
    )


def _pseudonyms(ids: pd.Series, prefix: str, key: bytes) -> dict[str, str]:
    known = ids.dropna().unique()
    ordered = sorted(known, key=lambda name: hashlib.blake2b(str(name).encode(), key=key[:32]).digest())
    width = max(2, len(str(len(ordered))))
    return {name: f"{prefix}{number:0{width}d}" for number, name in enumerate(ordered, 1)}
