"""``import alliance_stats`` stays quick: no library loads before it is needed."""

from __future__ import annotations

import subprocess
import sys

LIBRARIES = """
numpy pandas scipy matplotlib statsmodels pingouin formulaic jinja2 seaborn sklearn threadpoolctl tqdm joblib dask
pooch rdata
"""
HEAVY = set(LIBRARIES.split())
#: Loaded by reading, centring or parsing: the frame library, and nothing beyond it.
BEYOND_PANDAS = HEAVY - {"numpy", "pandas"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules in ``sys.modules`` of a fresh interpreter after the code."""
    script = f"{code}\nimport sys; print('\\n'.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_no_library():
    loaded = loaded_after("import alliance_stats")
    assert "alliance_stats" in loaded
    assert not loaded & HEAVY


def test_asking_for_names_or_a_wrong_one_loads_no_library():
    code = """
import alliance_stats as als
dir(als)
try:
    als.mixd
except AttributeError as error:
    assert "'mixed'" in str(error)
"""
    assert not loaded_after(code) & HEAVY


def test_data_and_design_load_pandas_and_nothing_beyond():
    names = "als.SessionTable, als.center, als.lag, als.therapist_episodes, als.read_sessions, als.read_study"
    assert not loaded_after(f"import alliance_stats as als\n{names}") & BEYOND_PANDAS


def test_naming_the_models_loads_no_figures_and_no_other_statistics():
    names = "als.mixed, als.growth, als.within_between, als.therapist_change, als.therapist_effects"
    allowed = {"scipy", "threadpoolctl"}  # the engine's
    assert not loaded_after(f"import alliance_stats as als\n{names}") & (BEYOND_PANDAS - allowed)


def test_a_plain_fit_and_its_tables_load_neither_figures_nor_the_slow_part_of_scipy():
    code = """
import sys
import pandas as pd, alliance_stats as als
frame = pd.DataFrame({'y': [1., 2, 4, 3, 5, 9], 'g': list('aabbcc')})
fit = als.mixed('y ~ 1 + (1 | g)', frame)
fit.table(), fit.glance(), fit.variance(), fit.random()
assert 'scipy.stats' not in sys.modules
"""
    assert not loaded_after(code) & {"matplotlib", "statsmodels", "pingouin", "seaborn", "sklearn", "jinja2"}


def test_scoring_loads_pandas_and_nothing_beyond():
    code = """
import pandas as pd, alliance_stats as als
frame = pd.DataFrame([[1] * 9], columns=[f"q{item}" for item in range(1, 10)])
als.score(frame, "PHQ-9", items="q{}"), als.measures(), als.register_measure
"""
    assert not loaded_after(code) & BEYOND_PANDAS
