"""Compare ``als.mixed`` with references of residual structures, weights, offsets and membership, for validation.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import alliance_stats as als
from alliance_stats.models.mixed_result import MixedResult

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
#: Folder → tool whose own numbers stand beside the polished ones; none where no tool can follow.
TOOLS = {"nlme": "nlme", "glmmtmb": "glmmTMB", "lme4_weights": "lme4", "dense_residual": None}
#: What the references of a folder are called.
LABELS = {
    "nlme": "models of nlme",
    "glmmtmb": "models of glmmTMB",
    "lme4_weights": "weights, offsets of lme4",
    "dense_residual": "models of no other tool",
}


def versions() -> str:
    """Tool versions of the references."""
    found: dict[str, str] = {}
    for folder in TOOLS:
        for path in sorted((GOLDEN / folder).glob("*.json")):
            found |= json.loads(path.read_text(encoding="utf-8"))["versions"]
    return ", ".join(f"{tool} {found[tool]}" for tool in ("nlme", "glmmTMB", "TMB", "lme4", "lmerTest"))


def compared() -> pd.DataFrame:
    """Every number compared: ``tool, case, fit, quantity, what, ours, reference, difference``."""
    parts = []
    for folder, tool in TOOLS.items():
        for case, key, reference, data in _fits(folder):
            ours = als.mixed(data=data, **reference["call"])
            polished = pd.concat(_polished(ours, reference)).assign(tool=LABELS[folder])
            parts.append(polished.assign(case=case, fit=key))
            if tool:
                itself = pd.concat(_itself(ours, reference[tool], tool)).assign(tool=f"{tool} itself")
                parts.append(itself.assign(case=case, fit=key))
    parts += list(_memberships())
    columns = ["tool", "case", "fit", "quantity", "what", "ours", "reference", "difference"]
    return pd.concat(parts, ignore_index=True)[columns]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per tool and quantity: how many numbers in how many fits, and the largest difference with its place."""
    rows = []
    for (tool, quantity), group in frame.groupby(["tool", "quantity"], sort=False):
        worst = group.loc[group["difference"].idxmax()]
        rows.append(
            {
                "reference": tool,
                "quantity": quantity,
                "fits": len(group[["case", "fit"]].drop_duplicates()),
                "numbers": len(group),
                "largest difference": worst["difference"],
                "where": f"{worst['case']} {worst['fit']}: {worst['what']}",
            }
        )
    return pd.DataFrame(rows)


def _fits(folder: str) -> Iterator[tuple[str, str, dict, pd.DataFrame]]:
    for path in sorted((GOLDEN / folder).glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key, fit in record["fits"].items():
            data = GOLDEN / folder / fit.get("data", record.get("data"))
            yield data.stem, key, fit, pd.read_csv(data)


def _rows(quantity: str, what: list, ours: object, reference: object, scale: object) -> pd.DataFrame:
    ours, reference = np.asarray(ours, float), np.asarray(reference, float)
    difference = np.abs(ours - reference) / np.asarray(scale, float)
    columns = {"quantity": quantity, "what": what, "ours": ours, "reference": reference, "difference": difference}
    return pd.DataFrame(columns)


def _polished(ours: MixedResult, reference: Mapping) -> Iterator[pd.DataFrame]:
    """Everything against the polished optimum."""
    table, solution = ours.table(), ours.solution
    terms, errors = table["term"].tolist(), np.array(list(reference["std_error"].values()))
    yield _rows("criterion, absolute", ["criterion"], [solution.criterion], [reference["criterion"]], 1.0)
    estimates = list(reference["estimate"].values())
    yield _rows("estimates, in standard errors", terms, table["estimate"], estimates, errors)
    yield _rows("standard errors, relative", terms, table["std_error"], errors, errors)
    df = np.array(list(reference["satterthwaite_df"].values()))
    yield _rows("Satterthwaite df, relative", terms, table["df"], df, df)
    if reference["call"]["method"] == "REML":
        yield from _kenward_roger(ours, reference)
    yield _variances(ours, reference)
    if reference.get("correlation"):
        rho = reference["correlation"]
        yield _rows("residual correlation, relative", ["rho"], [solution.residual.rho], [rho], abs(rho))
    sds = reference.get("residual_sd") or {"residual": reference["sigma"]}
    ratios = solution.residual.ratios if reference.get("residual_sd") else np.ones(1)
    values = np.array(list(sds.values()))
    yield _rows("residual SDs, relative", list(sds), np.sqrt(solution.sigma2) * ratios, values, values)
    yield _effects(ours, reference)


def _kenward_roger(ours: MixedResult, reference: Mapping) -> Iterator[pd.DataFrame]:
    of_residuals = {"residual", "variance"} & set(reference["call"])
    theirs = reference["kenward_roger_first_order"]["observed" if of_residuals else "expected"]
    table = replace(ours, df_method="kenward-roger").table()
    errors, df = np.array(theirs["std_error"]), np.array(theirs["df"])
    terms = table["term"].tolist()
    yield _rows("Kenward–Roger standard errors, relative", terms, table["std_error"], errors, errors)
    yield _rows("Kenward–Roger df, relative", terms, table["df"], df, df)


def _variances(ours: MixedResult, reference: Mapping) -> pd.DataFrame:
    own = {_place(r.group, r.term, r.term2): r.vcov for r in ours.variance().itertuples()}
    theirs = reference["variance"]
    names = list(zip(theirs["grp"], theirs["var1"], theirs["var2"], strict=True))
    values = [own[_place(*name)] for name in names]
    what = [" ".join(part for part in name if part) for name in names]
    largest = max(*theirs["vcov"], reference["sigma"] ** 2)
    return _rows("variances, covariances, of the largest", what, values, theirs["vcov"], largest)


def _effects(ours: MixedResult, reference: Mapping) -> pd.DataFrame:
    theirs = pd.DataFrame(reference["random"])
    theirs = theirs.assign(group=theirs["group"].map(_group), level=theirs["level"].map(_group))
    own = pd.concat([ours.random(name).assign(group=name) for name in ours.arrays.group_names])
    own = own.assign(group=own["group"].map(_group), level=own["level"].map(_group))
    both = theirs.merge(own, on=["group", "level", "term"], suffixes=("_r", ""), validate="one_to_one")
    if len(both) != len(theirs):
        raise AssertionError(f"{len(theirs) - len(both)} of {len(theirs)} predicted effects have no counterpart")
    spread = both.groupby(["group", "term"])["estimate_r"].transform("std").clip(lower=1e-6)
    what = [" ".join([*sorted(level), term]) for level, term in zip(both["level"], both["term"], strict=True)]
    return _rows("predicted effects, in their SD", what, both["estimate"], both["estimate_r"], spread)


def _itself(ours: MixedResult, theirs: Mapping, tool: str) -> Iterator[pd.DataFrame]:
    """The tool at the point where it stopped.

    glmmTMB's standard errors come from the joint Hessian of fixed effects and variances: another estimator, left out.
    """
    table = ours.table()
    criterion = theirs["criterion"] if "criterion" in theirs else -2 * theirs["log_likelihood"]
    yield _rows("criterion, absolute", ["criterion"], [ours.solution.criterion], [criterion], 1.0)
    errors = np.array(list(theirs["std_error"].values()))
    terms, estimates = table["term"].tolist(), list(theirs["estimate"].values())
    yield _rows("estimates, in standard errors", terms, table["estimate"], estimates, errors)
    if tool != "glmmTMB":
        yield _rows("standard errors, relative", terms, table["std_error"], errors, errors)
    if "lmerTest_df" in theirs:
        df = np.array(list(theirs["lmerTest_df"].values()))
        yield _rows("df (lmerTest), relative", terms, table["df"], df, df)


def _memberships() -> Iterator[pd.DataFrame]:
    """Several therapists per row against lme4 with a hand-made matrix."""
    record = json.loads((GOLDEN / "lme4_membership" / "membership.json").read_text(encoding="utf-8"))
    data = pd.read_csv(GOLDEN.parents[1] / record["data"])
    formula = "alliance ~ session0 + (1 + session0 | patient_id) + (1 | mm(therapist_id))"
    for theirs in record["fits"]:
        half_life = None if theirs["half_life"] == "none" else theirs["half_life"]
        rule = "cumulative" if half_life is None else "decay"
        members = {"therapist_id": als.membership(data, rule, half_life=half_life, session="session0")}
        method = "REML" if theirs["REML"] else "ML"
        ours = als.mixed(formula, data, method, membership=members)
        table, errors = ours.table(), np.array(theirs["std_error"])
        terms = table["term"].tolist()
        own = ours.variance().set_index("group")["vcov"]
        groups = {"therapist_id": "therapist_id", "residual": "Residual"}
        values = [theirs["vcov"][theirs["groups"].index(name)] for name in groups.values()]
        parts = [
            _rows("criterion, absolute", ["criterion"], [ours.solution.criterion], [theirs["criterion"]], 1.0),
            _rows("estimates, in standard errors", terms, table["estimate"], theirs["estimate"], errors),
            _rows("standard errors, relative", terms, table["std_error"], errors, errors),
            _rows("variances, relative", list(groups), [own[name] for name in groups], values, values),
        ]
        key = f"half-life {theirs['half_life']} {method}"
        yield pd.concat(parts).assign(tool="lme4, hand-made membership", case="crossed", fit=key)


def _group(name: object) -> frozenset[str]:
    """lme4 writes b:a for a/b, and splits (1 + x || g) into g and g.1."""
    return frozenset(str(name).removesuffix(".1").replace("/", ":").split(":"))


def _place(group: str, *terms: object) -> tuple[frozenset[str], frozenset[str]]:
    return _group(group), frozenset(term for term in terms if isinstance(term, str))
