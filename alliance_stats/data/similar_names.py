"""Names that may be two spellings of one: by titles, order, accents, initials, or one letter."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from alliance_stats.data.raw_table import shown_list

_TITLES = {
    "dr",
    "prof",
    "professor",
    "dipl",
    "psych",
    "mag",
    "mr",
    "mrs",
    "ms",
    "herr",
    "frau",
    "phd",
    "msc",
    "med",
    "phil",
}
_SPELLINGS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"})
#: Shorter names differ by one letter all the time (T1, T2; Max, Mia).
_SHORTEST = 5
#: Beyond this many, names are codes.
_MOST = 20_000


def similar_names(names: Sequence[str]) -> list[str]:
    """List groups of names that may mean one person, each group as a text.

    Names are compared without titles, accents, punctuation and order ("Dr. Müller, Anna" and "Anna Mueller"), by
    initials ("A. Müller"), and by one letter that is missing, added, changed or swapped, where they have five letters
    or more and the same digits. Names that differ only by case or leading zeros are not listed: see
    :meth:`~alliance_stats.data.ids.Ids.near_twins`.

    Parameters
    ----------
    names : sequence of str
        The distinct names.
    """
    if len(names) > _MOST:
        return []
    words = {name: _words(name) for name in names}
    group = {name: name for name in names}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for members in _blocks(words).values():
        for at, one in enumerate(members):
            for other in members[at + 1 :]:
                if one.casefold() != other.casefold() and _alike(words[one], words[other]):
                    group[root(other)] = root(one)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[root(name)].append(name)
    return [shown_list(sorted(members)) for members in found.values() if len(members) > 1]


def _words(name: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFC", name).casefold().translate(_SPELLINGS)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(letter))
    words = [word for word in re.split(r"[\W_]+", plain) if word and word not in _TITLES]
    return tuple(sorted(words))


def _blocks(words: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Put names together that might be alike, so that not every pair has to be compared."""
    blocks: dict[str, list[str]] = defaultdict(list)
    for name, parts in words.items():
        whole = " ".join(parts)
        if sum(letter.isalpha() for letter in whole) < _SHORTEST:
            continue
        keys = {whole, *(whole[:at] + whole[at + 1 :] for at in range(len(whole)))}
        keys |= {f"surname {part}" for part in parts if len(part) >= 4}
        for key in keys:
            blocks[key].append(name)
    return {key: members for key, members in blocks.items() if 1 < len(members) <= 50}


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if one == other or _initials_fit(one, other) or _initials_fit(other, one):
        return True
    first, second = " ".join(one), " ".join(other)
    if re.sub(r"\D", "", first) != re.sub(r"\D", "", second):
        return False
    return min(len(first), len(second)) >= _SHORTEST and _one_step(first, second)


def _initials_fit(short: tuple[str, ...], full: tuple[str, ...]) -> bool:
    """Whether the one is the other with first names cut to letters, or left out."""
    names = [word for word in short if len(word) > 1]
    initials = [word for word in short if len(word) == 1]
    if not names or not all(len(word) >= 4 and word in full for word in names) or len(full) <= len(names):
        return False
    rest = [word for word in full if word not in names]
    return all(any(word.startswith(letter) for word in rest) for letter in initials) and all(
        word.isalpha() for word in rest
    )


def _one_step(one: str, other: str) -> bool:
    """Whether one letter missing, added, changed or two neighbours swapped make the one into the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if len(one) == len(other):
        swapped = one[:at] + one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :]
        return one[at + 1 :] == other[at + 1 :] or swapped == other
    long, short = (one, other) if len(one) > len(other) else (other, one)
    return long[at + 1 :] == short[at:]
