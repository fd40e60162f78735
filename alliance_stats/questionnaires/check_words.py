"""Words about a check of scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.errors import count
from alliance_stats.report.numbers import bounded, number
from alliance_stats.report.sentences import Sentences, join

if TYPE_CHECKING:
    from alliance_stats.questionnaires.explanations import Change, Explanation
    from alliance_stats.questionnaires.key import MeasureKey, Scale
    from alliance_stats.questionnaires.scoring_check import ScoringCheck

_WORDS = {
    (1, -1): "reversed, but the key does not reverse it",
    (-1, 1): "not reversed, but the key reverses it",
    (1, 0): "left out",
    (-1, 0): "left out",
    (0, 1): "counted, but it does not belong to the scale",
    (0, -1): "counted (reversed), but it does not belong to the scale",
}
_TREATMENTS = {
    "skipped": "the sum of the items that were answered, as if a blank were 0",
    "reversed_zero": "blanks read as 0 and then reversed like answers",
    "prorated": "the mean of the answered items in the place of the missing ones",
}


def change_words(change: Change) -> str:
    """Say how a file scores an item."""
    return _WORDS[change.key, change.file]


def shift_words(shift: float, key: MeasureKey, scale: Scale) -> str:
    """Say what a number that is added to every total may come from."""
    n, n_reversed = len(scale.items), len(key.reversed & set(scale.items))
    words = f"every total is {number(abs(shift))} {'higher' if shift > 0 else 'lower'}"
    if abs(abs(shift) - n) < 1e-6:
        low, high = (end + np.sign(shift) for end in key.response)
        return f"{words}: as if all {n} items ran from {low:g} to {high:g}"
    if n_reversed and abs(shift) % n_reversed < 1e-6:
        top = sum(key.response) + shift / n_reversed
        return f"{words}: as if the reversed items were {top:g} minus the answer"
    return words


def check_report(check: ScoringCheck) -> Sentences:
    """How many totals differ, by how much, and what would explain it."""
    n, differing = len(check.compared), check.n_different
    name = f"{check.key.name} ({check.scale.name})"
    if not differing:
        right = f"All {count(n, 'stored total')} in {check.column} are those of the key of {name}."
        return join(Sentences.plain(right), _blanks(check))
    one = check.glance().iloc[0]
    lead = (
        f"{differing} of {count(n, 'stored total')} in {check.column} differ from the key of {name}, by up to "
        f"{number(one['largest_difference'], keep_small=False)} points"
    )
    same = "" if np.isnan(one["correlation"]) else f", although the two correlate {bounded(one['correlation'], 3)}"
    if not check.explanations:
        why = "No change of one or two items, and no number added to all, explains at least half of them."
        return join(Sentences.plain(f"{lead}{same}. {why}"), _blanks(check))
    best = check.explanations[0]
    whole = best.n_explained == differing and not best.n_broken
    much = "All of them are" if whole else f"{best.n_explained} of them are"
    return join(Sentences.plain(f"{lead}{same}. {much} explained if {_said(best, check)}."), _blanks(check))


def _said(explanation: Explanation, check: ScoringCheck) -> str:
    parts = [f"item {change.item} is {change_words(change)}" for change in explanation.changes]
    if explanation.shift:
        parts.append(shift_words(explanation.shift, check.key, check.scale))
    return "; ".join(parts)


def check_notes(check: ScoringCheck) -> tuple[str, ...]:
    """Ties among explanations, explanations of a part, and totals of incomplete forms."""
    notes = [f"Key: {check.key.source}"]
    ranked = check.explanations
    ties = [e for e in ranked if (e.n_explained, e.n_broken) == (ranked[0].n_explained, ranked[0].n_broken)]
    if len(ties) > 1:
        notes.append(f"{len(ties)} explanations fit these rows equally well; more forms would tell them apart.")
    if ranked and ranked[0].n_broken:
        notes.append(f"With the first explanation {count(ranked[0].n_broken, 'row')} that agreed would not.")
    blanks = _blanks(check)
    return (*notes, str(blanks)) if blanks else tuple(notes)


def _blanks(check: ScoringCheck) -> Sentences:
    """Say what the totals of incomplete forms are."""
    frame = check.incomplete
    if frame.empty:
        return Sentences("")
    lead = f"{count(len(frame), 'form')} with missing items {'has' if len(frame) == 1 else 'have'} a stored total"
    stored = frame["stored"].to_numpy()
    agree = {name: int((np.abs(frame[name] - stored) <= check.tolerance).sum()) for name in _TREATMENTS}
    best = max(agree, key=lambda name: agree[name])
    if not agree[best]:
        return Sentences.plain(f"{lead}; how the blanks were counted is not clear.")
    return Sentences.plain(f"{lead}; {agree[best]} of {len(frame)} equal {_TREATMENTS[best]}.")
