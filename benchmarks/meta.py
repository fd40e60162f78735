"""Time als.meta against metafor, clubSandwich and robumeta (R) on the same simulated effects, in one run.

    python benchmarks/meta.py                            k = 300, all analyses; ours alone at 100 000
    python benchmarks/meta.py --sizes 300,5000 --limit 600
    python benchmarks/meta.py --tasks pool,cr2 --skip-r
    python benchmarks/meta.py --sizes 300,5000 --out docs/performance-meta.md

Seconds are CPU seconds on one thread, best of several. Behind each ratio stands the largest relative difference of the
numbers that both give. At 5 000 effects some analyses in R take from minutes to hours: `--limit` ends them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np
import pandas as pd

import alliance_stats as als

HERE = Path(__file__).parent
PER_STUDY = 5


def simulate(k: int, seed: int = 1) -> pd.DataFrame:
    """Effects in studies of five: variances at two levels, sampling errors that correlate by .6, two moderators."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(k // PER_STUDY), PER_STUDY)
    v = rng.uniform(0.01, 0.1, k)
    true = 0.3 + 0.2 * rng.normal(size=k // PER_STUDY)[study] + 0.15 * rng.normal(size=k)
    moderators = {"x": rng.normal(size=k), "z": rng.normal(size=k // PER_STUDY)[study]}
    shared = rng.normal(size=k // PER_STUDY)[study]
    error = np.sqrt(v) * (np.sqrt(0.6) * shared + np.sqrt(0.4) * rng.normal(size=k))
    return pd.DataFrame({"study": study, "yi": true + error, "vi": v, **moderators})


def _pool(effects: pd.DataFrame) -> list[float]:
    fit = als.meta.pool(effects)
    row = fit.table().iloc[0]
    return [row["estimate"], row["std_error"], fit.fit.tau2]


def _levels(effects: pd.DataFrame, rho: float) -> list[float]:
    fit = als.meta.multilevel(effects, rho=rho, robust=None)
    row = fit.table().iloc[0]
    return [row["estimate"], row["std_error"], *fit.peak.theta]


def _leave_one_out(effects: pd.DataFrame) -> list[float]:
    table = als.meta.leave_one_out(effects)
    return [*table["estimate"][:3], *table["tau2"][:3]]


def _robust(effects: pd.DataFrame) -> list[float]:
    row = als.meta.robust(effects).table().iloc[0]
    return [row["std_error"], row["df"]]


def _cr2(effects: pd.DataFrame) -> Callable[[], list[float]]:
    """Robust errors alone, of a model that is fitted already."""
    from alliance_stats.meta.multilevel import robust_uncertainty

    fit = als.meta.multilevel(effects, robust=None)

    def run() -> list[float]:
        found = robust_uncertainty(fit, "CR2")
        return [float(found.errors(np.eye(1))[0]), float(found.degrees_of_freedom(np.eye(1))[0])]

    return run


def _htz(effects: pd.DataFrame) -> Callable[[], list[float]]:
    from alliance_stats.meta.multilevel import robust_uncertainty

    fit = als.meta.multilevel(effects, mods="x + z", robust=None)

    def run() -> list[float]:
        test = robust_uncertainty(fit, "CR2").joint("both", np.eye(3)[1:], fit.beta).iloc[0]
        return [test["statistic"], test["df_den"]]

    return run


def _pool_alone(effects: pd.DataFrame) -> Callable[[], list[float]]:
    """From arrays to estimates, without frames."""
    from alliance_stats.engine.pooling.regression import fit_regression

    y, v, ones = effects["yi"].to_numpy(), effects["vi"].to_numpy(), np.ones((len(effects), 1))

    def run() -> list[float]:
        fit = fit_regression(y, v, ones, "REML")
        return [float(fit.beta[0]), float(fit.covariance[0, 0] ** 0.5), fit.tau2]

    return run


def _levels_alone(effects: pd.DataFrame, rho: float) -> Callable[[], list[float]]:
    """From rows in the order of studies to variances, coefficients and their errors, without frames."""
    from alliance_stats.engine.pooling.climb import find_peak
    from alliance_stats.engine.pooling.multilevel import problem

    fit = als.meta.multilevel(effects, rho=rho, robust=None)
    y, x = fit.structure.rows["yi"].to_numpy(np.float64), fit.part.matrix

    def run() -> list[float]:
        peak = find_peak(problem(y, x, fit.structure.covariance, 2, True))
        beta, covariance = peak.at.coefficients()
        return [float(beta[0]), float(covariance[0, 0] ** 0.5), *peak.theta]

    return run


def _leave_one_out_alone(effects: pd.DataFrame) -> Callable[[], list[float]]:
    from alliance_stats.meta.influence import _without_each

    fit, codes = als.meta.pool(effects), np.arange(len(effects))

    def run() -> list[float]:
        fits = _without_each(fit, codes)
        return [*fits.beta[:3, 0], *fits.tau2[:3]]

    return run


#: Name → the part from arrays to estimates, where the whole call does more than that.
ALONE: dict[str, Callable[[pd.DataFrame], Callable[[], list[float]]]] = {
    "pool": _pool_alone,
    "three_level": lambda effects: _levels_alone(effects, 0.0),
    "che": lambda effects: _levels_alone(effects, 0.6),
    "leave_one_out": _leave_one_out_alone,
}
#: Name → what it is, and a function that prepares it.
TASKS: dict[str, tuple[str, Callable[[pd.DataFrame], Callable[[], list[float]]]]] = {
    "pool": ("REML pooling", lambda effects: lambda: _pool(effects)),
    "three_level": ("three levels", lambda effects: lambda: _levels(effects, 0.0)),
    "che": ("three levels, V from rho", lambda effects: lambda: _levels(effects, 0.6)),
    "cr2": ("CR2, Satterthwaite", _cr2),
    "htz": ("CR2, HTZ of two moderators", _htz),
    "leave_one_out": ("leave one out", lambda effects: lambda: _leave_one_out(effects)),
    "robumeta": ("robumeta's CORR", lambda effects: lambda: _robust(effects)),
}


def time_ours(run: Callable[[], list[float]], reps: int) -> tuple[float, list[float]]:
    numbers = run()  # imports happen here
    best = float("inf")
    for _ in range(reps):
        start = time.process_time()
        numbers = run()
        best = min(best, time.process_time() - start)
    return best, numbers


def time_r(data: Path, task: str, reps: int, limit: float) -> dict[str, object]:
    command = ["Rscript", str(HERE / "metafor_timing.R"), str(data), task, str(reps)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"missing": f"more than {limit:g} s"}
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1][:80] if done.stderr else "failed"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(k: int, tasks: list[str], with_r: bool, limit: float) -> list[str]:
    """Run every task; return the lines of a table in Markdown."""
    effects = simulate(k)
    reps = 7 if k <= 1000 else 3
    lines = [
        f"## {k:,} effects in {k // PER_STUDY:,} studies",
        "",
        "| analysis | arrays → estimates | whole call | R | faster: estimates | faster: whole call | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(prefix="meta_benchmark_") as folder:
        data = Path(folder) / "effects.csv"
        effects.to_csv(data, index=False)
        for task in tasks:
            name, prepare = TASKS[task]
            seconds, numbers = time_ours(prepare(effects), reps)
            alone = time_ours(ALONE[task](effects), reps)[0] if task in ALONE else seconds
            theirs = time_r(data, task, 3 if k <= 1000 else 1, limit) if with_r else {"missing": "not asked for"}
            lines.append(_line(name, alone, seconds, numbers, theirs))
            print(lines[-1], flush=True)
    return [*lines, ""]


def _line(name: str, alone: float, seconds: float, numbers: list[float], theirs: dict[str, object]) -> str:
    ours = f"| {name} | {alone:.5f} | {seconds:.5f} "
    if "missing" in theirs:
        return f"{ours}| {theirs['missing']} | | | |"
    took, other = float(theirs["seconds"]), np.array(theirs["numbers"], float)
    apart = float(np.max(np.abs(np.array(numbers) / other - 1)))
    return f"{ours}| {took:.3f} | {took / alone:,.0f} × | {took / seconds:,.0f} × | {apart:.0e} |"


def large(k: int = 100_000) -> str:
    """The size that a dense matrix cannot have."""
    effects = simulate(k)
    seconds, _ = time_ours(lambda: list(als.meta.multilevel(effects).table()["std_error"]), 2)
    size = f"{k:,} effects in {k // PER_STUDY:,} studies"
    line = f"{size}: three levels with V from rho and CR2 in {seconds:.2f} CPU seconds."
    print(line)
    return line


_PAGE = """# How fast meta-analyses are

<!-- Written by benchmarks/meta.py. Do not edit. -->

CPU seconds on one thread, best of several, all in one run on one machine ({machine}; R with metafor, clubSandwich
and robumeta as installed). *Arrays → estimates* is the fit alone, the model arranged already; *whole call* reads the
frame, checks it, fits and gives the table; where only one is meaningful, both are the same. CR2 and HTZ are timed on a
model that is fitted already, in R as here. The last column is the largest relative difference of the numbers that both
give: metafor's variances are good to about 1e-5 with its own settings.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="300", help="numbers of effects, e.g. 300,5000")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"some of {','.join(TASKS)}")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which R is stopped")
    parser.add_argument("--skip-r", action="store_true", help="time ours alone")
    parser.add_argument("--out", type=Path, help="page to write")
    options = parser.parse_args()
    tasks = [task for task in options.tasks.split(",") if task]
    strange = [task for task in tasks if task not in TASKS]
    if strange:
        parser.error(f"not known: {', '.join(strange)}. Known: {', '.join(TASKS)}.")
    with_r = not options.skip_r and shutil.which("Rscript") is not None
    page = [_PAGE.format(machine=f"{platform.machine()}, Python {platform.python_version()}")]
    for size in options.sizes.split(","):
        page += compare(int(size), tasks, with_r, options.limit)
    page.append(large())
    if options.out:
        options.out.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
