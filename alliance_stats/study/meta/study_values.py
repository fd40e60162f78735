"""Values of a study file of a meta-analysis, each checked; what is wrong is added to the list of problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.meta.levels import read_random

_WORDS = ("better", "worse")


def choice_of(
    table: Mapping[str, Any], key: str, known: tuple[str, ...], where: str, problems: list[str]
) -> str | None:
    """One of some words; None where the key is left out."""
    value = table.get(key)
    if value is None or value in known:
        return value
    problems.append(f"[{where}] {key} = {value!r} is not understood. {did_you_mean(str(value), known)}")
    return None


def texts_of(table: Mapping[str, Any], key: str, where: str, problems: list[str]) -> tuple[str, ...]:
    """A list of texts."""
    value = table.get(key, [])
    if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
        return tuple(dict.fromkeys(value))
    problems.append(f'[{where}] {key} = {value!r} must be a list of columns, e.g. ["rater", "year"]')
    return ()


def number_of(
    table: Mapping[str, Any],
    key: str,
    usual: float,
    bounds: str,
    inside: Callable[[float], bool],
    where: str,
    problems: list[str],
) -> float:
    """A number within bounds."""
    value = table.get(key, usual)
    if isinstance(value, int | float) and not isinstance(value, bool) and inside(float(value)):
        return float(value)
    problems.append(f"[{where}] {key} = {value!r} must be a number in {bounds}")
    return usual


def whole_of(table: Mapping[str, Any], key: str, usual: int, least: int, where: str, problems: list[str]) -> int:
    """A whole number, not below the least."""
    value = table.get(key, usual)
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    problems.append(f"[{where}] {key} = {value!r} must be a whole number, {least} or more")
    return usual


def random_of(table: Mapping[str, Any], problems: list[str]) -> str | tuple[str, ...] | None:
    """Levels: a path, or a list of paths that cross."""
    value = table.get("random")
    if value is None:
        return None
    many = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    if not isinstance(value, str) and not many:
        problems.append(f'[model] random = {value!r} must be a path of levels, "study/effect", or a list of them')
        return None
    try:
        read_random(value)
    except DataError as error:
        problems.append(f"[model] {error}")
        return None
    return value if isinstance(value, str) else tuple(value)


def directions_of(table: Mapping[str, Any], has_outcome: bool, problems: list[str]) -> str | dict[str, str] | None:
    """What a higher score means: a word, a column of these words, or a table from outcomes to words."""
    value = table.get("higher")
    if value is None:
        return None
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, Mapping) or not value:
        problems.append(
            f'[effects] higher = {value!r} must be "better", "worse", a column, or a table [effects.higher]'
        )
        return None
    wrong = [name for name, word in value.items() if word not in _WORDS]
    problems += [f'[effects.higher] {name!r} = {value[name]!r} must be "better" or "worse"' for name in wrong]
    if not has_outcome:
        problems.append("[effects.higher] goes by outcome, and [effects] outcome is missing: the column that names it")
    return {str(name): str(word) for name, word in value.items()}
