"""Time one Python program on one data set:  time_python_peer.py {ours,mixedlm} data.csv "formula" reps out.json

Runs in a process of its own, so that neither library's imports, caches or threads touch the other's figures. Seconds
are CPU seconds of the whole process (all threads), the best of ``reps`` after one call that is not counted.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd


class Peer(Protocol):
    """A program to be timed on one model."""

    def call(self) -> object: ...
    def estimates(self) -> object: ...
    def record(self) -> dict[str, object]: ...


class Ours:
    def __init__(self, formula: str, frame: pd.DataFrame) -> None:
        import alliance_stats as als
        from alliance_stats.design.formula import parse_formula
        from alliance_stats.design.matrices import model_arrays

        self.name = f"alliance_stats {als.__version__}"
        self.formula, self.frame = formula, frame
        self.design = model_arrays(parse_formula(formula), frame).design

    def call(self) -> object:
        import alliance_stats as als

        return als.mixed(self.formula, self.frame)

    def estimates(self) -> object:
        from alliance_stats.engine.mixed.fit import fit_mixed

        return fit_mixed(self.design)

    def record(self) -> dict[str, object]:
        fit = self.call()
        (patient, therapist), sigma2 = fit.solution.random_covariances, fit.solution.sigma2
        return {
            "criterion": fit.solution.criterion,
            "fixed": dict(zip(fit.arrays.fixed_names, fit.solution.beta, strict=True)),
            "variances": variances(patient, therapist, sigma2),
            "evaluations": fit.solution.story.evaluations,
            "remark": "" if fit.converged else fit.solution.story.message,
        }


class Mixedlm:
    def __init__(self, formula: str, frame: pd.DataFrame) -> None:
        import mixedlm

        self.name = f"mixedlm {version('mixedlm')}"
        self.peer, self.formula, self.frame = mixedlm, formula, frame
        self.parsed = mixedlm.lFormula(formula, frame)

    def call(self) -> object:
        return self.peer.lmer(self.formula, self.frame)

    def estimates(self) -> object:
        devfun = self.peer.mkLmerDevfun(self.parsed)
        # "auto" is what lmer() chooses by itself: exact gradients; optimizeLmer()'s own default is slower.
        return self.peer.mkLmerMod(devfun, self.peer.optimizeLmer(devfun, method="auto"))

    def record(self) -> dict[str, object]:
        fit = self.call()
        return {
            "criterion": float(fit.REMLcrit()),
            "fixed": {name: float(value) for name, value in fit.fixef().items()},
            "variances": from_theta(list(fit.theta), float(fit.sigma)),
            "evaluations": int(fit.function_evals or 0),
            "remark": "" if fit.optimizer == "L-BFGS-B" and fit.converged else f"{fit.optimizer}: {fit.message}",
        }


def variances(patient: np.ndarray, therapist: np.ndarray, sigma2: float) -> dict[str, float]:
    """Name the variances of ``(1 + session | patient) + (1 | therapist)`` in one way for all programs."""
    return {
        "patient intercept": float(patient[0, 0]),
        "patient slope": float(patient[1, 1]),
        "patient covariance": float(patient[1, 0]),
        "therapist intercept": float(therapist[0, 0]),
        "residual": float(sigma2),
    }


def from_theta(theta: list[float], sigma: float) -> dict[str, float]:
    """Variances from lme4's relative Cholesky factors: patients' lower triangle by columns, then therapists'."""
    factor = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
    return variances(sigma**2 * factor @ factor.T, np.array([[(sigma * theta[3]) ** 2]]), sigma**2)


def best_seconds(run: Callable[[], object], reps: int) -> float:
    """Return the least CPU seconds of ``reps`` runs, after one that is not counted."""
    run()
    seconds = []
    for _ in range(reps):
        gc.collect()
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def blas() -> str:
    """Name the kernels that numpy's and scipy's OpenBLAS chose on this processor."""
    from threadpoolctl import threadpool_info

    kernels = {f"{pool['internal_api']} {pool.get('architecture', '')}" for pool in threadpool_info()}
    return ", ".join(sorted(kernels))


def main() -> None:
    peer_name, data, formula, reps, out = sys.argv[1:]
    frame = pd.read_csv(data, dtype={"patient": "str", "therapist": "str"}, float_precision="round_trip")
    try:
        peer: Peer = {"ours": Ours, "mixedlm": Mixedlm}[peer_name](formula, frame)
    except ImportError as error:
        Path(out).write_text(json.dumps({"missing": str(error)}))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a singular fit would be said once per repetition
        record = {
            "name": peer.name,
            "estimates_seconds": best_seconds(peer.estimates, int(reps)),
            "call_seconds": best_seconds(peer.call, int(reps)),
            "blas": blas(),
            **peer.record(),
        }
    Path(out).write_text(json.dumps(record))


if __name__ == "__main__":
    main()
