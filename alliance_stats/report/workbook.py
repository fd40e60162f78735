"""A frame written as an Excel file whose texts are texts: nothing in it is run as a formula."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from alliance_stats.cells import harmless
from alliance_stats.errors import MissingExtraError

_WIDEST = 60
#: What a cell holds at most.
_LONGEST = 32_000


def write_sheet(frame: pd.DataFrame, path: str | Path, title: str) -> None:
    """Write a frame as the only sheet of a workbook.

    Parameters
    ----------
    frame : DataFrame
        Texts, numbers and dates. Texts that begin like formulas get an apostrophe, as :func:`csv_text` gives them one.
    path : str or Path
        File to write.
    title : str
        Name of the sheet.

    Raises
    ------
    MissingExtraError
        If openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Alignment, Font
    except ImportError:
        raise MissingExtraError("Writing Excel files needs openpyxl: pip install 'alliance-stats[excel]'") from None
    book = Workbook()
    sheet = book.active
    sheet.title = title
    for at, row in enumerate([list(frame.columns), *frame.itertuples(index=False)], start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(at, column)
            cell.value = _cell(value)
            if isinstance(value, str):
                cell.data_type = "s"  # whatever it begins with
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if at == 1:
                cell.font = Font(bold=True)
    for column, name in enumerate(frame.columns, start=1):
        longest = max([len(str(name)), *(len(str(value)) for value in frame.iloc[:, column - 1])])
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = min(longest + 2, _WIDEST)
    sheet.freeze_panes = "A2"
    book.save(path)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return None if pd.isna(value) else value  # type: ignore[call-overload]
    return harmless(value[:_LONGEST])
