"""One mixed model over all studies, for the same coefficients as the two stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.design.courses import quoted
from alliance_stats.errors import DesignError
from alliance_stats.meta.ipd.first_stage import StudyFit
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

#: Column of the study in the joint frame.
STUDY_COLUMN = "study_of_patient"


def fit_one_stage(fits: Sequence[StudyFit], terms: Sequence[str]) -> MixedResult:
    """Fit the model of the studies to all of them: intercepts and adjusting terms by study, random slopes of the terms.

    Raises
    ------
    DesignError
        If the first stage was no mixed model, or its terms are no columns.
    """
    from alliance_stats.models.mixed import mixed

    used = [one for one in fits if not one.reason]
    model = getattr(used[0].result, "fit", used[0].result)
    formula = getattr(model, "formula", None)
    if formula is None or not hasattr(model, "arrays"):
        raise DesignError("The first stage is no mixed model, so there is no one-stage model beside it.")
    kept = _columns(terms)
    frame = pd.concat([_unique(one, formula.random) for one in used], ignore_index=True)
    others = [name for name in model.arrays.fixed_names if name not in (*kept, INTERCEPT)]
    no_columns = [name for name in (*kept, *others) if name != INTERCEPT and name not in frame.columns]
    if no_columns:
        raise DesignError(
            f"{len(no_columns)} terms are no columns ({', '.join(no_columns)}), so they cannot vary by study in one "
            "model. Make them columns first."
        )
    if any(random.membership for random in formula.random):
        raise DesignError("Multiple membership has weights by row of each study; fit the one-stage model by mixed().")
    slopes = [*quoted(*(name for name in kept if name != INTERCEPT))]
    mean = INTERCEPT in kept
    fixed = [*slopes, *([] if mean else [STUDY_COLUMN])]
    fixed += quoted(*others) if mean else [f"{STUDY_COLUMN}:{name}" for name in quoted(*others)]
    bars = [f"({' + '.join(['1' if mean else '0', *slopes])} || {STUDY_COLUMN})"]
    for random in formula.random:
        bar = "|" if random.correlated else "||"
        bars.append(f"({random.effects} {bar} {':'.join(quoted(*random.group))})")
    return mixed(f"{formula.outcome} ~ {' + '.join([*fixed, *bars])}", frame, model.method)


def _columns(terms: Sequence[str]) -> list[str]:
    """Terms as coefficients of a model: a contextual effect is two of them."""
    found: list[str] = []
    for term in terms:
        stem = term.removesuffix("_contextual")
        found += [term] if stem == term else [f"{stem}_within", f"{stem}_between"]
    return list(dict.fromkeys(found))


def _unique(one: StudyFit, random: Sequence[object]) -> pd.DataFrame:
    """The rows of a study, with ids that no other study has."""
    assert one.frame is not None
    names = {name for term in random for name in term.group}  # type: ignore[attr-defined]
    own = {name: one.name + ":" + one.frame[name].astype("str") for name in names}
    missing = {name: one.frame[name].isna() for name in names}
    frame = one.frame.assign(**{name: column.mask(missing[name]) for name, column in own.items()})
    return frame.assign(**{STUDY_COLUMN: one.name})


def coefficients(fit: MixedResult, terms: Sequence[str]) -> pd.DataFrame:
    """The rows of the terms, contextual effects among them."""
    parts = []
    for term in terms:
        stem = term.removesuffix("_contextual")
        weights = {term: 1.0} if stem == term else {f"{stem}_between": 1.0, f"{stem}_within": -1.0}
        parts.append(fit.contrast(weights, term))
    return pd.concat(parts, ignore_index=True)
