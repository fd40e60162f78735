"""Optima of two thousand tiny, near-singular problems, by scipy on n × n matrices: nothing of the engine takes part.

Run ``python tests/golden/near_singular/make_optima.py`` from the root of the checkout (about two CPU minutes). Each
problem of ``tests/engine/near_singular.py`` is minimised from ten starts by L-BFGS-B with the analytic gradient;
``optima.json`` keeps the least criterion, how many starts came within 1e-6 of it, and a checksum of the data.
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "engine"), str(HERE.parents[2])]

from near_singular import SEEDS, checksum, optima, problem  # noqa: E402

from alliance_stats.engine.threads import one_blas_thread  # noqa: E402

N_STARTS = 10


def main() -> None:
    """Write ``optima.json``."""
    rows = []
    with one_blas_thread():
        for seed in SEEDS:
            design, reml = problem(seed)
            values = optima(design, reml, N_STARTS)
            near = int((values < values.min() + 1e-6).sum())
            rows.append([round(float(values.min()), 10), near, round(checksum(design), 6)])
    header = json.dumps({"numpy": np.__version__, "scipy": scipy.__version__, "python": sys.version.split()[0]})
    lines = ",\n".join(json.dumps(row) for row in rows)
    columns = '["criterion", "starts_within_1e-6", "checksum"]'
    text = f'{{"versions": {header}, "n_starts": {N_STARTS}, "columns": {columns}, "problems": [\n{lines}\n]}}\n'
    (HERE / "optima.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
