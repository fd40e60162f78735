"""Make the SIMULATED demonstration data: sessions.csv and truth.csv beside this file.

Run `python make.py [folder]` after a change, and put the printed sha256 and row count into SOURCE.toml.
The tests run it too and compare the files byte by byte.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import alliance_stats as als

#: Patients who start with each of the 24 therapists: uneven, as caseloads are. They sum to 190.
CASELOADS = (14, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 5, 5, 4, 3, 3, 2)

#: Chosen so that no score falls outside its scale, for nothing is cut off and the parameters hold as they are, and
#: so that a quarter of the patients are seen to change therapist (more are planned to, but some drop out first).
SEED = 20241


def simulate() -> als.SessionTable:
    """Simulate the sessions: 15 planned, some changes of therapist, and the package's default parameters."""
    sessions = als.simulate_sessions(
        len(CASELOADS), CASELOADS, n_sessions=15, change_rate=0.32, seed=SEED, return_rate=0.15
    )
    frame = sessions.frame
    if not frame["alliance"].between(1, 5).all() or not frame["outcome"].between(0, 27).all():
        raise SystemExit("A score falls outside its scale. Choose another seed.")
    return sessions


def write(folder: Path) -> None:
    """Write sessions.csv (scores with two decimals) and truth.csv into the folder."""
    sessions = simulate()
    sessions.frame.to_csv(folder / "sessions.csv", index=False, float_format="%.2f", lineterminator="\n")
    sessions.truth_frame.to_csv(folder / "truth.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write(target)
    content = (target / "sessions.csv").read_bytes()
    n_rows = len(content.splitlines()) - 1
    print(f'n_rows = {n_rows}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')
