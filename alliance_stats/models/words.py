"""Sentences about mixed models, direction and level first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.models.residual_tables import residual_words
from alliance_stats.names import INTERCEPT, RESIDUAL
from alliance_stats.report.numbers import bounded, decimals_for, number
from alliance_stats.report.sentences import Sentences, full, join

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

_DF_METHODS = {
    "satterthwaite": "degrees of freedom after Satterthwaite",
    "kenward-roger": "standard errors and degrees of freedom after Kenward and Roger",
    "normal": "tests and intervals from the normal distribution",
}
_METHODS = {"REML": "restricted maximum likelihood", "ML": "maximum likelihood"}


def row_of(table: pd.DataFrame, term: str) -> pd.Series:
    """The row of one term."""
    return table.loc[table["term"] == term].iloc[0]


def statistics(row: Mapping[str, object] | pd.Series) -> Sentences:
    """``, b = …, SE = …, 95% CI […], t(…) = …, p = ….`` to close a sentence with."""
    return Sentences(", ") + full(row) + Sentences(".")


def points(row: pd.Series) -> str:
    """A difference without its sign, in points, with as many decimals as its standard error allows."""
    return f"{number(abs(row['estimate']), decimals_for(row['std_error']), keep_small=False)} points"


def describe_mixed(fit: MixedResult) -> str:
    """The model in words: outcome, predictors, random effects, estimator, degrees of freedom."""
    predictors = [name for name in fit.arrays.fixed_names if name != INTERCEPT]
    parts = []
    for factor, names in zip(fit.arrays.design.factors, fit.arrays.effect_names, strict=True):
        if not names:
            continue  # only carries correlated residuals
        effects = " and ".join("intercepts" if name == INTERCEPT else f"slopes of {name}" for name in names)
        correlated = " (correlated)" if any(len(block) > 1 for block in factor.blocks) else ""
        parts.append(f"random {effects} by {factor.name} ({factor.n_levels} levels){correlated}")
    parts += [words] if (words := residual_words(fit)) else []
    fixed = ", ".join(predictors) or "an intercept only"
    return (
        f"Linear mixed model of {fit.formula.outcome} on {fixed}, with {'; '.join(parts)}; {fit.solution.n_obs} rows. "
        f"Estimated by {_METHODS[fit.method]}; {_DF_METHODS[fit.df_method]}. Formula: {fit.formula.text}"
    )


def mixed_report(fit: MixedResult) -> Sentences:
    """One sentence per predictor, then how much the groups vary, then what must be said about the fit."""
    table = fit.table()
    sentences = [_effect(row, fit) for _, row in table.iterrows() if row["term"] != INTERCEPT]
    if not sentences:
        sentences = [
            Sentences("The estimated mean was " + number(table["estimate"].iloc[0])) + statistics(table.iloc[0])
        ]
    notes = list(map(Sentences.plain, fit.notes()))
    first = [] if fit.converged else [notes.pop(0)]  # before any number, that the numbers are not final
    return join(*first, *sentences, _spread(fit), *notes)


def _effect(row: pd.Series, fit: MixedResult) -> Sentences:
    outcome = fit.codebook.get(fit.formula.outcome).title
    direction = "higher" if row["estimate"] > 0 else "lower"
    lead = f"Per unit of {row['term']}, {outcome} was {points(row)} {direction}, other terms held constant"
    return Sentences.plain(lead) + statistics(row)


def _spread(fit: MixedResult) -> Sentences:
    variance = fit.variance()
    parts = []
    for _, row in variance[variance["term2"].isna()].iterrows():
        if row["group"] == RESIDUAL:
            stratum = f" at {row['term']}" if isinstance(row["term"], str) else ""
            parts.append(f"residual{stratum} {number(row['sdcor'])}")
        else:
            what = "intercepts" if row["term"] == INTERCEPT else f"slopes of {row['term']}"
            parts.append(f"{what} of {row['group']} {number(row['sdcor'])}")
    spread = f"Standard deviations were: {', '.join(parts)}."
    estimate = fit.solution.residual
    if estimate is not None and fit.arrays.residuals.spec.correlation != "none":
        time = fit.arrays.residuals.spec.time
        spread += f" The correlation of residuals over one unit of {time} was {bounded(estimate.rho)}."
    return Sentences.plain(spread)
