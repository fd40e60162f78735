"""Time als.meta against metafor, clubSandwich and robumeta (R) on the same simulated effects, in one run.

    python benchmarks/meta.py                            k = 300, all analyses; ours alone at 100 000
    python benchmarks/meta.py --sizes 300,5000 --limit 600
    python benchmarks/meta.py --tasks pool,cr2 --skip-r
    python benchmarks/meta.py --sizes 300,5000 --out docs/performance-meta.md

Seconds are CPU seconds of one call on one thread, best of several rounds of calls. Behind each ratio stands the largest
relative difference of the numbers that both give. At 5 000 effects some analyses in R take from minutes to hours:
`--limit` ends them.
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
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np
import pandas as pd

import alliance_stats as als

Run = Callable[[], list[float]]
#: What is done with a result before its numbers are read.
Tell = Callable[[Any], object]
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


def _pool(effects: pd.DataFrame, tell: Tell) -> list[float]:
    result = als.meta.pool(effects)
    tell(result)
    return [float(result.fit.beta[0]), float(result.fit.covariance[0, 0] ** 0.5), result.fit.tau2]


def _levels(effects: pd.DataFrame, rho: float, tell: Tell) -> list[float]:
    result = als.meta.multilevel(effects, rho=rho, robust=None)
    tell(result)
    return [float(result.beta[0]), float(result.uncertainty.errors(np.eye(1))[0]), *result.peak.theta]


def _leave_one_out(effects: pd.DataFrame, _: Tell) -> list[float]:
    table = als.meta.leave_one_out(effects)
    return [*table["estimate"][:3], *table["tau2"][:3]]


def _robust(effects: pd.DataFrame, tell: Tell) -> list[float]:
    result = als.meta.robust(effects)
    tell(result)
    own = result.uncertainty
    return [float(own.errors(np.eye(1))[0]), float(own.degrees_of_freedom(np.eye(1))[0])]


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
TASKS: dict[str, tuple[str, Callable[[pd.DataFrame, Tell], Run]]] = {
    "pool": ("REML pooling", lambda effects, tell: lambda: _pool(effects, tell)),
    "three_level": ("three levels", lambda effects, tell: lambda: _levels(effects, 0.0, tell)),
    "che": ("three levels, V from rho", lambda effects, tell: lambda: _levels(effects, 0.6, tell)),
    "cr2": ("CR2, Satterthwaite", lambda effects, _: _cr2(effects)),
    "htz": ("CR2, HTZ of two moderators", lambda effects, _: _htz(effects)),
    "leave_one_out": ("leave one out", lambda effects, tell: lambda: _leave_one_out(effects, tell)),
    "robumeta": ("robumeta's CORR", lambda effects, tell: lambda: _robust(effects, tell)),
}
#: Those whose result makes its table when asked; the others are one, or are numbers.
WITH_TABLE = ("pool", "three_level", "che", "robumeta")
#: Seconds that one round of calls takes at least.
_ROUND = 0.05


def time_ours(run: Run, rounds: int) -> tuple[float, list[float]]:
    """CPU seconds of one call, the best of several rounds, and its numbers."""
    numbers = run()  # imports happen here
    best = _seconds(run, 1)
    calls = max(1, int(_ROUND / best))
    return min(best, *(_seconds(run, calls) for _ in range(rounds))), numbers


def _seconds(run: Run, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - start) / calls


def time_r(data: Path, task: str, reps: int, limit: float) -> dict[str, object]:
    command = ["Rscript", str(HERE / "metafor_timing.R"), str(data), task, str(reps)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"missing": f"> {1e3 * limit:,.0f}", "at_least": limit}
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1][:80] if done.stderr else "failed"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(k: int, tasks: list[str], with_r: bool, limit: float) -> list[str]:
    """Run every task; return the lines of a table in Markdown."""
    effects = simulate(k)
    rounds = 7 if k <= 1000 else 5
    lines = [
        f"## {k:,} effects in {k // PER_STUDY:,} studies",
        "",
        "| analysis | fit | call | + table | R | R ÷ fit | ÷ call | ÷ both | apart |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(prefix="meta_benchmark_") as folder:
        data = Path(folder) / "effects.csv"
        effects.to_csv(data, index=False)
        for task in tasks:
            name, prepare = TASKS[task]
            call, numbers = time_ours(prepare(effects, lambda result: result), rounds)
            alone = time_ours(ALONE[task](effects), rounds)[0] if task in ALONE else call
            table = call
            if task in WITH_TABLE:
                table = time_ours(prepare(effects, lambda result: result.table()), rounds)[0]
            theirs = time_r(data, task, 3 if k <= 1000 else 1, limit) if with_r else {"missing": "not asked for"}
            lines.append(_line(name, (alone, call, table), numbers, theirs))
            print(lines[-1], flush=True)
    return [*lines, ""]


def _line(name: str, ours: tuple[float, ...], numbers: list[float], theirs: dict[str, object]) -> str:
    begin = f"| {name} | " + " | ".join(f"{1e3 * seconds:.2f}" for seconds in ours)
    if "at_least" in theirs:
        ratios = " | ".join(f"> {_rounded_down(float(theirs['at_least']) / seconds)}" for seconds in ours)
        return f"{begin} | {theirs['missing']} | {ratios} | |"
    if "missing" in theirs:
        return f"{begin} | {theirs['missing']} | | | | |"
    took, other = float(theirs["seconds"]), np.array(theirs["numbers"], float)
    apart = float(np.max(np.abs(np.array(numbers) / other - 1)))
    ratios = " | ".join(f"{took / seconds:,.0f}" for seconds in ours)
    return f"{begin} | {1e3 * took:,.0f} | {ratios} | {apart:.0e} |"


def _rounded_down(ratio: float) -> str:
    """Two digits of a lower bound."""
    unit = 10 ** max(int(np.log10(ratio)) - 1, 0)
    return f"{int(ratio / unit) * unit:,}"


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

CPU milliseconds of one call on one thread, best of several rounds, all in one run on one machine ({machine}; R with
metafor, clubSandwich and robumeta as installed). *Fit* goes from arrays to estimates, the model arranged already;
*call* reads the frame, checks it and fits, as R's call does; *+ table* makes the table as a frame as well, which R's
call does not. Where a column does not apply it repeats the one before. CR2 and HTZ are timed on a model that is fitted
already, in R as here. Then R's time over each of ours. *Apart* is the largest relative difference of the numbers that
both give: metafor's variances are good to about 1e-5 with its own settings.
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
