"""The results page: sections with sentences, tables and figures, as one self-contained HTML file."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from alliance_stats.errors import DataError, count
from alliance_stats.report.markup import clean
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.tables import ResultTable

if TYPE_CHECKING:
    from alliance_stats.report.figures.canvas import Drawn

__all__ = ["Document", "Section", "render_html"]

#: Above this size an SVG is replaced by a PNG, so that a page with thousands of lines still opens quickly.
_LARGEST_SVG = 600_000
_KEY = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, eq=False)
class Section:
    """One question and its answer.

    Parameters
    ----------
    key : str
        Short name, lower case, used as the section's address on the page: ``"growth"``.
    heading : str
        What the section is about.
    question : str
        The question that it answers.
    sentences : Sentences
        Two or three sentences that can be pasted.
    tables : sequence of ResultTable
        The document numbers them through the page.
    figure : Axes, Panels or Figure, optional
        With ``.caption`` and ``.alt_text``.
    more_figures : sequence of Axes, Panels or Figure
        Further ones, below it.
    model : str
        The model behind the answer, in words.
    notes : sequence of str
        What a reader must know besides: rows left out, choices made.
    warnings : sequence of str
        What forbids a plain reading: not converged, on the boundary. Shown here and at the top of the page.

    Raises
    ------
    DataError
        If ``key`` is not made of lower-case letters, digits, ``-`` and ``_``.
    """

    key: str
    heading: str
    question: str = ""
    sentences: Sentences = field(default_factory=Sentences)
    tables: tuple[ResultTable, ...] = ()
    figure: Drawn | None = None
    model: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    more_figures: tuple[Drawn, ...] = ()

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise DataError(
                f"1 section key cannot be an address: {self.key!r}. Use lower-case letters, digits, '-' and '_'."
            )
        _freeze(self, "tables", "notes", "warnings")
        object.__setattr__(self, "more_figures", tuple(self.more_figures))

    @property
    def figures(self) -> tuple[Drawn, ...]:
        """All figures in the order of the page."""
        return (*(() if self.figure is None else (self.figure,)), *self.more_figures)


@dataclass(frozen=True, eq=False)
class Document:
    """A results page.

    Parameters
    ----------
    title, subtitle : str
        What the page is called; what data it is about.
    sections : sequence of Section
        In the order in which they are read. Their tables are numbered through, from 1.
    warnings : sequence of str
        What concerns the whole page; shown at its top before the sections' own warnings.
    provenance : mapping of str to str
        Where the page comes from: package version, hash of the input, date. Shown at its foot.
    references : sequence of str
        What to cite.
    simulated : bool
        Say at the top of the page that the numbers are simulated.

    Raises
    ------
    DataError
        If two sections have the same key.
    """

    title: str
    subtitle: str = ""
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    simulated: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "sections", "warnings", "references")
        object.__setattr__(self, "provenance", dict(self.provenance))
        keys = [section.key for section in self.sections]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise DataError(f"{count(len(twice), 'section key')} used twice: {', '.join(twice)}. Give each its own.")
        object.__setattr__(self, "sections", _numbered(self.sections))


@dataclass(frozen=True)
class _Figure:
    """A figure as the template wants it."""

    source: str
    caption: str
    alt_text: str
    number: int


@dataclass(frozen=True)
class _View:
    """A section as the template wants it: figure and tables already in HTML."""

    section: Section
    figures: tuple[_Figure, ...]
    tables: tuple[str, ...]


def render_html(document: Document) -> str:
    """Write a document as one HTML page that needs no network.

    Parameters
    ----------
    document : Document
        What to write. All of its text is escaped; ``Sentences`` keep their italics.

    Returns
    -------
    str
        The page, with style sheet and figures inside. It runs no scripts and loads nothing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from alliance_stats.report.table_writers import TABLE_CSS

    environment = Environment(
        loader=PackageLoader("alliance_stats.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The two ways past the escaping: texts that escape themselves, and tables whose writer escapes every cell.
    environment.filters["rich"] = lambda text: Markup(Sentences.plain(text).html)
    environment.filters["sentences"] = Sentences.plain
    environment.filters["plain"] = lambda text: clean(str(text))
    page = environment.get_template("report.html.j2")
    return page.render(
        document=document, views=_views(document), written=lambda made: Markup(made), table_css=Markup(TABLE_CSS)
    )


def figure_uri(figure: Drawn) -> str:
    """Render a figure as a data URI: SVG, or PNG where the SVG would be large."""
    from alliance_stats.report.figures.canvas import png_bytes, svg_bytes

    kind, content = "svg+xml", svg_bytes(figure)
    if len(content) > _LARGEST_SVG:
        kind, content = "png", png_bytes(figure)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _views(document: Document) -> list[_View]:
    views: list[_View] = []
    numbers = itertools.count(1)
    for section in document.sections:
        tables = tuple(table.to_html(style=False) for table in section.tables)
        figures = tuple(_figure(figure, section.heading, next(numbers)) for figure in section.figures)
        views.append(_View(section, figures, tables))
    return views


def _numbered(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Give the tables numbers in the order of the page, so that files and page agree."""
    numbers = itertools.count(1)
    return tuple(
        replace(section, tables=tuple(table.numbered(next(numbers)) for table in section.tables))
        for section in sections
    )


def _figure(figure: Drawn, heading: str, number: int) -> _Figure:
    caption = getattr(figure, "caption", "")
    alt_text = getattr(figure, "alt_text", "") or caption or heading
    return _Figure(figure_uri(figure), caption, alt_text, number)


def _freeze(thing: object, *names: str) -> None:
    """Turn sequences into tuples; a single text or table is taken as one of them."""
    for name in names:
        value = getattr(thing, name)
        single = isinstance(value, str | ResultTable | Section)
        object.__setattr__(thing, name, (value,) if single else tuple(value))
