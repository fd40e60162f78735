"""Compare ``als.mixed`` with every reference of ``tests/golden`` (lme4, lmerTest, pbkrtest), for validation.md."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import alliance_stats as als
from alliance_stats.models.mixed_result import MixedResult

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "lme4"
PBKRTEST = GOLDEN.parent / "pbkrtest" / "kenward_roger.json"
#: Where the session outcome is in thousands, lmerTest's numerical Hessian fails; its README says how that was found.
LMERTEST_FAILS = "session_thousands"


def fits() -> Iterator[tuple[str, str, dict, pd.DataFrame]]:
    """Yield case, key, reference and data of every fit whose data are at hand."""
    for path in sorted(GOLDEN.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        data = _data(record)
        if data is None:
            continue
        for key, fit in record["fits"].items():
            # the fits named _default show where lme4's default settings stop, not where the optimum is
            if not key.endswith("_default"):
                yield path.stem, key, fit, data


def _data(record: Mapping[str, str]) -> pd.DataFrame | None:
    """The data of a case; None for the real data where the folder that holds them is not there."""
    name = record["data"]
    if not name.startswith("$"):
        return pd.read_csv(GOLDEN / name)
    home = os.environ.get("ALLIANCE_STATS_DATA")
    path = Path(home or "", name.removeprefix("$ALLIANCE_STATS_DATA/"))
    if not home or not path.is_file():
        return None
    frame = pd.read_csv(path)
    return frame if "time0" in frame else frame.assign(time0=frame["time"] - 1)


def versions() -> str:
    """Tool versions of the references."""
    found = json.loads((GOLDEN / "crossed.json").read_text(encoding="utf-8"))["versions"]
    pbkrtest = json.loads(PBKRTEST.read_text(encoding="utf-8"))["versions"]["pbkrtest"]
    tools = ", ".join(f"{name} {found[name]}" for name in ("lme4", "lmerTest", "Matrix"))
    return f"{found['R']}, {tools}, pbkrtest {pbkrtest}"


def compared() -> pd.DataFrame:
    """Every number compared.

    Returns
    -------
    DataFrame
        ``case, fit, n_obs, quantity, what, ours, reference, difference``. The difference is absolute for the criterion,
        in standard errors for estimates, in standard deviations of all levels for predicted effects, relative to the
        largest variance for variances and covariances, and relative otherwise.
    """
    kenward_roger = json.loads(PBKRTEST.read_text(encoding="utf-8"))["fits"]
    parts = []
    for case, key, reference, data in fits():
        ours = als.mixed(reference["formula"], data, reference["method"])
        rows = pd.concat(
            [
                _criterion(ours, reference),
                *_fixed(ours, reference),
                _variances(ours, reference),
                _predicted(ours, reference),
            ]
        )
        parts.append(rows.assign(case=case, fit=key, n_obs=reference["n_obs"]))
        if adjusted := kenward_roger.get(f"{case}/{key}"):
            rows = pd.concat(_adjusted(als.mixed(reference["formula"], data, df="kenward-roger"), adjusted))
            parts.append(rows.assign(case=case, fit=key, n_obs=reference["n_obs"]))
    frame = pd.concat(parts, ignore_index=True)
    return frame[["case", "fit", "n_obs", "quantity", "what", "ours", "reference", "difference"]]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per quantity: how many numbers in how many fits, and the largest difference with its place."""
    order = list(frame["quantity"].drop_duplicates())
    groups = frame.groupby("quantity", sort=False)
    worst = frame.loc[groups["difference"].idxmax()].set_index("quantity")
    return (
        pd.DataFrame(
            {
                "fits": frame.assign(fit=frame["case"] + frame["fit"]).groupby("quantity")["fit"].nunique(),
                "numbers": groups.size(),
                "largest difference": worst["difference"],
                "where": worst["case"] + " " + worst["fit"] + ": " + worst["what"],
            }
        )
        .loc[order]
        .reset_index(names="quantity")
    )


def fixed_effects(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per coefficient: estimate, standard error and degrees of freedom, ours beside the references."""
    keys = ["case", "fit", "what"]
    columns = {}
    for start, name, theirs in (
        ("estimates", "estimate", "lme4"),
        ("standard errors", "SE", "lme4"),
        ("df (dense", "df", "dense"),
        ("df (lmerTest", "df", "lmerTest"),
    ):
        rows = frame[frame["quantity"].str.startswith(start)].set_index(keys)
        columns.setdefault(name, rows["ours"])
        columns[f"{name} ({theirs})"] = rows["reference"]
    return pd.DataFrame(columns).loc[columns["estimate"].index].reset_index().rename(columns={"what": "term"})


def _rows(quantity: str, what: object, ours: object, reference: object, scale: object) -> pd.DataFrame:
    ours, reference = np.asarray(ours, float), np.asarray(reference, float)
    difference = np.abs(ours - reference) / np.asarray(scale, float)
    return pd.DataFrame(
        {"quantity": quantity, "what": what, "ours": ours, "reference": reference, "difference": difference}
    )


def _criterion(ours: MixedResult, reference: Mapping) -> pd.DataFrame:
    value = ours.glance()["deviance"].to_numpy()
    return _rows("criterion (lme4), absolute", ["criterion"], value, [reference["criterion"]], 1.0)


def _fixed(ours: MixedResult, reference: Mapping) -> Iterator[pd.DataFrame]:
    """Estimates, standard errors, degrees of freedom, by term."""
    table = ours.table().assign(term=lambda t: t["term"].map(_term)).set_index("term")
    terms = list(reference["estimate"])
    own = table.loc[[_term(term) for term in terms]]
    errors = np.array(list(reference["std_error"].values()))
    dense = np.array(reference["dense_check"]["df"])
    lmertest = np.array([reference["df"][term] for term in terms])
    yield _rows(
        "estimates (lme4), in standard errors", terms, own["estimate"], list(reference["estimate"].values()), errors
    )
    yield _rows("standard errors (lme4), relative", terms, own["std_error"], errors, errors)
    yield _rows("df (dense algebra in R), relative", terms, own["df"], dense, dense)
    if LMERTEST_FAILS not in reference["formula"]:
        yield _rows("df (lmerTest), relative", terms, own["df"], lmertest, lmertest)


def _adjusted(ours: MixedResult, reference: Mapping) -> Iterator[pd.DataFrame]:
    """Kenward and Roger's standard errors and degrees of freedom, in the order of the terms."""
    table = ours.table()
    errors = np.sqrt(np.diag(np.atleast_2d(reference["vcov_adjusted"])))
    df = np.atleast_1d(reference["df"])
    terms = table["term"].tolist()
    yield _rows("Kenward–Roger standard errors (pbkrtest), relative", terms, table["std_error"], errors, errors)
    yield _rows("Kenward–Roger df (pbkrtest), relative", terms, table["df"], df, df)


def _variances(ours: MixedResult, reference: Mapping) -> pd.DataFrame:
    own = {_place(r.group, (r.term, r.term2)): r.vcov for r in ours.variance().itertuples()}
    v = reference["variance"]
    names = list(
        zip(
            (re.sub(r"\.\d+$", "", g).replace("Residual", "residual") for g in v["grp"]),
            v["var1"],
            v["var2"],
            strict=True,
        )
    )
    what = [" ".join(str(part) for part in name if part) for name in names]
    values = [own[_place(group, terms)] for group, *terms in names]
    return _rows("variances, covariances (lme4), of the largest", what, values, v["vcov"], max(v["vcov"]))


def _predicted(ours: MixedResult, reference: Mapping) -> pd.DataFrame:
    random = reference["random"]
    theirs = pd.DataFrame({key: random[key] for key in ("group", "level", "term", "estimate")})
    parts = []
    for group, rows in theirs.groupby("group", sort=False):
        name = next(n for n in ours.arrays.group_names if _parts(n) == _parts(re.sub(r"\.\d+$", "", str(group))))
        own = ours.random(name)[["level", "term", "estimate"]].assign(level=lambda f: f["level"].map(_sorted))
        both = rows.assign(level=rows["level"].astype(str).map(_sorted)).merge(
            own, on=["level", "term"], suffixes=("_r", ""), validate="one_to_one"
        )
        if len(both) != len(rows):
            raise AssertionError(f"{len(rows) - len(both)} of {len(rows)} levels of {group} have no counterpart")
        spread = both.groupby("term")["estimate_r"].transform("std").clip(lower=1e-6)
        what = str(group) + " " + both["level"] + " " + both["term"]
        parts.append(_rows("predicted effects (lme4), in their SD", what, both["estimate"], both["estimate_r"], spread))
    return pd.concat(parts)


def _term(name: str) -> str:
    """Bring ``phase[T.late]`` and R's ``phaselate`` to one spelling, and interactions into one order."""
    return _sorted(re.sub(r"\[T\.([^\]]*)\]", r"\1", name))


def _sorted(name: str) -> str:
    return ":".join(sorted(name.split(":")))


def _parts(group: str) -> frozenset[str]:
    """lme4 writes b:a, or c:(b:a), for a/b/c."""
    return frozenset(re.findall(r"\w+", group))


def _place(group: str, terms: tuple | list) -> tuple[frozenset[str], frozenset[str]]:
    return _parts(group), frozenset(term for term in terms if isinstance(term, str))
