"""What each column of a session table means: label, range, direction, how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from alliance_stats.cells import NO_MATHJAX
from alliance_stats.errors import ColumnError, did_you_mean

Direction = Literal["better", "worse"]
#: Headings of the codebook that readers see.
SHOWN = ["Name", "Label", "Type", "Range", "Higher is", "Missing codes", "Values", "How it was made"]


@dataclass(frozen=True)
class Variable:
    """One column of a session table, in words.

    Parameters
    ----------
    name : str
        Column name in the table.
    label : str
        What a reader is shown, e.g. ``"Working alliance (WAI-SR, patient)"``; the name when empty.
    role : {"id", "time", "score", "other"}
        What the column is for.
    low, high : float or None
        Ends of the possible range in scale units; None where it was not stated.
    higher : {"better", "worse"} or None
        What a higher value means; None where it was not stated.
    made_from : str
        How the column came about: the column of the source, or the step that derived it.
    type : str
        What its cells hold: ``"text"``, ``"whole number"``, ``"number"``, ``"date"``, …; empty where not known.
    missing : tuple of str
        Codes that stood for a missing value in the source, and are missing in the table.
    value_labels : mapping of str to str
        Value labels: code to label.
    """

    name: str
    label: str = ""
    role: Literal["id", "time", "score", "other"] = "other"
    low: float | None = None
    high: float | None = None
    higher: Direction | None = None
    made_from: str = ""
    type: str = ""
    missing: tuple[str, ...] = ()
    value_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The label, or the name where there is no label."""
        return self.label or self.name


@dataclass(frozen=True)
class Codebook:
    """The variables of a session table, in column order.

    ``codebook["alliance"]`` is one variable, ``codebook.frame`` all of them as a frame; ``to_html``, ``to_markdown``
    and ``to_excel`` write them for readers. ``sessions.codebook`` and ``sessions.codebook()`` are the same.
    """

    variables: tuple[Variable, ...] = ()

    def __call__(self) -> Codebook:
        """Return the codebook itself."""
        return self

    def __repr__(self) -> str:
        shown = self.shown()
        told = [column for column in shown if (shown[column] != "").any()]
        return shown[told or SHOWN].to_string(index=False, max_colwidth=60)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __getitem__(self, name: str) -> Variable:
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise ColumnError(f"The codebook has no variable {name!r}. {did_you_mean(name, self.names)}")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple(variable.name for variable in self.variables)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per variable: ``name, label, role, low, high, higher, made_from, type, missing, value_labels``."""
        columns = list(Variable.__dataclass_fields__)
        return pd.DataFrame([[getattr(v, c) for c in columns] for v in self.variables], columns=columns)

    def get(self, name: str) -> Variable:
        """Return the variable, or a bare one of that name where the codebook has none."""
        return self[name] if name in self else Variable(name)

    def with_variables(self, *variables: Variable) -> Codebook:
        """Return a codebook with these variables added, or replaced where the name is known."""
        fresh = {variable.name: variable for variable in variables}
        kept = tuple(fresh.pop(v.name, v) for v in self.variables)
        return replace(self, variables=kept + tuple(fresh.values()))

    def shown(self) -> pd.DataFrame:
        """Return the codebook in words, as its exports show it.

        Returns
        -------
        DataFrame
            ``Name, Label, Type, Range, Higher is, Missing codes, Values, How it was made``, all texts.
        """
        return pd.DataFrame([_in_words(variable) for variable in self.variables], columns=SHOWN)

    def to_html(self, path: str | Path | None = None) -> str:
        """Write the codebook as an HTML table; every cell is escaped.

        Parameters
        ----------
        path : str or Path, optional
            File to write as well.

        Returns
        -------
        str
            The table.
        """
        return _written(self.shown().to_html(index=False, border=0, escape=True, classes=NO_MATHJAX), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Write the codebook as a Markdown table; bars and tags in cells are escaped.

        Parameters
        ----------
        path : str or Path, optional
            File to write as well.

        Returns
        -------
        str
            The table.
        """
        from alliance_stats.report.markup import markdown_text

        rows = [
            SHOWN,
            ["---"] * len(SHOWN),
            *([markdown_text(cell) for cell in row] for row in self.shown().to_numpy()),
        ]
        return _written("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n", path)

    def to_excel(self, path: str | Path) -> None:
        """Write the codebook as an Excel file; cells that a spreadsheet would run as formulas are made harmless.

        Parameters
        ----------
        path : str or Path
            File to write, ``.xlsx``.

        Raises
        ------
        MissingExtraError
            If openpyxl is not installed: ``pip install 'alliance-stats[excel]'``.
        """
        from alliance_stats.report.workbook import write_sheet

        write_sheet(self.shown(), path, "Codebook")


def _in_words(variable: Variable) -> list[str]:
    ends = ["" if end is None else f"{end:g}" for end in (variable.low, variable.high)]
    reach = " to ".join(ends) if all(ends) else f"from {ends[0]}" if ends[0] else f"up to {ends[1]}" if ends[1] else ""
    values = "; ".join(f"{code} = {label}" for code, label in variable.value_labels.items())
    missing = ", ".join(variable.missing)
    higher = variable.higher or ""
    return [variable.name, variable.label, variable.type, reach, higher, missing, values, variable.made_from]


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
