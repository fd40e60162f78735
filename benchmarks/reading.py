"""Time and memory of reading a large CSV file: ``python benchmarks/reading.py [rows] [scores]``.

Writes a file of sessions (20 per patient) to a temporary folder, reads it in a fresh interpreter, and prints the
seconds of the processor and the largest resident memory of that interpreter, libraries included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

READ = """
import json, resource, sys, time
import alliance_stats as als
names = json.loads(sys.argv[2])
als.read_sessions  # the libraries are loaded before the clock starts
started = time.process_time()
table = als.read_sessions(
    sys.argv[1], patient="patient", therapist="therapist", session="session", date="date",
    scores={name: {"column": name, "range": (0, 60)} for name in names},
)
seconds = time.process_time() - started
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"rows": len(table), "seconds": seconds, "gigabytes": memory, "faults": len(table.faults)}))
"""


def write_sessions(path: Path, n_rows: int, n_scores: int, seed: int = 1) -> list[str]:
    """Write the file; half of the scores are fractions with many digits, a tenth of all is missing."""
    rng = np.random.default_rng(seed)
    patient, session = np.arange(n_rows) // 20, np.arange(n_rows) % 20 + 1
    day = np.datetime64("2015-01-01") + (session * 7 + patient % 1500).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "patient": "P" + pd.Series(patient).astype(str).str.zfill(6),
            "therapist": "T" + pd.Series(patient % 3000).astype(str).str.zfill(4),
            "session": session,
            "date": day.astype(str),
        }
    )
    names = [f"score_{at}" for at in range(1, n_scores + 1)]
    for at, name in enumerate(names):
        scores = rng.uniform(1, 5, n_rows) if at % 2 == 0 else rng.integers(0, 28, n_rows).astype(float)
        frame[name] = np.where(rng.random(n_rows) < 0.1, np.nan, scores)
    frame.to_csv(path, index=False)
    return names


def measure(n_rows: int, n_scores: int) -> dict[str, float]:
    """Write, read and measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sessions.csv")
        names = write_sessions(path, n_rows, n_scores)
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path), json.dumps(names)], capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout)


if __name__ == "__main__":
    rows, scores = int((sys.argv[1:] or ["2000000"])[0]), int((sys.argv[2:] or ["2"])[0])
    print(json.dumps(measure(rows, scores)))
