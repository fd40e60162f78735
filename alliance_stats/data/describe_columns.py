"""Complete the codebook with what the source says and what the table holds: types, codes, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.column_map import ROLES, ColumnMap
from alliance_stats.data.column_words import ColumnWords
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.read_options import ReadOptions


def described(
    codebook: Codebook,
    frame: pd.DataFrame,
    columns: ColumnMap,
    words: Mapping[str, ColumnWords],
    options: ReadOptions,
    n_continued: int = 0,
) -> Codebook:
    """Complete a codebook.

    Parameters
    ----------
    codebook : Codebook
        As the mapping has it.
    frame : DataFrame
        The session table's.
    columns : ColumnMap
        Which column is what.
    words : mapping of str to ColumnWords
        What the source says, by its columns' names.
    options : ReadOptions
        Codes for missing values, occasions.
    n_continued : int
        Patients whose session numbers were made to go on.
    """
    origins = {ROLES[role]: column for role, column in columns.keys.items()}
    origins |= {score.name: score.column for score in columns.scores} | {name: name for name in columns.carried}
    own = {score.name: score.missing for score in columns.scores}
    told = [code for code in options.missing if code]
    variables = []
    for variable in codebook:
        said = words.get(origins.get(variable.name, ""), ColumnWords())
        missing = tuple(dict.fromkeys([*told, *own.get(variable.name, ()), *said.missing]))
        label = variable.label if variable.label and variable.role != "other" else said.label or variable.label
        made_from = said.made_from or variable.made_from
        if variable.name == "session":
            made_from += _session_words(options, columns, n_continued)
        kind = _kind(frame[variable.name], variable, said)
        variables.append(
            replace(
                variable,
                label=label,
                made_from=made_from,
                type=kind,
                missing=missing,
                value_labels=dict(said.value_labels),
            )
        )
    return Codebook(tuple(variables))


def with_types(frame: pd.DataFrame, variables: Iterable[Variable]) -> tuple[Variable, ...]:
    """Say what the cells of derived columns hold, where it was not said."""
    return tuple(
        variable
        if variable.type or variable.name not in frame
        else replace(variable, type=_kind(frame[variable.name], variable, ColumnWords()))
        for variable in variables
    )


def _session_words(options: ReadOptions, columns: ColumnMap, n_continued: int) -> str:
    words = ""
    if options.occasions and columns.session is not None and columns.session != SESSION_OF_NAME:
        shown = ", ".join(f"{text} = {number}" for text, number in options.occasions.items())
        words += f"; occasions numbered: {shown}"
    if n_continued:
        words += f"; numbers go on over changes of therapist (patients: {n_continued})"
    return words


def _kind(values: pd.Series, variable: Variable, said: ColumnWords) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    if pd.api.types.is_bool_dtype(values):
        return "yes or no"
    if "___" in variable.name and _all_in(values, (0, 1)):
        return "checkbox"
    if said.value_labels and variable.role != "id":
        return "coded answer"
    if pd.api.types.is_integer_dtype(values):
        return "whole number"
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        present = values.dropna()
        return "whole number" if len(present) and bool((present % 1 == 0).all()) else "number"
    return "text"


def _all_in(values: pd.Series, known: Sequence[float]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and bool(values.dropna().isin(known).all())
