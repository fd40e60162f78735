"""Run each program in a process of its own, on one thread, and read what it measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from session_designs import SessionDesign
from time_python_peer import from_theta

HERE = Path(__file__).parent
PEERS = ("ours", "lme4", "mixedlm")

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
#: Set on some machines for the sake of old OpenBLAS builds; they slow a current numpy.
_OPENBLAS_OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Timing:
    """What one program took and found on one data set.

    Seconds are CPU seconds; ``call_seconds`` is the user's call on a data frame, ``estimates_seconds`` the part from
    ready arrays to estimates. ``missing`` says why there are no figures; everything else is then empty. ``remark`` is
    what the program said of its search where that was not as usual.
    """

    peer: str
    name: str = ""
    estimates_seconds: float = float("nan")
    call_seconds: float = float("nan")
    criterion: float = float("nan")
    fixed: dict[str, float] | None = None
    variances: dict[str, float] | None = None
    evaluations: int = 0
    blas: str = ""
    remark: str = ""
    missing: str = ""


def time_peer(peer: str, design: SessionDesign, data: Path, reps: int | None) -> Timing:
    """Time one of ``PEERS`` on the data written for a design; a program that is not there is reported, not raised."""
    repeats = reps or (design.reps if peer == "ours" else design.slow_reps)
    in_r = peer == "lme4"
    if in_r and shutil.which("Rscript") is None:
        return Timing(peer, missing="Rscript is not on the PATH")
    script = ["Rscript", "lme4_timing.R"] if in_r else [sys.executable, "time_python_peer.py", peer]
    out = data.with_name(f"{peer}.json")
    out.unlink(missing_ok=True)
    command = [*script, str(data), design.formula, str(repeats), str(out)]
    done = subprocess.run(command, cwd=HERE, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode or not out.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Timing(peer, missing=f"it ended with exit code {done.returncode}: {last}")
    record = json.loads(out.read_text())
    return Timing(peer, **(_from_lme4(record) if in_r else record))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OPENBLAS_OVERRIDES}
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return kept | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _from_lme4(record: dict) -> dict[str, object]:
    return {
        "name": f"lme4 {record['lme4']} (R {record['R'].split()[2]})",
        "estimates_seconds": record["estimates_seconds"],
        "call_seconds": record["call_seconds"],
        "criterion": record["deviance"],
        "fixed": record["fixef"],
        "variances": from_theta(record["theta"], record["sigma"]),
        "evaluations": record["evaluations"],
        "blas": Path(record["blas"]).name,
        "remark": " ".join(record["messages"]),
    }
