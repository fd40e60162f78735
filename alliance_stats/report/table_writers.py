"""Result tables written as HTML, Markdown, LaTeX and CSV."""

from __future__ import annotations

import pandas as pd

from alliance_stats.cells import NO_MATHJAX, harmless, harmless_cell
from alliance_stats.report.markup import clean, html_text, latex_text, markdown_text
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.table_cells import Grid, Line, grid
from alliance_stats.report.tables import ResultTable

#: APA look: three horizontal rules, stub at the left, cells centred.
TABLE_CSS = """\
.als-table{overflow-x:auto;margin:1.2em 0;font-variant-numeric:tabular-nums}
.als-table table{border-collapse:collapse;border-top:1.5px solid;border-bottom:1.5px solid;\
background:none;color:inherit}
.als-table caption{caption-side:top;text-align:left;padding:0 0 .5em;color:inherit}
.als-table caption b,.als-table caption i{display:block}
.als-table th,.als-table td{border:0;padding:.22em .45em;text-align:center;vertical-align:top;background:none;\
font-weight:normal;white-space:nowrap}
.als-table thead th{border-bottom:1px solid;vertical-align:bottom}
.als-table thead th:first-child,.als-table tbody th{text-align:left;padding-left:0}
.als-table tbody th{white-space:normal;min-width:11em;max-width:22em;overflow-wrap:break-word}
.als-table td.text{white-space:normal;text-align:left;min-width:7em}
.als-table tbody th.block{font-weight:600;padding-top:.6em}
.als-table .notes{font-size:.88em;margin:.5em 0 0;max-width:46em}
"""

_NOTE = "*Note.* "


def html_table(table: ResultTable, *, style: bool = True) -> str:
    """Write a table as an HTML fragment: a ``div`` with the table and its notes."""
    page = grid(table)
    wordy = _wordy_columns(page)
    head = "".join(f'<th scope="col">{heading.html}</th>' for heading in page.headings)
    body = "\n".join(_html_line(line, len(page.headings), wordy) for line in page.lines)
    number = f"<b>Table {table.number}</b>" if table.number is not None else ""
    notes = f'<p class="notes">{_notes(table).html}</p>\n' if table.notes else ""
    return (
        (f"<style>{TABLE_CSS}</style>\n" if style else "")
        + f'<div class="als-table {NO_MATHJAX}" tabindex="0">\n<table>\n'
        + f"<caption>{number}<i>{html_text(table.title)}</i></caption>\n"
        + f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n{notes}</div>\n"
    )


def markdown_table(table: ResultTable) -> str:
    """Write a table in Markdown (pipe table), with number, title and notes."""
    page = grid(table)
    width = len(page.headings)
    rows = [[heading.markdown for heading in page.headings], [":--"] + [":-:"] * (width - 1)]
    for line in page.lines:
        first = f"**{line.cells[0].markdown}**" if line.is_heading and line.cells[0] else line.cells[0].markdown
        rows.append([first, *(cell.markdown for cell in line.cells[1:]), *([""] * (width - len(line.cells)))])
    parts = [f"**Table {table.number}**"] if table.number is not None else []
    parts += [f"*{markdown_text(table.title).strip()}*", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    parts += [_notes(table).markdown] if table.notes else []
    return "\n\n".join(parts) + "\n"


def latex_table(table: ResultTable) -> str:
    """Write a table in LaTeX with the rules of ``booktabs``."""
    page = grid(table)
    width = len(page.headings)
    lines = [" & ".join(heading.latex for heading in page.headings) + r" \\", r"\midrule"]
    for line in page.lines:
        if line.is_heading:
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textbf{{{line.cells[0].latex}}}}} \\")
        else:
            lines.append(" & ".join(cell.latex for cell in line.cells) + r" \\")
    number = [rf"\textbf{{Table {table.number}}}\\[2pt]"] if table.number is not None else []
    notes = [r"\par\smallskip", rf"{{\footnotesize {_notes(table).latex}\par}}"] if table.notes else []
    begin = [r"\begin{table}[htbp]", r"\raggedright", *number, rf"\textit{{{latex_text(table.title)}}}\\[4pt]"]
    begin += [rf"\begin{{tabular}}{{l{'c' * (width - 1)}}}", r"\toprule"]
    return "\n".join([*begin, *lines, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]) + "\n"


def csv_text(frame: pd.DataFrame) -> str:
    """Write a frame as CSV in full precision, with texts that look like formulas made harmless."""
    safe = frame.copy()
    for position, column in enumerate(frame.columns):
        values = frame.iloc[:, position]
        if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)):
            safe[column] = values.astype(object).map(harmless_cell, na_action="ignore")
    safe.columns = [harmless(str(column)) for column in frame.columns]
    return safe.to_csv(index=False, lineterminator="\n")


def _html_line(line: Line, width: int, wordy: frozenset[int]) -> str:
    if line.is_heading:
        return f'<tr><th class="block" scope="rowgroup" colspan="{width}">{line.cells[0].html}</th></tr>'
    cells = "".join(
        f'<td class="text">{cell.html}</td>' if place in wordy else f"<td>{cell.html}</td>"
        for place, cell in enumerate(line.cells[1:], start=1)
    )
    return f'<tr><th scope="row">{line.cells[0].html}</th>{cells}</tr>'


def _wordy_columns(page: Grid) -> frozenset[int]:
    # Centred prose is hard to read: a column with long cells is set at the left and may wrap.
    lines = [line for line in page.lines if not line.is_heading]
    return frozenset(place for place in range(len(page.headings)) if any(len(line.cells[place]) > 28 for line in lines))


def _notes(table: ResultTable) -> Sentences:
    return Sentences(_NOTE + " ".join(Sentences.plain(clean_note(note)).source for note in table.notes))


def clean_note(note: str) -> str:
    """Take a note over; a plain one becomes one line."""
    return note if isinstance(note, Sentences) else clean(note)
