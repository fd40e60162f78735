"""The new mean beside published ones, where the study file tells the topic."""

from __future__ import annotations

from alliance_stats.errors import DataError
from alliance_stats.meta.published import compare_published
from alliance_stats.study.meta.part import Asked, Part, drawn_if_possible, section, unanswered

_KEY, _HEADING = "published", "Beside what is known"
_QUESTION = "How does the mean compare with published ones?"


def beside_published(asked: Asked) -> Part | None:
    """Compare with published findings; None where no topic is told."""
    topic = asked.coded.study.report.topic
    if not topic:
        return None
    if not asked.coded.measure:  # the comparison would have to guess, and take the effects for correlations
        reason = "It is not known what the effects are. Name their measure in [effects]."
        return unanswered(_KEY, _HEADING, _QUESTION, reason)
    try:
        found = compare_published(topic, asked.main)
    except DataError as refusal:
        return unanswered(_KEY, _HEADING, _QUESTION, str(refusal))
    answer = section(
        _KEY,
        _HEADING,
        _QUESTION,
        found.report(),
        {"topic": topic, "table": found.table()},
        tables=(found.result_table(),),
        figure=drawn_if_possible(asked.coded, found.plot),
        model=found.describe(),
    )
    return Part(answer, ("The mean was placed beside published ones; no test was made.",))
