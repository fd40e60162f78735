"""Fit 20 million simulated sessions that are streamed from Parquet, and the same on a Dask LocalCluster.

    python benchmarks/streaming.py                          20 million sessions, then 5 million on the cluster
    python benchmarks/streaming.py --sessions 1000000 --dask 1000000
    python benchmarks/streaming.py --out streaming.md

Each step runs in a process of its own, so that its peak of memory (ru_maxrss) is its own. The data are made file by
file into a temporary folder (about 11 bytes a session), which is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from session_designs import (
    CORRELATION,
    INTERCEPT,
    INTERCEPT_SD,
    JUMP,
    RECOVERY,
    RESIDUAL_SD,
    SLOPE,
    SLOPE_SD,
    THERAPIST_SD,
)

FORMULA = "wai ~ session + changed + since + (1 + session | patient) + (1 | therapist)"
#: Patients of one file, and who they see: caseloads of 75, ten therapists to a clinic, 5 to 25 sessions.
PATIENTS_PER_FILE, CASELOAD, CLINIC, SESSIONS = 75_000, 75, 10, (5, 25)
CHANGE_RATE = 0.2
TRUTH = {
    **{"(Intercept)": INTERCEPT, "session": SLOPE, "changed": JUMP, "since": RECOVERY},
    **{"sd intercept": INTERCEPT_SD, "sd session": SLOPE_SD, "correlation": CORRELATION},
    **{"sd therapist": THERAPIST_SD, "sd residual": RESIDUAL_SD},
}


# ---- data ------------------------------------------------------------------------------------------------------------


def write_sessions(folder: Path, n_sessions: int) -> int:
    """Write Parquet files, one per 75 000 patients, until there are so many sessions; returns how many there are."""
    written = file = 0
    while written < n_sessions:
        frame = simulate_file(file)
        frame.to_parquet(folder / f"sessions-{file:04d}.parquet", row_group_size=200_000, index=False)
        written += len(frame)
        file += 1
    return written


def simulate_file(file: int) -> pd.DataFrame:
    """Simulate the sessions of one file: a change of therapist goes to another therapist of the same clinic."""
    random = np.random.default_rng([2026, file])
    n = random.integers(*SESSIONS, PATIENTS_PER_FILE, endpoint=True)
    patient = np.repeat(np.arange(n.size), n)
    session = np.arange(patient.size) - np.repeat(np.cumsum(n) - n, n)
    at = np.where(random.random(n.size) < CHANGE_RATE, random.integers(1, n), n)[patient]
    changed = session >= at
    since = np.where(changed, session - at, 0)
    home = np.arange(n.size) // CASELOAD
    away = home // CLINIC * CLINIC + (home % CLINIC + random.integers(1, CLINIC, home.size)) % CLINIC
    therapist = np.where(changed, away[patient], home[patient])
    first, second = random.standard_normal((2, n.size))
    slope = SLOPE + SLOPE_SD * (CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second)
    own = THERAPIST_SD * random.standard_normal(home.max() + 1)
    wai = INTERCEPT + INTERCEPT_SD * first[patient] + slope[patient] * session + own[therapist]
    wai += JUMP * changed + RECOVERY * since + RESIDUAL_SD * random.standard_normal(patient.size)
    return pd.DataFrame(
        {
            "patient": _ids("P", patient + file * n.size, 8),
            "therapist": _ids("T", therapist + file * (home.max() + 1), 6),
            "session": session.astype(np.int16),
            "changed": changed,
            "since": since.astype(np.int16),
            "wai": wai,
        }
    )


def _ids(letter: str, codes: np.ndarray, width: int) -> pd.Series:
    distinct, place = np.unique(codes, return_inverse=True)
    names = pd.Series([f"{letter}{code:0{width}d}" for code in distinct], dtype="str")
    return names.take(place).reset_index(drop=True)


# ---- steps, each in a process of its own -----------------------------------------------------------------------------


def step_write(folder: Path, n_sessions: int) -> dict[str, object]:
    return {"n": write_sessions(folder, n_sessions), "bytes": sum(file.stat().st_size for file in folder.iterdir())}


def step_sums(folder: Path, _: int) -> dict[str, object]:
    """Read and sum alone, without the fit."""
    from alliance_stats.data.chunks import FrameParts
    from alliance_stats.design.formula import parse_formula
    from alliance_stats.design.parts import RunningSum
    from alliance_stats.design.residuals import ResidualSpec

    formula = parse_formula(FORMULA)
    running, in_memory = RunningSum(formula, "drop", ResidualSpec()), 0
    for frame in FrameParts(folder, formula.variables):
        in_memory += int(frame.memory_usage(deep=True).sum())
        running.add(frame)
        del frame
    whole = running.total()
    return {"in_memory": in_memory, "cells": whole.rows.sums.cells.left[0].size}


def step_stream(folder: Path, _: int) -> dict[str, object]:
    import alliance_stats as als

    return _result(als.mixed(FORMULA, folder))


def step_dask(folder: Path, _: int) -> dict[str, object]:
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    import alliance_stats as als

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        result = _result(als.mixed(FORMULA, dd.read_parquet(folder)))
        result["workers"] = max(client.run(_peak).values())
        return result


def _result(fit) -> dict[str, object]:
    table, variance = fit.table().set_index("term"), fit.variance()
    sd = variance["sdcor"].tolist()
    names = ["sd intercept", "sd session", "correlation", "sd therapist", "sd residual"]
    one = fit.glance().iloc[0]
    return {
        "estimates": {**table["estimate"].to_dict(), **dict(zip(names, sd, strict=True))},
        "errors": table["std_error"].to_dict(),
        "deviance": float(one["deviance"]),
        "counts": {name: int(one[name]) for name in ("n_obs", "n_patient", "n_therapist")},
        "story": fit.optimizer()[["evaluations", "message"]].to_dict(),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


STEPS = {"write": step_write, "sums": step_sums, "stream": step_stream, "dask": step_dask}


def run(step: str, folder: Path, n_sessions: int = 0) -> dict[str, object]:
    """Run a step in a fresh interpreter: its result, seconds, and peak of memory."""
    command = [sys.executable, __file__, "--step", step, str(folder), str(n_sessions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Step {step!r} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _run_here(step: str, folder: str, n_sessions: str) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    result = STEPS[step](Path(folder), int(n_sessions))
    result |= {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "peak": _peak()}
    print(json.dumps(result, default=float))


# ---- report ----------------------------------------------------------------------------------------------------------


def describe(title: str, written: dict, fit: dict, sums: dict | None) -> str:
    gb = 1e9
    counts = fit["counts"]
    lines = [
        f"### {title}",
        "",
        f"{counts['n_obs']:,} sessions, {counts['n_patient']:,} patients, {counts['n_therapist']:,} therapists; "
        f"{written['bytes'] / gb:.2f} GB as Parquet"
        + (f", {sums['in_memory'] / gb:.2f} GB as data frames" if sums else "")
        + f". Model: `{FORMULA}`.",
        "",
    ]
    if sums:
        lines.append(
            f"Read and summed: {sums['seconds']:.0f} s, peak {sums['peak'] / gb:.2f} GB ({sums['cells']:,} pairs of "
            "patient and therapist)."
        )
    workers = f"; largest worker {fit['workers'] / gb:.2f} GB" if "workers" in fit else ""
    lines += [
        f"Whole call: {fit['seconds']:.0f} s ({fit['cpu']:.0f} s CPU), peak {fit['peak'] / gb:.2f} GB{workers}; "
        f"{fit['story']['evaluations']} evaluations.",
        "",
        "| | truth | estimate | std. error |",
        "|---|---|---|---|",
    ]
    for name, truth in TRUTH.items():
        error = f"{fit['errors'][name]:.5f}" if name in fit["errors"] else ""
        lines.append(f"| {name} | {truth} | {fit['estimates'][name]:.5f} | {error} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = _options()
    if options.step:
        return _run_here(*options.step)
    reports = []
    for n_sessions, kinds in ((options.sessions, ["stream"]), (options.dask, ["stream", "dask"])):
        if not n_sessions:
            continue
        with tempfile.TemporaryDirectory(prefix="streaming_benchmark_", dir=options.folder) as made:
            folder = Path(made)
            needed = 40 * n_sessions  # more than twice what the files take
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise SystemExit(
                    f"{needed / 1e9:.1f} GB of free disk are needed; {folder.parent} has {free / 1e9:.1f}."
                )
            print(f"writing {n_sessions:,} sessions …", file=sys.stderr, flush=True)
            written = run("write", folder, n_sessions)
            fits = {}
            for kind in kinds:
                print(f"{kind} …", file=sys.stderr, flush=True)
                sums = run("sums", folder) if kind == "stream" else None
                fits[kind] = run(kind, folder)
                title = {"stream": "Streamed from Parquet", "dask": "Dask LocalCluster, two worker processes"}[kind]
                reports.append(describe(title, written, fits[kind], sums))
            if len(fits) == 2:
                reports.append(f"Largest relative difference of the two: {_difference(*fits.values()):.1e}.\n")
    text = "\n".join(reports)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def _difference(one: dict, other: dict) -> float:
    pairs = [(one["deviance"], other["deviance"])]
    pairs += [(one[part][name], other[part][name]) for part in ("estimates", "errors") for name in one[part]]
    return max(abs(a - b) / abs(a) for a, b in pairs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20_000_000, help="sessions to stream (0: leave out)")
    parser.add_argument("--dask", type=int, default=5_000_000, help="sessions for the cluster (0: leave out)")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--out", type=Path, help="write the report to this Markdown file")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "FOLDER", "SESSIONS"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
