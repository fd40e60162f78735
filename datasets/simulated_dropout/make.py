"""Make the SIMULATED sessions with dropout that hangs on the last alliance: sessions.csv and truth.csv.

Run `python make.py [folder]` after a change, and put the printed sha256 and row count into SOURCE.toml.
The tests run it too and compare the files byte by byte.
"""

from __future__ import annotations

from pathlib import Path

import alliance_stats as als
from alliance_stats.simulate.files import Made, check_ranges, run

#: Chosen so that no score falls outside its scale, for nothing is cut off and the parameters hold as they are.
SEED = 20246
PLANNED = 16


def make() -> Made:
    """Simulate 160 courses of 16 planned sessions; the last session of a course cut short is marked."""
    sessions = als.simulate_sessions(
        16, 10, n_sessions=PLANNED, change_rate=0, seed=SEED, dropout_intercept=-3.0, dropout_alliance=-1.4
    )
    frame = sessions.frame
    check_ranges(frame, {"alliance": (1, 5), "outcome": (0, 27)})
    last = frame.groupby("patient_id")["session"].transform("max")
    frame["dropped_out"] = ((frame["session"] == last) & (last < PLANNED)).astype(int)
    truth = sessions.truth_frame
    return frame, truth[~truth["parameter"].str.match("change|return")]


if __name__ == "__main__":
    run(make, Path(__file__).parent)
