"""Time what comes after a fit, and residual structures, against R in one run.

    python benchmarks/inference.py                       all tasks
    python benchmarks/inference.py --tasks kenward-roger,residual --skip-r
    python benchmarks/inference.py --out docs/performance-inference.md

Tasks: Kenward-Roger at 3 200 rows (pbkrtest) and at 300 000 (nobody else can); 200 bootstrap refits at 3 200 rows
(lme4's bootMer); CAR(1) residuals with a standard deviation per phase, nested (nlme) and with crossed therapists
at 25 000 rows (nobody else can). CPU seconds of one thread; ours the best of three, R one run. pbkrtest alone takes
minutes.
"""

from __future__ import annotations

import os

# Before numpy is loaded: one thread for BLAS, as for R.
os.environ.update({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})

import argparse
import json
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from residual_sessions import RHO, simulate_residuals
from session_designs import DESIGNS, simulate

import alliance_stats as als
from alliance_stats.engine.mixed.kenward_roger import kenward_roger
from alliance_stats.engine.threads import one_blas_thread

HERE = Path(__file__).parent
NESTED = "wai ~ session + (1 + session | patient) + (1 | therapist)"
CROSSED = "wai ~ session + changed + (1 + session | patient) + (1 | therapist)"
CAR1 = {"residual": "car1", "residual_time": "day", "residual_group": "patient", "variance": "phase"}


@dataclass(frozen=True)
class Line:
    """One task: our seconds, another program's, and how far their numbers are apart."""

    what: str
    ours: float
    other: float = float("nan")
    program: str = ""
    agreement: str = ""

    @property
    def ratio(self) -> str:
        return f"{self.other / self.ours:,.0f} ×".replace(",", " ") if np.isfinite(self.other) else "–"


@dataclass
class Bench:
    """Runs the tasks; ``with_r`` says whether R takes part."""

    with_r: bool
    lines: list[Line] = field(default_factory=list)

    def kenward_roger(self) -> None:
        for letter in ("a", "c"):
            design = DESIGNS[letter]
            frame = simulate(design)
            fit = als.mixed(design.formula, frame, df="kenward-roger")
            seconds = _best(lambda fit=fit: _kenward_roger(fit), 3 if letter == "a" else 1)
            what = f"Kenward–Roger, {len(frame):_} sessions, crossed".replace("_", " ")
            theirs = self._in_r("kenward-roger", frame) if letter == "a" else None
            self.lines.append(_line(what, seconds, theirs, fit.table(), ("std_error", "df")))

    def bootstrap(self) -> None:
        frame = simulate(DESIGNS["a"])
        fit = als.mixed(DESIGNS["a"].formula, frame)
        seconds = _best(lambda: fit.bootstrap(200, seed=1, progress=False), 3)
        theirs = self._in_r("bootstrap", frame)
        fixed = fit.bootstrap(200, seed=1, progress=False).table().query("parameter == 'fixed'")
        self.lines.append(
            _line("200 bootstrap refits, 3 200 sessions, crossed", seconds, theirs, fixed, ("std_error",))
        )

    def residual(self) -> None:
        frame = simulate_residuals(320, 10, 40, 0.0, seed=3)
        fit = als.mixed(NESTED, frame, **CAR1)
        seconds = _best(lambda: als.mixed(NESTED, frame, **CAR1), 3)
        theirs = self._in_r("residual", frame)
        numbers = pd.DataFrame({"estimate": fit.table()["estimate"]})
        line = _line("CAR(1), SD per phase, 3 200 sessions, nested", seconds, theirs, numbers, ("estimate",))
        self.lines.append(line)
        frame = simulate_residuals(2_500, 10, 200, 0.2, seed=4)
        fit = als.mixed(CROSSED, frame, **CAR1)
        seconds = _best(lambda: als.mixed(CROSSED, frame, **CAR1), 3)
        said = f"ρ = {fit.solution.residual.rho:.4f} (true {RHO})"
        self.lines.append(Line("CAR(1), SD per phase, 25 000 sessions, crossed", seconds, agreement=said))

    def _in_r(self, task: str, frame: pd.DataFrame) -> dict | None:
        if not self.with_r or shutil.which("Rscript") is None:
            return None
        with tempfile.TemporaryDirectory(prefix="inference_benchmark_") as folder:
            data, out = Path(folder) / "sessions.csv", Path(folder) / "out.json"
            frame.to_csv(data, index=False)
            command = ["Rscript", str(HERE / "inference_timing.R"), task, str(data), str(out)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if not out.exists():
                print(f"{task}: no figures of R: {' '.join(done.stderr.split()[-30:])}")
                return None
            return json.loads(out.read_text())


def _kenward_roger(fit: als.MixedResult) -> None:
    solution = fit.solution
    with one_blas_thread():
        own = kenward_roger(solution._evaluation.at(solution.state))  # a new evaluation: nothing of it is there yet
    own.degrees_of_freedom(np.eye(solution.n_fixed))


def _line(what: str, seconds: float, theirs: dict | None, ours: pd.DataFrame, columns: tuple[str, ...]) -> Line:
    if theirs is None:
        return Line(what, seconds)
    apart = []
    for column in columns:
        other = np.array(theirs["numbers"][column])
        largest = np.max(np.abs(ours[column].to_numpy() - other) / np.abs(other))
        apart.append(f"{column} {largest:.1e}")
    return Line(what, seconds, theirs["seconds"], theirs["program"], ", ".join(apart))


def _best(run: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        before = time.process_time()
        run()
        seconds.append(time.process_time() - before)
    return min(seconds)


def _markdown(lines: list[Line]) -> str:
    rows = [
        f"| {line.what} | {line.ours:.3g} | {_number(line.other)} | {line.ratio} | {line.program} | {line.agreement} |"
        for line in lines
    ]
    head = f"""# How fast inference and residual structures are

This page is written by `python benchmarks/inference.py --out docs/performance-inference.md`; run it again to renew the
figures.

CPU seconds on one thread; ours the best of three runs, R one. *Apart*: the largest relative difference of the numbers
(bootstrap standard errors are random on both sides). Where no other program is named, none was found that fits the
model.

Measured {date.today().isoformat()} on {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()},
alliance_stats {als.__version__}.

| task | ours, s | other, s | ratio | program | apart |
|---|---|---|---|---|---|
"""
    return head + "\n".join(rows) + "\n"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"


TASKS = {"kenward-roger": Bench.kenward_roger, "bootstrap": Bench.bootstrap, "residual": Bench.residual}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--skip-r", action="store_true", help="only our own times")
    parser.add_argument("--out", type=Path, help="write the figures to this Markdown file")
    options = parser.parse_args()
    bench = Bench(not options.skip_r)
    for name in options.tasks.split(","):
        TASKS[name.strip()](bench)
    page = _markdown(bench.lines)
    print(page)
    if options.out:
        options.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
