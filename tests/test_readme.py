"""README, CI, changelog and citation say the same, and what the README shows is what happens."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import alliance_stats as als

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load_snippets():
    spec = importlib.util.spec_from_file_location("readme_snippets", ROOT / "docs" / "readme_snippets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shell_lines(text):
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("part", ["alliance-stats report --demo", "-m pytest -q -n auto"])
def test_ci_runs_the_command_of_the_readme_word_for_word(part):
    (command,) = [line for line in shell_lines(README) if part in line]
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")  # alone, it does all the set-up
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    # in parentheses: without them `set -e` would pass over a failed installation
    assert f"(\n    {command}\n)\n" in run


def test_both_commands_stand_on_the_first_screen():
    first = README.split("\n## ")[0]  # before the first heading under the title
    assert len(shell_lines(first)) == 2
    assert len(first.splitlines()) < 35


def test_python_blocks_of_the_readme_print_what_it_shows():
    snippets = load_snippets()
    pairs = snippets.snippets(README)
    assert len(pairs) == README.count("```python")
    outputs = snippets.printed([code for code, _ in pairs])
    for (code, shown), output in zip(pairs, outputs, strict=True):
        assert output == shown, f"`python docs/readme_snippets.py --write` brings this block up to date:\n{code}"


def test_images_of_the_readme_exist():
    images = re.findall(r'src="([^"]+)"', README)
    assert images
    assert [name for name in images if not (ROOT / name).is_file()] == []


def test_study_file_of_the_readme_is_read(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "study.toml").write_text(example, encoding="utf-8")
    study = als.read_study(tmp_path / "study.toml")
    assert study.columns.patient == "pid"
    assert [score.name for score in study.columns.scores] == ["alliance", "outcome"]


def test_paths_named_in_the_readme_exist():
    named = re.findall(r"`((?:docs|tests|benchmarks|analyses)/[\w./-]*|[A-Z]+\.(?:md|cff))`", README)
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_changelog_has_this_version_or_unreleased_changes():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert {"Unreleased", als.__version__} & set(headings)


def test_citation_and_project_have_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [als.__version__]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == als.__version__


def test_citation_holds_what_its_format_requires():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    keys = {line.split(":")[0] for line in lines if re.match(r"[a-z-]+:", line)}
    # required by Citation File Format 1.2.0: authors, cff-version, message, title
    assert {"authors", "cff-version", "message", "title"} <= keys
    assert "cff-version: 1.2.0" in lines
