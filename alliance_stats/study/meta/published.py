"""The new mean beside published ones, where the study file tells the topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alliance_stats.errors import DataError
from alliance_stats.study.meta.part import Asked, Part, section, unanswered

_KEY, _HEADING = "published", "Beside what is known"
_QUESTION = "How does the mean compare with published ones?"


def beside_published(asked: Asked) -> Part | None:
    """Compare with published findings; None where no topic is told.

    The comparison is ``meta.compare_published(topic, result)``, a result like any other: ``table()``, ``report()``,
    ``notes()``, ``result_table()``, ``plot()``.
    """
    topic = asked.coded.study.report.topic
    compare = comparison()
    if not topic:
        return None
    if compare is None:
        return unanswered(_KEY, _HEADING, _QUESTION, "This version has no comparison with published findings.")
    try:
        found = compare(topic, asked.main)
    except DataError as refusal:
        return unanswered(_KEY, _HEADING, _QUESTION, str(refusal))
    answer = section(
        _KEY,
        _HEADING,
        _QUESTION,
        found.report(),
        {"topic": topic, "table": found.table()},
        tables=(found.result_table(),),
        notes=tuple(found.notes()),
    )
    return Part(answer)


def comparison() -> Callable[..., Any] | None:
    """``meta.compare_published``, if there is one."""
    from alliance_stats import meta

    found: Callable[..., Any] | None = getattr(meta, "compare_published", None)
    return found
