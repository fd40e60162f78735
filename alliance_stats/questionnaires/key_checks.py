"""Does a scoring key hold together? Items, reversal and ranges are checked whenever a key is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from alliance_stats.errors import count
from alliance_stats.questionnaires.key import TOTAL, MeasureKey, Scale

#: Ranges are stated with a few decimals at most.
_ROUNDING = 1e-9


def key_problems(key: MeasureKey) -> list[str]:
    """List what does not fit together in a key, in sentences; empty for a sound one.

    Subscales and ``total_only`` must share out the items, reversed items must belong to the measure, and every
    stated range must be what the items and the response range give.
    """
    problems = [*_response_problems(key), *_partition_problems(key), *_reversal_problems(key)]
    if not problems:  # ranges of wrong items would only repeat what was said
        for scale in key.scales:
            problems += _range_problems(key, scale)
    problems += [problem for scale in key.scales for problem in _rule_problems(scale)]
    return problems + _value_problems(key)


def expected_range(key: MeasureKey, scale: Scale, response: tuple[float, float] | None = None) -> tuple[float, float]:
    """Range of a scale that its items and the response range give."""
    low, high = response or key.response
    times = key.multiply * (len(scale.items) if key.form == "sum" else 1)
    return low * times, high * times


def _response_problems(key: MeasureKey) -> list[str]:
    spans = [key.response, *key.other_responses]
    return [f"response range [{low:g}, {high:g}] must run from a lower to a higher answer" for low, high in spans
            if not low < high]  # fmt: skip


def _partition_problems(key: MeasureKey) -> list[str]:
    items = range(1, key.n_items + 1)
    problems = [
        f"{scale.name}: {count(len(foreign), 'item')} ({_listed(foreign)}) are not among 1 to {key.n_items}"
        for scale in key.scales
        if (foreign := sorted(set(scale.items) - set(items)))
    ]
    if key.total is not None and sorted(key.total.items) != list(items):
        problems.append(f"{TOTAL} must hold the items 1 to {key.n_items}")
    if not key.subscales:
        if key.total_only:
            problems.append("total_only needs subscales that leave these items out")
        return problems if key.total else [*problems, "a measure needs [total] or [subscales]"]
    given = Counter(item for scale in key.subscales for item in scale.items) + Counter(key.total_only)
    twice = sorted(item for item, times in given.items() if times > 1)
    absent = sorted(set(items) - set(given))
    if twice:
        problems.append(f"{count(len(twice), 'item')} ({_listed(twice)}) stand in two places")
    if absent:
        problems.append(f"{count(len(absent), 'item')} ({_listed(absent)}) stand in no subscale, nor in total_only")
    return problems


def _reversal_problems(key: MeasureKey) -> list[str]:
    foreign = sorted(key.reversed - set(range(1, key.n_items + 1)))
    if not foreign:
        return []
    return [f"{count(len(foreign), 'reversed item')} ({_listed(foreign)}) are not among 1 to {key.n_items}"]


def _range_problems(key: MeasureKey, scale: Scale) -> list[str]:
    low, high = expected_range(key, scale)
    if abs(low - scale.low) <= _ROUNDING and abs(high - scale.high) <= _ROUNDING:
        return []
    return [
        f"{scale.name}: range [{scale.low:g}, {scale.high:g}] is stated, but {count(len(scale.items), 'item')} "
        f"answered from {key.response[0]:g} to {key.response[1]:g} give [{low:g}, {high:g}]"
    ]


def _rule_problems(scale: Scale) -> list[str]:
    if 1 <= scale.min_items <= len(scale.items):
        return []
    return [f"{scale.name}: min_items = {scale.min_items} must lie between 1 and {len(scale.items)}"]


def _value_problems(key: MeasureKey) -> list[str]:
    problems = []
    changes = [] if key.reliable_change is None else [key.reliable_change]
    names = [scale.name for scale in key.scales]
    for value in (*key.cutoffs, *changes):
        if value.scale not in names:
            problems.append(f"a value is given for {value.scale!r}, which is no scale")
            continue
        scale = key.scale(value.scale)
        low, high = (0.0, scale.high - scale.low) if value in changes else (scale.low, scale.high)
        if not low <= value.value <= high:
            problems.append(f"{value.scale}: {value.value:g} lies outside {low:g} to {high:g}")
    return problems


def _listed(items: Iterable[int]) -> str:
    return ", ".join(str(item) for item in items)
