"""Every call in the table of docs/how-to/coming-from-metafor.md runs."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import alliance_stats as als

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-metafor.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
#: What the page leaves to the reader, and calls that stand for more than is written.
WRITTEN_OUT = {
    'als.meta.effect_sizes(frame, "SMD", m1=…, m2=…, sd1=…, sd2=…, n1=…, n2=…)': (
        'als.meta.effect_sizes(frame, "SMD", m1="m1", m2="m2", sd1="sd1", sd2="sd2", n1="n1", n2="n2")'
    ),
    "fit.contrast({…})": 'fit.contrast({"rater[T.therapist]": 1})',
    "als.meta.figures.forest(fit, columns=[…])": 'als.meta.figures.forest(fit, columns=["rater"])',
    ".funnel(fit)": "als.meta.figures.funnel(fit)",
    ".bubble(fit)": "als.meta.figures.bubble(fit)",
    'egger(effects, model="multiplicative")': 'als.meta.bias.egger(effects, model="multiplicative")',
    "rho=0.6": "als.meta.multilevel(effects, rho=0.6)",
    "als.meta.gosh(effects)": "als.meta.gosh(effects.head(8))",
}


def calls():
    found = []
    for row in ROWS:
        left, right = re.split(r"(?<!\\)\|", row)[1:3]
        found += [(left.strip(), call) for call in re.findall(r"`([^`]+)`", right)]
    return found


def names_for(left):
    """The frame of the page, and the fit that the call on the left is made of."""
    rng = np.random.default_rng(3)
    study = np.repeat(np.arange(24), rng.integers(1, 5, 24))
    n = rng.integers(25, 200, study.size)
    r = np.tanh(0.27 + 0.15 * rng.normal(size=24)[study] + rng.normal(size=study.size) / np.sqrt(n - 3))
    rater = rng.choice(["patient", "therapist"], study.size)
    year = rng.integers(1990, 2020, study.size)
    sheet = pd.DataFrame({"study": study, "r": r, "n": n, "rater": rater, "year": year})
    effects = als.meta.effect_sizes(sheet, r="r", n="n")
    groups = {"m1": [3.0], "m2": [2.0], "sd1": [1.0], "sd2": [1.1], "n1": [20], "n2": [22]}
    if any(word in left for word in ("several levels", "Wald_test", "coef_test", "cluster = study")):
        fit = als.meta.multilevel(effects, mods="rater" if "Wald" in left else None)
    elif any(word in left for word in ("anova", "permutest", "regplot")):
        fit = als.meta.regress("yi ~ rater + year", effects)
    else:
        fit = als.meta.pool(effects)
    sessions = als.load_dataset("simulated_sites")
    return {"als": als, "effects": effects, "fit": fit, "frame": pd.DataFrame(groups), "sessions": sessions}


def test_the_table_is_read():
    assert len(calls()) > 30
    said = PAGE.read_text(encoding="utf-8")
    assert all(word in said for word in ("two_stage", "CR2", "CHE", "rho", "bias.selection", "bias.compare"))


@pytest.mark.parametrize(("left", "call"), calls())
def test_the_call_runs(left, call):
    plt.switch_backend("agg")
    call = WRITTEN_OUT.get(call, call)
    if "figures.bubble" in call:
        left = "regplot"
    assert eval(call, names_for(left)) is not None
    plt.close("all")
