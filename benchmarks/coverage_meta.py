"""Do 95 % intervals of meta-analyses cover, and do their tests keep the level? A simulation with the truth known.

    python benchmarks/coverage_meta.py                                    all, 2 000 meta-analyses each
    python benchmarks/coverage_meta.py --replications 200 --studies 10
    python benchmarks/coverage_meta.py --out docs/coverage-meta.md        write the tables

Studies report correlations in Fisher's z: one each, or one to six, whose sampling errors correlate by .7 where the
model takes .6. A moderator that does nothing differs between studies. Seeds 0, 1, … are the replications' numbers, so
that any of them can be drawn again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

import alliance_stats as als
from alliance_stats.errors import DataError

STUDIES = (10, 20, 40)
MEAN, TAU, OMEGA, RHO = 0.28, 0.15, 0.10, 0.7
#: Sizes of primary studies: small ones are most frequent.
SMALLEST, MEDIAN, LARGEST = 15, 60, 400


def simulate(n_studies: int, several: bool, seed: int) -> pd.DataFrame:
    """Effects of studies: means differ with SD .15 between and, with several effects, .10 within studies."""
    rng = np.random.default_rng(seed)
    sizes = np.clip(np.exp(rng.normal(np.log(MEDIAN), 0.7, n_studies)), SMALLEST, LARGEST).round()
    own = rng.integers(1, 7, n_studies) if several else np.ones(n_studies, dtype=int)
    study = np.repeat(np.arange(n_studies), own)
    n = sizes[study]
    true = MEAN + TAU * rng.normal(size=n_studies)[study] + (OMEGA * rng.normal(size=len(study)) if several else 0)
    shared = np.sqrt(RHO) * rng.normal(size=n_studies)[study] + np.sqrt(1 - RHO) * rng.normal(size=len(study))
    vi = 1 / (n - 3)
    moderator = rng.normal(size=n_studies)[study]
    return pd.DataFrame({"study": study, "yi": true + np.sqrt(vi) * shared, "vi": vi, "x": moderator})


#: Name → (several effects per study?, coefficients of a fit).
WAYS = {
    "z": (False, lambda effects: als.meta.regress("yi ~ x", effects)),
    "Knapp–Hartung": (False, lambda effects: als.meta.regress("yi ~ x", effects, test="knha")),
    "model-based, z": (True, lambda effects: als.meta.multilevel(effects, mods="x", robust=None)),
    "CR2, Satterthwaite": (True, lambda effects: als.meta.multilevel(effects, mods="x")),
    "CORR weights, CR2": (True, lambda effects: als.meta.robust(effects, mods="x")),
}
MEANS = {
    "z": (False, lambda effects: als.meta.pool(effects)),
    "Knapp–Hartung": (False, lambda effects: als.meta.pool(effects, test="knha")),
    "model-based, z": (True, lambda effects: als.meta.multilevel(effects, robust=None)),
    "CR2, Satterthwaite": (True, lambda effects: als.meta.multilevel(effects)),
    "CORR weights, CR2": (True, lambda effects: als.meta.robust(effects)),
}


def run(n_studies: int, seeds: Iterable[int]) -> pd.DataFrame:
    """Fit every replication in every way: ``way, term, covers, width, df``; fits refused are counted as missing."""
    rows = []
    for seed in seeds:
        effects = {several: simulate(n_studies, several, seed) for several in (False, True)}
        for asked, truth, term in ((MEANS, MEAN, "(Intercept)"), (WAYS, 0.0, "x")):
            for way, (several, fit) in asked.items():
                rows.append({"way": way, "term": term, **_covers(fit, effects[several], term, truth)})
    return pd.DataFrame(rows).assign(studies=n_studies)


def _covers(fit, effects: pd.DataFrame, term: str, truth: float) -> dict[str, float]:  # type: ignore[no-untyped-def]
    try:
        table = fit(effects).table().set_index("term")
    except DataError:
        return {"covers": np.nan, "width": np.nan, "df": np.nan}
    low, high = table.loc[term, "ci_low"], table.loc[term, "ci_high"]
    if np.isnan(low):
        return {"covers": np.nan, "width": np.nan, "df": table.loc[term, "df"]}
    return {"covers": float(low <= truth <= high), "width": high - low, "df": table.loc[term, "df"]}


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row per term, way and number of studies: coverage (%), median width and df, fits without an interval."""
    groups = found.groupby(["term", "way", "studies"], sort=False)
    table = groups.agg(covers=("covers", "mean"), width=("width", "median"), df=("df", "median"), n=("covers", "size"))
    missing = groups["covers"].apply(lambda own: own.isna().sum())
    return table.assign(covers=100 * table["covers"], missing=missing).reset_index()


def page(table: pd.DataFrame, replications: int) -> str:
    """Write the tables as a page."""
    error = 100 * np.sqrt(0.95 * 0.05 / replications)
    lines = [
        "# Coverage of meta-analytic intervals",
        "",
        "<!-- Written by benchmarks/coverage_meta.py. Do not edit. -->",
        "",
        f"Each number stands on {replications:,} simulated meta-analyses with a true mean of z = {MEAN} that varies "
        f"between studies with SD {TAU}. With several effects per study (one to six) they vary within studies by SD "
        f"{OMEGA}, and their sampling errors correlate by {RHO}, where the model takes .6. The moderator has no effect "
        "in truth and differs between studies, so that 100 minus its coverage is the rate of false alarms of its test.",
        "",
        f"A coverage of 95 % has a Monte-Carlo standard error of {error:.1f} percentage points. Widths and degrees of "
        "freedom are medians.",
        "",
    ]
    for term, heading in (("(Intercept)", "The mean"), ("x", "A moderator that does nothing")):
        lines += [
            f"## {heading}",
            "",
            "| effects per study | intervals | studies | covers (%) | width | df | no interval |",
        ]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in table[table["term"] == term].to_dict("records"):
            several = WAYS[row["way"]][0]
            df = "∞" if np.isinf(row["df"]) else f"{row['df']:.1f}"
            first = f"| {'1 to 6' if several else '1'} | {row['way']} | {row['studies']} "
            lines.append(f"{first}| {row['covers']:.1f} | {row['width']:.3f} | {df} | {row['missing']} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Simulate, count, print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--studies", type=lambda text: tuple(map(int, text.split(","))), default=STUDIES)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = pd.concat([run(n, range(asked.replications)) for n in asked.studies], ignore_index=True)
    text = page(summary(found), asked.replications)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
