"""Operations of a residual structure on rows: its inverse covariance, its derivative, and its root.

``Ω = W'W`` with ``W`` bidiagonal within groups. ``W'z = t`` is solved backwards in time, all groups at once: first
every last row of a group, then every row before it, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.residual import ResidualModel, ResidualStructure

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.residual_basis import ResidualPoint


def precision_slope(point: ResidualPoint, parameter: int, rows: Floats) -> Floats:
    """``Ω_r a`` for the derivative with respect to one residual parameter, (n, c) → (n, c)."""
    basis = point.basis
    structure = _structure(point)
    slopes = point.coefficients[1][parameter]
    root = structure.root_weight[:, None]
    scaled = rows * root
    result = slopes[basis.row_class][:, None] * scaled
    if structure.linked.size:
        linked, previous = structure.linked, structure.previous[structure.linked]
        own = slopes[basis.pair_class][:, None]
        result[linked] += own * scaled[previous]
        result[previous] += own * scaled[linked]  # every row is the row before of at most one
    return result * root


def root_solve(point: ResidualPoint, rows: Floats) -> Floats:
    """Solve ``W'z = a`` with ``W'W = Ω``, (n, c) → (n, c): then ``z'z = a'Ra``."""
    structure = _structure(point)
    model = point.basis.classes.model
    solved = row_scale(structure, model, point.parameters)[:, None] * rows
    x, rest, _ = model.decay(point.parameters, structure.gap)
    for later in reversed(structure.in_order):
        solved[structure.previous[later]] += x[later, None] * solved[later]
    return solved * np.sqrt(rest)[:, None]


def whiten(structure: ResidualStructure, model: ResidualModel, parameters: Floats, rows: Floats) -> Floats:
    """``W a``: rows with unit variance and no correlation left, (n,) → (n,)."""
    scaled = rows / row_scale(structure, model, parameters)
    x, rest, _ = model.decay(parameters, structure.gap)
    whitened = scaled.copy()
    linked = structure.linked
    whitened[linked] -= x[linked] * scaled[structure.previous[linked]]
    return whitened / np.sqrt(rest)


def colour(structure: ResidualStructure, model: ResidualModel, parameters: Floats, rows: Floats) -> Floats:
    """``W⁻¹ z``: rows of independent unit normals to rows with covariance ``R``, (n, …) → (n, …)."""
    x, rest, _ = model.decay(parameters, structure.gap)
    wide = (slice(None), *[None] * (rows.ndim - 1))
    coloured = rows * np.sqrt(rest)[wide]
    for later in structure.in_order:
        coloured[later] += x[later][wide] * coloured[structure.previous[later]]
    return coloured * row_scale(structure, model, parameters)[wide]


def row_scale(structure: ResidualStructure, model: ResidualModel, parameters: Floats) -> Floats:
    """Residual standard deviation of each row relative to σ, (n,)."""
    return np.exp(model.log_ratios(parameters))[structure.stratum] / structure.root_weight


def _structure(point: ResidualPoint) -> ResidualStructure:
    structure = point.basis.design.residual
    assert structure is not None
    return structure
