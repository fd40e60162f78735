import pytest

import alliance_stats as als


@pytest.fixture(scope="session")
def sessions():
    return als.simulate_sessions(4, 5, 6, 0.5, seed=6)
