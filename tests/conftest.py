"""What report tests share: figures that are drawn but not rendered, and models that are fitted once."""

import pickle

import pytest


@pytest.fixture(scope="session")
def fitted_once():
    """Fit each design once in the whole run; the same numbers come back for the same arrays."""
    from alliance_stats.models import mixed

    fit, known = mixed.fit_mixed, {}

    def remembered(design, reml=True):
        key = pickle.dumps((design, reml))
        if key not in known:
            known[key] = fit(design, reml)
        return known[key]

    return remembered


@pytest.fixture
def quick(monkeypatch, fitted_once):
    """Write small stand-ins for rendered figures, and do not fit a model twice: most of a report's time."""
    from alliance_stats.models import mixed
    from alliance_stats.report.figures import canvas

    monkeypatch.setattr(
        canvas, "_render", lambda drawn, kind, metadata, dpi: b"<svg></svg>" if kind == "svg" else b"png"
    )
    monkeypatch.setattr(mixed, "fit_mixed", fitted_once)
