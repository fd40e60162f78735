"""Compare fitted models: information criteria and likelihood-ratio tests."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.engine.mixed.design import MixedDesign
from alliance_stats.engine.mixed.fit import MixedSolution, fit_mixed
from alliance_stats.errors import ConvergenceWarning, DataError, count
from alliance_stats.models.likelihood_ratio import mixture_p_value, reference_of, statistic_of
from alliance_stats.models.mixed_result import MixedResult
from alliance_stats.models.nesting import is_nested

if TYPE_CHECKING:
    from alliance_stats.models.question import QuestionResult


@dataclass(frozen=True)
class _Candidate:
    """One model of a comparison: its place in the call, and its fit by maximum likelihood."""

    place: int
    fit: MixedResult
    solution: MixedSolution

    def row(self) -> dict[str, object]:
        solution = self.solution
        return {
            "model": self.place,
            "formula": self.fit.formula.text,
            "n_parameters": solution.n_parameters,
            "deviance": solution.criterion,
            "log_likelihood": -solution.criterion / 2,
            "aic": solution.criterion + 2 * solution.n_parameters,
            "bic": solution.criterion + solution.n_parameters * np.log(solution.n_obs),
        }

    def state(self) -> dict[str, object]:
        return {"refitted": self.fit.method == "REML", "converged": self.solution.story.converged}


def anova(*fits: MixedResult | QuestionResult) -> pd.DataFrame:
    """Compare models of one outcome: information criteria, and a likelihood-ratio test of each against the one before.

    Models are ordered by their number of parameters. Fits by REML are fitted anew by maximum likelihood, because REML
    criteria of different fixed effects cannot be compared; the column ``refitted`` says so.

    Parameters
    ----------
    *fits : MixedResult, or the result of a question (``growth``, ``within_between``, …)
        Two or more, of the same rows and the same outcome.

    Returns
    -------
    DataFrame
        ``model`` (place in the call, from 1), ``formula``, ``n_parameters``, ``deviance`` (−2 log-likelihood),
        ``log_likelihood``, ``aic``, ``bic``; the test against the row above: ``statistic``, ``df``, ``p_value``,
        ``reference`` (the distribution that the p value is from); ``refitted``, ``converged``.

    Raises
    ------
    DataError
        If fewer than two models are given, or their rows or outcomes differ.

    Warns
    -----
    ConvergenceWarning
        If a model did not converge when it was fitted by maximum likelihood.

    Notes
    -----
    A variance of zero lies on the boundary of what is possible, so plain χ² would find too little. Where the larger
    model has exactly one more random effect, alone or correlated with effects that both models have, the statistic of
    ``df`` parameters is under the hypothesis an even mixture of χ² with ``df − 1`` and with ``df`` degrees of freedom
    (one variance: ½χ²(0)+½χ²(1)). Where two or more variances are added the weights of the mixture depend on the
    design, and χ²(``df``) is used, which errs towards keeping the smaller model: ``reference`` ends in "conservative".
    The mixture takes the variances that both models have to be above zero, and many levels of the grouping; with fewer
    it, too, errs towards the smaller model (100 therapists of 4 patients: true level .086 in place of .10).
    The correlation of CAR(1) residuals has its bound at zero, too, and counts as a variance here; AR(1)'s does not.
    A pair in which the smaller model is no special case of the larger has no test ("not nested").

    References
    ----------
    Self & Liang (1987), Journal of the American Statistical Association, 82, 605-610. Stram & Lee (1994), Biometrics,
    50, 1171-1177.
    """
    models = [_mixed_result(fit, place) for place, fit in enumerate(fits, start=1)]
    if len(models) < 2:
        raise DataError(
            f"anova compares two or more fitted models; {count(len(models), 'was', 'were')} given. To test terms of "
            "one model use its test()."
        )
    for (i, first), (j, second) in combinations(enumerate(models, start=1), 2):
        _check_same_data(first, second, f"Models {i} and {j}")
    candidates = [_by_maximum_likelihood(fit, place) for place, fit in enumerate(models, start=1)]
    candidates.sort(key=lambda candidate: candidate.solution.n_parameters)
    tests = [_no_test(""), *(_test(smaller, larger) for smaller, larger in pairwise(candidates))]
    rows = [one.row() | test | one.state() for one, test in zip(candidates, tests, strict=True)]
    return pd.DataFrame(rows).astype({"formula": str, "reference": str})


def _mixed_result(fit: object, place: int) -> MixedResult:
    """Take the mixed model out of a question's result."""
    from alliance_stats.models.question import QuestionResult

    inside = fit.fit if isinstance(fit, QuestionResult) else fit
    if not isinstance(inside, MixedResult):
        raise DataError(
            f"Argument {place} of anova is a {type(fit).__name__}, not a fitted model. Give results of als.mixed, or "
            "of a question such as als.growth."
        )
    return inside


def _by_maximum_likelihood(fit: MixedResult, place: int) -> _Candidate:
    solution = fit.solution if fit.method == "ML" else fit_mixed(fit.arrays.design, reml=False)
    if not solution.story.converged:
        warnings.warn(f"Model {place} of anova: {solution.story.message}", ConvergenceWarning, stacklevel=3)
    return _Candidate(place, fit, solution)


def _check_same_data(first: MixedResult, second: MixedResult, who: str) -> None:
    """Refuse models of different rows, or of different outcomes: their likelihoods are of different things."""
    samples = first.arrays.sample, second.arrays.sample
    y, other = first.arrays.design.outcome, second.arrays.design.outcome
    same_source = samples[0].n_read == samples[1].n_read
    if y.size != other.size or (same_source and not np.array_equal(samples[0].rows, samples[1].rows)):
        apart = np.setxor1d(samples[0].rows, samples[1].rows).size
        differ = f" ({count(apart, 'row')} in one only)" if same_source else ""
        raise DataError(
            f"{who} were fitted to different rows: {y.size} and {other.size}{differ}. {_common_rows(first, second)}"
        )
    n_apart = int((y != other).sum())
    if n_apart and first.formula.outcome != second.formula.outcome:
        raise DataError(
            f"{who} have different outcomes, {first.formula.outcome!r} and {second.formula.outcome!r}, whose "
            "likelihoods cannot be compared. Fit both to one outcome."
        )
    if n_apart:
        place = int((y != other).argmax())
        raise DataError(
            f"{who} were fitted to different data: the outcome differs in {n_apart} of {y.size} rows (first at row "
            f"{place} of those used). Fit both to one frame, with its rows in one order."
        )


def _common_rows(first: MixedResult, second: MixedResult) -> str:
    names = dict.fromkeys([*first.formula.variables, *second.formula.variables])
    return f"Fit both to the rows that are complete in all their variables: data.dropna(subset={list(names)})."


# ---- the test of a pair ----------------------------------------------------------------------------------------------


def _test(smaller: _Candidate, larger: _Candidate) -> dict[str, object]:
    """Likelihood-ratio test of two neighbours."""
    df = larger.solution.n_parameters - smaller.solution.n_parameters
    if df == 0:
        return _no_test("as many parameters")
    small, large = smaller.fit.arrays.design, larger.fit.arrays.design
    if not is_nested(small, large):
        return _no_test("not nested")
    statistic = statistic_of(smaller.solution.criterion, larger.solution.criterion)
    mixture, reference = reference_of(df, _n_bounded(large) - _n_bounded(small))
    p_value = mixture_p_value(statistic, mixture)
    return {"statistic": statistic, "df": float(df), "p_value": p_value, "reference": reference}


def _no_test(why: str) -> dict[str, object]:
    return {"statistic": np.nan, "df": np.nan, "p_value": np.nan, "reference": why}


def _n_bounded(design: MixedDesign) -> int:
    """Parameters that have a bound at the value that takes them out of the model: variances, and ρ ≥ 0 of CAR(1)."""
    continuous = design.residual is not None and design.residual.correlation == "car1"
    return sum(factor.n_effects for factor in design.factors) + continuous
