"""The rooms of the package import only downwards (docs/ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "alliance_stats"
GROUND = {"errors", "names", "cells"}
#: Which rooms each room may import.
MAY_IMPORT = {
    "errors": set(),
    "names": set(),
    "cells": set(),
    "engine": {"errors"},
    "data": GROUND | {"report"},  # exports of the codebook, the figure of describe(); report knows none of ours
    "report": GROUND,
    "questionnaires": GROUND | {"data", "engine", "report"},
    "design": GROUND | {"data", "questionnaires", "engine"},  # the arrays that it makes are the engine's own
    "events": GROUND | {"data", "questionnaires", "design", "engine"},
    "models": GROUND | {"data", "questionnaires", "design", "events", "engine", "report"},
    "meta": GROUND | {"engine", "report", "design", "data", "models"},  # models: only meta/ipd, see below
    "simulate": GROUND | {"data", "questionnaires", "design", "events", "engine", "report", "models", "meta"},
}
EVERYTHING_BELOW = {*MAY_IMPORT}
MAY_IMPORT["study"] = EVERYTHING_BELOW
MAY_IMPORT["cli"] = EVERYTHING_BELOW | {"study"}
MAY_IMPORT["__main__"] = {"cli"}
#: Files that look up into one more room, inside a function: a study whose scores are made from items is handed up.
DOORS = {"data/study_file.py": {"questionnaires"}}
#: Libraries that a room never sees, not even inside a function.
NEVER = {
    "engine": {"pandas", "matplotlib", "statsmodels", "formulaic"},
    "report": {"scipy", "statsmodels", "formulaic"},
}
#: Too slow to import at the top of a module that is not itself imported late.
LAZY = {"scipy", "matplotlib", "statsmodels", "pingouin", "formulaic", "jinja2", "seaborn", "sklearn", "tqdm"} | {
    "pyarrow",
    "dask",
    "joblib",
    "pooch",
    "rdata",
    "pyreadstat",
    "python_calamine",
    "openpyxl",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Every module that a file imports, also inside functions, ``TYPE_CHECKING`` blocks and relative imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    package = ["alliance_stats", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(path: Path, *, top_only: bool = False) -> set[str]:
    parts = [name.split(".") for name in imports(path, top_only=top_only) if name.split(".")[0] == "alliance_stats"]
    rooms = {part[1] for part in parts if len(part) > 1}
    return rooms & set(MAY_IMPORT) - {room_of(path)}


def libraries(path: Path, *, top_only: bool = False) -> set[str]:
    return {name.split(".")[0] for name in imports(path, top_only=top_only)}


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _is_late(path: Path) -> bool:
    """The engine needs scipy, and the figures matplotlib; both are imported only when used (test_import_time.py)."""
    return _name(path).startswith(("engine/", "report/figures/"))


def test_there_is_something_to_read():
    assert len(FILES) > 40
    assert {"engine", "data", "report", "design", "models"} <= {room_of(path) for path in FILES}


def test_every_room_has_its_place():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) != "__init__"], ids=_name)
def test_imports_go_downwards(path):
    wrong = rooms_imported(path) - MAY_IMPORT[room_of(path)] - DOORS.get(_name(path), set())
    assert not wrong, f"{_name(path)} may not import from {sorted(wrong)}"


@pytest.mark.parametrize("name", DOORS)
def test_a_door_upwards_is_opened_only_when_it_is_used(name):
    assert not rooms_imported(PACKAGE / name, top_only=True) & DOORS[name]


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in NEVER], ids=_name)
def test_rooms_do_not_see_what_is_not_theirs(path):
    assert not libraries(path) & NEVER[room_of(path)]


@pytest.mark.parametrize("path", [p for p in FILES if not _is_late(p)], ids=_name)
def test_slow_libraries_are_imported_inside_functions(path):
    assert not libraries(path, top_only=True) & LAZY


def test_the_top_of_the_package_imports_nothing_heavy():
    assert libraries(PACKAGE / "__init__.py", top_only=True) <= {"__future__", "importlib", "typing"}


def test_models_do_not_know_meta_analyses_and_of_these_only_those_of_patients_data_know_models():
    assert "meta" not in MAY_IMPORT["models"]
    those = {
        _name(path).rpartition("/")[0] for path in FILES if room_of(path) == "meta" and "models" in rooms_imported(path)
    }
    assert those == {"meta/ipd"}


def test_the_reader_of_imports_sees_every_kind(tmp_path, monkeypatch):
    # a test that reads nothing would pass on anything
    package = tmp_path / "alliance_stats"
    (package / "engine").mkdir(parents=True)
    file = package / "engine" / "wrong.py"
    file.write_text(
        "import alliance_stats.models.mixed\nfrom alliance_stats import report\nfrom ..data import ids\n"
        "from . import own\ndef f():\n    from alliance_stats.design import formula\n    import pandas as pd\n"
    )
    monkeypatch.setattr("test_architecture.PACKAGE", package)
    assert rooms_imported(file) == {"models", "report", "data", "design"}
    assert libraries(file) & NEVER["engine"] == {"pandas"}
    assert "pandas" not in libraries(file, top_only=True)
