"""The engine's tests hold BLAS to one thread: their matrices are small, and the machine may be busy."""

from __future__ import annotations

import pytest

from alliance_stats.engine.threads import one_blas_thread


@pytest.fixture(autouse=True)
def _one_thread(request):
    if request.node.path.stem == "test_threads":
        yield
        return
    with one_blas_thread():
        yield
