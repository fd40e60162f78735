"""Write a report folder whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alliance_stats.errors import OutputExistsError, count

#: What a folder holds that a report was written to, and nothing else; no other folder is ever replaced.
_CONTENTS = frozenset({"report.html", "results.json", "tables", "figures"})
_MARK = "results.json"


def check_free(out: Path, overwrite: bool) -> None:
    """Refuse to write over anything that is not ours to replace.

    Raises
    ------
    OutputExistsError
        If ``out`` exists and ``overwrite`` is off, or it holds something else than a report.
    """
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{out} exists already. Choose another folder, or replace it with overwrite (--overwrite)."
        )
    if out.is_symlink() or not _is_ours(out / _MARK):
        raise OutputExistsError(
            f"{out} is not a report folder (it has no {_MARK} of ours), so it is not replaced. Choose another folder."
        )
    foreign = sorted(
        name for entry in out.iterdir() if (name := entry.name) not in _CONTENTS and not name.startswith(".")
    )
    if foreign:
        raise OutputExistsError(
            f"{out} holds {count(len(foreign), 'entry', 'entries')} that no report wrote ({', '.join(foreign[:3])}), "
            "so it is not replaced. Move them elsewhere, or choose another folder."
        )


def _is_ours(mark: Path) -> bool:
    """Whether a file is the ``results.json`` of a report."""
    try:
        results = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(results, dict) and results.get("package") == "alliance_stats"


@contextmanager
def replaced(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a new folder to write into; put it in place of ``out`` when the block ends well.

    A crash inside the block leaves ``out`` as it was.
    """
    out = out.absolute()
    check_free(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".new", dir=out.parent))
    try:
        yield fresh
        fresh.chmod(0o777 & ~_umask())
        check_free(out, overwrite)
        _swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _umask() -> int:
    """The process's mask for new folders (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _swap(fresh: Path, out: Path) -> None:
    if not out.exists():
        fresh.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    out.rename(old / out.name)
    try:
        fresh.rename(out)
    except OSError:
        (old / out.name).rename(out)
        raise
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
