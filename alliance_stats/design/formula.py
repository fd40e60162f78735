"""Read a model formula: outcome, fixed part, and bar terms as in lme4.

The grammar is closed: names of columns, numbers, the operators of model formulas, and calls of the functions in
:data:`FUNCTIONS`. Nothing else gets through, so the library that evaluates the fixed part never sees attribute access,
indexing or a name that is not a column. A formula can run no code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from alliance_stats.design.call_arguments import read_options
from alliance_stats.design.tokens import Token, fail, tokenize
from alliance_stats.errors import FormulaError, did_you_mean

#: Functions that a formula may call.
FUNCTIONS = ("log", "log10", "log2", "exp", "sqrt", "abs", "poly", "bs", "cr", "scale", "center", "C", "I")
#: Parentheses and calls inside one another; deeper ones are no formula that a person wrote.
_MAX_DEPTH = 30
#: Terms that a piece of a formula may multiply out to: ``(a + b)^40`` would keep the machine busy for years.
_MAX_TERMS = 500
_MAX_LENGTH = 20_000
_EXPONENTS = tuple("123456789")


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
    membership : bool
        True for ``mm(group)``: rows belong to several levels, by weights given beside the formula.
    """

    effects: str
    group: tuple[str, ...]
    correlated: bool
    membership: bool = False

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
    predictors : tuple of str
        Those of them that stand elsewhere than right of a bar (the outcome's among them).
    """

    text: str
    outcome: str
    fixed: str
    random: tuple[RandomTerm, ...]
    variables: tuple[str, ...]
    predictors: tuple[str, ...]


@dataclass
class _Parser:
    """Recursive descent over the tokens; every method returns the piece of formula that it has read.

    ``terms`` is the number of terms that the piece read last multiplies out to.
    """

    formula: str
    tokens: list[Token]
    at: int = 0
    depth: int = 0
    in_call: bool = False
    terms: int = 1
    variables: list[str] = field(default_factory=list)
    predictors: list[str] = field(default_factory=list)
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

    def enter(self) -> None:
        """Go one parenthesis deeper."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            fail(self.formula, self.next.place, f"More than {_MAX_DEPTH} parentheses inside one another")
        self.expect("(")

    def leave(self) -> None:
        self.expect(")")
        self.depth -= 1

    def count_terms(self, terms: int, place: int) -> None:
        if terms > _MAX_TERMS:
            fail(self.formula, place, f"This multiplies out to more than {_MAX_TERMS} terms")
        self.terms = terms

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
        if not self.sees("|", "||"):
            fail(self.formula, self.next.place, f"Expected '|', but found {self.next.text!r}")
        correlated = self.take().text == "|"
        if self.next.text == "mm" and self.tokens[self.at + 1].text == "(":
            self.random.append(RandomTerm(effects, (self.members(),), correlated, membership=True))
            return
        levels = [self.group_part(())]
        while self.sees("/"):
            self.take()
            levels.append(levels[-1] + self.group_part(levels[-1]))
        self.expect(")")
        self.random += [RandomTerm(effects, group, correlated) for group in levels]

    def members(self) -> str:
        """``mm(group))``, to the end of the bar term; the grouping need not be a column."""
        self.take()
        self.expect("(")
        if self.next.kind != "name":
            fail(self.formula, self.next.place, "Expected the name of a grouping")
        place, name = self.next.place, self.take().text
        if any(term.group == (name,) for term in self.random):
            fail(self.formula, place, f"{name!r} is a grouping already")
        self.expect(")")
        self.expect(")")
        return name

    def group_part(self, before: tuple[str, ...]) -> tuple[str, ...]:
        parts = [self.group_column(before)]
        while self.sees(":"):
            self.take()
            parts.append(self.group_column((*before, *parts)))
        return tuple(parts)

    def group_column(self, before: tuple[str, ...]) -> str:
        """One column of a grouping; a second time it would divide nothing further."""
        if self.next.kind == "name" and self.tokens[self.at + 1].text == "(":
            fail(self.formula, self.next.place, f"A grouping is a column, a/b or a:b; {self.next.text}(…) is not known")
        if any(term.membership and term.group == (self.next.text,) for term in self.random):
            fail(self.formula, self.next.place, f"{self.next.text!r} is a grouping already")
        if self.next.text in before:
            fail(self.formula, self.next.place, f"{self.next.text!r} stands twice in one grouping")
        return self.name()

    # ---- expressions ------------------------------------------------------------------------------------------

    def sum(self) -> str:
        text = self.take().text if self.sees("-", "+") else ""
        text += self.product()
        terms = self.terms
        while self.sees("+", "-"):
            place = self.next.place
            text += f" {self.take().text} {self.product()}"
            terms += self.terms
            self.count_terms(terms, place)
        return text

    def product(self) -> str:
        text = self.power()
        terms = self.terms
        while self.sees("*", "/", ":"):
            sign = self.take()
            if self.in_call and sign.text == ":":
                fail(self.formula, sign.place, "':' cannot stand inside a call (write * to multiply)")
            text += sign.text + self.power()
            terms = terms * self.terms + (0 if sign.text == ":" else terms + self.terms)
            self.count_terms(1 if self.in_call else terms, sign.place)
        return text

    def power(self) -> str:
        before, read = self.next.place, len(self.predictors)
        text = self.atom()
        if not self.sees("^", "**"):
            return text
        sign = self.take()
        if self.next.kind != "number":
            fail(self.formula, self.next.place, "Expected a number as the exponent")
        if len(self.predictors) == read:
            # a power of a plain number, such as 9**9**9, can occupy the machine for ever
            fail(self.formula, before, "Expected the name of a column in what is raised to a power")
        if not self.in_call and self.next.text not in _EXPONENTS:
            fail(self.formula, self.next.place, "Expected 1, 2, … or 9 as the exponent (write I(…) to compute a power)")
        exponent = self.take().text
        self.count_terms(1 if self.in_call else self.terms ** int(exponent), sign.place)
        if self.sees("^", "**"):
            fail(self.formula, self.next.place, "A power of a power needs parentheses")
        return f"{text}**{exponent}"

    def atom(self) -> str:
        token, self.terms = self.next, 1
        if token.kind == "number":
            return self.take().text
        if token.kind == "name":
            if self.tokens[self.at + 1].text == "(":
                return self.call()
            self.predictors.append(self.next.text)
            return quote(self.name())
        if self.sees("("):
            self.enter()
            inside = self.sum()
            if self.sees("|", "||"):
                fail(self.formula, self.next.place, "A bar term cannot stand inside another term")
            self.leave()
            return f"({inside})"
        fail(self.formula, token.place, f"Unexpected {token.text!r}" if token.text else "Something is missing")

    def call(self) -> str:
        function = self.take()
        if function.text not in FUNCTIONS:
            known = did_you_mean(function.text, FUNCTIONS)
            fail(self.formula, function.place, f"Formulas know no function {function.text!r}. {known} Found it")
        outside, self.in_call = self.in_call, True
        self.enter()
        arguments = [self.sum(), *read_options(self, function.text)]
        self.leave()
        self.in_call, self.terms = outside, 1
        return f"{function.text}({', '.join(arguments)})"


def quote(name: str) -> str:
    """Write a column name so that it can stand in an expression."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def parse_formula(text: str) -> Formula:
    """Read ``outcome ~ fixed + (effects | group)``.

    Parameters
    ----------
    text : str
        Operators as in R: ``+ - * / : ^``, ``(1 + x | g)``, ``||``, ``a/b``, ``a:b``, ``mm(a)``. Names with
        other characters than letters, digits, underscores and dots stand between backticks.

    Raises
    ------
    FormulaError
        With the place of the first thing that cannot be read.
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"A formula is a text such as 'outcome ~ session + (1 | patient_id)', not {type(text).__name__}."
        )
    if len(text) > _MAX_LENGTH:
        raise FormulaError(
            f"The formula has {len(text)} characters; at most {_MAX_LENGTH} are read. Combine predictors first."
        )
    parser = _Parser(text, tokenize(text))
    if parser.sees("~"):
        fail(text, parser.next.place, "Expected the outcome before '~'")
    outcome = parser.atom()
    parser.expect("~")
    fixed = parser.right_side()
    predictors = tuple(dict.fromkeys(parser.predictors))
    return Formula(text, outcome, fixed, tuple(parser.random), tuple(parser.variables), predictors)
