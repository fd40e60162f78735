"""Results of metafor 3.8-1 and of R code of our own (``tests/golden/bias/``), on simulated effects."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pandas as pd


@cache
def golden() -> dict:
    """Everything that ``make_bias.R`` wrote."""
    return json.loads((Path(__file__).parents[1] / "golden" / "bias" / "bias.json").read_text())


def effects() -> pd.DataFrame:
    """The 60 effects: ``yi, vi, x``."""
    return pd.DataFrame(golden()["data"])
