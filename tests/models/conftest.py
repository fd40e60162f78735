"""Fixtures of tests that compare fits with goldens of one form (``golden_fits``)."""

import pytest
from golden_fits import Fits


@pytest.fixture(scope="module")
def fit_once():
    return Fits()


@pytest.fixture
def pair(request, fit_once):
    return fit_once(*request.param)
