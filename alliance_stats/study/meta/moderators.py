"""Moderators: each alone with its joint test, then together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta import figures
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.regress import RegressionResult, regress
from alliance_stats.meta.tidy import carried_back
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import degrees_of_freedom, number, p_value
from alliance_stats.report.sentences import Sentences, join, literal
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.meta.main_model import levels
from alliance_stats.study.meta.part import Asked, Part, drawn_if_possible, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Fit = MultilevelResult | RegressionResult
_KEY, _HEADING = "moderators", "Moderators"
_QUESTION = "What goes with larger or smaller effects?"
#: A moderator of numbers with no more values than this is still drawn as a line, one of texts by category.
_MOST_CATEGORIES = 12


@dataclass(frozen=True, eq=False)
class Tried:
    """One moderator, tried alone.

    Parameters
    ----------
    name : str
        Its column.
    fit : MultilevelResult, RegressionResult or None
        None where it could not be fitted.
    means : MultilevelResult, RegressionResult or None
        A mean for each category, where it is no number.
    test : DataFrame or None
        The joint test.
    reason : str
        Why it could not be fitted.
    """

    name: str
    fit: Fit | None = None
    means: Fit | None = None
    test: pd.DataFrame | None = None
    reason: str = ""


def moderators(asked: Asked) -> Part | None:
    """Try the moderators that the study file names; None where it names none."""
    options = asked.coded.study.moderators
    if not options.each and not options.together:
        return None
    tried = [_tried(asked, name) for name in options.each]
    together, failed = _together(asked, options.together)
    tables = [table for table in (_tests_table(tried), _values_table(asked, tried)) if table is not None]
    if together is not None:
        tables.append(together.result_table(f"Moderators Together: {options.together}"))
    drawn_ones = [axes for one in tried if (axes := _figure(asked, one)) is not None]
    warnings = [f"{one.name}: {one.reason}" for one in tried if one.reason]
    warnings += [f"Moderators together: {failed}"] if failed else []
    sentences = join(
        *(_sentence(one) for one in tried if one.fit is not None), *_words_together(together, options.together)
    )
    numbers: dict[str, object] = {"each": {one.name: _numbers(one) for one in tried}}
    if options.together:
        numbers["together"] = (
            {"not_estimated": failed} if together is None else _fit_numbers(together, options.together)
        )
    fits = [fit for fit in (*(one.fit for one in tried), together) if fit is not None]
    answer = section(
        _KEY,
        _HEADING,
        _QUESTION,
        sentences or Sentences.plain("None of the moderators could be tested; the reasons stand above."),
        numbers,
        tables=tuple(tables),
        figure=drawn_ones[0] if drawn_ones else None,
        more_figures=tuple(drawn_ones[1:]),
        notes=_notes(tried),
        warnings=tuple(warnings),
        converged=all(bool(fit.glance()["converged"].iloc[0]) for fit in fits),
    )
    return Part(answer, _methods(asked, options.together))


def fitted(asked: Asked, right: str) -> Fit:
    """Fit the main model with moderators.

    Raises
    ------
    DataError
        If the data cannot tell them.
    """
    options = asked.coded.study.model
    if isinstance(asked.main, MultilevelResult):
        return levels(asked.coded.frame, options, mods=right)
    method, test = asked.main.fit.method, asked.main.fit.test
    found = regress(f"yi ~ {right}", asked.main.effects, method, test, level=asked.level)
    assert isinstance(found, RegressionResult)
    return found


def _tried(asked: Asked, name: str) -> Tried:
    frame = asked.main.effects
    if name not in frame.columns:
        return Tried(name, reason="It varies within studies, whose effects were pooled into one.")
    if "`" in name:
        return Tried(name, reason="A column whose name holds a backtick cannot be a moderator. Rename it.")
    try:
        fit = fitted(asked, f"`{name}`")
        test = fit.test(name)
        means = None if pd.api.types.is_numeric_dtype(frame[name]) else fitted(asked, f"0 + `{name}`")
    except DataError as refusal:
        return Tried(name, reason=str(refusal))
    return Tried(name, fit, means, test)


def _together(asked: Asked, right: str) -> tuple[Fit | None, str]:
    if not right:
        return None, ""
    try:
        fit = fitted(asked, right)
        fit.test()
    except DesignError as refusal:
        return None, str(refusal)
    return fit, ""


# ---- tables ----------------------------------------------------------------------------------------------------------


def _tests_table(tried: Sequence[Tried]) -> ResultTable | None:
    rows = []
    for one in tried:
        if one.fit is None or one.test is None:
            rows.append({"moderator": one.name, "note": "not tested"})
            continue
        glance, test = one.fit.glance().iloc[0], one.test.iloc[0]
        found = {name: test[name] for name in ("statistic", "df_num", "df_den", "p_value")}
        rows.append(
            {"moderator": one.name, "k": glance["k"], "n_studies": glance["n_studies"], **found, "tau2": glance["tau2"]}
        )
    if not any("k" in row for row in rows):
        return None
    columns = ["moderator", "k", "n_studies", "statistic", "df_num", "df_den", "p_value", "tau2"]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    return ResultTable(
        frame,
        "Each Moderator Tried Alone",
        ("τ² = variance of true effects that is left, all levels together.",),
        formats={"k": "whole", "n_studies": "whole", "df_num": "whole", "df_den": "df", "tau2": "number:3"},
        headings={
            "moderator": "Moderator",
            "k": "Effects",
            "n_studies": "Studies",
            "statistic": Sentences("*F*"),
            "df_num": Sentences("*df*, numerator"),
            "df_den": Sentences("*df*, denominator"),
            "tau2": "τ²",
        },
    )


def _values_table(asked: Asked, tried: Sequence[Tried]) -> ResultTable | None:
    """Means of categories, slopes of numbers."""
    frames = [_values(asked, one) for one in tried if one.fit is not None]
    if not frames:
        return None
    frame = pd.concat(frames, ignore_index=True)
    with_r = scale_of(asked.main.measure) == "tanh"
    columns = ["block", "value", "k", "n_studies", "estimate", "std_error", "ci_low", "ci_high", "df", "p_value"]
    notes = ["Means of categories and slopes of numbers, each moderator alone."]
    if with_r:
        columns.append("r")
        notes.append("Estimates are Fisher's z; *r* is the mean carried back.".replace("*", ""))
    if (frame["df"] < 4).any():
        notes.append("Tests with fewer than 4 degrees of freedom can be far off.")
    formats = {"k": "whole", "n_studies": "whole", "estimate": "number:3", "std_error": "number:3"}
    formats |= {"ci_low": "interval:3"} | ({"r": "bounded"} if with_r else {})
    headings: dict[str, str] = {"value": "", "k": "Effects", "n_studies": "Studies", "ci_low": asked.ci}
    headings |= {"r": Sentences("*r*")} if with_r else {}
    return ResultTable(
        frame[columns], "Effects by Moderator", tuple(notes), formats=formats, headings=headings, stub="value"
    )


def _values(asked: Asked, one: Tried) -> pd.DataFrame:
    assert one.fit is not None
    if one.means is None:
        rows = one.fit.table()
        rows = rows[rows["term"] != INTERCEPT].assign(value="Slope per unit", k=np.nan, n_studies=np.nan, r=np.nan)
        return rows.assign(block=one.name)
    effects = one.means.effects
    counts = effects.groupby(effects[one.name].astype(str), sort=False)
    rows = one.means.table()
    names = [category_of(str(term), one.name) for term in rows["term"]]
    rows = rows.assign(value=names, block=one.name)
    rows["k"] = rows["value"].map(counts.size())
    rows["n_studies"] = rows["value"].map(counts[STUDY].nunique())
    rows["r"] = carried_back(rows["estimate"].to_numpy(np.float64), "tanh")
    return rows


def category_of(term: str, name: str) -> str:
    """Take the category out of a coefficient's name: ``rater[patient]``, ``rater[T.patient]``."""
    inner = term.removeprefix(name)
    if inner.startswith("[") and inner.endswith("]"):
        return inner[1:-1].removeprefix("T.")
    return term


# ---- words -----------------------------------------------------------------------------------------------------------


def _test_words(test: pd.Series) -> str:
    ends = f"{int(test['df_num'])}, {degrees_of_freedom(test['df_den'])}"
    return f"*F*({ends}) = {number(test['statistic'], keep_small=False)}, *p* {p_value(test['p_value'])}"


def _sentence(one: Tried) -> Sentences:
    assert one.fit is not None
    assert one.test is not None
    name = literal(one.name)
    test = one.test.iloc[0]
    small = test["p_value"] < 1 - one.fit.level
    if one.means is not None:
        found = "differed" if small else "did not differ detectably"
        return Sentences(f"Effects {found} by {name}, {_test_words(test)}.")
    slope = one.fit.table()
    row = slope[slope["term"] != INTERCEPT].iloc[0]
    way = "larger" if row["estimate"] > 0 else "smaller"
    found = f"were {way} with higher {name}" if small else f"did not depend detectably on {name}"
    return Sentences(f"Effects {found}, {_test_words(test)}.")


def _words_together(fit: Fit | None, right: str) -> list[Sentences]:
    if fit is None:
        return []
    return [Sentences(f"Together ({literal(right)}), {_test_words(fit.test().iloc[0])}.")]


def _numbers(one: Tried) -> dict[str, object]:
    if one.fit is None:
        return {"not_estimated": one.reason}
    found = _fit_numbers(one.fit, one.name) | {"test": one.test}
    return found if one.means is None else found | {"means": one.means.table()}


def _fit_numbers(fit: Fit, name: str) -> dict[str, object]:
    return {
        "formula": name,
        "table": fit.table(),
        "test": fit.test(),
        "glance": fit.glance().iloc[0].to_dict(),
        "notes": list(fit.notes()),
    }


def _notes(tried: Sequence[Tried]) -> tuple[str, ...]:
    n = sum(one.fit is not None for one in tried)
    found = [
        f"{one.name}: {note}"
        for one in tried
        if one.fit is not None and one.fit.n_dropped
        for note in one.fit.notes()[:1]
    ]
    if n > 1:
        found.append(f"{count(n, 'moderator')} were tried; among so many, one small p value is expected sooner.")
    return tuple(found)


def _methods(asked: Asked, together: str) -> tuple[str, ...]:
    cite = asked.citations.cite
    how = "alone" + (", then together" if together else "")
    if isinstance(asked.main, MultilevelResult) and asked.main.robust:
        return (
            f"Moderators were tried {how}, in the same model, with the approximate Hotelling's T² test (HTZ) for "
            f"several coefficients {cite('htz')}.",
        )
    return (f"Moderators were tried {how} by meta-regression in the same model; several coefficients have an F test.",)


# ---- figures ---------------------------------------------------------------------------------------------------------


def _figure(asked: Asked, one: Tried) -> Axes | None:
    """A bubble plot of numbers, an orchard plot of categories."""
    fit = one.fit
    if fit is None:
        return None
    means = one.means
    if means is None:
        return drawn_if_possible(asked.coded, lambda: figures.bubble(fit, one.name))
    if asked.main.effects[one.name].nunique() > _MOST_CATEGORIES:
        return None
    asked.citations.cite("orchard")
    return drawn_if_possible(asked.coded, lambda: figures.orchard(means, by=one.name))
