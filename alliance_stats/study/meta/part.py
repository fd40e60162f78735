"""What every section of a report of a meta-analysis is made from and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alliance_stats.errors import DataError
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pool import PooledResult
from alliance_stats.report.document import Section
from alliance_stats.report.numbers import percent
from alliance_stats.report.sentences import Sentences
from alliance_stats.study.answers import Answer, plain
from alliance_stats.study.meta.citations import Citations
from alliance_stats.study.meta.coded import Coded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.result import MetaResult

Main = MultilevelResult | PooledResult


@dataclass(frozen=True, eq=False)
class Part:
    """An answered section, and what the section on methods says about it."""

    answer: Answer
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Asked:
    """What sections are made from.

    Parameters
    ----------
    coded : Coded
        The effects, and what the study file asks for.
    main : MultilevelResult or PooledResult
        The main analysis.
    remarks : tuple of str
        Why it is not the one that would have been chosen first.
    citations : Citations
        Shared by all sections.
    progress : bool
    """

    coded: Coded
    main: Main
    remarks: tuple[str, ...] = ()
    citations: Citations = field(default_factory=Citations)
    progress: bool = False

    @property
    def level(self) -> float:
        """Level of every interval."""
        return self.coded.level

    @property
    def ci(self) -> str:
        """Heading of confidence intervals: ``95% CI``."""
        return f"{percent(self.level)} CI"


def section(
    key: str,
    heading: str,
    question: str,
    sentences: Sentences | str,
    numbers: Mapping[str, object],
    *,
    converged: bool = True,
    **more: object,
) -> Answer:
    """Make an answer: the page's part with its numbers."""
    shown = Section(key, heading, question, Sentences.plain(sentences), **more)  # type: ignore[arg-type]
    return Answer(shown, {name: plain(value) for name, value in numbers.items()}, converged)


def unanswered(key: str, heading: str, question: str, reason: str) -> Part:
    """Make a section that says why these data cannot answer its question."""
    sentence = f"These data cannot answer the question: {reason}"
    return Part(section(key, heading, question, sentence, {"not_estimated": reason}))


def drawn(coded: Coded, draw: Callable[[], Axes]) -> Axes:
    """Draw a figure; simulated data are stamped on it."""
    from alliance_stats.report.figures.canvas import annotate

    axes = draw()
    if coded.simulated:
        words = vars(axes)
        annotate(axes, words["data"], words["caption"], words["alt_text"], simulated=True)
    return axes


def drawn_if_possible(coded: Coded, draw: Callable[[], Axes]) -> Axes | None:
    """Draw a figure, or none where the data do not allow it."""
    try:
        return drawn(coded, draw)
    except DataError:
        return None


def numbers_of_result(result: MetaResult) -> dict[str, object]:
    """Every number of a result."""
    return {
        "table": result.table(),
        "glance": result.glance().iloc[0].to_dict(),
        "variance": result.variance(),
        "notes": list(result.notes()),
        "described": result.describe(),
        "sentences": str(result.report()),
    }
