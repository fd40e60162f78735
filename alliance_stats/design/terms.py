"""Find the coefficients that a term of a formula stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from alliance_stats.errors import DataError, did_you_mean


def expand_term(asked: str, names: Sequence[str], variables: Iterable[str]) -> list[int]:
    """Find the coefficients that a name stands for.

    Parameters
    ----------
    asked : str
        A coefficient as in ``table()`` (``"phase[T.late]"``); a term of the formula (``"phase"``,
        ``"alliance_within:phase"``, ``"poly(session, 2)"``); or a variable that stands inside a function
        (``"session"`` for ``poly(session, 2)``).
    names : sequence of str
        All coefficients.
    variables : iterable of str
        Columns that the formula names.

    Returns
    -------
    list of int
        Places in ``names``.

    Raises
    ------
    DataError
        If the model has no such term; the nearest is named.
    """
    if asked in names:
        return [names.index(asked)]
    terms = [_term(name) for name in names]
    wanted = _parts(asked)
    found = [at for at, term in enumerate(terms) if _parts(term) == wanted]
    if not found and asked.strip("` ") in set(variables):
        # the variable as a word of its own, in terms that are no interactions
        word = re.compile(rf"(?<![\w.]){re.escape(asked.strip('` '))}(?![\w.])")
        found = [at for at, term in enumerate(terms) if len(_parts(term)) == 1 and word.search(term)]
    if not found:
        raise DataError(
            f"The model has no fixed effect {asked!r}. {did_you_mean(asked, dict.fromkeys([*terms, *names]))}"
        )
    return found


def _term(name: str) -> str:
    """Name of a coefficient without what stands between brackets: the term that it belongs to."""
    depth, kept = 0, ""
    for character in name:
        depth += character == "["
        if depth == 0:
            kept += character
        depth -= character == "]" and depth > 0
    return kept


def _parts(term: str) -> frozenset[str]:
    """Split an interaction into its parts, whose order does not matter; spaces and backticks neither."""
    return frozenset(re.sub(r"[\s`]", "", term).split(":"))
