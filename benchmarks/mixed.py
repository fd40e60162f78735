"""Time als.mixed against lme4 (R) and mixedlm (Python) on the same simulated data, in one run.

    python benchmarks/mixed.py                         all designs, all programs
    python benchmarks/mixed.py --designs a,b --skip lme4
    python benchmarks/mixed.py --out docs/performance.md

Designs: a 3 200 sessions, b 28 800, c 300 000 with changes of therapist at random; d about 289 000, unbalanced, with
changes inside clinics of ten; e 300 000, nested. All designs with all programs take about six minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from peers import PEERS, time_peer
from session_designs import DESIGNS, simulate
from timing_tables import DesignTimings, markdown, text


def main() -> None:
    options = _options()
    results = []
    for letter in options.designs:
        results.append(_time_design(letter, options.skip, options.reps))
        print(text(results[-1]), end="\n\n", flush=True)
    for name, blas in {t.name: t.blas for result in results for t in result.measured}.items():
        print(f"{name}: BLAS {blas}, one thread")
    if options.out:
        options.out.write_text(markdown(results), encoding="utf-8")
        print(f"Written to {options.out}")


def _time_design(letter: str, skip: list[str], reps: int | None) -> DesignTimings:
    design = DESIGNS[letter]
    with tempfile.TemporaryDirectory(prefix="mixed_benchmark_") as folder:
        data = Path(folder) / "sessions.csv"
        frame = simulate(design)
        frame.to_csv(data, index=False)
        timings = {}
        for peer in PEERS:
            if peer not in skip:
                print(f"({letter}) timing {peer} …", file=sys.stderr, flush=True)
                timings[peer] = time_peer(peer, design, data, reps)
    return DesignTimings(letter, design, len(frame), timings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=_some_of(DESIGNS), default=list(DESIGNS), help="e.g. a,b (default: all)")
    parser.add_argument("--skip", type=_some_of(PEERS), default=[], help="programs to leave out, e.g. lme4,mixedlm")
    parser.add_argument("--reps", type=_at_least_one, help="runs of each program (default: fewer for slow ones)")
    parser.add_argument("--out", type=Path, help="write the figures to this Markdown file")
    return parser.parse_args()


def _some_of(known):
    def read(given: str) -> list[str]:
        names = [name.strip() for name in given.split(",")]
        strange = [name for name in names if name not in known]
        if strange:
            raise argparse.ArgumentTypeError(f"not known: {', '.join(strange)}. Known: {', '.join(known)}.")
        return names

    return read


def _at_least_one(given: str) -> int:
    if not given.isdigit() or int(given) < 1:
        raise argparse.ArgumentTypeError(f"{given!r} is no whole number from 1 on.")
    return int(given)


if __name__ == "__main__":
    main()
