"""Scores that a study file asks to be made from items: plain data here, done by the room that knows the measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alliance_stats.errors import did_you_mean

ITEM_KEYS = ("measure", "items", "rater", "how", "min_items", "multiply", "response", "subscales", "missing", "label")
#: What makes a table of a study file one of these, and not a column with a score in it.
_MARKS = ("measure", "items")


@dataclass(frozen=True)
class ItemScore:
    """A score to be made from the answers to items, as :func:`alliance_stats.score` makes it.

    Parameters
    ----------
    name : str
        Name of the total; subscales are called ``<name>_<subscale>``.
    measure : str
        Name of a measure, or a key file (``"keys/mine.toml"``) beside the study file.
    items : str, tuple of str, or dict of int to str
        Pattern of the items' columns (``"wai_{:02d}"``), all columns in order, or number → column.
    rater, how, min_items, multiply, response, subscales, missing
        As :func:`alliance_stats.score` takes them; None or empty where the measure decides.
    label : str
        What a reader is shown; by default the measure's words.
    """

    name: str
    measure: str
    items: str | tuple[str, ...] | dict[int, str]
    rater: str | None = None
    how: str | None = None
    min_items: int | dict[str, int] | None = None
    multiply: float | None = None
    response: tuple[float, float] | None = None
    subscales: bool | tuple[str, ...] = True
    missing: tuple[str | float, ...] = ()
    label: str = ""


def asks_for_items(spec: Mapping[str, Any]) -> bool:
    """Say whether a score of a study file is made from items."""
    return any(key in spec for key in _MARKS)


def item_score_problems(spec: Mapping[str, Any]) -> list[str]:
    """List what is wrong with a score that is made from items; the measure has its say when it is scored."""
    problems = [f"unknown key {key!r}. {did_you_mean(str(key), ITEM_KEYS)}" for key in spec if key not in ITEM_KEYS]
    problems += [
        f"{key!r} is missing: a score is made from items by measure and items" for key in _MARKS if key not in spec
    ]
    wanted = {
        "measure": (_is_text, "the name of a measure, in quotes"),
        "items": (_are_items, 'a pattern ("wai_{:02d}"), a list of columns, or {1 = "first", 2 = "second"}'),
        "rater": (_is_text, "text, in quotes"),
        "how": (_is_text, "text, in quotes"),
        "label": (_is_text, "text, in quotes"),
        "min_items": (_are_counts, "a whole number, or {total = 10, bond = 3}"),
        "multiply": (_is_number, "a number"),
        "response": (_is_pair, "two numbers, e.g. [1, 7]"),
        "subscales": (_are_scales, 'true, false, or a list of names, e.g. ["bond"]'),
        "missing": (_are_codes, "a list of codes, e.g. [99]"),
    }
    for key, (sound, words) in wanted.items():
        if key in spec and not sound(spec[key]):
            problems.append(f"{key} = {spec[key]!r} must be {words}")
    return problems


def make_item_score(name: str, spec: Mapping[str, Any]) -> ItemScore:
    """Build the score from a table that :func:`item_score_problems` has found to be sound."""
    settled: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items()}
    if isinstance(settled["items"], Mapping):
        settled["items"] = {int(number): column for number, column in settled["items"].items()}
    if "response" in settled:
        settled["response"] = tuple(float(end) for end in settled["response"])
    return ItemScore(name, **settled)


def item_table(score: ItemScore) -> dict[str, object]:
    """Return the keys and values of the table in the study file; what has its default is left out."""
    usual = ItemScore("", "", "")
    held = {key: getattr(score, key) for key in ITEM_KEYS}
    return {key: value for key, value in held.items() if key in _MARKS or value != getattr(usual, key)}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_counts(value: object) -> bool:
    return _is_count(value) or (isinstance(value, Mapping) and bool(value) and all(map(_is_count, value.values())))


def _are_items(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(str(key).isdecimal() for key in value) and all(map(_is_text, value.values()))
    return _is_text(value) or (isinstance(value, Sequence) and bool(value) and all(map(_is_text, value)))


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _are_scales(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and all(map(_is_text, value)))


def _are_codes(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(code, str | int | float) for code in value)
