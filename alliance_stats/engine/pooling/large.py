"""Hold BLAS to one thread where matrices are large enough for it to use more."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

#: Below this many effects BLAS keeps to one thread by itself, and asking for it costs more than it brings.
_MANY = 2000


def one_thread(k: int) -> AbstractContextManager[None]:
    """Limit BLAS to one thread inside the block, where there are many effects."""
    if k < _MANY:
        return nullcontext()
    from alliance_stats.engine.threads import one_blas_thread

    return one_blas_thread()
