"""Small sessions, and figures that are drawn but not rendered: rendering is nine tenths of a report's time."""

import pytest

import alliance_stats as als
from alliance_stats.report.figures import canvas


@pytest.fixture(scope="session")
def sessions():
    return als.simulate_sessions(4, 5, 6, 0.5, seed=6)


@pytest.fixture
def quick(monkeypatch):
    """Write small stand-ins for rendered figures."""
    monkeypatch.setattr(canvas, "_render", lambda drawn, kind, metadata, dpi: b"<svg></svg>" if kind == "svg" else b"png")
