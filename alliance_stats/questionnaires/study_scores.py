"""Read the sessions of a study whose scores are made from items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance_stats.data.read_sessions import read_mapped
from alliance_stats.errors import DataError
from alliance_stats.questionnaires.items import item_columns
from alliance_stats.questionnaires.key import MeasureKey
from alliance_stats.questionnaires.key_file import read_key
from alliance_stats.questionnaires.known import measure_key
from alliance_stats.questionnaires.scoring import score

if TYPE_CHECKING:
    from alliance_stats.data.item_scores import ItemScore
    from alliance_stats.data.session_table import SessionTable
    from alliance_stats.data.study_file import Study


def read_scored(study: Study, path: str | Path) -> SessionTable:
    """Read the sessions with the items that the study names, and score them.

    Parameters
    ----------
    study : Study
        Its ``scored`` says what is made from which items. Items stay in the table, for their reliability.
    path : str or Path
        The data file.

    Raises
    ------
    DataError
        If a measure or an item column is not there, or answers cannot be right; the score is named.
    """
    keys = {asked.name: _key(asked, study.folder) for asked in study.scored}
    named = [column for asked in study.scored for column in _columns(asked, keys[asked.name])]
    mapped = replace(study.columns, items=tuple(dict.fromkeys(named)))
    mapped.check()
    sessions = read_mapped(path, mapped, study.options)
    for asked in study.scored:
        sessions = _scored(sessions, asked, keys[asked.name], study.options.on_faults)
    return sessions


def _key(asked: ItemScore, folder: Path) -> MeasureKey:
    return read_key(folder / asked.measure) if asked.measure.endswith(".toml") else measure_key(asked.measure)


def _columns(asked: ItemScore, key: MeasureKey) -> list[str]:
    try:
        return list(item_columns(key, asked.items).values())
    except DataError as error:
        raise DataError(f"[scores.{asked.name}] {error}") from None


def _scored(sessions: SessionTable, asked: ItemScore, key: MeasureKey, on_faults: str) -> SessionTable:
    options: dict[str, Any] = {
        name: getattr(asked, name)
        for name in ("rater", "how", "min_items", "multiply", "response", "subscales", "missing")
    }
    made = score(sessions, key, items=asked.items, into=asked.name, on_faults=on_faults, **options)  # type: ignore[arg-type]
    if asked.label and asked.name in made.codebook:
        return made.with_frame(made.frame, replace(made.codebook[asked.name], label=asked.label))
    return made
