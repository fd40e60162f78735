"""What tests share: figures drawn but not rendered, models fitted once, cases whose data are no part of the project."""

import json
import os
import pickle
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def fitted_once():
    """Fit each design once in the whole run; the same numbers come back for the same arrays."""
    from alliance_stats.models import mixed

    fit, known = mixed.fit_mixed, {}

    def remembered(design, reml=True):
        key = pickle.dumps((design, reml))
        if key not in known:
            known[key] = fit(design, reml)
        return known[key]

    return remembered


@pytest.fixture
def quick(monkeypatch, fitted_once):
    """Write small stand-ins for rendered figures, and do not fit a model twice: most of a report's time."""
    from alliance_stats.models import mixed
    from alliance_stats.report.figures import canvas

    monkeypatch.setattr(
        canvas, "_render", lambda drawn, kind, metadata, dpi: b"<svg></svg>" if kind == "svg" else b"png"
    )
    monkeypatch.setattr(mixed, "fit_mixed", fitted_once)


@pytest.fixture(scope="session")
def clinical_cases():
    """Reference results of clinically significant change, with the scores (real patients' and couples') behind them.

    The scores are read from the folder ``golden/events`` beside ``$ALLIANCE_STATS_DATA``.
    """
    folder = Path(os.environ.get("ALLIANCE_STATS_DATA", "")).resolve().parent / "golden" / "events"
    if not os.environ.get("ALLIANCE_STATS_DATA") or not folder.is_dir():
        pytest.skip("the scores are not part of the project; ALLIANCE_STATS_DATA does not say where they are")
    couples = pd.read_csv(folder / "cs_jacobson_1989.csv").pivot_table(index="subject", columns="time", values="gds")
    patients = pd.read_csv(folder / "cs_claus_2020.csv").pivot_table(index="id", columns="time", values="bdi")
    scores = {"gds": couples[["pre", "post"]].dropna(), "bdi": patients[[1, 4]].dropna()}
    record = Path(__file__).parent / "golden" / "clinicalsignificance" / "change.json"
    cases = json.loads(record.read_text(encoding="utf-8"))["cases"]
    for case in cases.values():
        case["pre"], case["post"] = (column.tolist() for _, column in scores[case["data"]].items())
    return cases
