"""Read a model formula: outcome, fixed part, and bar terms as in lme4.

The grammar is closed: names of columns, numbers, the operators of model formulas, and calls of the functions in
:data:`FUNCTIONS`. Nothing else gets through, so the library that evaluates the fixed part never sees attribute access,
indexing or a name that is not a column. A formula can run no code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from alliance_stats.design.tokens import Token, fail, tokenize
from alliance_stats.errors import FormulaError, did_you_mean

#: Functions that a formula may call.
FUNCTIONS = ("log", "log10", "log2", "exp", "sqrt", "abs", "poly", "bs", "cr", "scale", "center", "C", "I")


@dataclass(frozen=True)
class RandomTerm:
    """One bar term, ``(effects | group)``.

    Parameters
    ----------
    effects : str
        Left of the bar, e.g. ``"1 + session"``.
    group : tuple of str
        Columns whose combinations are the levels; more than one for ``a:b``.
    correlated : bool
        False for ``||``.
    """

    effects: str
    group: tuple[str, ...]
    correlated: bool

    @property
    def group_name(self) -> str:
        """The grouping as written: ``a`` or ``a:b``."""
        return ":".join(self.group)


@dataclass(frozen=True)
class Formula:
    """A formula in its parts.

    Parameters
    ----------
    text : str
        As the user wrote it.
    outcome : str
        The left side, as an expression.
    fixed : str
        The fixed part of the right side, as an expression.
    random : tuple of RandomTerm
        Bar terms; ``a/b`` stands already as ``a`` and ``a:b``.
    variables : tuple of str
        Every column that is named, in order of appearance.
    """

    text: str
    outcome: str
    fixed: str
    random: tuple[RandomTerm, ...]
    variables: tuple[str, ...]


@dataclass
class _Parser:
    """Recursive descent over the tokens; every method returns the piece of formula that it has read."""

    formula: str
    tokens: list[Token]
    at: int = 0
    variables: list[str] = field(default_factory=list)
    random: list[RandomTerm] = field(default_factory=list)

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def sees(self, *signs: str) -> bool:
        return self.next.kind == "sign" and self.next.text in signs

    def expect(self, sign: str) -> None:
        if not self.sees(sign):
            found = f"found {self.next.text!r}" if self.next.text else "the formula ends"
            fail(self.formula, self.next.place, f"Expected {sign!r}, but {found}")
        self.take()

    def name(self) -> str:
        """One column name."""
        if self.next.kind != "name":
            fail(self.formula, self.next.place, "Expected the name of a column")
        name = self.take().text
        if name not in self.variables:
            self.variables.append(name)
        return name

    # ---- the right side ---------------------------------------------------------------------------------------

    def right_side(self) -> str:
        pieces: list[str] = []
        sign = ""
        if self.sees("+", "-"):
            sign = self.take().text
        while True:
            if self._bar_ahead():
                if sign == "-":
                    fail(self.formula, self.next.place, "A bar term cannot be taken away")
                self.bar_term()
            else:
                pieces.append(f"{sign or '+'} {self.product()}")
            if not self.sees("+", "-"):
                break
            sign = self.take().text
        if self.next.kind != "end":
            fail(self.formula, self.next.place, f"Unexpected {self.next.text!r}")
        return " ".join(pieces).removeprefix("+ ") or "1"

    def _bar_ahead(self) -> bool:
        """Whether the parenthesis that opens here holds a bar at its own depth."""
        if not self.sees("("):
            return False
        depth = 0
        for token in self.tokens[self.at :]:
            if token.kind != "sign":
                continue
            depth += (token.text == "(") - (token.text == ")")
            if depth == 1 and token.text in ("|", "||"):
                return True
            if depth == 0:
                return False
        return False

    def bar_term(self) -> None:
        self.expect("(")
        if self.sees("|", "||"):
            fail(self.formula, self.next.place, "Expected the effects before the bar, such as 1")
        effects = self.sum()
        correlated = self.take().text == "|"
        levels = [self.group_part()]
        while self.sees("/"):
            self.take()
            levels.append(levels[-1] + self.group_part())
        self.expect(")")
        self.random += [RandomTerm(effects, group, correlated) for group in levels]

    def group_part(self) -> tuple[str, ...]:
        if self.next.kind == "name" and self.tokens[self.at + 1].text == "(":
            fail(self.formula, self.next.place, f"A grouping is a column, a/b or a:b; {self.next.text}(…) is not known")
        parts = [self.name()]
        while self.sees(":"):
            self.take()
            parts.append(self.name())
        return tuple(parts)

    # ---- expressions ------------------------------------------------------------------------------------------

    def sum(self) -> str:
        text = self.take().text if self.sees("-", "+") else ""
        text += self.product()
        while self.sees("+", "-"):
            text += f" {self.take().text} {self.product()}"
        return text

    def product(self) -> str:
        text = self.power()
        while self.sees("*", "/", ":"):
            text += self.take().text + self.power()
        return text

    def power(self) -> str:
        text = self.atom()
        while self.sees("^", "**"):
            self.take()
            if self.next.kind != "number":
                fail(self.formula, self.next.place, "Expected a number as the exponent")
            text += "**" + self.take().text
        return text

    def atom(self) -> str:
        token = self.next
        if token.kind == "number":
            return self.take().text
        if token.kind == "name":
            if self.tokens[self.at + 1].text == "(":
                return self.call()
            return quote(self.name())
        if self.sees("("):
            self.take()
            inside = self.sum()
            if self.sees("|", "||"):
                fail(self.formula, self.next.place, "A bar term cannot stand inside another term")
            self.expect(")")
            return f"({inside})"
        fail(self.formula, token.place, f"Unexpected {token.text!r}" if token.text else "Something is missing")

    def call(self) -> str:
        function = self.take()
        if function.text not in FUNCTIONS:
            known = did_you_mean(function.text, FUNCTIONS)
            fail(self.formula, function.place, f"Formulas know no function {function.text!r}. {known} Found it")
        self.expect("(")
        arguments = [self.argument()]
        while self.sees(","):
            self.take()
            arguments.append(self.argument())
        self.expect(")")
        return f"{function.text}({', '.join(arguments)})"

    def argument(self) -> str:
        """A value, or ``keyword=number``."""
        if self.next.kind == "name" and self.tokens[self.at + 1].text == "=":
            keyword = self.take().text
            self.expect("=")
            if self.next.kind not in ("number", "text"):
                fail(self.formula, self.next.place, f"Expected a number or a text for {keyword!r}")
            return f"{keyword}={self.take().text}"
        if self.next.kind == "text":
            return self.take().text
        return self.sum()


def quote(name: str) -> str:
    """Write a column name so that it can stand in an expression."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def parse_formula(text: str) -> Formula:
    """Read ``outcome ~ fixed + (effects | group)``.

    Parameters
    ----------
    text : str
        Operators as in R: ``+ - * / : ^``, ``(1 + x | g)``, ``||``, ``a/b``, ``a:b``. Names with other characters
        than letters, digits, underscores and dots stand between backticks.

    Raises
    ------
    FormulaError
        With the place of the first thing that cannot be read.
    """
    if not isinstance(text, str):
        raise FormulaError(f"A formula is a text such as 'outcome ~ session + (1 | patient_id)', not {type(text).__name__}.")
    parser = _Parser(text, tokenize(text))
    if parser.sees("~"):
        fail(text, parser.next.place, "Expected the outcome before '~'")
    outcome = parser.atom()
    parser.expect("~")
    fixed = parser.right_side()
    return Formula(text, outcome, fixed, tuple(parser.random), tuple(parser.variables))
