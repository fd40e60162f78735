"""Records of metafor, clubSandwich and robumeta that stand outside the repository (their data are under the GPL)."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def folder() -> Path | None:
    """Return where the reference results are: $ALLIANCE_STATS_GOLDEN, or ``golden`` beside $ALLIANCE_STATS_DATA."""
    named = os.environ.get("ALLIANCE_STATS_GOLDEN")
    data = os.environ.get("ALLIANCE_STATS_DATA")
    path = Path(named) if named else Path(data).parent / "golden" if data else None
    return path / "meta" if path is not None and (path / "meta").is_dir() else None


needs_golden = pytest.mark.skipif(
    folder() is None,
    reason="metafor's results are not here; set ALLIANCE_STATS_GOLDEN, or ALLIANCE_STATS_DATA to a folder beside them",
)


@cache
def records(dataset: str) -> dict[str, dict]:
    """Records of one data set by id, each ``{setup, call, result, …}``."""
    read = json.loads((folder() / "metafor" / f"{dataset}.json").read_text())
    return {record["id"]: record for record in read["records"]}


def result(dataset: str, record: str):
    return records(dataset)[record]["result"]


@cache
def data(dataset: str) -> pd.DataFrame:
    """The effects of one data set, with yi and vi."""
    frame = pd.read_csv(folder() / "data" / f"{dataset}.csv")
    r, n = ("ri", "ni") if "ri" in frame else ("r", "n")
    if "yi" not in frame:
        frame["yi"], frame["vi"] = np.arctanh(frame[r]), 1 / (frame[n] - 3)
    return frame


def number(value) -> float:
    """A scalar of a record: R's missing and infinite values are texts there."""
    return float({"NA": "nan", "NaN": "nan", "Inf": "inf", "-Inf": "-inf"}.get(value, value))


def numbers(value) -> np.ndarray:
    """A vector or matrix of a record; scalars are vectors of length one."""
    return np.array([number(one) for one in np.atleast_1d(np.array(value, object)).ravel()])
