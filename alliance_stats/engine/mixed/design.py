"""What the engine is given: an outcome, columns, and which groups carry random effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.residual import ResidualStructure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Stands for the column of ones in a column list: it is never multiplied with.
ONES = None


@dataclass(frozen=True)
class Membership:
    """Who belongs to what, by how much: levels and weights of each pattern of membership.

    Parameters
    ----------
    pattern : ndarray of int, shape (n,)
        Pattern that the weight belongs to, from 0, sorted.
    level : ndarray of int, shape (n,)
        Level of the grouping.
    weight : ndarray of shape (n,)
        Its weight; those of a pattern usually sum to 1.
    """

    pattern: Ints
    level: Ints
    weight: Floats

    def items(self, patterns: Ints) -> tuple[Ints, Ints, Floats]:
        """List the members of each of ``patterns``: position in ``patterns``, level, weight."""
        n_in = np.bincount(self.pattern, minlength=int(patterns.max(initial=-1)) + 1)
        first = np.cumsum(n_in) - n_in
        counts = n_in[patterns]
        position = np.repeat(np.arange(patterns.size), counts)
        offset = np.arange(position.size) - np.repeat(np.cumsum(counts) - counts, counts)
        member = first[patterns[position]] + offset
        return position, self.level[member], self.weight[member]


@dataclass(frozen=True)
class GroupingFactor:
    """Levels of one grouping and the random effects that vary over them.

    Parameters
    ----------
    name : str
        Name of the grouping, for messages.
    codes : ndarray of int, shape (n_obs,)
        Level of each row, from 0; with ``membership``, the row's pattern.
    n_levels : int
        Number of levels.
    effects : tuple of int
        Positions (in ``MixedDesign.columns``) of the columns that vary over the levels.
    blocks : tuple of tuple of int
        Partition of ``range(len(effects))``: effects of one block are correlated, blocks are not.
    membership : Membership, optional
        Levels and weights of each pattern, where rows belong to several levels.
    """

    name: str
    codes: Ints
    n_levels: int
    effects: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    membership: Membership | None = None

    @property
    def n_effects(self) -> int:
        """Number of random effects per level."""
        return len(self.effects)

    def at_rows(self, values: Floats) -> Floats:
        """Take one value per level to the rows: that of the row's level, or the weighted sum over its levels."""
        if self.membership is None:
            return values[self.codes]
        weighted = self.membership.weight * values[self.membership.level]
        summed: Floats = np.bincount(self.membership.pattern, weighted).astype(float, copy=False)
        return summed[self.codes]


@dataclass(frozen=True)
class MixedDesign:
    """The arrays of one linear mixed model.

    Parameters
    ----------
    outcome : ndarray of shape (n_obs,)
        The outcome, in its own units.
    columns : sequence of (ndarray of shape (n_obs,) or None)
        Distinct predictor columns; None stands for the column of ones. A column that serves as fixed
        and as random effect is listed once, so that its products are formed once.
    fixed : tuple of int
        Positions of the fixed-effect columns.
    factors : tuple of GroupingFactor
        At least one.
    residual : ResidualStructure, optional
        How residuals are correlated, and how their variance differs; by default independent, of one variance.
    """

    outcome: Floats
    columns: Sequence[Floats | None]
    fixed: tuple[int, ...]
    factors: tuple[GroupingFactor, ...] = field(default_factory=tuple)
    residual: ResidualStructure | None = None

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return int(self.outcome.size)

    @property
    def n_columns(self) -> int:
        """Number of predictor columns."""
        return len(self.columns)

    @property
    def n_fixed(self) -> int:
        """Number of fixed effects."""
        return len(self.fixed)

    @cached_property
    def inner(self) -> int:
        """Position of the factor whose effects are eliminated level by level: the one with most levels.

        Rows belong to one level of it, so a factor with ``membership`` cannot be it; nor can one whose levels share a
        group of correlated residuals.
        """
        return int(np.argmax([factor.n_levels * self._may_be_inner(factor) for factor in self.factors]))

    @property
    def has_inner(self) -> bool:
        """Whether any factor can be the inner one."""
        return any(self._may_be_inner(factor) for factor in self.factors)

    def _may_be_inner(self, factor: GroupingFactor) -> bool:
        if factor.membership is not None:
            return False
        if self.residual is None:
            return True
        linked = self.residual.linked
        return bool((factor.codes[linked] == factor.codes[self.residual.previous[linked]]).all())
