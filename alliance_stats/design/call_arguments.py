"""What may follow the first argument of a function in a formula: numbers, flags, and codings of categories.

Everything that is handed on to the library that evaluates formulas is a word of these lists, a number, or a text that
:mod:`~alliance_stats.design.safe_names` replaces by a name, so that no argument can be more than a value.
"""

from __future__ import annotations

from typing import Protocol

from alliance_stats.design.tokens import Token, fail
from alliance_stats.errors import did_you_mean

#: Function → its options in order of position, each with the kind of value that it takes.
OPTIONS: dict[str, dict[str, str]] = {
    "poly": {"degree": "whole", "raw": "flag"},
    "bs": {
        "df": "whole", "knots": "numbers", "degree": "whole", "include_intercept": "flag", "lower_bound": "number",
        "upper_bound": "number", "extrapolation": "word",
    },
    "cr": {
        "df": "whole", "knots": "numbers", "lower_bound": "number", "upper_bound": "number", "extrapolation": "word",
    },
    "scale": {"center": "flag", "scale": "flag", "ddof": "whole"},
}  # fmt: skip
#: Codings of categories, the second argument of ``C(…)``; ``treatment("late")`` names the reference category.
CODINGS = ("treatment", "sum", "helmert")
_EXTRAPOLATIONS = ("raise", "clip", "na", "zero", "extend")
_FLAGS = {"True": "True", "TRUE": "True", "False": "False", "FALSE": "False"}
#: Columns that one call may make; more would keep the machine busy and mean nothing.
_MOST = 100


class Reader(Protocol):
    """The part of the formula's parser that is used here."""

    formula: str

    @property
    def next(self) -> Token:
        """The token that is read next."""
        ...

    def take(self) -> Token:
        """Read it."""
        ...

    def sees(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        ...

    def expect(self, sign: str) -> None:
        """Read this sign, or fail."""
        ...


def read_options(reader: Reader, function: str) -> list[str]:
    """Read what follows the first argument of a call, up to its closing parenthesis.

    Parameters
    ----------
    reader : Reader
        Stands behind the first argument.
    function : str

    Returns
    -------
    list of str
        The arguments as they are handed on.

    Raises
    ------
    FormulaError
        If the function has no such option, or the value is not of its kind.
    """
    if function == "C":
        return _coding(reader) if reader.sees(",") else []
    options, named = OPTIONS.get(function, {}), False
    read: list[str] = []
    while reader.sees(","):
        reader.take()
        place, name = reader.next.place, _keyword(reader)
        if name is None:
            if named or len(read) >= len(options):
                _too_many(reader, function, place, named)
            name = list(options)[len(read)]
            read.append(_value(reader, name, options[name]))
            continue
        if name not in options:
            fail(reader.formula, place, f"{function}() has no option {name!r}. {did_you_mean(name, options)} Found it")
        named = True
        read.append(f"{name}={_value(reader, name, options[name])}")
    return read


def _keyword(reader: Reader) -> str | None:
    """Take ``name =``, if the argument has one."""
    if reader.next.kind != "name" or reader.next.text in _FLAGS:
        return None
    name = reader.take().text
    reader.expect("=")
    return name


def _too_many(reader: Reader, function: str, place: int, named: bool) -> None:
    if named:
        fail(reader.formula, place, "A value without a name cannot follow one with a name")
    n = 1 + len(OPTIONS.get(function, {}))
    fail(reader.formula, place, f"{function}() takes {n} argument{'s' if n > 1 else ''}; this is one more, found")


def _value(reader: Reader, name: str, kind: str) -> str:
    """Read one value of a kind."""
    if kind == "flag":
        if reader.next.text not in _FLAGS:
            fail(reader.formula, reader.next.place, f"Expected True or False for {name!r}")
        return _FLAGS[reader.take().text]
    if kind == "word":
        word = _unquoted(reader.next)
        if word not in _EXTRAPOLATIONS:
            known = ", ".join(f'"{known}"' for known in _EXTRAPOLATIONS)
            fail(reader.formula, reader.next.place, f"Expected one of {known} for {name!r}")
        reader.take()
        return f'"{word}"'
    if kind == "numbers":
        return _numbers(reader, name)
    if kind == "number":
        return _number(reader, name)
    token = reader.next
    if token.kind != "number" or not token.text.isdigit():
        fail(reader.formula, token.place, f"Expected a whole number for {name!r}")
    if len(token.text) > len(str(_MOST)) or int(token.text) > _MOST:
        fail(reader.formula, token.place, f"{name!r} is {token.text[:20]}; at most {_MOST} are possible. Found")
    return reader.take().text


def _number(reader: Reader, name: str) -> str:
    sign = reader.take().text if reader.sees("-") else ""
    if reader.next.kind != "number":
        fail(reader.formula, reader.next.place, f"Expected a number for {name!r}")
    return sign + reader.take().text


def _numbers(reader: Reader, name: str) -> str:
    """Read one number, or several as ``c(2, 5)``."""
    if reader.next.text != "c":
        return f"({_number(reader, name)},)"
    reader.take()
    reader.expect("(")
    values = [_number(reader, name)]
    while reader.sees(","):
        reader.take()
        values.append(_number(reader, name))
    reader.expect(")")
    return f"({', '.join(values)},)"


def _unquoted(token: Token) -> str | None:
    return token.text[1:-1] if token.kind == "text" else None


def _coding(reader: Reader) -> list[str]:
    """Read the coding of ``C(column, coding)``."""
    reader.take()
    token = reader.next
    name = (_unquoted(token) or token.text).lower()
    if name not in CODINGS:
        known = did_you_mean(name, CODINGS) if token.kind in ("name", "text") else f"Known: {', '.join(CODINGS)}."
        fail(reader.formula, token.place, f"C() has no coding {token.text!r}. {known} Found it")
    reader.take()
    if name != "treatment" or not reader.sees("("):
        return [name]
    reader.expect("(")
    if reader.next.text in ("reference", "base"):
        reader.take()
        reader.expect("=")
    category = _category(reader)
    reader.expect(")")
    return [f"{name}({category})"]


def _category(reader: Reader) -> str:
    """Read the name of a category: a text, or a number where the column holds numbers."""
    return reader.take().text if reader.next.kind == "text" else _number(reader, "the reference category")
