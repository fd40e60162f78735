"""Selection models: how likely results were to be published, and the effects behind those that were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.fixed_part import fixed_part
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.bias.result import check_alternative, pooled
from alliance_stats.meta.bias.selection_result import Bootstrap, SelectionResult
from alliance_stats.meta.columns import require
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.meta.regress import parse_right_side

if TYPE_CHECKING:
    from alliance_stats.engine.selection.fit import SelectionFit
    from alliance_stats.engine.selection.likelihood import Problem
    from alliance_stats.engine.selection.weight_functions import StepWeights, WeightFunction

Floats = NDArray[np.floating[Any]]

SMOOTH = ("beta", "halfnorm", "negexp", "logistic", "power")
STEPS = ("3PSM", "4PSM", "steps")
#: Names of models, with other spellings.
_ALIASES = {"Vevea–Woods": "Vevea-Woods", "vevea-woods": "Vevea-Woods", "stepfun": "steps"}
_ALIASES |= {"half-normal": "halfnorm", "negative exponential": "negexp", "negative-exponential": "negexp"}
_VEVEA_WOODS_STEPS = (0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995, 1.0)
#: A priori weights, by severity and whether both tails are favoured (Vevea & Woods, 2005, Table 1).
VEVEA_WOODS = {
    ("moderate", False): (1.0, 0.99, 0.95, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50),
    ("severe", False): (1.0, 0.99, 0.90, 0.75, 0.60, 0.50, 0.40, 0.35, 0.30, 0.25, 0.10, 0.10, 0.10, 0.10),
    ("moderate", True): (1.0, 0.99, 0.95, 0.90, 0.80, 0.75, 0.60, 0.60, 0.75, 0.80, 0.90, 0.95, 0.99, 1.0),
    ("severe", True): (1.0, 0.99, 0.90, 0.75, 0.60, 0.50, 0.25, 0.25, 0.50, 0.60, 0.75, 0.90, 0.99, 1.0),
}
MODELS = (*STEPS, "Vevea-Woods", *SMOOTH)


def selection(
    effects: pd.DataFrame,
    model: str = "3PSM",
    steps: Sequence[float] = (0.025,),
    *,
    mods: str | None = None,
    alternative: str = "greater",
    weights: Sequence[float] | None = None,
    severity: str = "moderate",
    tails: int = 1,
    equal: bool = False,
    cluster: str | None = None,
    n_boot: int = 1000,
    seed: int | np.random.Generator = 0,
    level: float = 0.95,
    progress: bool = True,
) -> SelectionResult:
    """Fit a selection model: results are published with a probability that depends on their p value.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi`` and the moderators.
    model : str
        ``"3PSM"`` (one step), ``"4PSM"`` (steps at ``steps[0]`` and .5), ``"steps"`` (any), ``"Vevea-Woods"`` (weights
        fixed beforehand, for sensitivity where few effects are at hand), or a smooth fall: ``"beta"``, ``"halfnorm"``,
        ``"negexp"``, ``"logistic"``, ``"power"``.
    steps : sequence of float
        p values (one-sided, unless ``alternative="two-sided"``) between which the weight is constant; .025 is two-sided
        .05 in the expected direction.
    mods : str, optional
        Moderators, ``"rater + year"``.
    alternative : {"greater", "less", "two-sided"}
        Which results were favoured: positive, negative, or significant ones of either sign.
    weights : sequence of float, optional
        For ``"steps"``: fixed weights, one more than there are steps; the first is 1.
    severity : {"moderate", "severe"}
        For Vevea–Woods.
    tails : {1, 2}
        For Vevea–Woods: weights favour one tail, or both.
    equal : bool
        Hold τ² at 0.
    cluster : str, optional
        Column of studies that have several effects: studies are drawn anew (bootstrap). Standard errors are those of
        the draws, intervals their percentiles.
    n_boot : int
        Draws.
    seed : int or Generator
    level : float
    progress : bool
        Show a bar when the bootstrap takes more than 2 seconds.

    Returns
    -------
    SelectionResult

    Raises
    ------
    DesignError
        If an interval of p whose weight is estimated holds no effect, or there are too few effects.
    DataError
        If steps do not rise inside (0, 1), or an argument is not known.

    References
    ----------
    Vevea & Hedges (1995), Psychometrika, 60, 419-435; Vevea & Woods (2005), Psychological Methods, 10, 428-443;
    Citkowicz & Vevea (2017), Psychological Methods, 22, 28-41; Preston, Ashby & Smyth (2004), Journal of Evaluation in
    Clinical Practice, 10, 313-322; Pustejovsky, Citkowicz & Joshi (2025), MetaArXiv (cluster bootstrap).
    """
    from alliance_stats.engine.selection.fit import fit_selection
    from alliance_stats.engine.selection.likelihood import Problem

    name = _model_name(model)
    check_alternative(alternative)
    if name == "Vevea-Woods" and alternative == "two-sided":
        raise DataError("Vevea-Woods weights for both tails are those of tails=2; leave alternative= at 'greater'.")
    part_of = parse_right_side(mods or "1")
    needs = [*part_of.variables, cluster]
    observed = pooled(effects, 3, "a selection model", needs, method="EE" if equal else "ML", level=level)
    kept = observed.effects
    part = fixed_part(part_of, kept)
    sign = -1.0 if alternative == "less" else 1.0
    y, v = arrays(kept)
    function = _weights(name, sign * y, v, steps, weights, severity, tails, alternative == "two-sided")
    needed = len(part.names) + 1 + function.lower.size
    if len(kept) <= needed:
        raise DesignError(
            f"{count(len(kept), 'effect')} and {count(needed, 'parameter')}: a selection model needs more effects than "
            "parameters. Vevea-Woods weights are fixed beforehand and need fewer."
        )
    problem = Problem(sign * y, v, part.matrix, function)
    fit = fit_selection(problem, equal)
    null = fit_selection(Problem(problem.y, v, problem.x, _unweighted(problem)), equal)
    boot = None if cluster is None else _bootstrap(problem, fit, kept, cluster, n_boot, seed, equal, sign, progress)
    return SelectionResult(
        observed, fit, null.log_likelihood, part, function, name, alternative, severity, tails, equal, mods or "", boot
    )


def _model_name(model: str) -> str:
    name = _ALIASES.get(model, model)
    if name not in MODELS:
        raise DataError(f"No selection model {model!r}. {did_you_mean(model, MODELS)}")
    return name


def _weights(
    name: str,
    y: Floats,
    v: Floats,
    steps: Sequence[float],
    weights: Sequence[float] | None,
    severity: str,
    tails: int,
    two_sided: bool,
) -> WeightFunction:
    from alliance_stats.engine.selection.weight_functions import SmoothWeights, StepWeights

    z = y / np.sqrt(v)
    if name in SMOOTH:
        return SmoothWeights(z, v, name, two_sided)
    if name == "Vevea-Woods":
        if (severity, tails == 2) not in VEVEA_WOODS or tails not in (1, 2):
            raise DataError(
                f"No Vevea-Woods weights for severity={severity!r}, tails={tails!r}. severity is 'moderate' or "
                "'severe', tails 1 or 2."
            )
        return StepWeights(z, v, np.array(_VEVEA_WOODS_STEPS), False, np.array(VEVEA_WOODS[severity, tails == 2]))
    edges = _edges(name, steps)
    if weights is not None:
        return StepWeights(z, v, edges, two_sided, _given(weights, edges))
    function = StepWeights(z, v, edges, two_sided)
    _need_every_interval(function)
    return function


def _edges(name: str, steps: Sequence[float]) -> Floats:
    inner = [float(one) for one in ([steps] if isinstance(steps, int | float) else steps)]
    if name == "4PSM" and len(inner) == 1:
        inner.append(0.5)
    wanted = {"3PSM": 1, "4PSM": 2}.get(name, len(inner))
    if inner and inner[-1] == 1.0:
        inner.pop()
    rising = all(low < high for low, high in zip([0.0, *inner], [*inner, 1.0], strict=True))
    if not inner or not rising:
        raise DataError(f"steps are {tuple(steps)}; p values rise inside (0, 1), e.g. (0.025, 0.5).")
    if len(inner) != wanted:
        raise DataError(f"{name} has {count(wanted, 'step')}, not {len(inner)}. Take model='steps' for others.")
    return np.array([*inner, 1.0])


def _given(weights: Sequence[float], edges: Floats) -> Floats:
    given = np.array([float(one) for one in weights])
    if given.size != edges.size or not (given > 0).all() or not np.isfinite(given).all():
        raise DataError(
            f"{count(given.size, 'weight')} for {count(edges.size, 'interval')} of p: give one positive weight for "
            "each."
        )
    return given / given[0]


def _need_every_interval(function: StepWeights) -> None:
    counts = function.counts
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        low = np.append(0.0, function.steps[:-1])
        first = f"{low[empty[0]]:g} < p ≤ {function.steps[empty[0]]:g}"
        raise DesignError(
            f"{empty.size} of {counts.size} intervals of p hold no effect (first: {first}), so their weights cannot be "
            "estimated. Merge intervals, or fix the weights: model='Vevea-Woods', or weights=."
        )


def _unweighted(problem: Problem) -> StepWeights:
    """No selection: one interval of weight 1."""
    from alliance_stats.engine.selection.weight_functions import StepWeights

    return StepWeights(problem.y / np.sqrt(problem.v), problem.v, np.ones(1), False, np.ones(1))


def _bootstrap(
    problem: Problem,
    fit: SelectionFit,
    kept: pd.DataFrame,
    cluster: str,
    n: int,
    seed: int | np.random.Generator,
    equal: bool,
    sign: float,
    progress: bool,
) -> Bootstrap:
    """Draw clusters with replacement: each draw is a set of counts, fitted from the estimates."""
    require(kept, cluster)
    if n < 50:
        raise DataError(f"{count(n, 'draw')} are too few for an interval. Take n_boot=1000.")
    codes, ids = pd.factorize(kept[cluster])
    if len(ids) < 5:
        raise DesignError(f"{count(len(ids), 'cluster')} in {cluster!r}: a bootstrap needs at least 5.")
    generator = np.random.default_rng(seed)
    start = _inside(np.concatenate([fit.beta, [fit.tau2], fit.delta]), problem)
    drawn: list[Floats] = []
    for size in _pieces(problem, n, progress):
        picked = [generator.integers(len(ids), size=len(ids)) for _ in range(size)]
        counts = np.array([np.bincount(one, minlength=len(ids)) for one in picked], dtype=np.float64)[:, codes]
        drawn += _fitted(problem, counts[_enough(problem, counts)], start, equal)
    n_failed = n - len(drawn)
    if len(drawn) < 0.5 * n:
        raise DesignError(
            f"{n_failed} of {n} draws could not be fitted (intervals of p without effects, mostly). Merge intervals, "
            "or fix the weights."
        )
    return Bootstrap(np.array(drawn), n_failed, cluster, len(ids))


def _fitted(problem: Problem, counts: Floats, start: Floats, equal: bool) -> list[Floats]:
    """Estimates (β, τ², δ) of the draws that could be fitted: steps all at once, other weights one by one."""
    from dataclasses import replace

    from alliance_stats.engine.selection.draws import can_fit, fit_draws
    from alliance_stats.engine.selection.fit import fit_selection

    if not len(counts):
        return []
    if can_fit(problem):
        theta, converged = fit_draws(problem, counts, start, equal)
        return list(theta[converged])
    fits = (fit_selection(replace(problem, counts=one), equal, start) for one in counts)
    return [np.concatenate([one.beta, [one.tau2], one.delta]) for one in fits if one.converged]


def _inside(start: Floats, problem: Problem) -> Floats:
    """Leave bounds a little, from which a climb could not start to rise."""
    p = problem.p
    moved = start.copy()
    moved[p] = max(moved[p], 0.02 * float(np.var(problem.y)))
    moved[p + 1 :] = np.clip(moved[p + 1 :], problem.weights.lower + 0.02, 50.0)
    return moved


def _enough(problem: Problem, counts: Floats) -> NDArray[np.bool_]:
    """In which draws every interval with an unknown weight holds an effect that was drawn."""
    interval = getattr(problem.weights, "interval", None)
    if interval is None or not problem.weights.lower.size:
        return np.ones(len(counts), dtype=bool)
    places = range(problem.weights.lower.size + 1)
    return np.all([(counts[:, interval == at] > 0).any(axis=1) for at in places], axis=0)


def _pieces(problem: Problem, n: int, progress: bool) -> Iterator[int]:
    """How many draws to fit together, again and again until there are n."""
    from tqdm import tqdm

    from alliance_stats.engine.selection.draws import can_fit, draws_at_once

    size = draws_at_once(problem) if can_fit(problem) else 1
    with tqdm(total=n, desc="Draws", delay=2, leave=False, disable=not progress) as bar:
        for begin in range(0, n, size):
            own = min(size, n - begin)
            yield own
            bar.update(own)
