"""From a frame of effects to the arrays of a multilevel model: levels, sampling covariance, terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.columns import STUDY, VARIANCE
from alliance_stats.meta.levels import (
    Ints,
    Level,
    check_levels,
    in_order,
    levels_of,
    nested_in,
    order_of,
    without_repeats,
)
from alliance_stats.meta.sampling import SamplingCovariance, check_rho, given_covariance

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.structured import Covariance, Term

#: Levels that cross the others may have this many groups: work grows with effects times groups.
MOST_CROSSED = 3000


@dataclass(frozen=True, eq=False)
class Structure:
    """The covariance of a model's effects, and the names of its variances.

    Parameters
    ----------
    rows : DataFrame
        Effects in the order in which groups are contiguous.
    order : ndarray of int
        Position of each of these rows in the frame that was given (without the rows left out).
    levels : tuple of Level
        Levels with a variance, codes in the new order; for subgroups one per subgroup.
    terms : tuple of Term
        The term of each level.
    covariance : Covariance
    study : ndarray of int
        Group of each row in the outermost level.
    sample : ndarray of int
        Group of each row within which sampling errors correlate: the level ``study``, else the outermost.
    crossed : bool
    rho : float
        Correlation that V was imputed from; NaN where V was given.
    sampling : str
        How V came about, in words.
    remarks : tuple of str
    """

    rows: pd.DataFrame
    order: Ints
    levels: tuple[Level, ...]
    terms: tuple[Term, ...]
    covariance: Covariance
    study: Ints
    sample: Ints
    crossed: bool
    rho: float
    sampling: str
    remarks: tuple[str, ...]


def build(
    kept: pd.DataFrame,
    kept_rows: tuple[int, Ints],
    paths: Sequence[Sequence[str]],
    V: object,
    rho: float,
    working: str,
    subgroup: str | None,
) -> Structure:
    """Build the covariance of a multilevel model.

    ``kept_rows`` are the number of rows of the frame that was given, and the positions in it of those kept.

    Raises
    ------
    DesignError
        If a level has one group, or a crossed one too many.
    DataError
        If V does not fit, rho lies outside [0, 1), or the working model is not known.
    """
    _check_place_of_study(paths, V, rho)
    named = levels_of(paths[0], kept)
    unit = next((level for level in named if level.path[-1] == STUDY), named[0])
    nested, remarks = without_repeats(named)
    crossed = [level for path in paths[1:] for level in without_repeats(levels_of(path, kept))[0]]
    check_levels([*nested, *crossed], kept)
    _check_crossed(crossed)
    order = order_of(nested)
    given = None if V is None else given_covariance(V, kept, *kept_rows, nested[0].codes)
    rows = kept.iloc[order]
    levels = [_sorted(level, order) for level in (*nested, *crossed)]
    study = levels[0].codes
    sample = study if unit is named[0] else in_order(unit.codes[order])
    n_nested = len(nested)
    groups = _subgroups(rows, study, working, subgroup)
    base = levels[:n_nested]
    if groups is not None:
        base, more = _by_subgroup(rows, base, groups, str(subgroup))
        remarks += more
    terms = _terms([*base, *levels[n_nested:]])
    own = terms[: len(base)]
    within = groups if sample is study else _subgroups(rows, sample, working, subgroup)
    inner = sample if within is None else within
    covariance = _nested_covariance(rows, own, inner, study, check_rho(rho), _reordered(given, order, study))
    if crossed:
        from alliance_stats.engine.pooling.crossed import Crossed

        covariance = Crossed(covariance, tuple(terms[len(base) :]))
    words = given.words if given is not None else f"imputed with a correlation of {rho:g} within {plural_of(unit)}"
    return Structure(
        rows,
        order,
        (*base, *levels[n_nested:]),
        tuple(terms),
        covariance,
        study,
        sample,
        bool(crossed),
        float("nan") if given is not None else float(rho),
        words,
        tuple(remarks),
    )


def plural_of(level: Level) -> str:
    """Name the groups of a level: ``studies``, or by its column."""
    return "studies" if level.path[-1] == STUDY else f"groups of {level.name}"


def _check_place_of_study(paths: Sequence[Sequence[str]], V: object, rho: float) -> None:
    """Refuse to impute correlations within another first level, where studies cross it.

    Raises
    ------
    DesignError
    """
    if V is None and rho != 0 and STUDY not in paths[0] and any(STUDY in path for path in paths[1:]):
        raise DesignError(
            f"Sampling errors correlate within studies, and {STUDY!r} is not in the first of random= but crosses it. "
            f"Let {STUDY!r} come first, as in random=['study/effect', {paths[0][0]!r}], or set rho=0."
        )


def _check_crossed(crossed: Sequence[Level]) -> None:
    total = sum(level.n for level in crossed)
    if total > MOST_CROSSED:
        raise DesignError(
            f"The crossed levels have {total} groups; at most {MOST_CROSSED} can be crossed. Let the level with most "
            "groups be the first of random=, and the one with few groups cross it."
        )


def _sorted(level: Level, order: Ints) -> Level:
    """The level's codes in another order of rows, numbered by their first row."""
    codes = level.codes[order]
    return Level(level.name, in_order(codes), level.n, level.path)


def _subgroups(rows: pd.DataFrame, study: Ints, working: str, subgroup: str | None) -> Ints | None:
    """Study × subgroup of each row for the SCE working model, None for CHE."""
    if working not in ("CHE", "SCE"):
        raise DataError(f"No working model {working!r}. Known: CHE, SCE.")
    if working == "CHE":
        if subgroup is not None:
            raise DataError("subgroup= belongs to working='SCE'. For moderators use mods=.")
        return None
    if subgroup is None:
        raise DataError("working='SCE' has a variance for each subgroup. Name their column with subgroup=.")
    own, ids = pd.factorize(rows[subgroup])
    return in_order(study * len(ids) + own)


def _by_subgroup(rows: pd.DataFrame, nested: list[Level], groups: Ints, subgroup: str) -> tuple[list[Level], list[str]]:
    """Split the outermost level into one variance per subgroup; subgroups seen in one study have none."""
    first = np.unique(groups, return_index=True)[1]
    categories, names = pd.factorize(rows[subgroup].iloc[first], sort=True)
    found, remarks = [], []
    for at, name in enumerate(names):
        n = int((categories == at).sum())
        if n < 2:
            remarks.append(f"{subgroup} {name!r} comes from {count(n, 'study', 'studies')}: its variance was set to 0.")
        # −1 marks rows of other subgroups; the terms give them no weight
        own = np.where((categories == at)[groups] & (n > 1), groups, -1)
        path = (*nested[0].path, subgroup)
        found.append(Level(f"{nested[0].name} ({subgroup}: {name})", own, n if n > 1 else 0, path))
    kept = [level for level in found if level.n]
    inner = [level for level in nested[1:] if level.n > np.unique(groups).size]
    return [*kept, *inner], remarks


def _terms(levels: Sequence[Level]) -> list[Term]:
    from alliance_stats.engine.pooling.structured import FIXED, Term

    terms = []
    for parameter, level in enumerate(levels):
        codes = level.codes
        ones = np.ones(codes.size)
        if (codes < 0).any():
            # a subgroup's variance: other rows keep groups of their own, without weight
            whole = in_order(np.where(codes < 0, codes.max() + 1 + np.arange(codes.size), codes))
            first = np.unique(whole, return_index=True)[1]
            weights = np.where(codes[first] < 0, FIXED, parameter)
            terms.append(Term(whole, ones, weights))
        else:
            terms.append(Term(codes, ones, np.full(level.n, parameter)))
    return terms


def _nested_covariance(
    rows: pd.DataFrame, own: Sequence[Term], inner: Ints, study: Ints, rho: float, given: tuple | None
) -> Covariance:
    from alliance_stats.engine.pooling.dense_blocks import DenseBlocks, batches
    from alliance_stats.engine.pooling.structured import FIXED, LowRank, Term

    v = rows[VARIANCE].to_numpy(np.float64)
    k = len(rows)
    if given is not None:
        places = batches(study)
        return DenseBlocks(places, [_stacked(given, batch) for batch in places], tuple(own), k)
    single = next((term for term in own if term.n_groups == k and (term.parameter != FIXED).all()), None)
    nested = [term for term in own if term is not single]
    diagonal = v
    if rho > 0 and int(inner.max()) + 1 < k:
        diagonal = (1 - rho) * v
        nested.append(Term(inner, np.sqrt(v), np.full(int(inner.max()) + 1, FIXED), rho))
    nested.sort(key=lambda term: -term.n_groups)
    if all(nested_in(one.codes, two.codes) for one, two in pairwise(nested)):
        return LowRank(diagonal, tuple(nested), single)
    places = batches(study)
    s = np.sqrt(v)
    sampling = []
    for batch in places:
        same = inner[batch][:, :, None] == inner[batch][:, None, :]
        correlation = np.where(same, rho, 0.0)
        correlation[:, np.arange(batch.shape[1]), np.arange(batch.shape[1])] = 1.0
        sampling.append(correlation * s[batch][:, :, None] * s[batch][:, None, :])
    return DenseBlocks(places, sampling, tuple(own), k)


def _reordered(given: SamplingCovariance | None, order: Ints, study: Ints) -> tuple | None:
    """Matrices of the studies, with their rows in the model's order, beside where each row stands."""
    if given is None:
        return None
    code = given.codes[order]
    within = np.zeros(order.size, np.int64)
    position = np.empty(order.size, np.int64)
    for own in range(len(given.matrices)):
        at = np.flatnonzero(given.codes == own)
        position[at] = np.arange(at.size)
    within = position[order]
    return given.matrices, code, within


def _stacked(given: tuple, batch: NDArray[np.integer[Any]]) -> NDArray[np.floating[Any]]:
    matrices, code, within = given
    return np.stack([matrices[code[row[0]]][np.ix_(within[row], within[row])] for row in batch])
