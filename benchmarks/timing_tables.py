"""The benchmark's figures as text for the terminal and as Markdown for the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from peers import Timing
from session_designs import SessionDesign


@dataclass(frozen=True)
class DesignTimings:
    """All programs' timings on one design; ``timings["ours"]`` is what the others are compared with."""

    letter: str
    design: SessionDesign
    n_rows: int
    timings: Mapping[str, Timing]

    @property
    def measured(self) -> list[Timing]:
        return [timing for timing in self.timings.values() if not timing.missing]

    @property
    def compared(self) -> list[Timing]:
        """The other programs that ran, where ours ran too."""
        ours = self.timings.get("ours")
        return [timing for timing in self.measured if timing.peer != "ours"] if ours and not ours.missing else []


def heading(result: DesignTimings) -> str:
    design = result.design
    counts = f"{result.n_rows:_} sessions, {design.n_patients:_} patients, {design.n_therapists:_} therapists"
    return f"({result.letter}) {counts.replace('_', ' ')}; {design.label}"


def text(result: DesignTimings) -> str:
    """One design as lines for the terminal."""
    lines = [heading(result), f"    {result.design.formula}"]
    lines.append(f"    {'CPU seconds':<24}{'arrays → estimates':>22}{'whole call':>22}{'evaluations':>13}")
    for timing in result.measured:
        times = [f"{seconds(one)} {ratio:>10}" for one, ratio in _times_with_ratios(result, timing)]
        lines.append(f"    {timing.name:<24}{times[0]:>22}{times[1]:>22}{timing.evaluations:>13}")
    lines += [f"    {timing.name} said of its search: {timing.remark}" for timing in result.measured if timing.remark]
    lines += [
        f"    {timing.peer}: no figures, {timing.missing}" for timing in result.timings.values() if timing.missing
    ]
    lines += [f"    {name} − ours: {line}" for name, line in _agreement_lines(result)]
    return "\n".join(lines)


def _times_with_ratios(result: DesignTimings, timing: Timing) -> list[tuple[float, str]]:
    ours = result.timings.get("ours")
    pairs = []
    for name in ("estimates_seconds", "call_seconds"):
        value = getattr(timing, name)
        known = ours is not None and not ours.missing and timing is not ours
        pairs.append((value, f"({value / getattr(ours, name):.1f} ×)" if known else ""))
    return pairs


def _agreement_lines(result: DesignTimings) -> Iterator[tuple[str, str]]:
    for timing in result.compared:
        criterion, fixed, variances = agreement(result.timings["ours"], timing)
        relative = f"fixed effects at most {fixed:.1e}, variances at most {variances:.1e} (relative)"
        yield timing.name, f"criterion {criterion:+.1e}, {relative}"


def agreement(ours: Timing, other: Timing) -> tuple[float, float, float]:
    """How far another program's results are from ours.

    Returns
    -------
    criterion : float
        The other's REML criterion minus ours: above zero where ours is the better optimum.
    fixed, variances : float
        Largest difference among the fixed effects, and among the variances (with the covariance), relative to ours.
    """
    pairs = ((ours.fixed, other.fixed), (ours.variances, other.variances))
    fixed, variances = (largest_relative_difference(mine or {}, theirs or {}) for mine, theirs in pairs)
    return other.criterion - ours.criterion, fixed, variances


def largest_relative_difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    if ours.keys() != theirs.keys():
        raise ValueError(f"The programs name their estimates differently: {sorted(ours)} and {sorted(theirs)}.")
    return max(abs(theirs[name] - ours[name]) / abs(ours[name]) for name in ours)


def seconds(value: float) -> str:
    """Write seconds with three significant digits and without an exponent."""
    magnitude = int(f"{value:e}".partition("e")[2])
    return f"{value:.{max(0, 2 - magnitude)}f}"


# ---- Markdown ------------------------------------------------------------------------------------------------------


def markdown(results: Iterable[DesignTimings]) -> str:
    """Write the whole page: what was measured, on what, the times and how far the results agree."""
    results = list(results)
    parts = [
        _introduction(results),
        _times_table(results),
        _agreement_table(results),
        _remarks(results),
        _missing(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(results: list[DesignTimings]) -> str:
    versions = {timing.name: timing.blas for result in results for timing in result.measured}
    programs = "; ".join(f"{name} (BLAS: {blas})" for name, blas in versions.items())
    return f"""# How fast the mixed model is

This page is written by `python benchmarks/mixed.py --out docs/performance.md`; run it again to renew the figures.

CPU seconds on one thread (user + system), the best of several runs after a first one that is not counted (lme4 on the
large data: one run), each program in a process of its own; REML, default settings (lme4: `calc.derivs = FALSE`).
*Arrays → estimates* starts from ready arrays and ends with estimates, standard errors and the criterion; *whole call*
is the call that a user makes on a data frame with text ids (lme4: factors). The number in brackets says how many times
as long as alliance_stats a program took.

Measured {date.today().isoformat()} on {_machine()}. {programs}."""


def _machine() -> str:
    cores = os.cpu_count()
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _times_table(results: list[DesignTimings]) -> str:
    lines = ["## Seconds", "", "| data and model | program | arrays → estimates | whole call |", "|---|---|---|---|"]
    for result in results:
        for at, timing in enumerate(result.measured):
            first = f"{heading(result)}: `{_escaped(result.design.formula)}`" if at == 0 else ""
            times = [f"{seconds(one)} {ratio}".strip() for one, ratio in _times_with_ratios(result, timing)]
            lines.append(f"| {first} | {timing.name} | {times[0]} | {times[1]} |")
    return "\n".join(lines)


def _agreement_table(results: list[DesignTimings]) -> str:
    rows = []
    for result in results:
        for timing in result.compared:
            criterion, fixed, variances = agreement(result.timings["ours"], timing)
            rows.append(f"| ({result.letter}) | {timing.name} | {criterion:+.1e} | {fixed:.1e} | {variances:.1e} |")
    if not rows:
        return ""
    head = [
        "## Agreement",
        "",
        "The other program's criterion minus ours (above zero: ours is the better optimum), and the largest difference",
        "of fixed effects and of variances (with the covariance), relative to ours.",
        "",
        "| data | program | criterion | fixed effects | variances |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(head + rows)


def _remarks(results: list[DesignTimings]) -> str:
    said = [f"- ({r.letter}) {t.name} said of its search: {t.remark}" for r in results for t in r.measured if t.remark]
    return "\n".join(said)


def _missing(results: list[DesignTimings]) -> str:
    missing = {f"{t.peer}: {t.missing}." for result in results for t in result.timings.values() if t.missing}
    return "No figures: " + " ".join(sorted(missing)) if missing else ""


def _escaped(formula: str) -> str:
    """Bars end a cell of a Markdown table, even in code."""
    return formula.replace("|", "\\|")
