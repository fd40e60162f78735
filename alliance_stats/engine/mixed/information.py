"""Average information: the curvature of the criterion that Newton steps are made with.

For parameters ``r`` and ``s`` it is ``(n − p) (f_r'P f_s / y'Py − c_r c_s)`` with ``f_r = V_r P y`` and
``c_r = y'PV_rPy / y'Py``. Every ``f_r`` is a combination of random-effect columns, ``Z v_r`` with ``v_r = D_r Z'Py``
level by level, so all products follow from scores and from sums over levels and entries.

References
----------
Gilmour, Thompson & Cullis (1995), Biometrics, 51, 1440-1450.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.engine.mixed.design import Floats
from alliance_stats.engine.mixed.sums import sum_rows_by

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.deviance import Evaluation


def average_information(evaluation: Evaluation) -> Floats:
    """Average-information approximation to the Hessian of the value, σ² profiled out, (k, k)."""
    projected = evaluation.projected_directions
    information = _inner_information(evaluation) - projected @ projected.T
    if evaluation.statistics.layout.n_columns:
        information += _outer_information(evaluation)
    information *= evaluation.n_free
    return 0.5 * (information + information.T)


def _inner_information(evaluation: Evaluation) -> Floats:
    """``f_r'V1⁻¹f_s`` where both belong to the inner factor, zero elsewhere."""
    covariance = evaluation.covariance
    own, flat = _flat_directions(evaluation)
    score = evaluation.scores[0][-1]
    q, m = score.shape
    squares = (score[:, None] * score).reshape(q * q, m)
    # Σ_levels Q_ac t_b t_d, with Q = Z1'V1⁻¹Z1; directions pair (a, b) with (c, d)
    sums = (evaluation.inner_projection().reshape(q * q, m) @ squares.T).reshape(q, q, q, q)
    information = np.zeros((covariance.values.size,) * 2)
    information[own, own] = flat @ sums.transpose(0, 2, 1, 3).reshape(q * q, q * q) @ flat.T
    return information


def _flat_directions(evaluation: Evaluation) -> tuple[slice, Floats]:
    """Where the inner factor's parameters stand, and their derivatives as rows."""
    own, derivatives = evaluation.covariance.directions[evaluation.statistics.inner_factor]
    return own, derivatives.reshape(len(derivatives), derivatives.shape[1] * derivatives.shape[2])


def _outer_information(evaluation: Evaluation) -> Floats:
    """What the outer columns add: their own share of ``f_r'V1⁻¹f_s``, less ``f_r'V1⁻¹Z2 N Z2'V1⁻¹f_s``."""
    outer, roots = evaluation.outer, evaluation.outer.roots
    met = np.zeros((evaluation.statistics.layout.n_columns, evaluation.covariance.values.size))
    own, flat = _flat_directions(evaluation)
    met[:, own] = _meeting(evaluation) @ flat.T
    coefficients = _outer_coefficients(evaluation)
    if roots.invertible:
        # With u = Λ⁻¹v and S = I + Λ'HΛ, the products with H cancel; near a variance of zero u grows too large.
        rooted = coefficients / roots.scale[:-1, None]
        rest = roots.apply(met, transposed=True) - rooted
        return rooted.T @ rooted - rest.T @ outer.solve(rest)
    moved = outer.multiply(coefficients)
    rhs = roots.apply(met + moved, transposed=True)
    both = met.T @ coefficients
    return both + both.T + coefficients.T @ moved - rhs.T @ outer.solve(rhs)


def _meeting(evaluation: Evaluation) -> Floats:
    """``Z2'V1⁻¹Z1 (e_a ⊗ t_b)`` for every pair of inner effects, (M, q²)."""
    layout = evaluation.statistics.layout
    at_entries = evaluation.at_entries(evaluation.scores[0][-1])
    q, n = at_entries.shape
    products = (evaluation.projected_entries[:, None] * at_entries).reshape(q * q, n)
    return sum_rows_by(layout.entry_column, products, layout.n_columns).T


def working_coefficients(evaluation: Evaluation) -> tuple[Floats, Floats]:
    """``v`` with ``V_r P y = Z v`` for each covariance parameter: (k, q, m) and (M, k)."""
    own, derivatives = evaluation.covariance.directions[evaluation.statistics.inner_factor]
    score = evaluation.scores[0][-1]
    inner_v = np.zeros((evaluation.covariance.values.size, *score.shape))
    inner_v[own] = derivatives @ score
    return inner_v, _outer_coefficients(evaluation)


def _outer_coefficients(evaluation: Evaluation) -> Floats:
    """``v`` of the outer factors' parameters, (M, k)."""
    s = evaluation.statistics
    score = evaluation.scores[1][:, -1]
    coefficients = np.zeros((score.size, evaluation.covariance.values.size))
    for at, factor in enumerate(s.outer_factors):
        columns, q = s.layout.columns_of(at), s.layout.n_effects[at]
        own, derivatives = evaluation.covariance.directions[factor]
        for place, derivative in enumerate(derivatives, own.start):
            coefficients[columns, place] = (score[columns].reshape(-1, q) @ derivative).ravel()
    return coefficients
