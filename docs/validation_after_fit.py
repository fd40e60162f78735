"""Compare formulas, marginal means, slopes and influence with their references, for validation.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import alliance_stats as als

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
#: How each set of means, differences or slopes is asked for.
ASK = {
    "phase": lambda fit: fit.means("phase"),
    "proportional": lambda fit: fit.means("phase", weights="proportional"),
    "both": lambda fit: fit.means(["phase", "arm"]),
    "at": lambda fit: fit.means("phase", at={"session": [1, 5, 10]}),
    "pairwise": lambda fit: fit.means("phase", differences="pairwise"),
    "consecutive": lambda fit: fit.means("session", at={"session": [1, 5, 9]}, differences="consecutive"),
    "slopes": lambda fit: fit.slopes("alliance_within", by="phase"),
    "curve": lambda fit: fit.slopes("session", at={"session": [1, 5, 10]}),
}


def compared() -> pd.DataFrame:
    """Every number compared: ``quantity, case, ours, reference, difference``.

    Differences of estimates are in standard errors, of variances relative to the largest, of predictions in standard
    deviations of the outcome, of DFBETAS and Cook's distances absolute, and relative otherwise.
    """
    return pd.concat([*_formulas(), *_means(), *_influence()], ignore_index=True)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per quantity: how many numbers, and the largest difference with its place."""
    groups = frame.groupby("quantity", sort=False)
    worst = frame.loc[groups["difference"].idxmax()]
    return pd.DataFrame(
        {
            "quantity": worst["quantity"].to_numpy(),
            "numbers": groups.size().to_numpy(),
            "largest difference": worst["difference"].to_numpy(),
            "where": worst["case"].to_numpy(),
        }
    )


def _rows(quantity: str, case: str, ours: object, reference: object, scale: object = 1.0) -> pd.DataFrame:
    own, theirs = (np.asarray(values, float).ravel() for values in (ours, reference))
    difference = np.abs(own - theirs) / np.asarray(scale, float)
    return pd.DataFrame(
        {"quantity": quantity, "case": case, "ours": own, "reference": theirs, "difference": difference}
    )


def _read(folder: str, name: str) -> dict:
    return json.loads((GOLDEN / folder / name).read_text(encoding="utf-8"))


def _data(name: str) -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "lme4" / "data" / f"{name}.csv")


def _formulas() -> Iterator[pd.DataFrame]:
    record = _read("formula", "formulas.json")
    frame = _data("unbalanced").assign(late=lambda f: f["session"] > 3)
    new = pd.DataFrame(record["new"])
    for case, reference in record["cases"].items():
        fit = als.mixed(reference["formula"], frame)
        design, error = fit.arrays.design, np.array(reference["std_error"])
        columns = [design.columns[k] for k in design.fixed]
        matrix = np.column_stack([np.ones(design.n_obs) if own is None else own for own in columns])
        at, sums = np.array(reference["rows"]) - 1, np.array(reference["sums"])
        yield _rows(
            "columns of formulas (model.matrix)",
            case,
            matrix[at],
            reference["matrix"],
            np.abs(reference["matrix"]).max(),
        )
        yield _rows("their sums of squares, relative", case, (matrix**2).sum(axis=0), sums, sums)
        yield _rows(
            "their estimates (lme4), in standard errors", case, fit.table()["estimate"], reference["estimate"], error
        )
        yield _rows(
            "predictions of new rows (lme4), in SD", case, fit.predict(new)["estimate"], reference["predictions"],
            frame["outcome"].std(),
        )  # fmt: skip


def _means() -> Iterator[pd.DataFrame]:
    record, frame = _read("means", "means.json"), _data("unbalanced")
    odd = frame["therapist_id"].str[1:].astype(int) % 2 == 1
    frame = frame.assign(arm=np.where(odd, "A", "B"), late=frame["session"] > 3)
    for method, key in (("satterthwaite", "satterthwaite"), ("kenward-roger", "kenward_roger")):
        fit = als.mixed(record["formula"], frame, df=method)
        for case, ask in ASK.items():
            table, reference = ask(fit), record["tests"][case][key]
            error, df = (np.atleast_1d(reference[name]) for name in ("std_error", "df"))
            yield _rows(
                "means, slopes (contest), in standard errors", case, table["estimate"], reference["estimate"], error
            )
            yield _rows(f"their standard errors ({method}), relative", case, table["std_error"], error, error)
            yield _rows(f"their df ({method}), relative", case, table["df"], df, df)


def _influence() -> Iterator[pd.DataFrame]:
    for case, reference in _read("influence", "influence.json")["cases"].items():
        found = als.mixed(reference["formula"], _data(reference["data"])).influence(reference["group"])
        table = found.table().set_index("level")
        estimates, variances = found.estimates().set_index("level"), found.variances().set_index("level")
        for own in reference["without"]:
            level, error = own["level"], np.array(own["std_error"])
            where = f"{case} without {level}"
            ours = estimates.loc[level]
            yield _rows(
                "estimates without a level (lme4), in standard errors", where, ours["estimate"], own["estimate"], error
            )
            yield _rows("DFBETAS, absolute", where, ours["dfbetas"], own["dfbetas"])
            yield _rows("Cook's distances, absolute", where, table.loc[level, "cooks_distance"], own["cooks_distance"])
            yield _rows("variances without a level, of the largest", where, variances.loc[level, "vcov"], own["vcov"],
                        max(own["vcov"]))  # fmt: skip
