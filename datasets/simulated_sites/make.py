"""Make the SIMULATED sessions of six sites: sessions.csv and truth.csv.

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
SEED = 20250
#: Therapists of each site; six patients start with each.
THERAPISTS = (8, 6, 5, 4, 4, 3)
ALLIANCE_SD, OUTCOME_SD = 0.20, 1.0
ALLIANCE, OUTCOME = 3.3, 22.0


def make() -> Made:
    """Simulate each site with its own level of alliance and outcome; everything else is shared."""
    for_effects, *for_sites = np.random.SeedSequence(SEED).spawn(1 + len(THERAPISTS))
    effects = np.random.default_rng(for_effects).standard_normal((2, len(THERAPISTS)))
    effects = np.round(effects * [[ALLIANCE_SD], [OUTCOME_SD]], 3)
    frames, n_patients, n_therapists = [], 0, 0
    for site, (size, seed) in enumerate(zip(THERAPISTS, for_sites, strict=True)):
        sessions = als.simulate_sessions(
            size,
            6,
            n_sessions=10,
            change_rate=0,
            seed=seed,
            alliance_intercept=ALLIANCE + effects[0, site],
            outcome_intercept=OUTCOME + effects[1, site],
        )
        frames.append(renumbered(sessions.frame, site, n_patients, n_therapists))
        n_patients, n_therapists = n_patients + 6 * size, n_therapists + size
    frame = pd.concat(frames, ignore_index=True)
    check_ranges(frame, {"alliance": (1, 5), "outcome": (0, 27)})
    return frame, truth(sessions.truth_frame, effects)


def renumbered(frame: pd.DataFrame, site: int, n_patients: int, n_therapists: int) -> pd.DataFrame:
    """Number patients and therapists through all sites, and name the site."""
    patients = frame["patient_id"].str[1:].astype(int) + n_patients
    therapists = frame["therapist_id"].str[1:].astype(int) + n_therapists
    frame = frame.assign(patient_id=patients.map("P{:04d}".format), therapist_id=therapists.map("T{:02d}".format))
    frame.insert(2, "site_id", f"S{site + 1}")
    return frame


def truth(shared: pd.DataFrame, effects: np.ndarray) -> pd.DataFrame:
    """Return the shared values, the spread of the sites, and each site's own effect."""
    shared = shared[~shared["parameter"].str.match("change|return")].set_index("parameter")
    shared.loc["alliance_intercept", "value"] = ALLIANCE
    shared.loc["outcome_intercept", "value"] = OUTCOME
    shared.loc["dropout_intercept", "meaning"] = (
        "hazard of leaving after a session whose alliance equals the alliance intercept of the site"
    )
    rows = [
        ("alliance_site_sd", ALLIANCE_SD, "alliance points", "SD of the sites' effects on the alliance, as drawn from"),
        ("outcome_site_sd", OUTCOME_SD, "outcome points", "SD of the sites' effects on the outcome, as drawn from"),
    ]
    for name, unit, drawn in zip(("alliance", "outcome"), ("alliance points", "outcome points"), effects, strict=True):
        rows += [
            (f"{name}_site_S{number}", effect, unit, f"effect of site S{number} on the {name} intercept")
            for number, effect in enumerate(drawn, 1)
        ]
    sites = pd.DataFrame(rows, columns=["parameter", "value", "unit", "meaning"])
    return pd.concat([shared.reset_index(), sites], ignore_index=True)


if __name__ == "__main__":
    run(make, Path(__file__).parent)
