"""Do 95 % intervals cover, and do tests keep their level? A simulation with the truth known.

    python benchmarks/coverage.py                                       all scenarios, 1 000 studies each
    python benchmarks/coverage.py --scenarios independent --studies 200
    python benchmarks/coverage.py --out docs/coverage.md                write the tables

Each study is fitted once; Kenward–Roger's and Satterthwaite's intervals come from the same fit. Seeds 0, 1, … are
the studies' numbers, so that any of them can be drawn again.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from coverage_studies import (
    CHANGE_RATE,
    FORMULA,
    LEVEL_OF,
    N_PATIENTS,
    N_SESSIONS,
    N_THERAPISTS,
    SCENARIOS,
    TRUTH,
    simulate,
)

import alliance_stats as als

METHODS = ("kenward-roger", "satterthwaite")
#: Joint tests of effects that are zero in truth, and their levels of the data.
TESTS = {"phase": "session", "orientation": "therapist"}


def run(scenario: str, seeds: Iterable[int]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fit every study: one row per interval, one per joint test, one per fit."""
    intervals, tests, fits = [], [], []
    for seed in seeds:
        fit = _fit(scenario, seed)
        fits.append(fit.glance()[["converged", "singular"]].assign(seed=seed))
        for method in METHODS:
            asked = replace(fit, df_method=method)
            intervals.append(asked.table().assign(seed=seed, method=method))
            tests += [asked.test(term).assign(seed=seed, method=method) for term in TESTS]
    return (
        pd.concat(intervals, ignore_index=True),
        pd.concat(tests, ignore_index=True),
        pd.concat(fits, ignore_index=True),
    )


def _fit(scenario: str, seed: int):
    what = SCENARIOS[scenario]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that did not converge is counted instead
        return als.mixed(FORMULA, simulate(what, seed), **dict(what.arguments))


def coverage(intervals: pd.DataFrame) -> pd.DataFrame:
    """Per term: share of intervals that hold the truth, mean standard error against the spread of the estimates, df.

    Where there are too few degrees of freedom for an interval (none is given below 1) it is counted as covering.
    """
    true = intervals["term"].map(TRUTH)
    missed = (intervals["ci_low"] > true) | (intervals["ci_high"] < true)
    frame = intervals.assign(covered=~missed)
    groups = frame.groupby(["method", "term"], sort=False)
    return pd.DataFrame(
        {
            "covered": groups["covered"].mean(),
            "bias": groups["estimate"].mean() - groups["term"].first().map(TRUTH),
            "se_over_sd": groups["std_error"].mean() / groups["estimate"].std(),
            "median_df": groups["df"].median(),
            "no_interval": groups["ci_low"].agg(lambda low: int(low.isna().sum())),
        }
    ).reset_index()


def rejections(tests: pd.DataFrame) -> pd.DataFrame:
    """Share of joint tests below .05 and below .01, of effects that are zero."""
    groups = tests.groupby(["method", "test"], sort=False)
    return pd.DataFrame(
        {
            "p < .05": groups["p_value"].agg(lambda p: float((p < 0.05).mean())),
            "p < .01": groups["p_value"].agg(lambda p: float((p < 0.01).mean())),
            "median_df": groups["df_den"].median(),
        }
    ).reset_index()


# ---- the page --------------------------------------------------------------------------------------------------------


def page(results: Mapping[str, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]) -> str:
    """Return docs/coverage.md."""
    n = max(len(fits) for _, _, fits in results.values())
    parts = [
        "# Coverage of intervals, level of tests\n",
        "<!-- Written by benchmarks/coverage.py. Do not edit. -->\n",
        f"Each table stands on {n:,} simulated studies: {N_THERAPISTS} therapists × {N_PATIENTS} patients × "
        f"{N_SESSIONS} sessions; {100 * CHANGE_RATE:.0f} % of the patients change therapist. The model, with the "
        f"residual structure named in each heading:\n\n```\n{FORMULA}\n```\n\n"
        "A share of .95 from "
        f"{n:,} studies has a Monte-Carlo standard error of {100 * np.sqrt(0.95 * 0.05 / n):.1f} percentage points, "
        "and so has one of .05. Coverage of 95 % intervals, in per cent: KR by Kenward and Roger, S by Satterthwaite. "
        "*SE / SD* is the mean standard error over the standard deviation of the estimates.\n",
    ]
    parts.append(_in_short(results))
    parts += [_section(name, *result) for name, result in results.items()]
    parts.append(
        "## Run again\n\n```\npython benchmarks/coverage.py --studies "
        f"{n} --out docs/coverage.md\n```\n\nPython {platform.python_version()}, numpy {np.__version__}, "
        f"alliance_stats {als.__version__}. Each study has the seed of its number, from 0; "
        "`tests/simulate/test_coverage.py` runs 200 of them.\n"
    )
    return "\n".join(parts)


def _in_short(results: Mapping[str, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]) -> str:
    """The range of Kenward–Roger's coverage, where therapists differ in truth and where they do not."""
    sentences = []
    for differ, words in ((True, "Where therapists differ"), (False, "Where therapists do not differ at all")):
        names = [name for name in results if (SCENARIOS[name].therapist_sd > 0) == differ]
        if not names:
            continue
        shares = pd.concat([coverage(results[name][0]).query("method == 'kenward-roger'") for name in names])["covered"]
        sentences.append(
            f"{words}, Kenward–Roger intervals cover {100 * shares.min():.1f} to {100 * shares.max():.1f} % "
            f"({len(shares)} terms, {100 * shares.mean():.1f} % together)."
        )
        if not differ:
            sentences.append(
                "An estimate of their variance cannot be below zero and is therefore too large on average: intervals "
                "for what varies by therapist are somewhat too wide, and tests reject too seldom."
            )
    return " ".join(sentences) + "\n"


def _section(name: str, intervals: pd.DataFrame, tests: pd.DataFrame, fits: pd.DataFrame) -> str:
    shares = coverage(intervals).set_index(["method", "term"])
    levels = rejections(tests).set_index(["method", "test"])
    failed, singular = int((~fits["converged"]).sum()), int(fits["singular"].sum())
    lines = [
        f"## {SCENARIOS[name].title}\n",
        f"{failed} of {len(fits):,} fits did not converge; {singular} ended at the boundary (a variance of zero, or a "
        "correlation of one).\n",
        "| term | varies by | KR covers | S covers | SE / SD (KR) | SE / SD (S) | median df (KR) | median df (S) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for term in shares.loc[METHODS[0]].index:
        kr, s = (shares.loc[(method, term)] for method in METHODS)
        lines.append(
            f"| `{term}` | {LEVEL_OF[term]} | {100 * kr['covered']:.1f} | {100 * s['covered']:.1f} | "
            f"{kr['se_over_sd']:.3f} | {s['se_over_sd']:.3f} | {kr['median_df']:.0f} | {s['median_df']:.0f} |"
        )
    lines += [
        "\nJoint F tests of effects that are zero (2 numerator df): rejections in per cent.\n",
        "| test | varies by | KR p < .05 | S p < .05 | KR p < .01 | S p < .01 | median df (KR) |",
        "|---|---|---|---|---|---|---|",
    ]
    for test, level in TESTS.items():
        kr, s = (levels.loc[(method, test)] for method in METHODS)
        cells = [100 * kr["p < .05"], 100 * s["p < .05"], 100 * kr["p < .01"], 100 * s["p < .01"]]
        lines.append(f"| `{test}` | {level} | " + " | ".join(f"{c:.1f}" for c in cells) + f" | {kr['median_df']:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="write the tables to this Markdown file (docs/coverage.md)")
    options = parser.parse_args()
    results = {}
    for name in options.scenarios:
        results[name] = run(name, range(options.studies))
        print(_section(name, *results[name]), flush=True)
    if options.out:
        options.out.write_text(page(results), encoding="utf-8")
        print(f"Written to {options.out}")


if __name__ == "__main__":
    main()
