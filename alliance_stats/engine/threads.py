"""Hold BLAS to one thread while a fit runs.

The matrices of a mixed model are small and many: a second thread costs more than it brings, and on a
busy machine it turned 2 ms into 0.6 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import scipy.linalg  # noqa: F401  (loaded first: scipy carries an OpenBLAS pool of its own)
from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes milliseconds; once is enough.
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit every BLAS pool to one thread inside the block, and restore it afterwards."""
    with _controller().limit(limits=1, user_api="blas"):
        yield
