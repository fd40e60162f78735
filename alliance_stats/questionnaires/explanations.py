"""Which change of a scoring key turns its totals into those of a file? Arrays in, changes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Differing rows that the search looks at; what it finds is counted on all of them.
_SEARCHED = 400
#: Explanations that are kept.
_KEPT = 10
#: A weight this near to −1, 0 or 1 is that weight.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Change:
    """One item that a file scores otherwise than the key.

    Parameters
    ----------
    item : int
        Number of the item, from 1.
    key, file : {-1, 0, 1}
        How the key and the file count it: reversed, not at all, as it is.
    """

    item: int
    key: int
    file: int


@dataclass(frozen=True)
class Explanation:
    """Changes that bring the key's totals to the file's.

    Parameters
    ----------
    changes : tuple of Change
    shift : float
        What the file adds to every total beside.
    n_explained : int
        Differing rows that agree after the changes.
    n_broken : int
        Rows that agreed and no longer do.
    """

    changes: tuple[Change, ...]
    shift: float
    n_explained: int
    n_broken: int


def explain(
    answers: Floats, weights: NDArray[np.int64], ends: tuple[float, float], difference: Floats, tolerance: float
) -> list[Explanation]:
    """Find the changes of a key that explain differences between totals.

    Parameters
    ----------
    answers : ndarray of shape (n_rows, n_items)
        Complete answers, not reversed.
    weights : ndarray of int, shape (n_items,)
        How the key counts each item: 1 as it is, -1 reversed, 0 not.
    ends : tuple of float
        Lowest and highest answer.
    difference : ndarray of shape (n_rows,)
        The file's total minus the key's, as sums of items.
    tolerance : float
        Totals that differ by no more agree.

    Returns
    -------
    list of Explanation
        Best first: one number added to all; one or two items scored otherwise; or, where the answers determine how
        the file scored every item, that. Empty where nothing explains at least half of the differing rows.
    """
    found = _shift(difference, tolerance) or _few_changes(answers, weights, ends, difference, tolerance)
    if found and found[0].n_broken == 0 and found[0].n_explained == _n_differing(difference, tolerance):
        return found
    return _all_weights(answers, weights, ends, difference, tolerance) or found


def _n_differing(difference: Floats, tolerance: float) -> int:
    return int((np.abs(difference) > tolerance).sum())


def _shift(difference: Floats, tolerance: float) -> list[Explanation]:
    shift = float(np.median(difference))
    if np.abs(difference - shift).max() > tolerance or abs(shift) <= tolerance:
        return []
    return [Explanation((), shift, difference.size, 0)]


def _few_changes(
    answers: Floats, weights: NDArray[np.int64], ends: tuple[float, float], difference: Floats, tolerance: float
) -> list[Explanation]:
    agreed = np.abs(difference) <= tolerance
    searched = np.flatnonzero(~agreed)[:_SEARCHED]
    changes = [
        Change(at + 1, int(weight), other)
        for at, weight in enumerate(weights)
        for other in (-1, 0, 1)
        if other != weight
    ]
    some = np.array([_effect(change, answers[searched], ends) for change in changes])
    wanted = difference[searched]
    n_wanted = max(1, (searched.size + 1) // 2)

    def counted(pick: tuple[int, ...]) -> Explanation:
        effect = np.sum([_effect(changes[k], answers, ends) for k in pick], axis=0)
        agrees = np.abs(difference - effect) <= tolerance
        chosen = tuple(changes[k] for k in pick)
        return Explanation(chosen, 0.0, int((agrees & ~agreed).sum()), int((agreed & ~agrees).sum()))

    enough = (np.abs(some - wanted) <= tolerance).sum(axis=1) >= n_wanted
    candidates = [counted((int(k),)) for k in np.flatnonzero(enough)]
    if not any(_complete(candidate, agreed) for candidate in candidates):
        pairs = _pairs(some, wanted, tolerance, n_wanted)
        # one item cannot be counted in two ways
        candidates += [counted(pair) for pair in pairs if changes[pair[0]].item != changes[pair[1]].item]
    useful = [candidate for candidate in candidates if 2 * candidate.n_explained >= (~agreed).sum()]
    whole = [candidate for candidate in useful if _complete(candidate, agreed)]
    useful = whole or useful  # beside an explanation of all rows those of a part say nothing
    return sorted(useful, key=lambda e: (e.n_broken - e.n_explained, len(e.changes)))[:_KEPT]


def _effect(change: Change, answers: Floats, ends: tuple[float, float]) -> Floats:
    """What scoring one item otherwise adds to each row's total."""
    answer = answers[:, change.item - 1]
    counted = {1: answer, -1: ends[0] + ends[1] - answer, 0: np.zeros_like(answer)}
    return counted[change.file] - counted[change.key]


def _pairs(effects: Floats, wanted: Floats, tolerance: float, n_wanted: int) -> list[tuple[int, int]]:
    pairs = []
    for first in range(len(effects)):
        rest = wanted - effects[first]
        hits = (np.abs(effects[first + 1 :] - rest) <= tolerance).sum(axis=1)
        pairs += [(first, first + 1 + int(second)) for second in np.flatnonzero(hits >= n_wanted)]
    return pairs


def _complete(explanation: Explanation, agreed: Bools) -> bool:
    return explanation.n_broken == 0 and explanation.n_explained == (~agreed).sum()


def _all_weights(
    answers: Floats, weights: NDArray[np.int64], ends: tuple[float, float], difference: Floats, tolerance: float
) -> list[Explanation]:
    """Solve for how the file counts every item, where the answers determine it."""
    n_rows, n_items = answers.shape
    matrix = np.column_stack([answers, np.ones(n_rows)])
    if n_rows <= n_items + 1 or np.linalg.matrix_rank(matrix) <= n_items:
        return []
    solved = np.linalg.lstsq(matrix, difference, rcond=None)[0]
    file = solved[:-1] + weights
    rounded = np.rint(file).astype(np.int64)
    exact = np.abs(matrix @ solved - difference).max() <= tolerance
    if not exact or np.abs(file - rounded).max() > max(_ROUNDING, tolerance) or np.abs(rounded).max() > 1:
        return []
    changes = tuple(
        Change(int(at) + 1, int(weights[at]), int(rounded[at])) for at in np.flatnonzero(rounded != weights)
    )
    turned = sum(ends) * ((rounded == -1).sum() - (weights == -1).sum())
    shift = float(solved[-1] - turned)
    differing = _n_differing(difference, tolerance)
    return [Explanation(changes, 0.0 if abs(shift) <= max(_ROUNDING, tolerance) else shift, differing, 0)]
