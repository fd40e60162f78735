"""Sentences about within- and between-patient effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.models.words import points, row_of, statistics
from alliance_stats.names import between, within
from alliance_stats.report.sentences import Sentences, full, join

if TYPE_CHECKING:
    from alliance_stats.models.within_between import WithinBetweenResult


def within_between_report(result: WithinBetweenResult) -> Sentences:
    """One sentence per effect, the level named first; then the within effect without (or with) time."""
    table = result.table()
    outcome, predictor = result.labelled(result.outcome), result.labelled(result.predictor)
    inside, across = row_of(table, within(result.predictor)), row_of(table, between(result.predictor))
    contextual = row_of(table, f"{result.predictor}_contextual")
    meaning = _meaning(result)
    first = (
        f"Within patients, in sessions with {predictor} one point above the patient's own mean, {outcome} was "
        f"{_by(inside)}{meaning}"
    )
    second = f"Between patients, those whose mean {predictor} was one point higher had {outcome} {_by(across)}"
    difference = Sentences("; the contextual effect (between minus within) was ") + full(contextual) + Sentences(".")
    return join(
        Sentences.plain(first) + statistics(inside),
        Sentences.plain(second + ", ") + full(across) + difference,
        _about_time(result),
    )


def _by(row: pd.Series) -> str:
    return f"{points(row)} {'higher' if row['estimate'] > 0 else 'lower'}"


def _meaning(result: WithinBetweenResult) -> str:
    higher = result.fit.codebook.get(result.outcome).higher
    return f" (higher values are {higher})" if higher else ""


def _about_time(result: WithinBetweenResult) -> Sentences:
    """Show the within effect under the other choices about time: it decides the sign in some data."""
    rows = result.sensitivity()
    others = rows[(rows["term"] == within(result.predictor)) & ~rows["used"] & rows["estimate"].notna()]
    parts = [Sentences.plain(f"{_choice(str(row['time']))}, ") + full(row) for _, row in others.iterrows()]
    if not parts:
        return Sentences("")
    here = "With time in therapy held constant" if result.adjusted else "Without adjustment for time in therapy"
    return (
        Sentences(f"{here}, the within-patient effect is the one given above; for comparison: ")
        + join(*parts, separator="; ")
        + Sentences(".")
    )


def _choice(time: str) -> str:
    return {
        "not adjusted": "without adjustment for time",
        "adjusted": "with time held constant",
        "adjusted, own slope per patient": "with a time slope of each patient's own",
    }[time]
