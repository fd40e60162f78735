"""The benchmark's own bookkeeping: what it simulates, compares and says. Nothing is timed here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_on_the_path():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(("letter", "n_rows"), [("a", 3_200), ("b", 28_800)])
def test_designs_have_the_stated_sizes(letter, n_rows):
    from session_designs import DESIGNS, simulate

    design = DESIGNS[letter]
    frame = simulate(design)
    assert len(frame) == n_rows
    assert frame["patient"].nunique() == design.n_patients
    assert frame["therapist"].nunique() == design.n_therapists
    changers = frame.groupby("patient")["therapist"].nunique().gt(1)
    assert changers.mean() == design.change_rate
    assert frame.groupby("patient")["changed"].max().astype(bool).equals(changers)


def test_changes_inside_clinics_stay_there():
    from session_designs import DESIGNS, simulate

    frame = simulate(replace(DESIGNS["d"], n_patients=400, n_therapists=40))
    clinic = frame["therapist"].str[1:].astype(int) // 10
    assert clinic.groupby(frame["patient"]).nunique().max() == 1
    assert frame.groupby("patient")["therapist"].nunique().max() == 2
    assert frame.groupby("patient").size().nunique() > 10


def test_theta_becomes_variances():
    from time_python_peer import from_theta

    # by hand: σ = 2, Λ = [[1, 0], [.5, 2]], so σ²ΛΛ' = 4 [[1, .5], [.5, 4.25]]; therapists (2 · 3)² = 36
    expected = {"patient intercept": 4, "patient slope": 17, "patient covariance": 2, "therapist intercept": 36}
    assert from_theta([1.0, 0.5, 2.0, 3.0], 2.0) == pytest.approx(expected | {"residual": 4})


def test_agreement_is_relative_to_ours():
    from peers import Timing
    from timing_tables import agreement

    ours = Timing("ours", criterion=10.0, fixed={"x": 2.0, "z": -4.0}, variances={"residual": 1.0})
    other = Timing("lme4", criterion=10.5, fixed={"x": 2.2, "z": -4.1}, variances={"residual": 0.9})
    assert_allclose(agreement(ours, other), [0.5, 0.1, 0.1])  # .2 / 2 beats .1 / 4


def test_different_names_are_not_compared():
    from timing_tables import largest_relative_difference

    with pytest.raises(ValueError, match="name their estimates differently"):
        largest_relative_difference({"x": 1.0}, {"z": 1.0})


@pytest.mark.parametrize(("value", "shown"), [(0.0123456, "0.0123"), (1.5, "1.50"), (41.52, "41.5"), (1234.5, "1234")])
def test_seconds_have_three_digits(value, shown):
    from timing_tables import seconds

    assert seconds(value) == shown


def test_a_missing_program_is_said_in_a_line(monkeypatch, tmp_path):
    from peers import time_peer
    from session_designs import DESIGNS
    from timing_tables import DesignTimings, markdown, text

    monkeypatch.setenv("PATH", str(tmp_path))
    timing = time_peer("lme4", DESIGNS["a"], tmp_path / "sessions.csv", 1)
    result = DesignTimings("a", DESIGNS["a"], 3_200, {"lme4": timing})
    assert "lme4: no figures, Rscript is not on the PATH" in text(result)
    assert "No figures: lme4: Rscript is not on the PATH." in markdown([result])


def test_what_a_program_said_of_its_search_is_passed_on():
    from peers import Timing
    from session_designs import DESIGNS
    from timing_tables import DesignTimings, markdown, text

    lme4 = Timing("lme4", "lme4", 0.1, 0.2, 10.0, {"x": 1.0}, {"residual": 1.0}, remark="boundary (singular) fit")
    result = DesignTimings("a", DESIGNS["a"], 3_200, {"lme4": lme4})
    assert "lme4 said of its search: boundary (singular) fit" in text(result)
    assert "- (a) lme4 said of its search: boundary (singular) fit" in markdown([result])


def test_openblas_overrides_do_not_reach_the_programs(monkeypatch):
    import peers

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    environment = peers._environment()
    assert "OPENBLAS_CORETYPE" not in environment
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"


def test_markdown_escapes_the_bars_of_the_formula():
    from peers import Timing
    from session_designs import DESIGNS
    from timing_tables import DesignTimings, markdown

    ours = Timing("ours", "alliance_stats", 0.1, 0.2, 10.0, {"x": 1.0}, {"residual": 1.0})
    lme4 = replace(ours, peer="lme4", name="lme4", estimates_seconds=0.3, call_seconds=np.float64(0.8))
    page = markdown([DesignTimings("a", DESIGNS["a"], 3_200, {"ours": ours, "lme4": lme4})])
    assert r"(1 + session \| patient)" in page
    assert "| lme4 | 0.300 (3.0 ×) | 0.800 (4.0 ×) |" in page  # .3 / .1 and .8 / .2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--designs", "a,x"], "not known: x. Known: a, b, c, d, e."),
        (["--skip", "lme5"], "not known: lme5"),
        (["--reps", "0"], "'0' is no whole number from 1 on"),
    ],
)
def test_misspelt_options_are_named(arguments, message):
    command = [sys.executable, str(BENCHMARKS / "mixed.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
