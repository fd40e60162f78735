"""Write the text of a study file, to be edited by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from alliance_stats.data.column_map import ROLES, ScoreColumn
from alliance_stats.data.read_options import ReadOptions

#: What stands where a column is not known.
UNKNOWN = "…"
_WIDTH = 100


def template(
    title: str,
    file: Mapping[str, object],
    columns: Mapping[str, str],
    scores: Mapping[str, ScoreColumn],
    report: Mapping[str, object],
    assumed: Sequence[str] = (),
    available: Sequence[str] = (),
    scored: Mapping[str, Mapping[str, object]] | None = None,
) -> str:
    """Write a study file.

    Parameters
    ----------
    title : str
        Title of the study.
    file : mapping of str to object
        ``path`` and the reading options; what has its default value is left out.
    columns : mapping of str to str
        Role (``"patient"``) to column.
    scores : mapping of str to ScoreColumn
        The scores.
    report : mapping of str to object
        Options of the report; None and empty texts are left out.
    assumed : sequence of str
        Sentences for the first lines, as comments.
    available : sequence of str
        Column names of the data file, for a comment.
    scored : mapping of str to mapping, optional
        Scores that are made from items: name → keys and values.

    Returns
    -------
    str
        Valid TOML.
    """
    lines = [comment(sentence) for sentence in assumed]
    lines += [f"title = {value_text(title)}", "", "[file]", *_file_lines(file), ""]
    lines.append("[columns]")
    if available:
        lines.append(comment(f"columns of the file: {listed(available)}"))
    lines += [f"{role} = {value_text(columns[role])}" for role in ROLES if role in columns]
    for score in scores.values():
        lines += ["", *_score_lines(score)]
    for name, table in (scored or {}).items():
        lines += ["", f"[scores.{_bare(name)}]", *(f"{key} = {value_text(value)}" for key, value in table.items())]
    asked = {key: value for key, value in report.items() if value not in (None, "")}
    lines += ["", "[report]", *(f"{key} = {value_text(value)}" for key, value in asked.items())]
    return "\n".join(lines) + "\n"


def _file_lines(file: Mapping[str, object]) -> list[str]:
    usual = ReadOptions()
    return [
        f"{key} = {value_text(value)}"
        for key, value in file.items()
        if value is not None and value != getattr(usual, key, None)
    ]


def _score_lines(score: ScoreColumn) -> list[str]:
    lines = [f"[scores.{_bare(score.name)}]", f"column = {value_text(score.column)}"]
    if score.low is None or score.high is None:
        lines.append("# range = [1, 5]       # lowest and highest possible score")
    else:
        lines.append(f"range = {value_text([score.low, score.high])}")
    lines.append(f"higher = {value_text(score.higher)}" if score.higher else '# higher = "better"   # or "worse"')
    if score.missing:
        lines.append(f"missing = {value_text(score.missing)}")
    if score.label:
        lines.append(f"label = {value_text(score.label)}")
    return lines


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else value_text(name)


def comment(sentence: str) -> str:
    """Write a sentence as a comment of one line."""
    return "# " + re.sub(r"[\x00-\x08\x0a-\x1f\x7f\s]+", " ", sentence)


def listed(names: Iterable[str]) -> str:
    """List names, cut where they are many."""
    text = ", ".join(names)
    return text if len(text) <= 10 * _WIDTH else text[: 10 * _WIDTH] + " …"


def value_text(value: object) -> str:
    """Write a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{value_text(str(key))} = {value_text(part)}" for key, part in value.items()) + "}"
    # A JSON text is a TOML text, except that TOML also wants U+007F escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
