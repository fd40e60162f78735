"""Make the SIMULATED ratings of the same alliance by patients and therapists: sessions.csv and truth.csv.

Run `python make.py [folder]` after a change, and put the printed sha256 and row count into SOURCE.toml.
The tests run it too and compare the files byte by byte.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import alliance_stats as als
from alliance_stats.simulate.files import Made, check_ranges, run

#: Chosen so that no score falls outside its scale, for nothing is cut off and the parameters hold as they are.
SEED = 20244
#: Therapists' ratings, in the words of the truth-and-bias model; centred where patients' ratings are CENTRE.
CENTRE = 3.5
TRUTH = {
    "bias": (-0.25, "alliance points", "therapist minus patient where the patient's mean rating is 3.5"),
    "truth_between": (0.55, "points per point", "therapists' rating on the patient's mean rating"),
    "truth_within": (0.35, "points per point", "therapists' rating on a session's deviation from that mean"),
    "therapist_view_patient_sd": (0.20, "alliance points", "SD of patients' effects on their therapist's ratings"),
    "therapist_view_therapist_sd": (0.25, "alliance points", "SD of therapists' leniency"),
    "therapist_view_residual_sd": (0.25, "alliance points", "SD of therapists' ratings around their expectation"),
    "missing_rate": (0.05, "share of sessions", "therapist's form not filled in, at random"),
}


def make() -> Made:
    """Simulate patients' ratings, then what their therapists rate in the same sessions."""
    patients, therapists = np.random.SeedSequence(SEED).spawn(2)
    sessions = als.simulate_sessions(20, 6, n_sessions=10, change_rate=0, seed=patients)
    frame = sessions.frame
    frame.insert(4, "alliance_therapist", ratings(frame, np.random.default_rng(therapists)))
    check_ranges(frame, {"alliance": (1, 5), "alliance_therapist": (1, 5), "outcome": (0, 27)})
    own = pd.DataFrame([(name, *row) for name, row in TRUTH.items()], columns=["parameter", "value", "unit", "meaning"])
    shared = sessions.truth_frame
    return frame, pd.concat([shared[~shared["parameter"].str.match("change|return")], own], ignore_index=True)


def ratings(frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """Draw the therapists' ratings of the sessions in the frame; nan where the form is missing."""
    true = {name: row[0] for name, row in TRUTH.items()}
    patient, _ = pd.factorize(frame["patient_id"])
    therapist, _ = pd.factorize(frame["therapist_id"])
    mean = frame.groupby("patient_id")["alliance"].transform("mean")
    expected = CENTRE + true["bias"] + true["truth_between"] * (mean - CENTRE)
    expected += true["truth_within"] * (frame["alliance"] - mean)
    effects = true["therapist_view_patient_sd"] * random.standard_normal(patient.max() + 1)[patient]
    effects += true["therapist_view_therapist_sd"] * random.standard_normal(therapist.max() + 1)[therapist]
    chance = true["therapist_view_residual_sd"] * random.standard_normal(len(frame))
    missing = random.random(len(frame)) < true["missing_rate"]
    return np.where(missing, np.nan, expected + effects + chance)


if __name__ == "__main__":
    run(make, Path(__file__).parent)
