"""Whatever stands in the item columns: a score inside its range, or an error of the package."""

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import alliance_stats as als
from alliance_stats.errors import AllianceStatsError

CELLS = st.one_of(
    st.integers(-3, 9),
    st.floats(allow_nan=True, allow_infinity=True),
    st.none(),
    st.sampled_from(["", " ", "1", "2.0", "3,5", "often", "nan", "inf", "1e400", "\N{SUPERSCRIPT TWO}", "٣", "=1+1"]),
    st.booleans(),
    st.sampled_from([pd.NA, pd.NaT, dt.date(2024, 1, 1), pd.Timestamp("2024-01-01"), 1 + 2j, b"2", (1, 2)]),
)
COLUMNS = st.lists(CELLS, min_size=3, max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.lists(COLUMNS, min_size=7, max_size=7),
    fewest=st.one_of(st.none(), st.integers(-1, 8)),
    how=st.sampled_from([None, "sum", "mean", "prorated"]),
    on_faults=st.sampled_from(["raise", "leave_out"]),
)
def test_any_cell_gives_a_score_in_its_range_or_an_error_of_the_package(columns, fewest, how, on_faults):
    frame = pd.DataFrame({f"g{k}": pd.Series(cells, dtype=object) for k, cells in enumerate(columns, start=1)})
    for data in (frame, frame.infer_objects()):
        try:
            scored = als.score(data, "GAD-7", items="g{}", into="x", min_items=fewest, how=how, on_faults=on_faults)
        except AllianceStatsError:
            continue
        values = scored["x"].dropna()
        assert values.between(0, 3 if how == "mean" else 21).all()
        assert scored["x_answered"].between(0, 7).all()
        assert (scored.loc[scored["x"].isna(), "x_answered"] < 7).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blanks=st.integers(0, 6))
def test_turning_every_answer_round_turns_the_score_round(seed, blanks):
    rng = np.random.default_rng(seed)
    answers = rng.integers(1, 8, (4, 36)).astype(float)
    answers[rng.integers(0, 4, blanks), rng.integers(0, 36, blanks)] = np.nan
    frame = pd.DataFrame(answers, columns=[f"w{item}" for item in range(1, 37)])
    own = als.score(frame, "WAI-36", items="w{}", into="x", min_items={"total": 1, "bond": 1})
    turned = als.score(8 - frame, "WAI-36", items="w{}", into="x", min_items={"total": 1, "bond": 1})
    np.testing.assert_allclose(own["x"] + turned["x"], 8 * 36, rtol=1e-13)
    np.testing.assert_allclose(own["x_bond"] + turned["x_bond"], 8 * 12, rtol=1e-13)
