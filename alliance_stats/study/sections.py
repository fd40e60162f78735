"""The sections of a report, each a question put to its model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import ConvergenceWarning, DataError, DesignError
from alliance_stats.models.growth import growth
from alliance_stats.models.question import QuestionResult
from alliance_stats.models.therapist_change import TherapistChangeResult, therapist_change
from alliance_stats.models.therapist_effects import TherapistEffectsResult, therapist_effects
from alliance_stats.models.within_between import within_between
from alliance_stats.names import PATIENT, RESIDUAL, THERAPIST
from alliance_stats.report.document import Section
from alliance_stats.report.figures.canvas import Drawn
from alliance_stats.report.figures.caterpillar import caterpillar
from alliance_stats.report.figures.event_aligned import event_aligned
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.small_cells import few, is_small
from alliance_stats.report.tables import ResultTable
from alliance_stats.study.answers import Answer, numbers_of, plain
from alliance_stats.study.disclosure import refused
from alliance_stats.study.people import changes_of


def alliance_over_sessions(sessions: SessionTable, alliance: str) -> Answer:
    """How the alliance runs over sessions."""

    def ask() -> tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]:
        result = growth(sessions, alliance)
        shapes = result.shapes()
        return result, result.plot(), [_shapes_table(shapes)], {"shapes": plain(shapes), "curve": plain(result.curve())}

    return _answer(
        "growth",
        "Alliance over sessions",
        "Growth of the Alliance Over Sessions",
        "How does the alliance run over sessions?",
        ask,
    )


def alliance_with_outcome(sessions: SessionTable, outcome: str, alliance: str) -> Answer:
    """How alliance goes with outcome, within and between patients."""

    def ask() -> tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]:
        result = within_between(sessions, outcome, alliance)
        sensitivity = result.sensitivity()
        return (
            result,
            result.plot(),
            [_sensitivity_table(sensitivity, result.labels())],
            {"sensitivity": plain(sensitivity)},
        )

    question = "How does the alliance go with the outcome, within patients and between them?"
    title = "Alliance and Outcome Within and Between Patients"
    return _answer("within-between", "Alliance and outcome", title, question, ask)


def change_of_therapist(sessions: SessionTable, alliance: str, min_cell: int = 1) -> Answer:
    """What happens to the alliance at a change of therapist."""
    title = "Alliance Before and After a Change of Therapist"
    about = ("change", "Change of therapist")
    question = "What happens to the alliance when the therapist changes?"
    n_changers = changes_of(sessions.frame)[PATIENT].nunique()
    if is_small(n_changers, min_cell):
        return refused(Section(*about, question), few(n_changers, "patient", min_cell), min_cell)

    def ask() -> tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]:
        result = therapist_change(sessions, alliance)
        return _change_shown(result, min_cell)

    return _answer(*about, title, question, ask)


def _change_shown(
    result: TherapistChangeResult, min_cell: int
) -> tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]:
    """The result with its figure, whose means rest on no fewer patients than may be shown."""
    means, curve = result.aligned(), result.curve()
    numbers: dict[str, object] = {"aligned": plain(means), "curve": plain(curve)}
    shown = means[means["n"] >= min_cell]
    if len(shown) == len(means):
        return result, result.plot(), [], numbers
    if shown.empty:
        return result, None, [], numbers
    words, simulated = result.labelled(result.score), result.fit.simulated
    return result, event_aligned(shown, curve, score=words, simulated=simulated), [], numbers


def differences_between_therapists(sessions: SessionTable, score: str, min_cell: int = 1) -> Answer:
    """How much therapists differ."""
    about = ("therapists", "Differences between therapists")
    question = f"How much do therapists differ in {sessions.codebook.get(score).title}?"
    n_therapists = sessions.frame[THERAPIST].nunique()
    if is_small(n_therapists, min_cell):
        return refused(Section(*about, question), few(n_therapists, "therapist", min_cell), min_cell)

    def ask() -> tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]:
        try:
            result = therapist_effects(sessions, score)
        except DesignError:  # two sessions per patient hold no slope of each patient's own
            result = therapist_effects(sessions, score, random_time=False)
        effects = result.effects()
        numbers = {"effects": plain(effects), "shares": plain(result.shares()), "test": result.test}
        return result, _effects_drawn(result, effects, min_cell), [_shares_table(result.shares())], numbers

    return _answer(*about, "Differences Between Therapists", question, ask)


def _effects_drawn(result: TherapistEffectsResult, effects: pd.DataFrame, min_cell: int) -> Drawn:
    """The figure of the effects, without caseloads where one of them may not be shown."""
    if (effects["n_patients"] >= min_cell).all():
        return result.plot()
    unit = f"Therapist effect on {result.labelled(result.score)} (points)"
    return caterpillar(effects.drop(columns=["n_patients", "n_sessions"]), unit=unit, simulated=result.fit.simulated)


def _answer(
    key: str,
    heading: str,
    table_title: str,
    question: str,
    ask: Callable[[], tuple[QuestionResult, Drawn | None, list[ResultTable], dict[str, object]]],
) -> Answer:
    """Put the question; where the data cannot tell, the section says why."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result, figure, tables, numbers = ask()
            section = Section(
                key=key,
                heading=heading,
                question=question,
                sentences=result.report(),
                tables=(result.result_table(table_title), *tables),
                figure=figure,
                model=result.describe(),
            )
            everything = numbers_of(result) | numbers
    except DataError as refusal:
        sentence = Sentences.plain(f"These data cannot answer the question: {refusal}")
        return Answer(
            Section(key, heading, question, sentence, warnings=(str(refusal),)), {"not_estimated": str(refusal)}
        )
    unconverged = _unconverged(result, caught)
    said = (*unconverged, *_without_therapist(result))
    return Answer(replace(section, warnings=said), everything, not unconverged)


def _without_therapist(result: QuestionResult) -> tuple[str, ...]:
    """Warn where a large share of the sessions is left out for nothing but an unknown therapist."""
    dropped, used = result.dropped, int(result.glance()["n_obs"].iloc[0])
    n = int(dropped.loc[dropped["variable"] == THERAPIST, "n_only_this"].sum())
    if n <= 0.05 * (n + used):
        return ()
    return (
        f"{n} of {n + used} sessions are left out of this section only because their therapist is not known. Add the "
        "therapists, or leave the column of therapists out.",
    )


def _unconverged(result: QuestionResult, caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """What the page says about models that did not converge; warnings of other kinds are passed on."""
    messages = [] if result.converged else [result.fit.solution.story.message]
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            messages.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if messages and result.converged:
        return (f"A model beside the main one, shown for comparison, did not converge: {messages[0]}",)
    return tuple(dict.fromkeys(messages))


def _shapes_table(shapes: pd.DataFrame) -> ResultTable:
    shown = shapes.assign(chosen=shapes["chosen"].map({True: "shown above", False: ""}))
    return ResultTable(
        shown,
        "Shapes of Growth Compared",
        ("Fitted by maximum likelihood to the same rows. A lower AIC or BIC is better.",),
        formats={"n_parameters": "whole", "deviance": "number:1", "aic": "number:1", "bic": "number:1"},
        headings={
            "shape": "Shape",
            "n_parameters": "Parameters",
            "deviance": "−2LL",
            "aic": "AIC",
            "bic": "BIC",
            "chosen": "",
        },
    )


def _sensitivity_table(frame: pd.DataFrame, labels: Mapping[str, str]) -> ResultTable:
    return ResultTable(
        frame.drop(columns=["used", "df", "statistic", "problem"]).assign(term=frame["term"].map(labels)),
        "The Same Effects Under Other Choices About Time in Therapy",
        ("Time is the session number. All rows rest on the same sessions.",),
        headings={"time": "Time", "term": "Effect"},
    )


_LEVELS = {PATIENT: "Patients", THERAPIST: "Therapists", RESIDUAL: "Residual (sessions)"}


def _shares_table(frame: pd.DataFrame) -> ResultTable:
    return ResultTable(
        frame.assign(level=frame["level"].replace(_LEVELS)),
        "Shares of the Variance at Session 1",
        formats={"variance": "number:3", "share": "bounded:3"},
        headings={"level": "Level", "variance": "Variance", "share": "Share"},
    )
