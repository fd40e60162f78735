"""Make the SIMULATED effects: effects.csv and truth.csv beside this file.

Run `python make.py [folder]` after a change, and put the printed sha256 and row count into SOURCE.toml.
The tests run it too and compare the files byte by byte.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20261
N_STUDIES = 60
#: What the effects were made from: mean Fisher's z (patients' ratings), shifts for other raters, standard deviations of
#: true effects between studies and within them, correlation of the sampling errors of one study.
TRUTH = {
    "mean_z": 0.30,
    "therapist_shift": -0.08,
    "observer_shift": -0.03,
    "study_sd": 0.10,
    "effect_sd": 0.07,
    "rho": 0.6,
}
RATERS = ("patient", "therapist", "observer")
#: Measures of outcome; on the first three a higher score is worse, so that r has the other sign there.
OUTCOMES = ("BDI-II", "PHQ-9", "OQ-45", "GAF", "ORS")
HIGHER_IS_WORSE = ("BDI-II", "PHQ-9", "OQ-45")


def simulate() -> pd.DataFrame:
    """Draw studies with one to six correlations of alliance and outcome each; none is left unpublished."""
    draw = np.random.default_rng(SEED)
    shift = {"patient": 0.0, "therapist": TRUTH["therapist_shift"], "observer": TRUTH["observer_shift"]}
    rows = []
    for at in range(N_STUDIES):
        study, year = f"Simulated study {at + 1:02d}", int(draw.integers(1991, 2025))
        n = int(np.clip(draw.lognormal(4.4, 0.6), 20, 600))
        k = int(draw.integers(1, 7))
        common = draw.normal(0, TRUTH["study_sd"])
        shared = draw.normal()
        pairs = draw.permutation([(rater, outcome) for rater in RATERS for outcome in OUTCOMES])[:k]
        for number, (rater, outcome) in enumerate(pairs, 1):
            true = TRUTH["mean_z"] + shift[rater] + common + draw.normal(0, TRUTH["effect_sd"])
            error = np.sqrt(TRUTH["rho"]) * shared + np.sqrt(1 - TRUTH["rho"]) * draw.normal()
            r = np.tanh(true + error / np.sqrt(n - 3))
            sign = -1 if outcome in HIGHER_IS_WORSE else 1
            reliability = float(np.round(draw.uniform(0.75, 0.95), 2))
            rows.append((study, f"{at + 1:02d}-{number}", year, rater, outcome, reliability, n, round(sign * r, 3)))
    columns = ["study", "effect_id", "year", "rater", "outcome", "reliability", "n", "r"]
    return pd.DataFrame(rows, columns=columns)


def write(folder: Path) -> None:
    """Write effects.csv and truth.csv into the folder."""
    simulate().to_csv(folder / "effects.csv", index=False, lineterminator="\n")
    truth = pd.DataFrame({"parameter": list(TRUTH), "value": list(TRUTH.values())})
    truth.to_csv(folder / "truth.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write(target)
    content = (target / "effects.csv").read_bytes()
    print(f'n_rows = {len(content.splitlines()) - 1}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')
