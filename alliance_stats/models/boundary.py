"""A fit on the boundary in plain words: what it means, what still holds, what to try."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from alliance_stats.names import INTERCEPT, PATIENT, THERAPIST

#: Words for the groupings whose meaning is known.
_WORDS = {PATIENT: "patients", THERAPIST: "therapists"}


def boundary_sentences(variance: pd.DataFrame, groups: Sequence[str], rank_deficient: Sequence[bool]) -> list[str]:
    """Explain every grouping whose covariance lies on the boundary.

    Parameters
    ----------
    variance : DataFrame
        As given by ``variance()`` of a mixed model.
    groups : sequence of str
    rank_deficient : sequence of bool
        Per grouping, whether its covariance lies on the boundary.
    """
    sentences = []
    for group, deficient in zip(groups, rank_deficient, strict=True):
        if not deficient:
            continue
        own = variance[variance["group"] == group]
        single = own[own["term2"].isna()]
        zero = list(single.loc[single["vcov"] <= 1e-10 * max(float(single["vcov"].max()), 1e-300), "term"])
        who = _WORDS.get(group, group)
        if len(zero) == len(single) and zero == [INTERCEPT]:
            between = _WORDS.get(group, f"levels of {group}")
            sentences.append(
                f"The variance of {who} was estimated at zero (on the boundary): beyond the other terms of the model, "
                f"these data show no differences between {between}. The fixed effects remain usable, and are those of "
                "the model without this term; with few levels a real variance can be missed."
            )
        elif zero:
            named = " and ".join("the intercept" if name == INTERCEPT else f"the slope of {name}" for name in zero)
            sentences.append(
                f"For {who}, the variance of {named} was estimated at zero (on the boundary). The fixed effects remain "
                "usable; consider leaving this random effect out."
            )
        else:
            sentences.append(
                f"For {who}, the random effects were estimated as perfectly correlated (on the boundary): the data do "
                "not hold enough information for all of them. The fixed effects remain usable; try uncorrelated "
                "effects (||) or fewer of them."
            )
    return sentences
