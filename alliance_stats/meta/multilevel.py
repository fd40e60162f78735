"""Pool effects that depend on each other: several per study, samples within studies, crossed years or measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart, fixed_part
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, take_effects
from alliance_stats.meta.containment import containment_df
from alliance_stats.meta.levels import Ints, columns_of, in_order, nested_in, read_random
from alliance_stats.meta.multilevel_digits import beyond_digits, check_residuals, too_precise
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.multilevel_setup import Structure, build
from alliance_stats.meta.regress import parse_right_side
from alliance_stats.meta.robust_tests import Uncertainty
from alliance_stats.meta.sampling import simple_covariance
from alliance_stats.meta.settings import check_level, measure_of
from alliance_stats.meta.tidy import Floats

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.multilevel import Peak, Problem

#: Robust where the clusters are independent, else model-based.
AUTO = "auto"
#: Laws of model-based tests.
TESTS = ("z", "t", "containment")


def multilevel(
    effects: pd.DataFrame,
    random: str | Sequence[str] = "study/effect",
    V: object = None,
    rho: float = 0.6,
    mods: str | None = None,
    *,
    robust: str | None = AUTO,
    cluster: str | None = None,
    working: str = "CHE",
    subgroup: str | None = None,
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
    measure: str | None = None,
) -> MultilevelResult:
    """Pool dependent effects in a multilevel model.

    By default the working model is that of correlated and hierarchical effects (CHE): sampling errors of one study
    correlate by ``rho``, true effects vary between studies and within them, and standard errors are robust (CR2) with
    studies as clusters, so that they hold also where the working model does not.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``, the levels' columns and the moderators; one row per effect.
    random : str or sequence of str
        Nested levels from outside to inside, ``"study/effect"`` or ``"study/sample/effect"``; where there is no column
        ``effect``, every row is an effect. A sequence names levels that cross: ``["study/effect", "year"]``.
    V : SamplingCovariance, DataFrame, ndarray or float, optional
        Sampling covariances: made by :func:`sampling_covariance` (by construct or rater), or a k × k matrix in the
        order of the rows (a frame with the rows' labels: in any order). By default imputed from ``rho``; one number is
        taken as ``rho``, and k variances as those of independent sampling errors.
    rho : float
        Correlation of the sampling errors of one study (level ``study``, else the outermost), in [0, 1); not used where
        ``V`` is given.
    mods : str, optional
        Moderators, ``"rater + year"``; ``"0 + rater"`` for a mean per rater.
    robust : {"CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3", None}, optional
        Kind of robust standard errors; None for model-based ones. By default CR2, or model-based (and noted) where
        crossed levels join the clusters.
    cluster : str, optional
        Column of the clusters; the outermost level by default.
    working : {"CHE", "SCE"}
        ``"SCE"``: subgroup correlated effects. Sampling errors correlate within ``subgroup`` of a study only, and each
        subgroup has a variance between studies of its own.
    subgroup : str, optional
        Column of the subgroups, for SCE.
    method : {"REML", "ML"}
    test : {"z", "t", "containment"}
        Without robust errors: normal; t with k − p degrees of freedom; t with as many as the groups inside which a
        moderator does not vary (studies, for the mean), less p.
    level : float
        Level of all intervals.
    measure : str, optional
        Effect size of ``yi``, as in :func:`effect_sizes`.

    Returns
    -------
    MultilevelResult

    Raises
    ------
    DesignError
        If a level has one group, there are no more clusters than coefficients, or clusters are joined by other levels.
    DataError
        If rho lies outside [0, 1), V is not positive definite or joins studies, or a variance is not positive.

    References
    ----------
    Pustejovsky & Tipton (2022), Prevention Science, 23, 425-438 (CHE, SCE); Konstantopoulos (2011), Research Synthesis
    Methods, 2, 61-76; Pustejovsky & Tipton (2018), Journal of Business & Economic Statistics, 36, 672-683 (CR2).
    """
    return _multilevel(simple_covariance(dict(locals())), None)


def _multilevel(asked: dict[str, Any], begin: Floats | None) -> MultilevelResult:
    effects, random, robust = asked["effects"], asked["random"], asked["robust"]
    mods, cluster, subgroup = asked["mods"], asked["cluster"], asked["subgroup"]
    method, test, level = asked["method"], asked["test"], asked["level"]
    _check_words(method, test, robust)
    check_level(level)
    paths = read_random(random)
    formula = parse_right_side(mods or "1")
    columns = columns_of(paths, effects)
    more = [name for name in (cluster, subgroup) if name is not None]
    named = [name for name in dict.fromkeys([*columns, *formula.variables, *more]) if name != EFFECT]
    kept, n_dropped = take_effects(effects, named)
    # by position: an index may hold one label twice
    rows = (
        take_effects(effects.reset_index(drop=True), named)[0].index.to_numpy() if n_dropped else np.arange(len(kept))
    )
    structure = build(
        kept, (len(effects), np.asarray(rows)), paths, asked["V"], asked["rho"], asked["working"], subgroup
    )
    part = fixed_part(formula, structure.rows)
    clusters, name = _clusters(structure, cluster, paths[0][0])
    robust, remark = _robust_kind(robust, structure, clusters, cluster is not None)
    try:
        problem, peak = _fit(structure, part, method, begin)
        uncertainty = _uncertainty(problem, peak, part, structure, robust, clusters, name, test)
    except np.linalg.LinAlgError:
        raise beyond_digits(structure.rows) from None
    for words in (remark, too_precise(structure.rows, peak.theta)):
        structure = _remarked(structure, words) if words else structure
    return MultilevelResult(
        problem,
        peak,
        part,
        structure,
        uncertainty,
        name if robust else "",
        int(clusters.max()) + 1,
        robust,
        "satterthwaite" if robust else test,
        method,
        level,
        measure_of(effects, asked["measure"]),
        n_dropped,
        asked,
    )


def refit(result: MultilevelResult, begin: Floats | None = None, **changes: Any) -> MultilevelResult:
    """Run the call behind a result again, with other arguments.

    Parameters
    ----------
    result : MultilevelResult
    begin : ndarray, optional
        Variances to begin the climb at, where they should be close to those found before.
    **changes
        Arguments of :func:`multilevel` that differ.
    """
    return _multilevel(simple_covariance({**result.asked, **changes}), begin)


def robust_uncertainty(result: MultilevelResult, kind: str = "CR2", cluster: str | None = None) -> Uncertainty:
    """Robust covariance and tests for a model that is fitted already.

    Parameters
    ----------
    result : MultilevelResult
    kind : str
        As ``robust`` of :func:`multilevel`.
    cluster : str, optional
        Column of the clusters; the outermost level by default.
    """
    outer = read_random(result.asked["random"])[0][0]
    clusters, name = _clusters(result.structure, cluster, outer)
    chosen, _ = _robust_kind(kind, result.structure, clusters, True)
    return _uncertainty(result.problem, result.peak, result.part, result.structure, chosen, clusters, name, "z")


def _check_words(method: str, test: str, robust: str | None) -> None:
    from alliance_stats.engine.pooling.robust import KINDS

    if method not in ("REML", "ML"):
        raise DataError(f"No method {method!r} for several levels. {did_you_mean(method, ('REML', 'ML'))}")
    if test not in TESTS:
        raise DataError(f"No test {test!r} for several levels. {did_you_mean(test, TESTS)}")
    if robust not in (None, AUTO, *KINDS):
        raise DataError(f"No robust standard errors {robust!r}. {did_you_mean(str(robust), KINDS)}")


def _fit(structure: Structure, part: FixedPart, method: str, begin: Floats | None) -> tuple[Problem, Peak]:
    from alliance_stats.engine.pooling.climb import find_peak
    from alliance_stats.engine.pooling.multilevel import problem

    rows = structure.rows
    k, n = len(rows), len(part.names) + len(structure.levels)
    if k <= n:
        raise DesignError(
            f"The model has {count(len(part.names), 'coefficient')} and {count(len(structure.levels), 'variance')}, "
            f"and the data {count(k, 'effect')}. Leave levels or moderators out, or find more studies."
        )
    of = problem(
        rows[EFFECT].to_numpy(np.float64), part.matrix, structure.covariance, len(structure.levels), method == "REML"
    )
    if begin is not None and begin.size != of.n_parameters:
        begin = None
    return of, find_peak(of, begin)


def _clusters(structure: Structure, cluster: str | None, outer: str) -> tuple[Ints, str]:
    """Cluster of each row, and what clusters are called."""
    if cluster is None or cluster == outer:
        return structure.study, outer
    return in_order(pd.factorize(structure.rows[cluster])[0]), cluster


def _robust_kind(robust: str | None, structure: Structure, clusters: Ints, chosen: bool) -> tuple[str | None, str]:
    """The kind of robust errors, and what to say where there can be none."""
    if robust is None:
        return None, ""
    joined = [
        level.name
        for level, term in zip(structure.levels, structure.terms, strict=True)
        if not nested_in(term.codes, clusters)
    ]
    if not nested_in(structure.study, clusters):
        joined.append("the sampling covariances")
    if not joined:
        return ("CR2" if robust == AUTO else robust), ""
    verb = "joins" if len(joined) == 1 and "covariances" not in joined[0] else "join"
    words = f"{', '.join(joined)} {verb} effects of different clusters, so clusters are not independent"
    if robust == AUTO and not chosen:
        return None, f"Standard errors are model-based: {words}."
    raise DesignError(f"{words}. Name a column with larger clusters in cluster=, or use robust=None.")


def _remarked(structure: Structure, remark: str) -> Structure:
    from dataclasses import replace

    return replace(structure, remarks=(*structure.remarks, remark))


def _uncertainty(
    problem: Problem,
    peak: Peak,
    part: FixedPart,
    structure: Structure,
    robust: str | None,
    clusters: Ints,
    name: str,
    test: str,
) -> Uncertainty:
    from alliance_stats.engine.pooling.dense_blocks import batches
    from alliance_stats.engine.pooling.robust import Clusters, robust_covariance

    beta, covariance = peak.at.coefficients()
    if robust is None:
        if test == "containment":
            return Uncertainty(covariance, containment_df(part.matrix, part.names, structure.levels))
        return Uncertainty(covariance, np.inf if test == "z" else float(problem.k - problem.p))
    n, p = int(clusters.max()) + 1, len(part.names)
    if n <= p:
        raise DesignError(
            f"Robust standard errors of {count(p, 'coefficient')} need more than {p} clusters, and {name!r} has {n}. "
            "Leave moderators out, or use robust=None."
        )
    y = structure.rows[EFFECT].to_numpy(np.float64)
    of = Clusters(
        part.matrix,
        y - part.matrix @ beta,
        covariance,
        batches(clusters),
        lambda places: structure.covariance.blocks(places, peak.theta),
        solved=peak.at.solved_moderators,
    )
    found = robust_covariance(of, robust)
    check_residuals(found.covariance, covariance, problem.k)
    return Uncertainty(found.covariance, np.inf, found)
