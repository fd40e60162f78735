"""Write the text of a study file of a meta-analysis, to be edited by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alliance_stats.data.study_template import UNKNOWN, comment, listed, value_text

#: Columns that a study file shows even where they are not known, with what they are.
_ASKED = {"study": "which study the effect is from", "r": "the correlation", "n": "the sample size"}
_MORE = """
[model]
rho = 0.6                  # correlation of the sampling errors of one study

[moderators]
each = []                  # columns, each tried alone: ["rater", "year"]
"""


def meta_template(title: str, path: str, columns: Mapping[str, object], available: Sequence[str] = ()) -> str:
    """Write a study file.

    Parameters
    ----------
    title, path : str
        Title of the study, and its coding sheet; left out where empty.
    columns : mapping of str to str
        Role to column.
    available : sequence of str
        Column names of the coding sheet, for a comment.

    Returns
    -------
    str
        Valid TOML.
    """
    lines = [f"title = {value_text(title)}"]
    if path:
        lines += ["", "[file]", f"path = {value_text(path)}"]
    lines += ["", "[effects]"]
    if available:
        lines.append(comment(f"columns of the sheet: {listed(available)}"))
    coded = {"yi", "vi"} & set(columns)
    asked = {"study": _ASKED["study"], "yi": "the effect", "vi": "its sampling variance"} if coded else _ASKED
    lines += [f"{role} = {value_text(UNKNOWN)}   # {words}" for role, words in asked.items() if role not in columns]
    lines += [f"{role} = {value_text(column)}" for role, column in columns.items()]
    return "\n".join(lines) + "\n" + _MORE
