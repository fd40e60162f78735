"""Fits without one level, against fits of the other rows and against dense algebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dense import Dense, make_design
from numpy.testing import assert_allclose

from alliance_stats.engine.mixed.coordinates import standardise
from alliance_stats.engine.mixed.design import Membership, MixedDesign
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.residual import ResidualStructure

DESIGNS = {
    "one": make_design(1, [(12, 2)], n_obs=120),
    "crossed": make_design(2, [(12, 2), (6, 1)], n_obs=120),
    "slopes": make_design(3, [(12, 1), (6, 2)], n_obs=120),
    "nested": make_design(4, [(18, 1), (6, 1)], n_obs=120, nested=True),
    "three": make_design(5, [(16, 1), (8, 1), (4, 1)], n_obs=160, shuffled=True),
    "components": make_design(6, [(60, 1), (40, 1)], n_obs=480, ring=True),  # 40 therapists in one sparse component
}


def subset(design: MixedDesign, rows: np.ndarray) -> MixedDesign:
    """Some rows by themselves, levels without rows dropped; residual neighbours linked anew."""
    factors = []
    for factor in design.factors:
        if factor.membership is not None:
            factors.append(replace(factor, codes=factor.codes[rows]))
            continue
        levels, codes = np.unique(factor.codes[rows], return_inverse=True)
        factors.append(replace(factor, codes=codes, n_levels=levels.size))
    columns = [None if column is None else column[rows] for column in design.columns]
    residual = None
    if design.residual is not None:
        own = design.residual
        residual = structure(own.correlation, own_times(design)[rows], own_groups(design)[rows], own.stratum[rows],
                             None if own.weight is None else own.weight[rows])  # fmt: skip
    return MixedDesign(design.outcome[rows], columns, design.fixed, tuple(factors), residual)


def structure(correlation, time, group, stratum, weight=None) -> ResidualStructure:
    previous, gap = np.full(time.size, -1), np.zeros(time.size)
    if correlation != "none":
        for k in np.unique(group):
            rows = np.flatnonzero(group == k)
            rows = rows[np.argsort(time[rows])]
            previous[rows[1:]], gap[rows[1:]] = rows[:-1], np.diff(time[rows])
    return ResidualStructure(correlation, previous, gap, stratum, int(stratum.max()) + 1, weight)


def own_times(design):
    # column 1 holds the time
    return design.columns[1]


def own_groups(design):
    return design.factors[0].codes


def with_residuals(correlation: str, strata: int, weighted: bool = False) -> MixedDesign:
    """Patients with sessions in order, of whom some change therapist in between; gaps of one to three."""
    rng = np.random.default_rng(8)
    n_patients, n_sessions = 18, 7
    patient = np.repeat(np.arange(n_patients), n_sessions)
    time = np.concatenate([np.cumsum(rng.integers(1, 4, size=n_sessions)) for _ in range(n_patients)]).astype(float)
    place = np.tile(np.arange(n_sessions), n_patients)
    therapist = (patient + (place > 3) * (patient % 3 == 0)) % 6
    stratum = rng.integers(strata, size=patient.size)
    e = rng.normal(size=patient.size)
    for k in range(1, patient.size):
        if patient[k] == patient[k - 1]:
            r = 0.6 ** (time[k] - time[k - 1])
            e[k] = r * e[k - 1] + np.sqrt(1 - r * r) * e[k]
    y = rng.normal(size=n_patients)[patient] + rng.normal(size=6)[therapist] + e * (1 + stratum) + 0.2 * time
    base = make_design(9, [(n_patients, 1), (6, 1)], n_obs=patient.size)
    factors = (replace(base.factors[0], codes=patient), replace(base.factors[1], codes=therapist))
    weight = rng.uniform(0.5, 2, size=patient.size) if weighted else None
    own = structure(correlation, time, patient, stratum, weight)
    return MixedDesign(y, [None, time, rng.normal(size=patient.size)], (0, 1, 2), factors, own)


RESIDUALS = {
    "ar1": with_residuals("ar1", 1),
    "car1": with_residuals("car1", 1),
    "strata": with_residuals("none", 2),
    "weights": with_residuals("none", 1, weighted=True),
    "both": with_residuals("car1", 2, weighted=True),
}


def compare(own, expected, reml_tolerance=1e-6):
    error = np.sqrt(np.diag(expected.covariance))
    assert_allclose(own.beta / error, expected.beta / error, rtol=0, atol=reml_tolerance)
    assert_allclose(own.covariance, expected.covariance, rtol=1e-5, atol=1e-6 * np.abs(expected.covariance).max())
    assert_allclose(own.sigma2, expected.sigma2, rtol=1e-6)
    largest = max(expected.sigma2, *(np.abs(matrix).max() for matrix in expected.random_covariances))
    for matrix, theirs in zip(own.random_covariances, expected.random_covariances, strict=True):
        assert_allclose(matrix, theirs, rtol=0, atol=2e-6 * largest)
    assert own.converged
    assert expected.story.converged


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_downdated_statistics_give_the_fit_of_the_other_rows(name, reml):
    design = DESIGNS[name]
    full = fit_mixed(design, reml)
    for at, factor in enumerate(design.factors):
        results = full.leave_out(design, at)
        assert len(results) == factor.n_levels
        for level in range(0, factor.n_levels, 1 if factor.n_levels < 10 else 7):
            rows = np.flatnonzero(factor.codes != level)
            assert results[level].n_removed == design.n_obs - rows.size
            compare(results[level], fit_mixed(subset(design, rows), reml))


@pytest.mark.parametrize("name", RESIDUALS)
def test_with_residual_structures_neighbours_are_linked_anew(name):
    design = RESIDUALS[name]
    full = fit_mixed(design)
    for at, levels in ((0, range(0, 18, 5)), (1, range(6))):
        if at == 0 and name != "both":
            continue  # whole patients leave no gaps
        results = full.leave_out(design, at)
        for level in levels:
            rows = np.flatnonzero(design.factors[at].codes != level)
            expected = fit_mixed(subset(design, rows))
            compare(results[level], expected, 2e-6)
            if expected.residual is not None:
                assert_allclose(results[level].residual.rho, expected.residual.rho, rtol=2e-5)
                assert_allclose(results[level].residual.ratios, expected.residual.ratios, rtol=1e-5)


def test_a_level_of_multiple_membership_goes_with_all_rows_that_have_weight_on_it():
    rng = np.random.default_rng(3)
    design = DESIGNS["crossed"]
    n_patterns = 15
    pattern = np.repeat(np.arange(n_patterns), 2)
    level = np.concatenate([rng.choice(6, size=2, replace=False) for _ in range(n_patterns)])
    weight = np.tile([0.75, 0.25], n_patterns)
    codes = rng.integers(n_patterns, size=design.n_obs)
    mm = replace(design.factors[1], codes=codes, membership=Membership(pattern, level, weight))
    design = replace(design, factors=(design.factors[0], mm))
    full = fit_mixed(design)
    for k, own in enumerate(full.leave_out(design, 1)):
        has = np.zeros((n_patterns, 6))
        has[pattern, level] = weight
        rows = np.flatnonzero(has[codes, k] == 0)
        assert own.n_removed == design.n_obs - rows.size
        compare(own, fit_mixed(subset(design, rows)))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["crossed", "slopes", "nested"])
def test_held_variances_give_generalised_least_squares_of_the_other_rows(name, reml):
    design, _ = standardise(DESIGNS[name])
    full = fit_mixed(design, reml)
    relative = tuple(matrix / full.sigma2 for matrix in full.random_covariances)
    for at, factor in enumerate(design.factors):
        for level, own in enumerate(full.leave_out(design, at, refit=False)):
            dense = Dense(subset(design, np.flatnonzero(factor.codes != level)), relative, reml)
            error = np.sqrt(np.diag(dense.fixed_covariance()))
            assert_allclose(own.beta / error, dense.beta / error, rtol=0, atol=1e-9)
            assert_allclose(own.covariance, dense.fixed_covariance(), rtol=1e-8, atol=1e-12)
            assert_allclose(own.sigma2, dense.sigma2, rtol=1e-9)
            # and what is said of the difference, by the textbook
            moved = full.beta - dense.beta
            whole = full.covariance
            assert_allclose(own.cooks_distance, moved @ np.linalg.solve(whole, moved) / design.n_fixed, rtol=1e-7)
            ratio = np.linalg.det(dense.fixed_covariance()) / np.linalg.det(whole)
            assert_allclose(own.covariance_ratio, ratio, rtol=1e-7)


def test_units_change_neither_cooks_distance_nor_the_covariance_ratio():
    design = DESIGNS["crossed"]
    columns = [None, 1e4 * design.columns[1] + 3e4, 1e-3 * design.columns[2]]
    scaled = replace(design, outcome=100 * design.outcome - 7, columns=columns)
    for plain, other in zip(
        fit_mixed(design).leave_out(design, 1), fit_mixed(scaled).leave_out(scaled, 1), strict=True
    ):
        assert_allclose(other.cooks_distance, plain.cooks_distance, rtol=1e-4)
        assert_allclose(other.covariance_ratio, plain.covariance_ratio, rtol=1e-4)
        assert_allclose(other.sigma2, 1e4 * plain.sigma2, rtol=1e-6)
