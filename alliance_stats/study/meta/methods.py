"""What was done, in sentences made from what was done."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from alliance_stats import __version__
from alliance_stats.errors import count
from alliance_stats.meta.coded_variances import NOT_CODED, SQUARED
from alliance_stats.meta.words import in_words
from alliance_stats.report.sentences import join
from alliance_stats.study.answers import Answer
from alliance_stats.study.meta.coded import Coded
from alliance_stats.study.meta.part import Asked, Part, section


def methods(asked: Asked, parts: Sequence[Part]) -> Answer:
    """Write the section on methods from what the other sections say they did."""
    lines = [*_effects(asked), *(line for part in parts for line in part.methods), _software()]
    model = asked.coded.study.model
    asked_for = {
        "measure": asked.coded.measure,
        "random": model.random,
        "rho": model.rho,
        "method": model.method,
        "test": model.test,
        "robust": model.robust,
        "subgroup": model.subgroup,
        "prediction": model.prediction,
        "level": model.level,
    }
    return section(
        "methods",
        "Methods",
        "What was done?",
        join(*lines),
        {"model": asked_for, "sentences": lines},
        notes=asked.remarks,
    )


def _effects(asked: Asked) -> list[str]:
    coded = asked.coded
    columns = coded.study.columns
    if columns.r and coded.measure:
        source = f" {asked.citations.cite('fisher')}" if coded.measure == "ZCOR" else ""
        found = [f"Effects are {coded.words}{source}, computed from correlations and sample sizes."]
        if coded.measure == "ZCOR":
            found[0] = found[0][:-1] + "; the sampling variance of an effect is 1/(n − 3)."
    elif coded.measure:
        found = [f"Effects are {coded.words}{_variances(coded)}"]
    else:
        found = [f"Effects were taken as given{_variances(coded)}"]
    return found + _signs(asked)


def _variances(coded: Coded) -> str:
    """Where sampling variances come from: coded, standard errors, or intervals."""
    n = {str(fault["done"]): int(fault["n"]) for fault in coded.faults.to_dict("records")
         if fault["fault"] == NOT_CODED}  # fmt: skip
    if not n:
        return "; their sampling variances were taken as given."
    ways = [
        f"{'standard errors were squared' if done == SQUARED else 'variances come from the width of intervals'} "
        f"({count(rows, 'row')})"
        for done, rows in n.items()
    ]
    return f"; for their sampling variances, {in_words(ways)}."


def _signs(asked: Asked) -> list[str]:
    higher = asked.coded.study.columns.higher
    if higher is None or higher == "better":
        return []
    if higher == "worse":
        return [
            "Higher scores of the outcomes are worse, so signs were reversed: a positive effect means better outcome."
        ]
    if isinstance(higher, str):
        return [f"Signs were aligned by the column {higher!r}, so that a positive effect means better outcome."]
    worse = [name for name, word in higher.items() if word == "worse"]
    if not worse:
        return []
    return [
        f"Signs were reversed for {', '.join(worse)}, where higher is worse: a positive effect means better outcome."
    ]


def _software() -> str:
    return f"Analyses were done with alliance_stats {__version__} (Python {platform.python_version()})."
