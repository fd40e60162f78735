"""python tests/golden/psych/make_data.py: writes items.csv and items_unbalanced.csv (persons x sessions x items)."""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
N_PERSONS, N_SESSIONS, N_ITEMS, SEED = 60, 8, 5, 20261124


def simulate(rng):
    person = rng.normal(0, 0.8, (N_PERSONS, 1, 1))
    session = rng.normal(0, 0.2, (1, N_SESSIONS, 1)) + 0.05 * np.arange(N_SESSIONS)[None, :, None]
    item = np.array([3.0, 3.4, 2.8, 3.1, 3.6])[None, None, :]
    person_session = rng.normal(0, 0.5, (N_PERSONS, N_SESSIONS, 1))
    person_item = rng.normal(0, 0.35, (N_PERSONS, 1, N_ITEMS))
    session_item = rng.normal(0, 0.12, (1, N_SESSIONS, N_ITEMS))
    loading_between, loading_within = np.array([1.0, 0.8, 1.1, 0.9, 1.2]), np.array([1.0, 1.2, 0.7, 0.9, 1.1])
    residual = rng.normal(0, [0.6, 0.7, 0.55, 0.65, 0.8], (N_PERSONS, N_SESSIONS, N_ITEMS))
    return (item + session + person * loading_between + person_session * loading_within + person_item
            + session_item + residual)  # fmt: skip


rng = np.random.default_rng(SEED)
values = np.round(simulate(rng), 3)
rows = [
    (f"p{person:02d}", session + 1, *values[person, session])
    for person in range(N_PERSONS)
    for session in range(N_SESSIONS)
]
frame = pd.DataFrame(rows, columns=["patient_id", "session", *[f"item{k + 1}" for k in range(N_ITEMS)]])
frame.to_csv(HERE / "items.csv", index=False)
kept = (frame["session"] <= 3) | (rng.uniform(size=len(frame)) < 0.6)
frame[kept].to_csv(HERE / "items_unbalanced.csv", index=False)
