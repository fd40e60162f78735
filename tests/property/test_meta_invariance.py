"""What must not matter to a meta-analysis does not: units of the effects, order of rows, names of studies, origin.

With effects times c and variances times c², coefficients and standard errors grow by c, variances by c²; statistics,
degrees of freedom and weights of selection stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import alliance_stats as als

meta = als.meta
K, PER = 24, 2

few = settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate])
seeds = st.integers(0, 2**16)
units = st.sampled_from([1e-8, 1e-6, 1e-3, 1e3, 1e6, 1e8])
#: Sampling variances of one set differ by this much.
ratios = st.sampled_from([5.0, 1e4, 1e6])
#: Relative to the largest value of a column, by the ratio of variances: climbs end at the rounding of the likelihood,
#: and effects of one study that are 10⁶ apart in precision lose as many digits in its matrix.
CLOSE = {5.0: 5e-9, 1e4: 5e-9, 1e6: 1e-7}

#: Power of the unit that a column goes with; what is not named here has no unit.
POWERS = {
    **dict.fromkeys(("estimate", "std_error", "ci_low", "ci_high", "pi_low", "pi_high", "sd", "yi", "uncorrected"), 1),
    **dict.fromkeys(("tau2", "tau2_ci_low", "tau2_ci_high", "tau2_error", "omega2", "variance", "vi"), 2),
}
#: A difference of two likelihoods has their rounding; a p value near 1 moves by the root of it.
ROUGH = {"lrt": 1e-10, "lrt_p": 2e-6}
#: Change by a constant with the unit; or words and ids.
LEFT_OUT = ("log_likelihood", "aic", "bic", "left_out", "added")

Values = dict[str, np.ndarray]


def effects(seed: int, ratio: float = 5.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    v = 0.05 * ratio ** rng.uniform(-1, 0, K)
    y = 0.3 + np.repeat(rng.normal(0, 0.25, K // PER), PER) + rng.normal(0, np.sqrt(v + 0.01))
    # every interval of p that a selection model may have holds some effects
    y[:3], y[3:6] = 3 * np.sqrt(v[:3]), -1 * np.sqrt(v[3:6])
    y[6:9] = 1.2 * np.sqrt(v[6:9])
    ids = np.repeat([f"s{at}" for at in range(K // PER)], PER)
    columns = {"study": ids, "yi": y, "vi": v, "x": rng.normal(size=K), "g": np.tile(["a", "b", "b", "a"], K // 4)}
    return pd.DataFrame(columns).sample(frac=1, random_state=seed).reset_index(drop=True)


def numbers(frame: pd.DataFrame, name: str, power: int = 0) -> Values:
    kept = frame.select_dtypes("number").drop(columns=list(LEFT_OUT), errors="ignore")
    two = {"variance": {"ci_low": 2, "ci_high": 2}}.get(name, {})
    own = {column: two.get(column, 2 if column.startswith("variance (") else POWERS.get(column, 0)) for column in kept}
    return {f"{name} {column} {own[column] + power}": kept[column].to_numpy(np.float64) for column in kept}


def whole(result) -> Values:
    found = numbers(result.table(), "table") | numbers(result.glance(), "glance")
    found |= numbers(result.variance(), "variance")
    if hasattr(result, "selection_weights"):
        weights = result.selection_weights()
        found |= {f"weights {column} 0": weights[column].to_numpy(np.float64) for column in weights.columns[-4:]}
    return found


def rows(frame: pd.DataFrame) -> Values:
    return numbers(pd.DataFrame(frame), "rows")


METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")
SELECTION = ("3PSM", "4PSM", "Vevea-Woods", "beta", "halfnorm", "negexp", "logistic", "power")
ANALYSES: dict[str, Callable[[pd.DataFrame], Values]] = {
    **{f"pool {name}": (lambda frame, name=name: whole(meta.pool(frame, name, "knha"))) for name in METHODS},
    **{
        f"regress {name}": (lambda frame, name=name: whole(meta.regress("yi ~ x + g", frame, name, "knha")))
        for name in METHODS
    },
    "multilevel": lambda frame: whole(meta.multilevel(frame)),
    "multilevel, CR2 and moderators": lambda frame: whole(meta.multilevel(frame, mods="x + g")),
    "multilevel, joint test": lambda frame: rows(meta.multilevel(frame, mods="x + g").test()),
    "multilevel, crossed": lambda frame: whole(meta.multilevel(frame, ["study/effect", "g"], robust=None)),
    "multilevel, subgroups": lambda frame: whole(meta.multilevel(frame, working="SCE", subgroup="g")),
    "robust": lambda frame: whole(meta.robust(frame, "x")),
    "robust, hierarchical": lambda frame: whole(meta.robust(frame, weights="HIER")),
    "aggregate": lambda frame: rows(meta.aggregate(frame)),
    "leave one out": lambda frame: rows(meta.leave_one_out(frame)),
    "leave one out, by study": lambda frame: rows(meta.leave_one_out(frame, by="study")),
    "leave one out, multilevel": lambda frame: rows(meta.leave_one_out(meta.multilevel(frame))),
    "influence": lambda frame: rows(meta.influence(frame)),
    **{f"selection {name}": (lambda frame, name=name: whole(meta.bias.selection(frame, name))) for name in SELECTION},
    "p-uniform": lambda frame: whole(meta.bias.p_uniform(frame)),
}
#: A row per effect or study, in the order in which they come.
ROWS = ("aggregate", "leave one out", "leave one out, by study", "leave one out, multilevel", "influence")


def check(found: Values, expected: Values, rtol: float, unit: float = 1.0) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        named, power = name.rsplit(" ", 1)
        column = named.split(" ", 1)[1]
        back = found[name] / unit ** int(power)
        size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        assert_allclose(back, values, rtol=0, atol=ROUGH.get(column, rtol * size + 1e-300), err_msg=name)


@pytest.mark.parametrize("analysis", ANALYSES)
@few
@given(seed=seeds, unit=units, ratio=ratios)
def test_results_go_with_the_unit_of_the_effects(analysis, seed, unit, ratio):
    run, frame = ANALYSES[analysis], effects(seed, ratio)
    check(run(frame.assign(yi=frame["yi"] * unit, vi=frame["vi"] * unit**2)), run(frame), CLOSE[ratio], unit)


@pytest.mark.parametrize("analysis", [name for name in ANALYSES if name not in ROWS])
@few
@given(seed=seeds, ratio=ratios)
def test_order_of_rows_and_names_of_studies_do_not_matter(analysis, seed, ratio):
    run, frame = ANALYSES[analysis], effects(seed, ratio)
    moved = frame.sample(frac=1, random_state=seed + 1)
    names = {f"s{at}": 100 - at for at in range(K)}
    check(run(moved.assign(study=moved["study"].map(names))), run(frame), CLOSE[ratio])
