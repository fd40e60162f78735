"""Which column of a source is what: the mapping to canonical names."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

from alliance_stats.data.codebook import Codebook, Direction, Variable
from alliance_stats.data.name_patterns import SESSION_OF_NAME
from alliance_stats.data.propose_wide import propose
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import (
    AFTER_CHANGE,
    ALLIANCE,
    ALLIANCE_THERAPIST,
    DATE,
    EPISODE,
    KEYS,
    OUTCOME,
    PATIENT,
    PHASE,
    SESSION,
    SINCE_CHANGE,
    SITE,
    THERAPIST,
)

#: Argument of ``read_sessions`` (and key of ``[columns]``) to canonical name.
ROLES = {
    "patient": PATIENT,
    "therapist": THERAPIST,
    "session": SESSION,
    "date": DATE,
    "site": SITE,
    "phase": PHASE,
}
SCORE_KEYS = ("column", "range", "higher", "label", "missing")
DIRECTIONS = ("better", "worse")
#: Scores that are taken without being asked for, where a column has exactly this name.
DEFAULT_SCORES = (ALLIANCE, ALLIANCE_THERAPIST, OUTCOME)
_RESERVED = (*KEYS, EPISODE, AFTER_CHANGE, SINCE_CHANGE)
_LABELS = {PATIENT: "Patient", THERAPIST: "Therapist", SESSION: "Session", DATE: "Date", SITE: "Site", PHASE: "Phase"}

#: What ``scores=`` takes.
Scores = Mapping[str, str | Mapping[str, Any]] | Sequence[str]


@dataclass(frozen=True)
class ScoreColumn:
    """One score: its name here, its column there, its range and direction.

    Parameters
    ----------
    name : str
        Name under which the package knows the score.
    column : str
        Column of the source.
    low, high : float or None
        Ends of the possible range in scale units; None where not stated.
    higher : {"better", "worse"} or None
        What a higher value means; None where not stated.
    label : str
        What a reader is shown.
    missing : tuple of str
        Codes that stand for a missing value in this column only.
    """

    name: str
    column: str
    low: float | None = None
    high: float | None = None
    higher: Direction | None = None
    label: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnMap:
    """Columns of a source, by what they are for.

    Parameters
    ----------
    patient : str
        Column that says whose session it was.
    therapist, session, date, site, phase : str or None
        Further columns; ``session`` or ``date`` must be there.
    scores : tuple of ScoreColumn
        Measured scores.
    keep : tuple of str
        Columns carried along as they are.
    items : tuple of str
        Columns of answers to single items, carried along to be scored.
    """

    patient: str
    therapist: str | None = None
    session: str | None = None
    date: str | None = None
    site: str | None = None
    phase: str | None = None
    scores: tuple[ScoreColumn, ...] = ()
    keep: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that keep their names: those to keep, and the items."""
        return (*self.keep, *self.items)

    @property
    def keys(self) -> dict[str, str]:
        """Role (``"patient"``, …) to source column, for the roles that are mapped."""
        mapped = {role: getattr(self, role) for role in ROLES}
        return {role: column for role, column in mapped.items() if column is not None}

    @property
    def wanted(self) -> dict[str, str]:
        """Every column that is read: what for, and its name in the source."""
        scores = {f"score {score.name!r}": score.column for score in self.scores}
        return {
            **self.keys,
            **scores,
            **{f"keep {name!r}": name for name in self.keep},
            **{f"item {name!r}": name for name in self.items},
        }

    def check(self) -> None:
        """Check that the mapping makes sense, whatever the source holds.

        Raises
        ------
        DataError
            If nothing orders the sessions, a column has two uses, or a name would stand twice.
        """
        for role, name in self.wanted.items():
            if not isinstance(name, str):
                raise DataError(
                    f"The column for {role} must be given by its name, not by {type(name).__name__} {name!r}."
                )
        if self.session is None and self.date is None:
            raise DataError(
                "Neither session nor date is given, so the sessions have no order. "
                "Give session= (a column of session numbers 1, 2, …) or date= (a column of dates)."
            )
        _check_single_use({**self.keys, **{f"score {score.name!r}": score.column for score in self.scores}})
        _check_names([score.name for score in self.scores], self.carried)


def _check_single_use(uses: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for role, column in uses.items():
        if column in seen:
            raise DataError(
                f"Column {column!r} is given twice: for {seen[column]} and for {role}. Each column has one use."
            )
        seen[column] = role


def _check_names(scores: Sequence[str], keep: Sequence[str]) -> None:
    taken = {*_RESERVED, *scores}
    for number, name in enumerate(keep):
        if name in taken or name in keep[:number]:
            raise DataError(
                f"keep={name!r} would stand twice: that name is taken in the session table. Rename the column."
            )


def column_map(
    keys: Mapping[str, str | None], scores: Scores | None, keep: str | Iterable[str], header: Sequence[str]
) -> ColumnMap:
    """Build the mapping from the arguments of ``read_sessions``.

    Parameters
    ----------
    keys : mapping of str to (str or None)
        Role (``"patient"``, …) to source column.
    scores : mapping, sequence of str, or None
        As in ``read_sessions``. None takes the columns that are named like the default scores.
    keep : iterable of str
        Columns to carry along.
    header : sequence of str
        Column names of the source.

    Raises
    ------
    DataError
        If the mapping makes no sense.
    """
    if scores is None:
        used = set(keys.values())
        scores = [name for name in DEFAULT_SCORES if name in header and name not in used]
    kept = (keep,) if isinstance(keep, str) else tuple(keep)
    kept = tuple(name for asked in kept for name in _checkboxes(asked, header))
    given = dict(keys)
    if given["session"] is None and given["date"] is None:
        given["session"] = _session_of_names(header)
    mapped = ColumnMap(**cast("dict[str, Any]", given), scores=score_columns(scores), keep=kept)
    mapped.check()
    return mapped


def _checkboxes(name: str, header: Sequence[str]) -> list[str]:
    """Name the columns that REDCap makes of one question with several answers (``name___1``, ``name___2``, …)."""
    boxes = [column for column in header if column.startswith(f"{name}___")]
    return [name] if name in header or not boxes else boxes


def _session_of_names(header: Sequence[str]) -> str | None:
    """Take the session that a layout makes, or say what the names of columns suggest.

    Raises
    ------
    DataError
        If nothing orders the sessions, but the names look as if there was a column per session.
    """
    if SESSION_OF_NAME in header:
        return SESSION_OF_NAME
    proposal = propose(header)
    if proposal.patterns:
        raise DataError(f"Neither session nor date is given. {proposal!r}")
    return None


def score_columns(scores: Scores) -> tuple[ScoreColumn, ...]:
    """Read ``scores=``: ``{name: column}``, ``{name: {"column": …, "range": …}}`` or a list of names."""
    if isinstance(scores, str):
        raise DataError(f'scores={scores!r} is a text. Write scores=["{scores}"] or scores={{"alliance": "{scores}"}}.')
    if isinstance(scores, Mapping):
        pairs = list(scores.items())
    elif isinstance(scores, Sequence):
        pairs = [(name, name) for name in scores]
    else:
        raise DataError(f'scores={scores!r} is not understood. Write e.g. scores={{"alliance": "wai_total"}}.')
    made = tuple(_score_column(name, spec) for name, spec in pairs)
    names = [score.name for score in made]
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise DataError(f"The score {twice[0]!r} is given twice.")
    return made


def _score_column(name: object, spec: object) -> ScoreColumn:
    problems = [problem] if (problem := name_problem(name)) else []
    if isinstance(spec, str):
        spec = {"column": spec}
    if not isinstance(spec, Mapping):
        problems.append(f"the score {name!r} needs a column name or a mapping, not {type(spec).__name__}")
        spec = {}
    else:
        problems += [f"the score {name!r}: {problem}" for problem in score_problems(spec)]
    if problems:
        raise DataError("scores is not understood: " + "; ".join(problems))
    return make_score(str(name), spec)


def make_score(name: str, spec: Mapping[str, Any]) -> ScoreColumn:
    """Build a score from a mapping that :func:`score_problems` has found to be sound."""
    low, high = spec.get("range") or (None, None)
    return ScoreColumn(
        name=name,
        column=spec["column"],
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        higher=spec.get("higher"),
        label=spec.get("label") or "",
        missing=tuple(str(code) for code in spec.get("missing") or ()),
    )


def name_problem(name: object) -> str:
    """Say what is wrong with a score's name, or nothing. It has to stand in a formula."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return (
            f"{name!r} cannot be a score's name, because it could not stand in a formula "
            '(letters, digits and _ only): write e.g. {"wai_total": "WAI total"}'
        )
    if name in _RESERVED:
        return f"{name!r} cannot be a score's name, because the package uses it for something else"
    return ""


def score_problems(spec: Mapping[Any, object]) -> list[str]:
    """List what is wrong with one score's ``column``, ``range``, ``higher`` and ``label``."""
    problems = [f"unknown key {key!r}. {did_you_mean(str(key), SCORE_KEYS)}" for key in spec if key not in SCORE_KEYS]
    column = spec.get("column")
    if column is None:
        problems.append("'column' is missing: the name of the column in the file")
    elif not isinstance(column, str) or not column:
        problems.append(f"column = {column!r} must be the name of a column, as text")
    if spec.get("higher") not in (None, *DIRECTIONS):
        problems.append(f"higher = {spec['higher']!r} must be 'better' or 'worse'")
    if spec.get("range") is not None and not _is_range(spec["range"]):
        problems.append(f"range = {spec['range']!r} must be two numbers, the lower first, e.g. [1, 5]")
    if not isinstance(spec.get("label") or "", str):
        problems.append(f"label = {spec['label']!r} must be text")
    codes = spec.get("missing") or ()
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str | int | float) for code in codes):
        problems.append(f"missing = {codes!r} must be a list of codes, e.g. [99]")
    return problems


def _is_range(value: object) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        return False
    ends = [end for end in value if end is not None]
    if not all(_is_number(end) for end in ends):
        return False
    return bool(ends) and (len(ends) < 2 or ends[0] < ends[1])


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


def codebook_for(columns: ColumnMap) -> Codebook:
    """Describe the table that this mapping leads to, one variable per column, in column order."""
    made_from: dict[str, str] = {ROLES[role]: column for role, column in columns.keys.items()}
    if columns.session is None:
        made_from[SESSION] = f"order of {columns.date!r} within patient"
    variables = []
    for name in KEYS:
        if name in made_from:
            role = "time" if name in (SESSION, DATE) else "other" if name == PHASE else "id"
            variables.append(Variable(name, _LABELS[name], cast("Any", role), made_from=made_from[name]))
    for score in columns.scores:
        variables.append(
            Variable(score.name, score.label, "score", score.low, score.high, score.higher, made_from=score.column)
        )
    variables += [Variable(name, made_from=name) for name in columns.carried]
    return Codebook(tuple(variables))
