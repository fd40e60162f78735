"""Write a report folder whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alliance_stats.errors import OutputExistsError

#: What a folder holds that a report was written to; no other folder is ever replaced.
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
        raise OutputExistsError(f"{out} exists already. Choose another folder, or replace it with overwrite (--overwrite).")
    if not (out / _MARK).is_file() or out.is_symlink():
        raise OutputExistsError(f"{out} is not a report folder (it has no {_MARK}), so it is not replaced. Choose another folder.")


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
