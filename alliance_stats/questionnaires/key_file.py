"""Key files: a measure's scoring key as TOML that a person can read, check and add to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from alliance_stats.data.column_map import DIRECTIONS
from alliance_stats.data.read_delimited import read_bytes
from alliance_stats.data.toml_file import parse_toml, refuse_problems
from alliance_stats.errors import MeasureKeyError, did_you_mean
from alliance_stats.questionnaires.key import TOTAL, Form, MeasureKey, PublishedValue, Scale, Status
from alliance_stats.questionnaires.key_checks import key_problems

_TEXTS = ("name", "title", "label", "about", "source")
_TOP = (
    *(*_TEXTS, "raters", "n_items", "response", "other_responses", "continuous", "higher", "reversed", "score"),
    *("multiply", "total_only", "status", "total", "subscales", "missing_rule", "cutoffs", "reliable_change"),
)
_NEEDED = ("name", "title", "n_items", "response", "higher", "reversed", "status", "source")
_ABOUT = ("alliance", "outcome", "other")


def read_key(path: str | Path) -> MeasureKey:
    """Read and check a key file.

    Parameters
    ----------
    path : str or Path
        A TOML file; the reference page on questionnaires lists what may stand in it.

    Raises
    ------
    MeasureKeyError
        If the file is no TOML, has keys or values that are not understood, or does not hold together; all that is
        wrong is listed.
    """
    path = Path(path)
    contents = parse_toml(read_bytes(path), path.name, MeasureKeyError, "key file")
    key, problems = _key(contents)
    problems += [] if key is None else key_problems(key)
    refuse_problems(problems, path.name, MeasureKeyError)
    assert key is not None
    return key


class _Reader:
    """Take values out of a table, and note what is wrong with them."""

    def __init__(self, table: Mapping[str, Any], where: str, known: tuple[str, ...], problems: list[str]) -> None:
        self.table, self.where, self.problems = table, where, problems
        self.problems += [
            f"{where}unknown key {key!r}. {did_you_mean(key, known)}" for key in table if key not in known
        ]

    def take(self, key: str, sound: Callable[[Any], bool], wanted: str, default: Any = None) -> Any:
        value = self.table.get(key, default)
        if key in self.table and not sound(value):
            self.problems.append(f"{self.where}{key} = {value!r} must be {wanted}")
            return default
        return value

    def text(self, key: str) -> str:
        return self.take(key, lambda v: isinstance(v, str) and bool(v.strip()), "text, in quotes", "")

    def word(self, key: str, words: tuple[str, ...], default: str) -> Any:
        return self.take(key, lambda v: v in words, f"one of {', '.join(words)}", default)

    def number(self, key: str, default: float | None = None) -> Any:
        return self.take(key, _is_number, "a number", default)

    def items(self, key: str) -> tuple[int, ...]:
        return tuple(self.take(key, _are_items, "a list of item numbers, each once", ()))

    def span(self, key: str) -> tuple[float, float]:
        low, high = self.take(key, _is_span, "two numbers, e.g. [1, 7]", (0.0, 1.0))
        return float(low), float(high)

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        found = self.take(key, lambda v: isinstance(v, list) and all(isinstance(t, Mapping) for t in v), f"[[{key}]]")
        return found or []

    def table_of(self, key: str) -> Mapping[str, Any]:
        return self.take(key, lambda v: isinstance(v, Mapping), f"a table [{key}]", {})


def _key(contents: Mapping[str, Any]) -> tuple[MeasureKey | None, list[str]]:
    problems = [f"{key} is missing" for key in _NEEDED if key not in contents]
    top = _Reader(contents, "", _TOP, problems)
    n_items = int(top.take("n_items", lambda v: _is_whole(v) and v > 0, "a positive whole number", 0))
    rule = _Reader(top.table_of("missing_rule"), "[missing_rule] ", ("min_items", "status", "source"), problems)
    scales = _scales(top, n_items, rule)
    texts = {key: top.text(key) for key in _TEXTS if key != "about"}
    others = top.take("other_responses", lambda v: isinstance(v, list) and all(map(_is_span, v)), "[[1, 7]]", [])
    raters = top.take("raters", lambda v: isinstance(v, list) and all(isinstance(r, str) for r in v), "[…]", [])
    change = top.table_of("reliable_change")
    key = None if problems else MeasureKey(
        **{**texts, "label": texts["label"] or texts["title"]},
        about=top.word("about", _ABOUT, "other"),
        raters=tuple(raters),
        n_items=n_items,
        response=top.span("response"),
        other_responses=tuple((float(low), float(high)) for low, high in others),
        continuous=top.take("continuous", lambda v: isinstance(v, bool), "true or false", False),
        higher=top.word("higher", DIRECTIONS, "better"),
        reversed=frozenset(top.items("reversed")),
        scales=scales,
        form=top.word("score", get_args(Form), "sum"),
        multiply=float(top.number("multiply", 1.0)),
        total_only=top.items("total_only"),
        status=top.word("status", get_args(Status), "own"),
        missing_status=rule.word("status", get_args(Status), "own") if rule.table else "",
        missing_source=rule.text("source"),
        cutoffs=tuple(_value(table, "[[cutoffs]] ", problems) for table in top.tables("cutoffs")),
        reliable_change=_value(change, "[reliable_change] ", problems) if change else None,
    )  # fmt: skip
    return (None if problems else key), problems


def _scales(top: _Reader, n_items: int, rule: _Reader) -> tuple[Scale, ...]:
    fewest = dict(rule.take("min_items", lambda v: isinstance(v, Mapping) and all(map(_is_whole, v.values())),
                            "a table of whole numbers by scale", {}))  # fmt: skip
    scales = []
    if "total" in top.table:
        reader = _Reader(top.table_of("total"), "[total] ", ("label", "range"), top.problems)
        scales.append(_scale(reader, TOTAL, tuple(range(1, n_items + 1)), fewest))
    for name, table in top.table_of("subscales").items():
        where = f"[subscales.{name}] "
        if name == TOTAL or not name.isidentifier() or not isinstance(table, Mapping):
            top.problems.append(f"{where}must be a table whose name is a word that can end a column name")
            continue
        reader = _Reader(table, where, ("label", "items", "range"), top.problems)
        scales.append(_scale(reader, name, reader.items("items"), fewest))
    known = [scale.name for scale in scales]
    top.problems += [f"[missing_rule] no scale {name!r}. {did_you_mean(name, known)}" for name in fewest
                     if name not in known]  # fmt: skip
    return tuple(scales)


def _scale(reader: _Reader, name: str, items: tuple[int, ...], fewest: Mapping[str, int]) -> Scale:
    if "range" not in reader.table:
        reader.problems.append(f"{reader.where}range is missing: the lowest and the highest possible score")
    low, high = reader.span("range")
    return Scale(name, reader.text("label"), items, low, high, fewest.get(name, len(items)))


def _value(table: Mapping[str, Any], where: str, problems: list[str]) -> PublishedValue:
    reader = _Reader(table, where, ("value", "meaning", "scale", "status", "source"), problems)
    problems += [f"{where}{key} is missing" for key in ("value", "status", "source") if key not in table]
    scale = reader.text("scale") or TOTAL
    status = reader.word("status", get_args(Status), "own")
    value = reader.number("value", 0.0)
    return PublishedValue(float(value), reader.text("meaning"), scale, status, reader.text("source"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_span(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _are_items(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_whole, value)) and len(set(value)) == len(value)
