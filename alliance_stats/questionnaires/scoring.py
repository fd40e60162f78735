"""Score a questionnaire by its key: ``score(data, "WAI-SR", items="wai_{:02d}", into="alliance")``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.data.codebook import Variable
from alliance_stats.data.column_map import name_problem
from alliance_stats.data.columns import add_columns
from alliance_stats.data.session_table import Data, SessionTable, frame_of, rewrap
from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.questionnaires.arithmetic import Floats, How, Ints, scale_scores
from alliance_stats.questionnaires.items import Answers, Items, read_answers
from alliance_stats.questionnaires.key import TOTAL, MeasureKey, Scale
from alliance_stats.questionnaires.key_checks import expected_range
from alliance_stats.questionnaires.known import measure_key

#: Words for raters that mean the same.
_RATERS = {"client": "patient", "clinician": "therapist"}


def score(
    data: Data,
    measure: str | MeasureKey,
    *,
    items: Items,
    into: str | None = None,
    rater: str | None = None,
    how: How | None = None,
    min_items: int | Mapping[str, int] | None = None,
    multiply: float | None = None,
    response: tuple[float, float] | None = None,
    subscales: bool | Sequence[str] = True,
    missing: Sequence[float | str] = (),
    on_faults: Literal["raise", "leave_out"] = "raise",
) -> Data:
    """Score a questionnaire: total, subscales, and how many items were answered.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session, with a column for each item. It is not changed.
    measure : str
        Name as in :func:`alliance_stats.measures`, e.g. ``"WAI-SR"``.
    items : str, sequence of str, or mapping of int to str
        Columns of the items: a pattern for the item number (``"wai_{:02d}"``), all names in the order of the
        questionnaire, or item number → name.
    into : str, optional
        Name of the new column; subscales are called ``<into>_<subscale>``. By default the measure's name.
    rater : str, optional
        Who filled it in; stands in the label.
    how : {"sum", "mean", "prorated"}, optional
        Sum of all items; mean of the answered items; or that mean times the number of items. By default what the
        key says, prorated where ``min_items`` lets items be missing.
    min_items : int or mapping of str to int, optional
        Fewest answered items that are scored, for every scale or by scale (``{"total": 10, "bond": 3}``). By
        default the measure's own rule, or all items where there is none.
    multiply : float, optional
        What sums or means are multiplied by, instead of the key's factor (DASS-21: 2 gives the long form's units).
    response : tuple of float, optional
        Response range of another form that the key names (WAI-SR from 1 to 7: ``(1, 7)``).
    subscales : bool or sequence of str
        Whether subscales are scored, or which.
    missing : sequence
        Codes that stand for no answer, e.g. ``[99]``. Blanks always do; they never become a value.
    on_faults : {"raise", "leave_out"}
        Whether answers that are no numbers or lie outside the response range stop the scoring (all are named), or
        count as not given (they are counted in the codebook and in ``faults``). Nothing is ever cut off at the range.

    Returns
    -------
    SessionTable or DataFrame
        The same type as ``data``, with for each scale ``x`` its score ``x`` (missing where too few items were
        answered) and ``x_answered``. The codebook of a session table learns range, direction, label, and how the
        scores were made.

    Raises
    ------
    FaultsError
        If answers cannot be right; ``faults`` lists every item.
    DataError
        If the measure, a scale, the range or the columns are not there, ``min_items`` does not fit, or a new column
        would be written over another.

    Notes
    -----
    Prorating puts the mean of the answered items in the place of each missing one. It is unbiased only where items
    measure the same and are missing at random.

    Examples
    --------
    >>> import pandas as pd
    >>> names = [f"gad{item}" for item in range(1, 8)]
    >>> answers = pd.DataFrame([[3, 3, 2, 1, 2, 1, 0], [1, 0, 0, None, 1, 0, 1]], columns=names)
    >>> scored = score(answers, "GAD-7", items="gad{}", into="anxiety")
    >>> scored[["anxiety", "anxiety_answered"]].to_numpy().tolist()
    [[12.0, 7.0], [nan, 6.0]]
    """
    key, frame = measure_key(measure), frame_of(data)
    into = _name_of(key) if into is None else into
    if problem := name_problem(into):
        raise DataError(f"into = {into!r}: {problem}.")
    rater = _checked_rater(key, rater)
    scales = _asked_scales(key, subscales)
    fewest = _fewest(key, scales, how, min_items)
    factor = key.multiply if multiply is None and how is None else (multiply if multiply is not None else 1.0)
    answers = read_answers(frame, key, items, response, missing, on_faults)
    turned = answers.reversed(key.reversed)
    columns: dict[str, Floats | Ints] = {}
    variables: list[Variable] = []
    for scale in scales:
        form = _form(key, scale, how, fewest[scale.name])
        own = turned[:, [item - 1 for item in scale.items]]
        scores, answered = scale_scores(own, form, fewest[scale.name], factor)
        name = into if scale.name == TOTAL else f"{into}_{scale.name}"
        columns |= {name: scores, f"{name}_answered": answered}
        made = _made_from(key, scale, form, fewest[scale.name], factor, scores, answered, answers, missing)
        variables += _variables(key, scale, name, rater, form, factor, answers.response, made)
    scored = rewrap(data, add_columns(frame, columns), *variables)
    if isinstance(scored, SessionTable) and len(answers.faults):
        faults = pd.concat([scored.faults, answers.faults], ignore_index=True)
        return replace(scored, faults=faults)
    return scored


def _name_of(key: MeasureKey) -> str:
    name = re.sub(r"\W+", "_", key.name).strip("_").lower()
    return name if name.isidentifier() else f"measure_{name}"


def _checked_rater(key: MeasureKey, rater: str | None) -> str:
    if rater is None:
        return key.raters[0] if len(key.raters) == 1 else ""
    asked = _RATERS.get(rater, rater)
    if key.raters and asked not in key.raters:
        raise DataError(
            f"{key.name} is filled in by {' or '.join(key.raters)}, not by {rater!r}. "
            f"{did_you_mean(rater, key.raters)} For another form write a key file of its own (register_measure)."
        )
    return asked


def _asked_scales(key: MeasureKey, subscales: bool | Sequence[str]) -> tuple[Scale, ...]:
    total = () if key.total is None else (key.total,)
    if isinstance(subscales, str):
        subscales = [subscales]
    if not isinstance(subscales, bool):
        return (*total, *(key.scale(name) for name in dict.fromkeys(subscales) if name != TOTAL))
    if not subscales and not total:
        raise DataError(f"{key.name} has no total, only subscales ({', '.join(s.name for s in key.scales)}).")
    return (*total, *(key.subscales if subscales else ()))


def _fewest(
    key: MeasureKey, scales: tuple[Scale, ...], how: How | None, min_items: int | Mapping[str, int] | None
) -> dict[str, int]:
    """Fewest answered items of each scale."""
    if how is not None and how not in get_args(How):
        raise DataError(f"how has no form {how!r}. {did_you_mean(str(how), get_args(How))}")
    names = [scale.name for scale in scales]
    if isinstance(min_items, Mapping):
        for name in min_items:
            key.scale(name)
        given = dict(min_items)
    else:
        given = {} if min_items is None else dict.fromkeys(names, min_items)
    fewest = {}
    for scale in scales:
        n = len(scale.items)
        # the key's rule belongs to the key's way of scoring; a sum takes all items
        own = n if how == "sum" else scale.min_items
        fewest[scale.name] = given.get(scale.name, own)
        _check_fewest(key, scale, fewest[scale.name], how, one_for_all=isinstance(min_items, int))
    return fewest


def _check_fewest(key: MeasureKey, scale: Scale, fewest: int, how: How | None, *, one_for_all: bool) -> None:
    n = len(scale.items)
    if isinstance(fewest, bool) or not isinstance(fewest, int | np.integer) or not 1 <= fewest <= n:
        by_scale = (
            " Give it by scale: min_items={'total': 10, 'bond': 3}." if one_for_all and len(key.scales) > 1 else ""
        )
        raise DataError(
            f"min_items = {fewest!r} does not fit {scale.name} of {key.name}, which has {count(n, 'item')}.{by_scale}"
        )
    if how == "sum" and fewest < n:
        raise DataError(
            f"A sum over {fewest} of {n} items of {scale.name} would count the missing ones as 0. "
            "Use how='prorated' or how='mean', or leave min_items out."
        )


def _form(key: MeasureKey, scale: Scale, how: How | None, fewest: int) -> How:
    if how is not None:
        return how
    return "prorated" if key.form == "sum" and fewest < len(scale.items) else key.form


def _variables(
    key: MeasureKey,
    scale: Scale,
    name: str,
    rater: str,
    form: How,
    factor: float,
    response: tuple[float, float],
    made: str,
) -> list[Variable]:
    as_scored = replace(key, form="mean" if form == "mean" else "sum", multiply=factor)
    low, high = expected_range(as_scored, scale, response)
    who = f"{key.name}, {rater}" if rater else key.name
    label = key.label if scale.name == TOTAL else f"{key.label}: {scale.label or scale.name}"
    return [
        Variable(name, f"{label} ({who})", "score", low, high, key.higher, made),
        Variable(
            f"{name}_answered",
            f"{label} ({who}), items answered",
            "other",
            0.0,
            float(len(scale.items)),
            None,
            f"answered items of {scale.name}, {key.name}",
        ),
    ]


def _made_from(
    key: MeasureKey,
    scale: Scale,
    form: How,
    fewest: int,
    factor: float,
    scores: Floats,
    answered: Ints,
    answers: Answers,
    missing: Sequence[float | str],
) -> str:
    """Say how a score came about, and how often it could not."""
    n, reversed_ = len(scale.items), sorted(key.reversed & set(scale.items))
    words = {"sum": "sum", "mean": "mean", "prorated": "prorated sum"}[form]
    text = f"{key.name}, {scale.name}: {words} of {count(n, 'item')}"
    if factor != 1:
        text += f" × {factor:g}"
    low, high = answers.response
    text += f" answered from {low:g} to {high:g}"
    if reversed_:
        text += f", {count(len(reversed_), 'item')} reversed ({', '.join(map(str, reversed_))})"
    if missing:
        text += f", {' and '.join(map(str, missing))} taken as not answered"
    if fewest < n:
        text += f", at least {fewest} answered"
    incomplete = int((~np.isnan(scores) & (answered < n)).sum())
    if incomplete:
        text += f"; {count(incomplete, 'score')} from fewer than {n} items"
    text += f"; {int(np.isnan(scores).sum())} of {scores.size} not scored"
    places = set(np.array(answers.columns)[[item - 1 for item in scale.items]])
    left_out = int(answers.faults.loc[answers.faults["column"].isin(places), "n"].sum())
    if left_out:
        text += f"; {count(left_out, 'answer')} outside the possible ones counted as not given"
    return f"{text} (key: {key.status})"
