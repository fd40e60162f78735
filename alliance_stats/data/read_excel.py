"""Read Excel and OpenDocument files through python-calamine: which sheet, where its header is, merged cells."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.faults import Fault
from alliance_stats.data.raw_table import N_PLACES, listed, named_list
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.sheet_header import Merge, SheetHeader, sheet_header
from alliance_stats.data.stored_table import StoredTable, need
from alliance_stats.errors import DataError, count, did_you_mean

#: Name of the column that says from which sheet a row is, where several are read.
SHEET = "{sheet}"


def read_excel(
    content: bytes, name: str, options: ReadOptions, choose: Callable[[Sequence[str]], object] | None = None
) -> StoredTable:
    """Read a sheet, or several with the same columns, one below the other.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        File name, for messages.
    options : ReadOptions
        ``sheet`` and ``header_rows`` where they are given. Without ``sheet``, the only sheet with data is read, or the
        only one that has all columns that are asked for.
    choose : callable, optional
        Takes a header, and raises a DataError where it lacks a column that is asked for.

    Raises
    ------
    MissingExtraError
        If python-calamine is not installed.
    DataError
        If the file is damaged or locked with a password, or it is not clear which sheet is meant.
    """
    library = need("python_calamine", "excel", "Excel")
    try:
        book = library.CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == library.SheetTypeEnum.WorkSheet]
        chosen, header_rows = _named(names, options.sheet, name), options.header_rows
        sheets = {sheet: _cells(book.get_sheet_by_name(sheet)) for sheet in chosen}
    except DataError:
        raise
    except library.PasswordError:
        raise DataError(f"{name} is locked with a password. Save it without one.") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # damaged files can make the library panic, which is no Exception
        raise DataError(
            f"{name} looks like a spreadsheet or another zip file and cannot be read as one: "
            f"{str(error).strip()[:200] or type(error).__name__}. Save the sheet as CSV."
        ) from None
    filled = {sheet: cells for sheet, cells in sheets.items() if cells[0]}
    if not filled:
        raise DataError(f"{name} has no sheet with data (0 rows). Check that the export was finished.")
    tables = {}
    for sheet, (rows, merges) in filled.items():
        where = f"{name}, sheet {sheet!r}"
        try:
            tables[sheet] = _table(rows, merges, sheet_header(rows, merges, where, header_rows), sheet)
        except DataError:  # a sheet of remarks; one that was named has to be a table
            if options.sheet is not None or len(filled) == 1:
                raise
    return _choose(tables, name, options, choose)


def _named(names: Sequence[str], sheet: str | tuple[str, ...] | None, file: str) -> Sequence[str]:
    if sheet is None or sheet == "*":
        return names
    wanted = (sheet,) if isinstance(sheet, str) else sheet
    for one in wanted:
        if one not in names:
            raise DataError(f"{file} has no sheet {one!r}. {did_you_mean(one, names)}")
    return wanted


def _cells(sheet: Any) -> tuple[list[list[Any]], list[Merge]]:
    rows = sheet.to_python(skip_empty_area=False)
    if not any(any(cell != "" for cell in row) for row in rows):
        return [], []
    return rows, list(sheet.merged_cell_ranges or ())


def _table(rows: list[list[Any]], merges: list[Merge], header: SheetHeader, sheet: str) -> StoredTable:
    body = rows[header.last + 1 :]
    filled = _fill_merged(body, merges, header.last + 1)
    notes = []
    if header.joined:
        notes.append(
            Fault(
                "names of columns put together from merged header rows",
                "",
                len(header.joined),
                f"rows {header.first + 1} to {header.last + 1}: "
                + listed([repr(name) for name in header.joined[:N_PLACES]], len(header.joined)),
                "kept",
                "None needed; header_rows= says where the header stands if this is wrong.",
            )
        )
    if filled:
        places = listed([f"row {row}" for row in filled[:N_PLACES]], len(filled))
        way_out = "None needed; a merged cell holds for all its rows."
        notes.append(Fault("rows under a merged cell got its value", "", len(filled), places, "kept", way_out))
    words = f"row {header.last + 1}" if header.first == header.last else f"rows {header.first + 1} to {header.last + 1}"
    return StoredTable(
        header=header.names,
        columns=[_column([row[at] for row in body]) for at in range(len(header.names))],
        places=np.arange(header.last + 2, len(rows) + 1),
        reading={"format": "Excel or OpenDocument (found)", "sheet": sheet, "header": words},
        notes=tuple(notes),
    )


def _fill_merged(body: list[list[Any]], merges: Sequence[Merge], start: int) -> list[int]:
    """Give every row under a merged cell its value; return these rows, counted as spreadsheets count."""
    filled = []
    for (top, left), (bottom, _right) in merges:
        if top < start or bottom == top or top - start >= len(body) or left >= len(body[0]):
            continue
        for row in range(top + 1, min(bottom, start + len(body) - 1) + 1):
            body[row - start][left] = body[top - start][left]
            filled.append(row + 1)
    return sorted(set(filled))


def _column(cells: list[Any]) -> pd.Series:
    there = [cell for cell in cells if cell != ""]
    kinds = set(map(type, there))
    values: list[Any] = [None if cell == "" else cell for cell in cells]
    if kinds <= {float, int}:
        return pd.Series(values, dtype="float64")
    if kinds <= {datetime.datetime, datetime.date}:
        return pd.Series(np.array([np.datetime64("NaT" if value is None else value, "us") for value in values]))
    return pd.Series(values, dtype=object)


def _choose(
    tables: dict[str, StoredTable],
    name: str,
    options: ReadOptions,
    choose: Callable[[Sequence[str]], object] | None,
) -> StoredTable:
    if not tables:
        raise DataError(f"{name} has no sheet with a header and rows. Name the columns in the first row.")
    if options.sheet is not None and (options.sheet == "*" or not isinstance(options.sheet, str)):
        return _below_each_other(tables, name)
    fitting = tables
    if len(tables) > 1:
        fitting = {sheet: table for sheet, table in tables.items() if choose and _fits(table, choose)}
    if len(fitting) != 1:
        which = (
            f"{len(fitting)} of them have the columns that are asked for" if choose else "it is not said which to read"
        )
        raise DataError(
            f"{name} has {count(len(tables), 'sheet')} with data ({named_list(list(tables))}), and {which}. "
            "Give sheet= with a name, a list of names, or '*' for all, one below the other."
        )
    return next(iter(fitting.values()))


def _fits(table: StoredTable, choose: Callable[[Sequence[str]], object]) -> bool:
    try:
        choose(table.header)
    except DataError:
        return False
    return True


def _below_each_other(tables: dict[str, StoredTable], name: str) -> StoredTable:
    first_sheet, first = next(iter(tables.items()))
    for sheet, table in tables.items():
        if set(table.header) != set(first.header):
            odd = sorted(set(table.header) ^ set(first.header))
            raise DataError(
                f"{name}: sheets {first_sheet!r} and {sheet!r} differ in {count(len(odd), 'column')} "
                f"({named_list(odd[:N_PLACES])}), so they cannot be read one below the other. Give sheet= with "
                "one name."
            )
    columns = []
    for at, column in enumerate(first.header):
        parts = [table.columns[at if table is first else table.header.index(column)] for table in tables.values()]
        alike = len({part.dtype for part in parts}) == 1
        columns.append(pd.concat(parts if alike else [part.astype(object) for part in parts], ignore_index=True))
    sheets = np.repeat(np.array([*tables], dtype=object), [len(table.places) for table in tables.values()])
    return StoredTable(
        header=(*first.header, SHEET),
        columns=[*columns, pd.Series(sheets, dtype=object)],
        places=np.concatenate([table.places for table in tables.values()]),
        reading={**first.reading, "sheet": ", ".join(tables)},
        details=np.array([f"sheet {sheet!r}" for sheet in sheets], dtype=object),
        notes=tuple(note for table in tables.values() for note in table.notes),
    )
