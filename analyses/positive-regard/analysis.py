"""Positive regard and outcome: 102 correlations of 15 studies in a three-level model: load, call, write.

    ALLIANCE_STATS_DATA=… python analyses/positive-regard/analysis.py [results.json]

``ALLIANCE_STATS_DATA`` names the folder of ``positive_regard/positive_regard_es102.csv``; README.md says its origin.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pandas as pd

import alliance_stats as als
from alliance_stats.meta.multilevel_result import MultilevelResult

FILE = Path("positive_regard", "positive_regard_es102.csv")


def load(file: Path) -> pd.DataFrame:
    """Read the correlations and make Fisher's z of them."""
    read = pd.read_csv(file).rename(columns={"study_id": "study", "es_id": "effect"})
    return als.meta.effect_sizes(read[["study", "effect", "r", "n"]], "ZCOR", r="r", n="n")


def analyse(effects: pd.DataFrame) -> dict[str, MultilevelResult]:
    """Fit the three-level model as published, with errors of a study that are related, and with robust errors."""
    return {
        "three_level": als.meta.multilevel(effects, "study/effect", rho=0.0, robust=None),
        "correlated": als.meta.multilevel(effects, "study/effect", rho=0.6, robust=None),
        "correlated_robust": als.meta.multilevel(effects, "study/effect", rho=0.6),
    }


def numbers(fit: MultilevelResult) -> dict[str, object]:
    """Collect a fit's numbers under the names that ``expected.json`` uses."""
    table, back, row = fit.table().iloc[0], fit.back_transformed().iloc[0], fit.glance().iloc[0]
    variance = fit.variance().set_index("level")["variance"]
    return {
        **{name: int(row[name]) for name in ("k", "n_studies")},
        **{name: float(table[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
        "r": {name: float(back[name]) for name in ("estimate", "ci_low", "ci_high")},
        "variance": variance.to_dict(),
        "log_likelihood": float(row["log_likelihood"]),
    }


def main(out: str = "results.json") -> None:
    """Load, call, write."""
    folder = os.environ.get("ALLIANCE_STATS_DATA")
    if not folder:
        raise SystemExit(f"Set ALLIANCE_STATS_DATA to the folder that holds {FILE.as_posix()}.")
    file = Path(folder) / FILE
    results = {name: numbers(fit) for name, fit in analyse(load(file)).items()}
    found = {"data_sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "results": results}
    Path(out).write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
