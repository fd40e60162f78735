"""Growth of the alliance, and therapists' share in anxiety, in the IMPLEMENT trial: load, call, write.

    ALLIANCE_STATS_DATA=… python analyses/implement-growth/analysis.py [results.json]

The folder named by ``ALLIANCE_STATS_DATA`` holds ``implement/implement_composites.csv``; README.md says its origin.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable
from alliance_stats.models.mixed import MixedResult

MODELS = {
    "alliance_growth": "wai ~ time0 + (1 + time0 | patient_id)",
    "anxiety_of_therapists": "bai ~ 1 + (1 | patient_id) + (1 | therapist_id)",
}


def load(folder: Path) -> SessionTable:
    """Read the trial's sessions."""
    return als.read_sessions(
        folder / "implement" / "implement_composites.csv",
        patient="patient",
        therapist="therapist",
        session="time",
        scores={
            "wai": {
                "column": "wai",
                "higher": "better",
                "label": "Working alliance (nine items, centred at occasion 1)",
            },
            "bai": {"column": "bai", "higher": "worse", "label": "Anxiety (three parcels, centred at occasion 1)"},
        },
    )


def analyse(sessions: SessionTable) -> dict[str, MixedResult]:
    """Fit each model; time is counted from the first occasion."""
    frame = sessions.frame.assign(time0=sessions.frame["session"] - 1)
    return {name: als.mixed(formula, frame) for name, formula in MODELS.items()}


def numbers(fit: MixedResult) -> dict[str, object]:
    """Collect a fit's numbers under the names that ``expected.json`` uses."""
    table, row = fit.table().set_index("term"), fit.glance().iloc[0]
    variance = fit.variance().fillna("")
    return {
        "n_obs": int(row["n_obs"]),
        "criterion": float(row["deviance"]),
        "aic": float(row["aic"]),
        "bic": float(row["bic"]),
        **{name: table[name].to_dict() for name in ("estimate", "std_error", "df")},
        "vcov": {" ".join(filter(None, (r.group, r.term, r.term2))): float(r.vcov) for r in variance.itertuples()},
        "singular": bool(row["singular"]),
        "notes": list(fit.notes()),
    }


def main(out: str = "results.json") -> None:
    """Load, call, write."""
    folder = os.environ.get("ALLIANCE_STATS_DATA")
    if not folder:
        raise SystemExit("Set ALLIANCE_STATS_DATA to the folder that holds implement/implement_composites.csv.")
    sessions = load(Path(folder))
    results = {name: numbers(fit) for name, fit in analyse(sessions).items()}
    text = json.dumps({"data_sha256": sessions.source.sha256, "results": results}, indent=2, ensure_ascii=False)
    Path(out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
