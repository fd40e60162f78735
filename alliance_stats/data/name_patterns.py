"""Patterns of column names with a field for the session: ``"wai_t{session}_{item}"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Name of the column of session numbers that a layout makes; no file has a column of that name.
SESSION_OF_NAME = "{session}"
FIELD = re.compile(r"\{([A-Za-z_]+)\}")
#: Session words that go with the number when it is taken out of a name: ``wai_t01_i03`` becomes ``wai_i03``.
SESSION_WORDS = (
    *("timepoint", "occasion", "session", "sitzung", "visit", "wave", "week", "time", "sess", "occ", "mzp"),
    *("tp", "t", "s", "w", "v"),
)
_WORDS = "|".join(SESSION_WORDS)
_TOKEN = re.compile(rf"(?P<before>[_.\- ]?)(?:(?<![A-Za-z])(?:{_WORDS}))?[_.\-]?\{{session\}}(?P<after>[_.\- ]?)", re.I)


def long_name(pattern: str) -> str:
    """Take the session out of a pattern: ``"wai_t{session}_i{item}"`` becomes ``"wai_i{item}"``."""

    def without(found: re.Match[str]) -> str:
        inside = found["before"] and found["after"]
        return found["after"] if inside else ""

    name = _TOKEN.sub(without, pattern, count=1)
    return name.strip("_.- ") or "score"


def pattern_problem(pattern: object) -> str:
    """Say what is wrong with a pattern, or nothing."""
    if not isinstance(pattern, str) or FIELD.findall(pattern).count("session") != 1:
        return (
            f"wide={pattern!r} must have {{session}} once, where the session stands, e.g. 'wai_t{{session}}_{{item}}'"
        )
    fields = FIELD.findall(pattern)
    if len(set(fields)) < len(fields):
        return f"wide={pattern!r} has a field twice"
    return ""


def name_shape(pattern: str, occasions: Mapping[str, int] | None) -> re.Pattern[str]:
    """Turn a pattern into what its names look like; ``occasions`` are what may stand for the session."""
    session = (
        "|".join(re.escape(text) for text in sorted(occasions, key=len, reverse=True)) if occasions else "[0-9]{1,9}"
    )
    parts = []
    for at, part in enumerate(FIELD.split(pattern)):
        if at % 2 == 0:
            parts.append(re.escape(part))
        else:
            inside = session if part == "session" else "[0-9A-Za-z]+" if part == "item" else ".+?"
            parts.append(f"(?P<{part}>{inside})")
    return re.compile("".join(parts))
