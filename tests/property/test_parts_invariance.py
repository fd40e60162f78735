"""Small random problems: data in parts give what one frame gives, and are refused where it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import AllianceStatsError

FORMULAS = (
    "y ~ x + t + (1 | p)",
    "y ~ x + t + (1 + t | p)",
    "y ~ x * t + (1 + t || p) + (1 | g)",
    "y ~ x + (1 + x | p) + (1 + t | g)",
    "y ~ c + t + (1 | g/p)",
    "y ~ 0 + x + (0 + x | p)",
    "y ~ t + c * x + (1 | p) + (1 | g)",
)


def problem(seed: int) -> tuple[pd.DataFrame, dict[str, str], list[pd.DataFrame]]:
    """30 to 200 rows, some variances zero, units from 1e-4 to 1e4; how to fit them; and the rows in parts."""
    random = np.random.default_rng([7, seed])
    n_patients, n = random.integers(4, 25), random.integers(30, 200)
    p = random.integers(n_patients, size=n)
    g = (p + (random.random(n) < 0.3) * random.integers(4, size=n)) % 4
    t = random.integers(0, 8, size=n).astype(float)
    # predictors up to 100 standard deviations from zero: beyond that their products with others are nearly collinear
    x = (random.normal(size=n) + 10 ** random.uniform(-2, 2)) * 10 ** random.uniform(-4, 4)
    y = random.normal(size=n_patients)[p] * random.choice([0, 1, 3]) + random.normal(size=4)[g] * random.choice(
        [0, 0.5]
    )
    y = (y + 0.1 * t + random.normal(size=n)) * 10 ** random.uniform(-3, 3)
    c = pd.Categorical(random.choice(list("abc"), n), categories=list("abc"))
    frame = pd.DataFrame({"y": y, "x": x, "t": t, "c": c, "p": p, "g": g, "w": random.uniform(0.5, 3, n)})
    frame.loc[random.random(n) < 0.05, "x"] = np.nan
    if seed % 2:
        frame = frame.sort_values("t", ignore_index=True)
    options = {"method": "ML" if seed % 3 else "REML"} | ({"weights": "w"} if seed % 4 == 0 else {})
    cuts = np.sort(random.integers(0, n + 1, random.integers(1, 10)))
    return frame, options, [frame.iloc[rows] for rows in np.split(np.arange(n), cuts)]


def fit_or_refusal(formula: str, data: object, options: dict[str, str]) -> object:
    try:
        return als.mixed(formula, data, **options)
    except AllianceStatsError as error:
        return str(error)


@pytest.mark.filterwarnings("default::alliance_stats.errors.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(42))
def test_parts_give_what_one_frame_gives(seed):
    frame, options, parts = problem(seed)
    formula = FORMULAS[seed % len(FORMULAS)]
    ours, expected = (fit_or_refusal(formula, data, options) for data in (parts, frame))
    if isinstance(ours, str) or isinstance(expected, str):
        assert ours == expected
        return
    assert_allclose(ours.solution.criterion, expected.solution.criterion, rtol=1e-12)
    one, other = ours.table(), expected.table()
    assert_allclose(one["std_error"], other["std_error"], rtol=1e-10)
    assert ((one["estimate"] - other["estimate"]).abs() <= 1e-10 * other["std_error"]).all()
    # the Hessian behind them is a difference of gradients, which leaves about ten digits
    assert_allclose(one["df"], other["df"], rtol=1e-9)
    size = expected.variance()["vcov"].abs().max()
    assert_allclose(ours.variance()["vcov"], expected.variance()["vcov"], rtol=1e-10, atol=1e-11 * size)
    assert (ours.converged, ours.singular) == (expected.converged, expected.singular)
