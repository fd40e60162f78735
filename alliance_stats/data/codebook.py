"""What each column of a session table means: label, range, direction, how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from alliance_stats.errors import ColumnError, did_you_mean

Direction = Literal["better", "worse"]


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
    """

    name: str
    label: str = ""
    role: Literal["id", "time", "score", "other"] = "other"
    low: float | None = None
    high: float | None = None
    higher: Direction | None = None
    made_from: str = ""

    @property
    def title(self) -> str:
        """The label, or the name where there is no label."""
        return self.label or self.name


@dataclass(frozen=True)
class Codebook:
    """The variables of a session table, in column order.

    ``codebook["alliance"]`` is one variable, ``codebook.frame`` (or ``codebook()``) all of them as a table.
    """

    variables: tuple[Variable, ...] = ()

    def __call__(self) -> pd.DataFrame:
        """Return the codebook as a frame, one row per variable."""
        return self.frame

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
        """One row per variable: ``name, label, role, low, high, higher, made_from``."""
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
