"""Words about reliable and clinically significant change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance_stats.errors import count
from alliance_stats.report.numbers import bounded, number
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from alliance_stats.questionnaires.change_result import ChangeResult

_METHODS = {
    "jacobson-truax": "Jacobson and Truax",
    "gulliksen-lord-novick": "Gulliksen, Lord and Novick",
    "edwards-nunnally": "Edwards and Nunnally",
    "hageman-arrindell": "Hageman and Arrindell",
}


def basis(result: ChangeResult) -> str:
    """Say what the band rests on: method, reliability and standard deviation, each with its source."""
    spread, rule = result.spread, result.rule
    if spread is None:
        return f"Reliable change: {number(rule.half_width, 1)} points or more, as published for the measure."
    text = (
        f"Reliable change after {_METHODS[spread.method]}: more than {number(rule.half_width)} points, from a "
        f"reliability of {bounded(spread.reliability)} ({spread.source}) and a standard deviation of "
        f"{number(spread.sd)} ({spread.sd_source})."
    )
    return text if spread.method == "jacobson-truax" else text.replace("points,", "points from the expected score,")


def change_report(result: ChangeResult) -> Sentences:
    """How many are in each group, by which method, and whose reliability was used."""
    table, n = result.table(), len(result.pairs)
    parts = [
        f"{k} ({number(100 * share, 1, keep_small=False)}%) {_verb(group)}"
        for group, k, share in zip(table["group"], table["n"], table["share"], strict=True)
    ]
    lead = f"Of {count(n, 'patient')}, {', '.join(parts[:-1])} and {parts[-1]} in {result.score}, {result.compared}."
    return join(Sentences.plain(lead), *map(Sentences.plain, change_notes(result)))


def _verb(group: object) -> str:
    return {"recovered": "recovered", "improved": "improved reliably", "unchanged": "did not change reliably",
            "deteriorated": "deteriorated reliably"}[str(group)]  # fmt: skip


def change_notes(result: ChangeResult) -> tuple[str, ...]:
    """Reliability and cutoff with their sources, and patients without both scores."""
    notes, cutoff = [basis(result)], result.cutoff
    if cutoff is not None:
        side = "higher" if result.worse > 0 else "lower"
        notes.append(f"Cutoff: {number(cutoff.value)} and {side} is clinical ({cutoff.source}).")
        harmed = int(result.patients()["harmed"].sum())
        if harmed:
            notes.append(f"{harmed} of the deteriorated crossed from the functional to the clinical side.")
        functional = int((~result.patients()["clinical_pre"]).sum())
        if functional:
            notes.append(f"{count(functional, 'patient')} began on the functional side and could not cross the cutoff.")
    if result.n_without:
        verb = "is" if result.n_without == 1 else "are"
        notes.append(f"{count(result.n_without, 'patient')} without both scores {verb} left out.")
    return tuple(notes)
