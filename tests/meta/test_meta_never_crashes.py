"""Whatever frame of effects comes in: numbers, or an error of ours; no missing number without a word of why."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hostile_effects import hostile_effects
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import alliance_stats as als
from alliance_stats.errors import AllianceStatsError

meta, bias = als.meta, als.meta.bias
hostile = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

#: Numbers that a reader takes from a result first: always there.
ALWAYS = ("estimate", "std_error", "statistic", "p_value", "k", "n_studies", "tau2", "q", "q_p")
#: What a note says where numbers are missing or infinite, or are not those of an optimum.
SAID = re.compile(
    r"missing|could not|not final|no peak|no end|empty|1 effect: nothing|set to 0|degrees of freedom|hardly known|"
    r"tell nothing about"
)
#: Results without a standard error, a τ² or an effect of their own, as their tables say.
WITHOUT = {
    "RankTestResult": ("std_error", "statistic"),
    "FailSafeResult": ("std_error", "statistic", "p_value"),
    "PCurveResult": ("estimate", "std_error", "statistic", "p_value", "tau2"),
    "ComparisonResult": ("estimate", "std_error", "statistic", "p_value", "tau2"),
    "EggerResult": ("estimate", "std_error", "tau2"),
    "PetPeeseResult": ("tau2",),
}
#: Of these the intercept may not be among the coefficients.
MODERATED = ("RegressionResult", "MultilevelResult", "LocationScaleResult", "RobustResult", "SelectionResult")

CORRELATIONS = [0.6, 0.0, 0.999, 1.0, -0.1, np.nan, "a", None]
LEVELS = ["study/effect", "study", "effect", "study/x/effect", ["study/effect", "x"], ["study", "x"], "study/nowhere"]
MODS = [None, "x", "z", "x + z", "0 + x"]


def covariance(frame: pd.DataFrame, kind: str) -> object:
    if kind == "imputed":
        return meta.sampling_covariance(frame, 0.5)
    v = pd.to_numeric(frame["vi"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    own = np.diag(np.where(np.isfinite(v), v, 1.0))
    corner = own.copy()
    corner[:1, -1:] = 1.0
    kinds = {"diagonal": own, "frame": pd.DataFrame(own), "not symmetric": corner, "not square": own[:, :-1]}
    kinds |= {"missing": own * np.nan, "negative": -own, "zero": own * 0, "joined": own + 1e-3}
    return {**kinds, "objects": own.astype(object), "a word": "V", "ragged": [[1, 2], [3]]}[kind]


COVARIANCES = ["imputed", "diagonal", "frame", "not symmetric", "not square", "missing", "negative", "zero", "joined"]
COVARIANCES += ["objects", "a word", "ragged"]
KINDS = ["auto", "CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3", None]
TESTS = ["z", "t", "knha", "adhoc"]
METHODS = ["EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM"]
SELECTION = ["3PSM", "4PSM", "steps", "Vevea-Woods", "beta", "halfnorm", "negexp", "logistic", "power"]


def multilevel(frame: pd.DataFrame, one) -> object:
    return meta.multilevel(
        frame,
        one(LEVELS),
        rho=one(CORRELATIONS),
        mods=one(MODS),
        robust=one(KINDS),
        method=one(["REML", "ML"]),
        test=one(["z", "t"]),
        cluster=one([None, None, "study", "x"]),
    )


def profile(result: object) -> pd.DataFrame:
    low, high = result.tau2_interval("profile-likelihood")
    assert low <= result.fit.tau2 <= high or len(result.effects) == 1
    return pd.DataFrame()


ANALYSES: dict[str, Callable[[pd.DataFrame, Callable], object]] = {
    **{f"pool {m}": (lambda f, one, m=m: meta.pool(f, m, one(TESTS), prediction=one([None, "t"]))) for m in METHODS},
    **{
        f"regress {m}": (
            lambda f, one, m=m: meta.regress("yi ~ " + one(["x", "x + z", "0 + x", "x*z"]), f, m, one(TESTS))
        )
        for m in METHODS
    },
    "profile likelihood": lambda f, one: profile(meta.pool(f)),
    "location and scale": lambda f, one: meta.regress("yi ~ 1", f, one(["REML", "ML"]), scale=one(["x", "z"])),
    "permutations": lambda f, one: meta.regress("yi ~ x", f).permutation_test(10),
    "multilevel": multilevel,
    "multilevel again": lambda f, one: multilevel(f, one),
    "multilevel, V": lambda f, one: meta.multilevel(f, V=covariance(f, one(COVARIANCES)), mods=one([None, "z"])),
    "multilevel, subgroups": lambda f, one: meta.multilevel(f, working="SCE", subgroup=one(["x", "study"])),
    "multilevel, sensitivity": lambda f, one: meta.multilevel(f).sensitivity((0.0, 0.5)),
    "multilevel, random": lambda f, one: meta.multilevel(f).random(),
    "multilevel, test": lambda f, one: meta.multilevel(f, mods="x + z").test(),
    "multilevel, predict": lambda f, one: meta.multilevel(f, mods="x").predict(),
    "sampling covariance": lambda f, one: meta.sampling_covariance(f, one(CORRELATIONS), by=one([None, "x", "year"])),
    "robust": lambda f, one: meta.robust(f, one(MODS), one(["CORR", "HIER"]), small=one([True, False])),
    "robust, rho": lambda f, one: meta.robust(f, rho=one(CORRELATIONS)),
    "aggregate": lambda f, one: meta.aggregate(f, one(CORRELATIONS)),
    "leave one out": lambda f, one: meta.leave_one_out(f, one(METHODS), one(TESTS), by=one([None, "study", "x"])),
    "leave one out, moderators": lambda f, one: meta.leave_one_out(meta.regress("yi ~ x", f)),
    "leave one out, multilevel": lambda f, one: meta.leave_one_out(
        meta.multilevel(f, mods=one([None, "x"]), robust=one(["auto", None]), V=covariance(f, "imputed"))
    ),
    "influence": lambda f, one: meta.influence(f),
    "influence, moderators": lambda f, one: meta.influence(meta.regress("yi ~ x", f, test=one(["z", "knha"]))),
    "influence, multilevel": lambda f, one: meta.influence(meta.multilevel(f, mods=one([None, "x"]))),
    "cumulative": lambda f, one: meta.cumulative(f, one([None, "year", "x"]), one(["REML", "DL", "EE"]), one(TESTS)),
    "baujat": lambda f, one: meta.baujat(f),
    "gosh": lambda f, one: meta.gosh(f, one(["REML", "DL"]), n=40, progress=False),
    "trim and fill": lambda f, one: bias.trim_fill(f, one(["L0", "R0", "Q0"]), one([None, "left", "right"])),
    "egger": lambda f, one: bias.egger(
        f, one(["sei", "vi", "ni"]), one(["random", "multiplicative"]), mods=one([None, "z"])
    ),
    "rank test": lambda f, one: bias.rank_test(f),
    "pet-peese": lambda f, one: bias.pet_peese(f, one(["random", "multiplicative"])),
    "fail-safe n": lambda f, one: bias.fail_safe_n(f, one(["Rosenthal", "Orwin", "Rosenberg", "General"])),
    **{
        f"selection {m}": (
            lambda f, one, m=m: bias.selection(
                f,
                m,
                mods=one([None, None, "x"]),
                alternative=one(["greater", "less", "two-sided"]),
                equal=one([False, True]),
            )
        )
        for m in SELECTION
    },
    "selection, clusters": lambda f, one: bias.selection(f, "Vevea-Woods", cluster="study", n_boot=50, progress=False),
    "p-uniform": lambda f, one: bias.p_uniform(f, alternative=one(["greater", "less"])),
    "p-curve": lambda f, one: bias.p_curve(f),
    "compare": lambda f, one: bias.compare(f, methods=("PET-PEESE", "3PSM", "p-uniform*"), n_boot=50, progress=False),
}


def whole(result: object) -> tuple[str, ...]:
    """Ask a result for all it has; give its notes."""
    for name in ("report", "_repr_html_", "residuals", "selection_weights"):
        if hasattr(result, name):
            getattr(result, name)()
    return result.notes() if hasattr(result, "notes") else ()


def not_said(result: object, notes: tuple[str, ...]) -> list[str]:
    """Names of numbers that are missing, infinite or impossible, where no note says why."""
    kind = type(result).__name__
    names = [name for name in ("table", "glance") if hasattr(result, name)]
    found = []
    for name in names:
        frame = getattr(result, name)()
        skipped = {*WITHOUT.get(kind, ())}
        if name == "glance" and kind in MODERATED and "(Intercept)" not in set(result.table()["term"]):
            skipped |= {"estimate", "std_error"}
        for column in (one for one in ALWAYS if one in frame.columns and one not in skipped):
            values = frame[column].to_numpy(np.float64, na_value=np.nan)
            if not np.isfinite(values).all():
                found.append(f"{name} {column}: {values}")
            if column in ("std_error", "tau2", "q") and (values < 0).any():
                found.append(f"{name} {column} below 0")
            if column in ("p_value", "q_p") and ((values < 0) | (values > 1)).any():
                found.append(f"{name} {column} outside [0, 1]")
        if "converged" in frame.columns and not frame["converged"].all():
            found.append("not converged")
    if isinstance(result, pd.DataFrame) and {"estimate", "std_error"} <= set(result.columns):
        found += [one for one in ("estimate", "std_error") if result[one].isna().any()]
    return [] if any(SAID.search(note) for note in notes) else found


@pytest.mark.parametrize("analysis", ANALYSES)
@hostile
@given(frame=hostile_effects(), data=st.data())
def test_any_frame_gives_numbers_or_an_error_of_ours(analysis, frame, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = ANALYSES[analysis](frame.copy(), lambda choices: data.draw(st.sampled_from(choices)))
            notes = whole(result)
        except AllianceStatsError as error:
            assert str(error).rstrip().endswith((".", "?"))  # noqa: PT017
            return
        assert not_said(result, notes) == []
