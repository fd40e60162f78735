"""alliance_stats: from session-by-session psychotherapy ratings to results that can be published.

Names are loaded when first used, so that ``import alliance_stats`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Public name → module that holds it.
_HOMES = {
    "read_sessions": "alliance_stats.data.read_sessions",
    "SessionTable": "alliance_stats.data.session_table",
    "propose_wide": "alliance_stats.data.propose_wide",
    "read_study": "alliance_stats.data.study_file",
    "datasets": "alliance_stats.data.registry",
    "load_dataset": "alliance_stats.data.registry",
    "score": "alliance_stats.questionnaires.scoring",
    "check_scoring": "alliance_stats.questionnaires.scoring_check",
    "reliability": "alliance_stats.questionnaires.reliability",
    "reliable_change": "alliance_stats.questionnaires.clinical_change",
    "clinically_significant_change": "alliance_stats.questionnaires.clinical_change",
    "measures": "alliance_stats.questionnaires.known",
    "register_measure": "alliance_stats.questionnaires.known",
    "center": "alliance_stats.design.centering",
    "lag": "alliance_stats.design.lags",
    "therapist_episodes": "alliance_stats.design.episodes",
    "membership": "alliance_stats.design.membership",
    "meta": "alliance_stats.meta",
    "mixed": "alliance_stats.models.mixed",
    "anova": "alliance_stats.models.comparison",
    "growth": "alliance_stats.models.growth",
    "within_between": "alliance_stats.models.within_between",
    "therapist_change": "alliance_stats.models.therapist_change",
    "therapist_effects": "alliance_stats.models.therapist_effects",
    "simulate_sessions": "alliance_stats.simulate.sessions",
    "study_report": "alliance_stats.study.pipeline",
    "read_meta_study": "alliance_stats.study.meta.study_file",
    "meta_report": "alliance_stats.study.meta.pipeline",
    "errors": "alliance_stats.errors",
}

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        from alliance_stats.errors import did_you_mean

        raise AttributeError(f"alliance_stats has no {name!r}. {did_you_mean(name, _HOMES)}")
    module = import_module(home)
    value = module if home.rpartition(".")[2] == name and not hasattr(module, name) else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
