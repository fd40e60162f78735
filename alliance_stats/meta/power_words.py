"""Sentences, notes and the printed table of power analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.errors import count
from alliance_stats.report.numbers import bounded, number
from alliance_stats.report.sentences import Sentences

if TYPE_CHECKING:
    from alliance_stats.meta.power_analysis import PowerResult
    from alliance_stats.report.tables import ResultTable

_TESTS = {
    "z": "a *z* test",
    "knha": "Knapp and Hartung's *t* test",
    "CR2": "robust (CR2) errors and Satterthwaite degrees of freedom",
}

#: From here on two decimals would say that power is 1.
_CERTAIN = 0.995


def _share(value: float) -> str:
    """Write a power; one that is not quite certain is not rounded to 1."""
    return "above .99" if value >= _CERTAIN else bounded(value)


def _what(result: PowerResult) -> str:
    of = result.design
    if of.question == "heterogeneity":
        return "heterogeneity by Cochran's *Q*"
    if of.question == "groups":
        return f"a difference between groups with means {', '.join(number(mean) for mean in of.effect)}"
    return f"a {'mean effect' if of.question == 'mean' else 'slope'} of {number(of.effect[0])}"


def sentences(result: PowerResult) -> Sentences:
    """Sentences for the methods section."""
    of, last = result.design, result.found[-1]
    plan = count(last.k, "study", "studies")
    if last.n_effects != last.k:
        plan += f" with {last.n_effects} effects"
    by = "" if of.question == "heterogeneity" else f", with {_TESTS[of.test]}"
    side = "" if of.alternative == "two-sided" or of.question in ("groups", "heterogeneity") else ", one-sided"
    if result.target is not None and last.value >= result.target:
        size = _share(last.value) if last.value >= _CERTAIN else f"of {_share(last.value)}"
        text = f"{plan[0].upper()}{plan[1:]} give a power {size} to find {_what(result)}"
    else:
        text = f"The power of {plan} to find {_what(result)} is {_share(last.value)}"
    sd = f"*τ* = {number(of.tau)}" + (f", *ω* = {number(of.omega)}" if of.omega else "")
    text += f" ({sd}, α = {bounded(of.alpha)}{side}){by}."
    if result.rates:
        rate = result.rates[-1]
        error = np.sqrt(rate * (1 - rate) / result.n_simulated)
        text += f" In {result.n_simulated} simulations it was {bounded(rate)} (Monte Carlo error {bounded(error)})."
    return Sentences(text)


def described(result: PowerResult) -> str:
    """The plan in words."""
    of = result.design
    what = str(Sentences(_what(result)))
    return f"Power to find {what}, by formula{' and simulation' if result.rates else ''}; τ = {number(of.tau)}."


def remarks(result: PowerResult) -> tuple[str, ...]:
    """What the numbers rest on."""
    of, found = result.design, []
    if of.tau == 0 and of.question != "heterogeneity":
        found.append("τ = 0 takes all studies to have the same true effect; power falls quickly where they differ.")
    if of.test == "z" and of.question != "heterogeneity":
        found.append("A z test takes τ as known: with few studies it rejects too often, and this power is too high.")
    if of.test == "CR2" and result.found[-1].df < 4:
        found.append(f"{result.found[-1].df:.1f} degrees of freedom: below 4 the robust test cannot be trusted.")
    if (of.m > 1).any():
        found.append(f"Assumes sampling errors that correlate by {bounded(of.rho)} within studies, and a working model "
                     "that is true.")  # fmt: skip
    found.append("Power for an effect that a search may not find: choose the smallest effect that matters.")
    return tuple(found)


def printed(result: PowerResult, title: str, number_: int | None) -> ResultTable:
    """Lay out power by number of studies."""
    from alliance_stats.report.tables import ResultTable

    table = result.table()
    names = {"n_studies": "Studies", "n_effects": "Effects", "estimate": "Power", "df": "df"}
    formats = {"n_studies": "whole", "n_effects": "whole", "estimate": "bounded:3", "df": "df"}
    if result.rates:
        names["simulated"], formats["simulated"] = "Simulated", "bounded:3"
    frame = table[list(names)]
    return ResultTable(frame, title, result.notes(), formats=formats, headings=names, number=number_, stub="n_studies")
