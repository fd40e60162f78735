"""A written report, and the files of its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from alliance_stats.report.document import Document, render_html
from alliance_stats.report.figures.canvas import rendered_once, save


@dataclass(frozen=True, eq=False)
class StudyReport:
    """A written report.

    Parameters
    ----------
    folder : Path
        Where it was written.
    document : Document
        The page.
    results : dict
        What stands in ``results.json``.
    converged : bool
        False if any model did not converge; the page then says which.
    """

    folder: Path
    document: Document
    results: dict[str, object]
    converged: bool

    @property
    def page(self) -> Path:
        """The page, one self-contained HTML file."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        import html

        sections = "".join(
            f"<li><b>{html.escape(s.heading)}.</b> {s.sentences.html}</li>" for s in self.document.sections
        )
        return f"<p>Report written to {html.escape(str(self.page))}</p><ul>{sections}</ul>"


def write_files(folder: Path, document: Document, results: dict[str, object]) -> None:
    """Write the page, every number, the tables and the figures into a folder."""
    with rendered_once():
        _write_files(folder, document, results)


def _write_files(folder: Path, document: Document, results: dict[str, object]) -> None:
    (folder / "report.html").write_text(render_html(document), encoding="utf-8")
    (folder / "results.json").write_text(
        json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    tables, figures = folder / "tables", folder / "figures"
    tables.mkdir()
    figures.mkdir()
    for section in document.sections:
        for number, table in enumerate(section.tables, 1):
            name = section.key if number == 1 else f"{section.key}-{number}"
            table.to_csv(tables / f"{name}.csv")
            (tables / f"{name}.html").write_text(table.to_html(), encoding="utf-8")
        for number, figure in enumerate(section.figures, 1):
            save(figure, figures / (section.key if number == 1 else f"{section.key}-{number}"))
