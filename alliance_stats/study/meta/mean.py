"""The mean effect, how far effects differ, and the forest plot."""

from __future__ import annotations

import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta import figures
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pooled_result import scale_of
from alliance_stats.meta.words import ESTIMATORS, bounded_interval, in_words, level_words
from alliance_stats.report.numbers import bounded, percent
from alliance_stats.report.sentences import Sentences, full, join
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.meta.main_model import few
from alliance_stats.study.meta.part import Asked, Part, drawn, drawn_if_possible, numbers_of_result, section

_ESTIMATOR_SOURCES = {"DL": "DL", "PM": "PM", "PMM": "PM"}


def mean_effect(asked: Asked) -> Part:
    """The pooled effect with its test, on both scales, and the spread of effects."""
    result, coded = asked.main, asked.coded
    back = on_known_scale(asked)
    tables = [result.result_table("Mean Effect and Differences Between Effects")]
    if back is not None:
        tables.append(_back_table(asked, back, scale_of(result.measure) or ""))
    orchard = drawn_if_possible(coded, lambda: figures.orchard(result)) if len(result.effects) > 2 else None
    unsure = few(coded)
    numbers = {**numbers_of_result(result), "back_transformed": back, "remarks": list(asked.remarks)}
    answer = section(
        "results",
        "Mean effect",
        "How large is the effect on average, and how much do effects differ?",
        result.report() if len(result.effects) > 1 else _only(asked),
        numbers,
        tables=tuple(tables),
        figure=orchard,
        model=result.describe(),
        notes=(f"The figure is an orchard plot {asked.citations.cite('orchard')}.",) if orchard is not None else (),
        warnings=(*asked.remarks, *unsure, *_not_converged(asked)),
        converged=bool(result.glance()["converged"].iloc[0]),
    )
    return Part(answer, _methods(asked))


def _only(asked: Asked) -> Sentences:
    """The effect of the one study."""
    back = on_known_scale(asked)
    known = scale_of(asked.main.measure) == "tanh"
    text = join(
        "The only study has the effect",
        full(asked.main.table().iloc[0], "z" if known else "b", confidence=asked.level),
    )
    if known and back is not None:
        row = back.iloc[0]
        text = text + Sentences(
            f" (*r* = {bounded(row['estimate'])}, {asked.ci} {bounded_interval(row['ci_low'], row['ci_high'])})"
        )
    return text + "."


def _not_converged(asked: Asked) -> tuple[str, ...]:
    sound = bool(asked.main.glance()["converged"].iloc[0])
    return () if sound else ("The estimator of the variances did not converge: these numbers are not final.",)


def on_known_scale(asked: Asked) -> pd.DataFrame | None:
    """The mean on the scale that readers know: ``what, estimate, ci_low, ci_high, pi_low, pi_high``."""
    result = asked.main
    scale = scale_of(result.measure)
    if scale is None:
        return None
    ways = {"tanh": {"tanh": "r at the mean z", "integral": "Mean of r over true effects"}}
    ways |= {"exp": {"exp": "Ratio at the mean logarithm"}}
    rows = [result.back_transformed(how).assign(what=words) for how, words in ways[scale].items()]
    columns = ["what", "estimate", "ci_low", "ci_high", "pi_low", "pi_high"]
    return pd.concat(rows, ignore_index=True)[columns]


def _back_table(asked: Asked, back: pd.DataFrame, scale: str) -> ResultTable:
    kind, ends = ("bounded", "interval_bounded") if scale == "tanh" else ("number:2", "interval:2")
    known = back["pi_low"].notna().any()
    frame = back if known else back.drop(columns=["pi_low", "pi_high"])
    notes = ["CI = confidence interval; PI = prediction interval (of the true effects of new studies)."]
    if scale == "tanh":
        notes.append(
            "“Mean of r” averages r over the distribution of true effects; “r at the mean z” is r of the middle one."
        )
    formats = {"estimate": kind, "ci_low": ends} | ({"pi_low": ends} if known else {})
    headings = {"what": "", "estimate": Sentences("*r*") if scale == "tanh" else "Ratio", "ci_low": asked.ci}
    headings |= {"pi_low": f"{percent(asked.level)} PI"} if known else {}
    title = "The Mean as a Correlation" if scale == "tanh" else "The Mean as a Ratio"
    return ResultTable(frame, title, tuple(notes), formats=formats, headings=headings)


def forest_plot(asked: Asked) -> Part:
    """The forest plot, with the columns and subgroups that the study file asks for."""
    result, report = asked.main, asked.coded.study.report
    there = set(result.effects.columns)
    by = report.by if report.by in there else None
    columns = [name for name in report.columns if name in there and name != by]
    order = report.order if report.order in there else None
    gone = [name for name in (*report.columns, report.by, report.order) if name and name not in there]
    notes: list[str] = []
    if gone:
        notes.append(
            f"Not shown, because they vary within studies whose effects were pooled into one: {', '.join(gone)}."
        )
    if len(result.effects) < len(asked.coded.frame):
        notes.append("Each line is a study: its effects were pooled into one.")
    shown = drawn(asked.coded, lambda: figures.forest(result, by=by, columns=columns, order=order))
    sentences = join(*_forest_words(asked))
    answer = section(
        "forest",
        "Forest plot",
        "What did each study find?",
        sentences,
        {"rows": vars(shown)["data"]["effects"]},
        figure=shown,
        notes=tuple(notes),
    )
    return Part(answer)


def _forest_words(asked: Asked) -> list[str]:
    """How many effects are positive, and how many intervals leave out 0."""
    rows = figures.forest_frame(asked.main)
    k = len(rows)
    positive = int((rows["estimate"] > 0).sum())
    clear = int(((rows["ci_low"] > 0) | (rows["ci_high"] < 0)).sum())
    low, high = rows["estimate"].min(), rows["estimate"].max()
    scale = scale_of(asked.main.measure)
    span = (
        f"*r* = {bounded(low, keep_small=False)} to *r* = {bounded(high, keep_small=False)}"
        if scale == "tanh"
        else f"{low:.2f} to {high:.2f}"
    )
    if k == 1:
        return ["The figure shows the 1 effect with its interval."]
    return [
        Sentences(f"The {count(k, 'effect')} ranged from {span}."),
        f"{positive} of {k} {'was' if positive == 1 else 'were'} positive, and the "
        f"{'interval of 1 leaves' if clear == 1 else f'intervals of {clear} leave'} out 0.",
    ]


def _methods(asked: Asked) -> tuple[str, ...]:
    result, cite = asked.main, asked.citations.cite
    found: list[str] = []
    if len(result.effects) < len(asked.coded.frame):
        found.append(
            "The effects of each study were pooled into one, taking their sampling errors to correlate by "
            f"{bounded(asked.coded.study.model.rho)} {cite('aggregate')}."
        )
    if isinstance(result, MultilevelResult):
        found += _levels_methods(asked, result)
    elif len(result.effects) == 1:
        found.append("There is one study, so nothing was pooled.")
    elif result.fit.method == "EE":
        found.append("Effects were pooled as equal: no differences between studies were allowed for.")
        found += _test_methods(asked, result.fit.test)
    else:
        source = _ESTIMATOR_SOURCES.get(result.fit.method, "estimators")
        found.append(
            f"Effects were pooled with random effects, the variance between studies (τ²) estimated by "
            f"{ESTIMATORS[result.fit.method]} {cite(source)}."
        )
        found += _test_methods(asked, result.fit.test)
        found.append(f"The interval of τ² is the Q-profile interval {cite('q profile')}.")
    if len(result.effects) > 1:
        predicted = bool(result.glance()["method"].iloc[0] != "EE")
        interval = f"a {percent(asked.level)} prediction interval {cite('prediction')}"
        also = f", Cochran's Q and {interval}" if predicted else " and Cochran's Q"
        spread = "the standard deviation of true effects, " if predicted else ""
        found.append(f"Heterogeneity is described by {spread}I² {cite('i2')}{also}.")
    found.append(f"All intervals have a level of {percent(asked.level)}.")
    scale = scale_of(result.measure)
    if scale == "tanh":
        found.append(Sentences("Analyses were done on Fisher's z, and results carried back to *r*."))
    return tuple(found)


def _test_methods(asked: Asked, test: str) -> list[str]:
    cite = asked.citations.cite
    if test == "knha":
        return [f"Tests and intervals follow Knapp and Hartung {cite('knha')}."]
    if test == "adhoc":
        return [f"Tests and intervals follow Knapp and Hartung, with a factor never below 1 {cite('knha')}."]
    distribution = "normal" if test == "z" else "t"
    return [f"Tests and intervals are from the {distribution} distribution."]


def _working(asked: Asked) -> str:
    subgroup = asked.coded.study.model.subgroup
    if subgroup is None:
        return "within studies (the working model of correlated and hierarchical effects)"
    return f"within studies and values of {subgroup} (the working model of subgroup correlated effects)"


def _levels_methods(asked: Asked, result: MultilevelResult) -> list[str]:
    cite = asked.citations.cite
    lead = "Studies had several effects, which were" if asked.coded.dependent else "Effects were"
    levels = [level_words(level.name) for level in result.structure.levels]
    model = f"{lead} pooled in a multilevel model with random effects of {in_words(levels)}"
    if result.structure.rho > 0 and asked.coded.dependent:
        model += (
            f", and sampling errors that correlate by {bounded(result.structure.rho)} {_working(asked)} "
            f"{cite('che', 'three level')}"
        )
    else:
        model += f" {cite('three level')}"
    name = {"REML": "restricted maximum likelihood", "ML": "maximum likelihood"}[result.method]
    found = [f"{model}, by {name}; intervals of its variances are profile-likelihood intervals."]
    if result.robust:
        found.append(
            f"Standard errors are robust ({result.robust}) with {result.cluster} as the cluster, and tests have "
            f"Satterthwaite's degrees of freedom, so that they hold also where the working model does not "
            f"{cite('cr2', 'small sample')}."
        )
    else:
        found.append("Standard errors come from the model.")
    return found
