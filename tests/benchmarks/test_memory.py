"""What a fit takes: under three times the data frame, and with data in parts no more for more sessions."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def peak_of(call) -> int:
    """Largest number of bytes that the call had allocated at a time, beyond what was there before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("letter", ["c", "d"])
def test_300_000_sessions_take_less_than_three_times_their_frame(letter, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from session_designs import DESIGNS, simulate

    design = DESIGNS[letter]
    frame = simulate(design)
    als.mixed(design.formula, frame.head(20_000))  # what is loaded once does not count
    peak = peak_of(lambda: als.mixed(design.formula, frame).table())
    assert peak < 3 * frame.memory_usage(deep=True).sum()


def parts(n_parts: int):
    """Parts of 20 000 sessions, all of the same 500 patients."""
    effects = np.random.default_rng(0).normal(size=500)
    for number in range(n_parts):
        random = np.random.default_rng([1, number])
        patient = random.integers(500, size=20_000)
        x = random.normal(size=patient.size)
        yield pd.DataFrame({"patient": patient, "x": x, "y": x + effects[patient] + random.normal(size=patient.size)})


def test_more_sessions_of_the_same_patients_take_no_more_memory(monkeypatch):
    # sums wait until they take 128 MB before they are added up; here until they take 128 kB
    monkeypatch.setattr("alliance_stats.design.parts._WAITING", 2**14)
    formula = "y ~ x + (1 | patient)"
    als.mixed(formula, parts(2))
    few, many = (peak_of(lambda n=n: als.mixed(formula, parts(n)).table()) for n in (5, 50))
    assert many < 1.1 * few
    one = next(parts(1)).memory_usage(deep=True).sum()
    assert many < 12 * one  # of 50 parts
