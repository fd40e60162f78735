"""Many random draws, in this process or in several, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from alliance_stats.errors import DataError

#: Draws that a worker does at a time.
CHUNK = 25
#: Seconds after which a progress bar appears.
_PATIENCE = 2.0

Result = TypeVar("Result")
Seeds = Sequence[np.random.SeedSequence]


def spawn(seed: int | None, n: int) -> list[np.random.SeedSequence]:
    """One seed per draw, so that a draw depends neither on the number of workers nor on how many draws follow."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise DataError(f"n is a whole number of draws, 1 or more, not {n!r}.")
    try:
        return np.random.SeedSequence(seed).spawn(int(n))
    except (TypeError, ValueError):
        raise DataError(f"seed is a whole number, 0 or more, not {seed!r}.") from None


def in_parallel(
    work: Callable[[Seeds], Result], chunks: Sequence[Seeds], workers: int, progress: bool
) -> Iterator[Result]:
    """Work through chunks of seeds in order.

    Parameters
    ----------
    work : callable
        Seeds to result; it is sent to the workers.
    chunks : sequence of sequences of SeedSequence
    workers : int
        Processes (joblib's; a ``joblib.parallel_config`` around the call chooses the backend).
    progress : bool
        Show a bar on stderr, where the work takes longer than two seconds.
    """
    if not isinstance(workers, int | np.integer) or isinstance(workers, bool) or workers < 1:
        raise DataError(f"workers is a whole number of processes, 1 or more, not {workers!r}.")
    from tqdm import tqdm

    total = sum(map(len, chunks))
    with tqdm(total=total, desc="Bootstrap", unit="draw", delay=_PATIENCE, disable=not progress) as bar:
        for chunk, result in zip(chunks, _results(work, chunks, workers), strict=True):
            bar.update(len(chunk))
            yield result


def _results(work: Callable[[Seeds], Result], chunks: Sequence[Seeds], workers: int) -> Iterator[Result]:
    if workers == 1 or len(chunks) == 1:
        yield from map(work, chunks)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=int(workers), return_as="generator")(delayed(work)(chunk) for chunk in chunks)
