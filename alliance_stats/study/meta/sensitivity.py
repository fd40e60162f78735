"""How much the mean hangs on single studies, on assumptions, and on the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, count
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.influence import influence, leave_one_out
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pool import pool
from alliance_stats.meta.robust import robust
from alliance_stats.meta.sensitivity import SensitivityFrame
from alliance_stats.report.numbers import bounded, number
from alliance_stats.report.sentences import Sentences, join
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.meta.main_model import levels
from alliance_stats.study.meta.over_time import drawn_over_time, over_time
from alliance_stats.study.meta.part import Asked, Part, drawn_if_possible, section, unanswered
from alliance_stats.study.meta.subsets import said, subsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KEY, _HEADING = "sensitivity", "Sensitivity"
_QUESTION = "Does the result hang on single studies, on an assumption, or on the model?"
_LEAST = 3
#: Up to so many studies each is shown left out; above, those that move the mean most.
_ALL_SHOWN, _MOST_MOVING = 40, 15
#: A change that would be printed as 0.
_NO_CHANGE = 0.0005
_ENDS = ["estimate", "std_error", "ci_low", "ci_high"]


def sensitivity(asked: Asked) -> Part:
    """Leave each study out, change the assumptions, and rank studies by influence."""
    m = asked.coded.n_studies
    if m < _LEAST:
        reason = f"{count(m, 'study', 'studies')}: none can be left out."
        return unanswered(_KEY, _HEADING, _QUESTION, reason)
    models = other_models(asked)
    fits = _fits_without_each(asked)
    left_out = None if fits is None else without_each(asked, fits)
    moved = most_influential(asked)
    rho = _over_rho(asked)
    steps = over_time(asked)
    sets = subsets(asked, None if left_out is None else str(left_out["left_out"].iloc[0]))
    tables = [_models_table(asked, models)]
    tables += [] if rho is None else [_rho_table(asked, rho)]
    tables += [] if left_out is None else [_left_out_table(asked, left_out)]
    tables += [] if moved is None else [_influence_table(moved)]
    pictures = [
        None if fits is None else drawn_if_possible(asked.coded, lambda: _left_out(fits)),
        None if steps is None else drawn_if_possible(asked.coded, lambda: drawn_over_time(asked, *steps)),
        None if sets is None else drawn_if_possible(asked.coded, lambda: sets.draw(asked.main.measure)),
    ]
    shown = [axes for axes in pictures if axes is not None]
    answer = section(
        _KEY,
        _HEADING,
        _QUESTION,
        join(*_sentences(models, left_out, rho), *([] if sets is None else [sets.sentences()])),
        {
            "models": models,
            "rho": rho,
            "leave_one_out": left_out,
            "influence": moved,
            "cumulative": None if steps is None else steps[0],
            "subsets": None if sets is None else sets.numbers(),
        },
        tables=tuple(tables),
        figure=shown[0] if shown else None,
        more_figures=tuple(shown[1:]),
        notes=_notes(left_out, models),
    )
    more = () if sets is None else (said(asked, sets),)
    return Part(answer, (*_methods(asked, steps is not None), *more))


# ---- other models ----------------------------------------------------------------------------------------------------


def other_models(asked: Asked) -> pd.DataFrame:
    """The mean by the main model and by others: ``model, estimate, std_error, ci_low, ci_high, tau2, note``."""
    rows = [_row("Main analysis", lambda: asked.main)]
    ask = _for_levels(asked) if isinstance(asked.main, MultilevelResult) else _for_one_level(asked)
    rows += [_row(words, model) for words, model in ask.items()]
    return pd.DataFrame(rows, columns=["model", *_ENDS, "tau2", "note"])


def _row(words: str, model: Callable[[], object]) -> dict[str, object]:
    try:
        glance = model().glance().iloc[0]  # type: ignore[attr-defined]
    except DataError as refusal:
        return {"model": words, "note": str(refusal)}
    tau2 = np.nan if glance["method"] == "EE" else glance["tau2"]
    return {"model": words, **{name: glance[name] for name in _ENDS}, "tau2": tau2, "note": ""}


def _for_levels(asked: Asked) -> dict[str, Callable[[], object]]:
    frame, options, level = asked.coded.frame, asked.coded.study.model, asked.level
    one = aggregate(frame, options.rho)
    other = "ML" if options.method == "REML" else "REML"
    model_based = replace(options, robust="none", test="t")
    found: dict[str, Callable[[], object]] = {
        "Three levels, rho = 0, model-based errors": lambda: levels(frame, replace(model_based, rho=0.0)),
        f"The main model by {other}": lambda: levels(frame, replace(options, method=other)),
    }
    if isinstance(asked.main, MultilevelResult) and asked.main.robust:
        found["The main model with model-based errors"] = lambda: levels(frame, model_based)
    else:
        robust_ones = replace(options, robust="auto", test=None)
        found["The main model with robust errors"] = lambda: levels(frame, robust_ones)
    return found | {
        "Weights of correlated effects (RVE)": lambda: robust(frame, rho=options.rho, level=level),
        "One effect per study, REML, Knapp-Hartung": lambda: pool(one, "REML", "knha", level=level),
        "One effect per study, DerSimonian-Laird": lambda: pool(one, "DL", level=level),
        "One effect per study, equal effects": lambda: pool(one, "EE", level=level),
    }


def _for_one_level(asked: Asked) -> dict[str, Callable[[], object]]:
    frame, level = asked.main.effects, asked.level
    others = {"REML": "REML", "ML": "ML", "DL": "DerSimonian-Laird", "PM": "Paule-Mandel", "SJ": "Sidik-Jonkman"}
    found: dict[str, Callable[[], object]] = {}
    for method, words in others.items():
        found[f"{words}, Knapp-Hartung"] = lambda method=method: pool(frame, method, "knha", level=level)  # type: ignore[misc]
    found["REML, normal distribution"] = lambda: pool(frame, "REML", "z", level=level)
    found["Equal effects"] = lambda: pool(frame, "EE", level=level)
    return found


def _models_table(asked: Asked, models: pd.DataFrame) -> ResultTable:
    failed = models[models["note"] != ""]
    notes = [f"{row['model']}: {row['note']}" for row in failed.to_dict("records")]
    return ResultTable(
        models.drop(columns="note"),
        "The Mean by Other Models",
        ("τ² = variance of true effects, all levels together.", *notes),
        formats={"estimate": "number:3", "std_error": "number:3", "ci_low": "interval:3", "tau2": "number:3"},
        headings={"model": "Model", "tau2": "τ²", "ci_low": asked.ci},
    )


# ---- assumptions -----------------------------------------------------------------------------------------------------


def _over_rho(asked: Asked) -> pd.DataFrame | None:
    if not isinstance(asked.main, MultilevelResult) or not asked.coded.dependent:
        return None
    frame = asked.main.sensitivity()
    variances = [name for name in frame.columns if name.startswith("variance (")]
    return frame[["rho", *_ENDS, *variances]]


def _rho_table(asked: Asked, rho: pd.DataFrame) -> ResultTable:
    variances = [name for name in rho.columns if name.startswith("variance (")]
    formats = {"rho": "bounded", "estimate": "number:3", "std_error": "number:3", "ci_low": "interval:3"}
    headings = {"rho": "Correlation", "ci_low": asked.ci}
    headings |= {name: f"τ² ({name[10:-1]})" for name in variances}
    return ResultTable(
        rho,
        "The Mean Over Assumed Correlations of Sampling Errors",
        formats={**formats, **dict.fromkeys(variances, "number:4")},
        headings=headings,
    )


# ---- single studies --------------------------------------------------------------------------------------------------


def _fits_without_each(asked: Asked) -> SensitivityFrame | None:
    """The main model without each study; None where none can be left out."""
    try:
        return leave_one_out(asked.main, by=STUDY)
    except DataError:
        return None


def without_each(asked: Asked, fits: pd.DataFrame) -> pd.DataFrame:
    """The mean without each study: ``left_out, k, estimate, …, change``, the largest change first."""
    frame = pd.DataFrame(fits)
    frame = frame.assign(change=frame["estimate"] - float(asked.main.glance()["estimate"].iloc[0]))
    order = frame["change"].abs().to_numpy().argsort(kind="stable")[::-1]
    ranked = frame.iloc[order].reset_index(drop=True)
    return ranked.drop(columns=["term", "df", "statistic", "p_value", "q", "q_p", "h2"], errors="ignore")


def _left_out_table(asked: Asked, left_out: pd.DataFrame) -> ResultTable:
    n = len(left_out)
    shown = left_out if n <= _ALL_SHOWN else left_out.head(_MOST_MOVING)
    shown = shown[["left_out", "k", *_ENDS, "change"]]
    notes = ["In the order of the change."]
    if n > _ALL_SHOWN:
        notes.append(f"The {len(shown)} of {n} studies whose absence moves the mean most; all stand in results.json.")
    return ResultTable(
        shown,
        "The Mean Without Each Study",
        tuple(notes),
        formats={
            "left_out": "text",
            "k": "whole",
            "estimate": "number:3",
            "std_error": "number:3",
            "ci_low": "interval:3",
            "change": "number:3",
        },
        headings={
            "left_out": "Study left out",
            "k": Sentences("*k*"),
            "change": "Change of the mean",
            "ci_low": asked.ci,
        },
    )


def most_influential(asked: Asked) -> pd.DataFrame | None:
    """Studies by Cook's distance: ``study, cook_d, …``; all of them, the largest first."""
    try:
        frame = influence(asked.main)
    except DataError:
        return None
    if isinstance(asked.main, MultilevelResult):
        frame = frame.rename_axis("study").reset_index()
    else:
        frame = frame.assign(study=asked.main.effects[STUDY].to_numpy())
    first = ["study", "cook_d", *(name for name in frame.columns if name.startswith("dfbetas"))]
    more = [name for name in ("rstudent", "hat", "influential") if name in frame]
    ranked = frame[[*first, *more]].sort_values("cook_d", ascending=False, kind="stable", ignore_index=True)
    return ranked.rename(columns={"dfbetas: (Intercept)": "dfbetas"})


def _influence_table(moved: pd.DataFrame) -> ResultTable:
    shown = moved.head(10)
    formats = {"study": "text", "cook_d": "number:3", "dfbetas": "number:2", "rstudent": "number:2", "hat": "number:3"}
    headings = {
        "study": "Study",
        "cook_d": "Cook's distance",
        "dfbetas": "DFBETAS",
        "rstudent": "Residual",
        "hat": "Hat",
    }
    if "influential" in shown:
        shown = shown.assign(influential=shown["influential"].map({True: "yes", False: ""}))
        headings["influential"] = "Influential"
    return ResultTable(
        shown,
        "Influence of Single Studies",
        ("The ten with the largest Cook's distance; all stand in results.json.",) if len(moved) > 10 else (),
        formats={name: kind for name, kind in formats.items() if name in shown},
        headings={name: words for name, words in headings.items() if name in shown},
    )


# ---- words and pictures ---------------------------------------------------------------------------------------------


def _left_out(fits: SensitivityFrame) -> Axes:
    axes = fits.plot()
    assert not isinstance(axes, tuple)  # panels are those of influence alone
    return axes


def _sentences(models: pd.DataFrame, left_out: pd.DataFrame | None, rho: pd.DataFrame | None) -> list[str]:
    found: list[str] = []
    if left_out is not None and left_out["estimate"].notna().any():
        low, high = left_out["estimate"].min(), left_out["estimate"].max()
        most = left_out.iloc[0]
        text = f"Without one study at a time, the mean stayed between {number(low, 3)} and {number(high, 3)}"
        if abs(most["change"]) >= _NO_CHANGE:
            by = number(most["change"], 3, keep_small=False)
            name = str(most["left_out"])
            named = name if any(map(str.isalpha, name)) else f"study {name}"
            text += f"; it moved most without {named} (by {by})"
        found.append(Sentences.plain(f"{text}."))
    if rho is not None:
        low, high = rho["estimate"].min(), rho["estimate"].max()
        ends = f"{bounded(rho['rho'].min())} to {bounded(rho['rho'].max())}"
        span = f"lay between {number(low, 3)} and {number(high, 3)}"
        span = span if number(low, 3) != number(high, 3) else f"stayed at {number(low, 3)}"
        found.append(f"With correlations of sampling errors from {ends}, it {span}.")
    known = models[models["estimate"].notna()]
    found.append(
        f"By {count(len(known) - 1, 'other model')} it was {number(known['estimate'].iloc[1:].min(), 3)} to "
        f"{number(known['estimate'].iloc[1:].max(), 3)}."
    )
    return found


def _notes(left_out: pd.DataFrame | None, models: pd.DataFrame) -> tuple[str, ...]:
    found = []
    if left_out is not None:
        lost = int(left_out["estimate"].isna().sum())
        if lost:
            found.append(f"Without {count(lost, 'study', 'studies')} the model could not be fitted.")
        ends = left_out.dropna(subset=["ci_low"])
        crossing = int(((ends["ci_low"] <= 0) & (ends["ci_high"] >= 0)).sum())
        main = models.iloc[0]
        if crossing and not (main["ci_low"] <= 0 <= main["ci_high"]):
            found.append(
                f"Without {count(crossing, 'study', 'studies')} (each alone) the interval of the mean holds 0."
            )
    return tuple(found)


def _methods(asked: Asked, over_time: bool) -> tuple[str, ...]:
    cite = asked.citations.cite
    lines = [f"Every study was left out in turn, and studies were ranked by Cook's distance {cite('influence')}."]
    if isinstance(asked.main, MultilevelResult):
        lines.append(
            "The model was fitted again over correlations of sampling errors from 0 to .95, and the mean compared with "
            f"those of other models, among them weights of correlated effects {cite('moment weights')} and one effect "
            f"per study {cite('aggregate')}."
        )
    else:
        lines.append("The mean was compared with those of other estimators of τ².")
    if over_time:
        lines.append("A cumulative analysis pooled studies in the order of their years.")
    return tuple(lines)
