"""BLAS runs on one thread inside the block, and as before outside it."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from alliance_stats.engine.threads import one_blas_thread


def _threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def two_threads():
    # so that "restored" differs from "limited", whatever the machine
    with threadpool_limits(limits=2, user_api="blas"):
        if not _threads() or max(_threads()) < 2:
            pytest.skip("this BLAS cannot be given two threads")
        yield


def test_one_thread_inside_and_as_before_after():
    before = _threads()
    with one_blas_thread():
        assert set(_threads()) == {1}
    assert _threads() == before


def test_restored_when_the_block_fails():
    before = _threads()
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert _threads() == before


def test_blocks_may_stand_inside_one_another():
    before = _threads()
    with one_blas_thread():
        with one_blas_thread():
            assert set(_threads()) == {1}
        assert set(_threads()) == {1}
    assert _threads() == before
