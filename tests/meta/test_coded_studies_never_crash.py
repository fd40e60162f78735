"""Whatever stands in a coding sheet or a plan: effects, corrections and power, or an error of ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hostile_effects import CELLS, DTYPES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import alliance_stats as als
from alliance_stats.errors import AllianceStatsError
from alliance_stats.meta.effect_sizes import MEASURES

hostile = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
#: Columns of a coding sheet, with values that could be.
COLUMNS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "r": lambda rng, k: rng.uniform(-0.9, 0.9, k),
    "n": lambda rng, k: rng.integers(5, 300, k),
    "t": lambda rng, k: rng.normal(0, 2, k),
    "f": lambda rng, k: rng.uniform(0, 9, k),
    "p": lambda rng, k: rng.uniform(0, 1, k),
    "chi2": lambda rng, k: rng.uniform(0, 4, k),
    "d": lambda rng, k: rng.normal(0, 1, k),
    "sign": lambda rng, k: rng.choice([-1, 1], k),
    "predictors": lambda rng, k: rng.integers(1, 4, k),
    "r_squared": lambda rng, k: rng.uniform(0.1, 0.9, k),
    "m1": lambda rng, k: rng.normal(10, 3, k),
    "m2": lambda rng, k: rng.normal(10, 3, k),
    "sd1": lambda rng, k: rng.uniform(0.5, 4, k),
    "sd2": lambda rng, k: rng.uniform(0.5, 4, k),
    "n1": lambda rng, k: rng.integers(2, 60, k),
    "n2": lambda rng, k: rng.integers(2, 60, k),
    **dict.fromkeys(("ai", "bi", "ci", "di"), lambda rng, k: rng.integers(0, 30, k)),
    **dict.fromkeys(("rxx", "ryy"), lambda rng, k: rng.uniform(0.6, 1, k)),
    "ux": lambda rng, k: rng.uniform(0.6, 1.2, k),
}
#: Numbers at the edges of what the columns may hold.
EDGES = (*CELLS, 1.0, 1, 2, 3, -0.5, 1e-12, 1 - 1e-16, 1e18)


@st.composite
def hostile_sheets(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a coding sheet; most have a cell or two, or a dtype, at fault."""
    k = draw(st.sampled_from([0, 1, 2, 3, 6]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    frame = pd.DataFrame({name: make(rng, k) for name, make in COLUMNS.items()})
    for _ in range(draw(st.integers(0, 3)) if k else 0):
        column = draw(st.sampled_from(list(COLUMNS)))
        frame[column] = frame[column].astype(object)
        frame.iloc[draw(st.integers(0, k - 1)), frame.columns.get_loc(column)] = draw(st.sampled_from(EDGES))
    if draw(st.booleans()):
        column = draw(st.sampled_from(list(COLUMNS)))
        if frame[column].dtype != object:
            frame[column] = frame[column].astype(draw(st.sampled_from(DTYPES)))
    return frame


def asked(analysis: Callable[[], object]) -> object:
    """The result, or None for an error of ours, which has to end like a sentence; a warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return analysis()
        except AllianceStatsError as error:
            assert str(error).rstrip().endswith((".", "?"))  # noqa: PT017
            return None


SOURCES = ("r", "t", "f", "p", "chi2", "d")


@pytest.mark.parametrize("measure", MEASURES)
@hostile
@given(frame=hostile_sheets(), data=st.data())
def test_effects_are_there_with_their_variance_or_lack_a_value(measure, frame, data):
    takes = MEASURES[measure].takes
    names = dict.fromkeys(takes)
    if takes == ("r", "n"):
        names = dict.fromkeys(["n", "sign", "n1", "n2", data.draw(st.sampled_from(SOURCES))])
    elif measure == "SMD" and data.draw(st.booleans()):
        names = dict.fromkeys(["d", "n1", "n2"])
    columns = {name: name for name in names}
    found = asked(lambda: als.meta.effect_sizes(frame.copy(), measure, **columns))
    if found is None:
        return
    y, v = found["yi"].to_numpy(float), found["vi"].to_numpy(float)
    assert (np.isnan(y) == np.isnan(v)).all()
    there = ~np.isnan(y)
    assert np.isfinite(y[there]).all()
    assert np.isfinite(v[there]).all()
    assert (v[there] > 0).all()
    if takes != ("r", "n") and "d" not in columns:
        assert (there == frame[list(takes)].notna().all(axis=1)).all()


@hostile
@given(frame=hostile_sheets(), data=st.data())
def test_corrected_correlations_are_numbers(frame, data):
    def one(*choices):
        return data.draw(st.sampled_from(choices))

    arguments = {
        "rxx": one(None, "rxx", 0.8, 0.0, {0.7: 2, 0.9: 1}, {}),
        "ryy": one(None, "ryy", 1.0),
        "ux": one(None, "ux", 0.7, -1.0),
        "restriction": one(None, "direct", "indirect"),
        "method": one(None, "bare-bones", "individual", "distributions"),
        "distribution": one("taylor", "interactive", "multiplicative"),
        "missing": one(None, "mean"),
        "rxx_group": one("restricted", "unrestricted"),
        "unbiased": one(True, False),
    }
    result = asked(lambda: als.meta.artefacts(frame.copy(), **arguments))
    if result is None:
        return
    asked(result._repr_html_)
    assert asked(result.report)
    glance = result.glance().iloc[0]
    for name in ("estimate", "k", "n_studies", "tau2", "q"):
        assert np.isfinite(glance[name]), name
    assert glance["tau2"] >= 0
    if result.table()["std_error"].isna().any():
        assert result.notes()


PLANS = st.sampled_from([0.0, 0.2, -0.2, 1e-9, 30.0, np.nan, np.inf, "0.2", None, (0.1, 0.3), (), (0.2, 0.2)])


@hostile
@given(effect=PLANS, data=st.data())
def test_power_is_a_share(effect, data):
    def one(*choices):
        return data.draw(st.sampled_from(choices))

    arguments = {
        "n_studies": one(10, 2, 1, 0, -3, 2.5, None, (5, 10), "ten"),
        "v": one(None, None, 0.02, (0.01, 0.05, 0.1), 0.0, -1.0, np.nan),
        "n": one(None, 50, 50, 3, (20, 100), np.inf),
        "tau": one(0.0, 0.2, -0.1, np.nan),
        "omega": one(0.0, 0.1),
        "rho": one(0.6, 1.0, -0.1),
        "question": one("mean", "mean", "groups", "slope", "heterogeneity", "median"),
        "test": one(None, None, "z", "knha", "CR2", "HTZ"),
        "effects_per_study": one(1, 1, 3, (1, 2, 5), 0, 2.5),
        "shares": one(None, None, (0.5, 0.5), (0.9, 0.2), (1.0, 0.0)),
        "moderator_sd": one(1.0, 0.0),
        "alpha": one(0.05, 0.0, 1.0),
        "alternative": one("two-sided", "greater", "less", "both"),
        "target": one(None, None, 0.8, 0.01, 1.0),
    }
    result = asked(lambda: als.meta.power(effect, **arguments))
    if result is None:
        return
    assert asked(result.report)
    table = result.table()
    assert table["estimate"].between(0, 1).all()
    assert (table["n_studies"] >= 1).all()


@hostile
@given(
    topic=st.sampled_from(["alliance-outcome", "therapist effect", "sudden gains-post outcome", "dreams", ""]),
    estimate=st.sampled_from(
        [
            *(0.3, -2.0, np.nan, np.inf, "0.3", None, True, (0.2, 0.1, 0.3), (0.5, 0.1, 0.3), (0.2,), [], "abc"),
            *(pd.DataFrame({"estimate": [0.2]}), pd.DataFrame({"r": [0.2]}), pd.DataFrame({"estimate": []}), {}),
        ]
    ),
    metric=st.sampled_from([None, "r", "d", "g", "OR", "ICC", "z", ""]),
)
def test_an_estimate_stands_beside_published_ones_or_is_refused(topic, estimate, metric):
    found = asked(lambda: als.meta.compare_published(topic, estimate, metric=metric))
    if found is None:
        return
    assert np.isfinite(found.table()["estimate"]).all()
    assert asked(found.report)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"measure": "PCOR", "t": 1e18}, "have no variance that is a positive number"),
        ({"measure": "PCOR", "t": 1e300}, "values of t are infinite or beyond"),  # its square is: r was 0
        ({"measure": "PCOR", "t": np.inf}, "values of t are infinite"),
        ({"t": 1e300}, r"infinite or beyond ±1e\+50"),
        ({"d": 1e300}, r"infinite or beyond ±1e\+50"),
    ],
)
def test_values_without_a_variance_are_refused(given, words):
    frame = pd.DataFrame({"n": [64], "n1": [30], "n2": [34], "predictors": [2], **{k: [v] for k, v in given.items()}})
    named = {name: name for name in ("n", "n1", "n2", "predictors", "t", "d") if name in frame}
    with pytest.raises(AllianceStatsError, match=words):
        als.meta.effect_sizes(frame, given.get("measure", "ZCOR"), **named)


@pytest.mark.parametrize("wrong", [{"effect": ()}, {"effect": "much"}, {"n_studies": 2.5}, {"n_studies": "ten"}])
def test_plans_need_numbers(wrong):
    with pytest.raises(AllianceStatsError, match="Give a"):
        als.meta.power(**{"effect": 0.2, "v": 0.02, "n_studies": 10, **wrong})


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"r": [1.0], "n": [273]}), "All of 1 correlation are 1"),
        (pd.DataFrame({"r": [-1.0, -1.0], "n": [50, 60]}), "All of 2 correlations are 1 or all are −1"),
        (pd.DataFrame({"r": [0.3, 0.2], "n": [1e300, 60]}), r"1 of 2 sample sizes are below 4 or above 1e\+10"),
    ],
)
def test_correlations_without_sampling_error_are_not_corrected(frame, words):
    with pytest.raises(AllianceStatsError, match=words):
        als.meta.artefacts(frame)
