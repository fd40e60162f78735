"""Bad effects: every analysis gives an answer, or an error of ours that names the place; no raw error, no warning."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.errors import AllianceStatsError, DataError, DesignError

meta = als.meta


def effects(k: int = 12, per: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    study = [f"s{at // per}" for at in range(k)]
    y, v = rng.normal(0.3, 0.2, k), rng.uniform(0.02, 0.08, k)
    return pd.DataFrame({"study": study, "yi": y, "vi": v, "x": rng.normal(size=k)})


def put(column: str, value: object, at: int = 3) -> pd.DataFrame:
    frame = effects()
    frame[column] = frame[column].astype(object).where(frame.index != at, value)
    return frame if isinstance(value, str) else frame.astype({column: float})


#: Frames that no analysis of effects can take, and words that the error must have.
REFUSED = {
    "zero variance": (put("vi", 0.0), "1 of 12 variances are zero .first at row 3, study 's1'"),
    "negative variance": (put("vi", -0.1), "1 of 12 variances are negative .first at row 3, study 's1': -0.1"),
    "infinite variance": (put("vi", np.inf), "1 of 12 variances are infinite .first at row 3"),
    "infinite effect": (put("yi", -np.inf), "1 of 12 effects are infinite .first at row 3"),
    "huge effect": (put("yi", 1e200), "1 of 12 effects lie beyond .*first at row 3"),
    "tiny variance": (put("vi", 1e-200), "1 of 12 variances lie outside .*first at row 3"),
    "text": (put("yi", "abc"), "1 of 12 values of 'yi' are no numbers .first at row 3"),
    "empty": (effects().iloc[:0], "0 of 0 rows"),
    "no columns": (pd.DataFrame(), "lack"),
    "nothing but missing": (effects().assign(yi=np.nan), "0 of 12 rows"),
    "a name twice": (pd.concat([effects(), effects()[["yi"]]], axis=1), "2 columns have the name 'yi'"),
    "complex": (effects().assign(yi=1j), "'yi' holds complex128 values"),
    "dates": (effects().assign(yi=pd.Timestamp("2020-01-01")), "'yi' holds datetime64"),
}
MIXED = pd.Series([1, "1", 2, "a", 2.5, None, 3, 4, "b", "b", "c", ("t",)], dtype=object)
#: Frames that some analyses can take and others cannot.
HOSTILE = {
    "one study": effects().assign(study="a"),
    "all equal": effects().assign(yi=0.3),
    "all equal, variances too": effects().assign(yi=0.3, vi=0.04),
    "equal variances": effects().assign(vi=0.04),
    "constant moderator": effects().assign(x=1.0),
    "infinite moderator": put("x", np.inf),
    "moderator of text": effects().assign(x="a"),
    "missing moderator": effects().assign(x=np.nan),
    "clusters of one": effects(12, 1),
    "one effect": effects(1),
    "two effects of a study": effects(2),
    "two studies of one effect": effects(2, 1),
    "three effects": effects(3, 1),
    "two studies": effects(4, 2),
    "some missing": put("yi", np.nan),
    "numbers as ids": effects().assign(study=np.repeat(np.arange(6), 2)),
    "mixed ids": effects().assign(study=MIXED),
    "missing ids": effects().assign(study=lambda frame: frame["study"].where(frame.index > 3)),
    "no ids": effects().assign(study=None),
    "one label for all rows": effects().set_axis([0] * 12),
    "whole numbers with gaps": effects().assign(yi=pd.array([1, 2, 3, None] * 3, dtype="Int64")),
    "huge variances": effects().assign(vi=lambda frame: frame["vi"] * 1e40),
    "tiny variances": effects().assign(vi=lambda frame: frame["vi"] * 1e-40),
}


def whole(result: object) -> object:
    """Ask a result for all it has."""
    for name in ("table", "glance", "variance", "notes", "report", "describe", "_repr_html_"):
        if hasattr(result, name):
            getattr(result, name)()
    return result


METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")
ANALYSES: dict[str, Callable[[pd.DataFrame], object]] = {
    **{f"pool {name}": (lambda frame, name=name: whole(meta.pool(frame, name))) for name in METHODS},
    **{
        f"pool {name}": (lambda frame, name=name: whole(meta.pool(frame, "DL", name)))
        for name in ("t", "knha", "adhoc")
    },
    "profile likelihood": lambda frame: meta.pool(frame).tau2_interval("profile-likelihood"),
    "predicted effects": lambda frame: meta.pool(frame).predicted_effects(),
    "random effects": lambda frame: meta.pool(frame).random(),
    "weighted": lambda frame: whole(meta.pool_weighted(frame, "vi")),
    "residuals": lambda frame: meta.pool(frame).residuals(),
    "regress": lambda frame: whole(meta.regress("yi ~ x", frame)),
    "regress knha": lambda frame: whole(meta.regress("yi ~ x", frame, test="knha")),
    "location and scale": lambda frame: whole(meta.regress("yi ~ 1", frame, scale="x")),
    "permutations": lambda frame: meta.regress("yi ~ x", frame).permutation_test(20),
    "multilevel": lambda frame: whole(meta.multilevel(frame)),
    "multilevel, moderator": lambda frame: whole(meta.multilevel(frame, mods="x")),
    "multilevel, model-based": lambda frame: whole(meta.multilevel(frame, robust=None)),
    "multilevel, CR3": lambda frame: whole(meta.multilevel(frame, rho=0.0, robust="CR3")),
    "multilevel sensitivity": lambda frame: meta.multilevel(frame).sensitivity((0.0, 0.5)),
    "sampling covariance": lambda frame: meta.sampling_covariance(frame),
    "robust": lambda frame: whole(meta.robust(frame)),
    "robust, hierarchical": lambda frame: whole(meta.robust(frame, weights="HIER")),
    "robust, moderator": lambda frame: whole(meta.robust(frame, "x")),
    "influence": lambda frame: meta.influence(meta.pool(frame)),
    "leave one out": lambda frame: meta.leave_one_out(frame),
    "gosh": lambda frame: meta.gosh(frame, n=50, progress=False),
    "cumulative": lambda frame: meta.cumulative(frame),
    "baujat": lambda frame: meta.baujat(frame),
    "trim and fill": lambda frame: whole(meta.bias.trim_fill(frame)),
    "egger": lambda frame: whole(meta.bias.egger(frame)),
    "rank test": lambda frame: whole(meta.bias.rank_test(frame)),
    "excess significance": lambda frame: whole(meta.bias.excess_significance(frame)),
    "pet-peese": lambda frame: whole(meta.bias.pet_peese(frame)),
    "fail-safe n": lambda frame: whole(meta.bias.fail_safe_n(frame)),
    "selection": lambda frame: whole(meta.bias.selection(frame)),
    "p-uniform": lambda frame: whole(meta.bias.p_uniform(frame)),
    "p-curve": lambda frame: whole(meta.bias.p_curve(frame)),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_frames_that_cannot_be_taken_are_refused_with_count_and_place(analysis, kind):
    frame, words = REFUSED[kind]
    with pytest.raises(DataError, match=words):
        ANALYSES[analysis](frame.copy())


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_hostile_frames_give_an_answer_or_an_error_of_ours_without_a_warning(analysis, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found: object = ANALYSES[analysis](HOSTILE[kind].copy())
        except AllianceStatsError as error:
            found = str(error)
    assert found is not None
    assert not isinstance(found, str) or found.rstrip().endswith((".", "?"))


@pytest.mark.parametrize("rho", [-0.1, 1.0, 1.5, np.nan, "a"])
def test_a_correlation_outside_0_to_1_is_refused(rho):
    for call in (meta.multilevel, meta.robust):
        with pytest.raises(DataError, match="rho is"):
            call(effects(), rho=rho)


def test_a_covariance_that_is_not_positive_definite_is_refused_with_its_study():
    own = np.diag(effects()["vi"].to_numpy())
    own[0, 1] = own[1, 0] = 1.0
    with pytest.raises(DataError, match="V is not positive definite in 1 of 6 studies"):
        meta.multilevel(effects(), V=own)


def test_hierarchical_weights_need_a_study_with_several_effects():
    with pytest.raises(DesignError, match="Each of 12 studies has 1 effect"):
        meta.robust(effects(12, 1), weights="HIER")


def test_few_degrees_of_freedom_are_marked_in_the_table():
    assert (meta.multilevel(effects(8, 2)).table()["caution"] == "df < 4").all()
