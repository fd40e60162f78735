"""Whatever the source holds, reading gives a sound table or an error of ours."""

from contextlib import suppress

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats.data.guess_study import guess_study
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import AllianceStatsError

ASKED = {"patient": "p", "therapist": "t", "session": "s", "date": "d", "scores": ["x"], "keep": ["k"]}

cells = st.one_of(
    st.none(),
    st.integers(-3, 30),
    st.floats(),
    st.booleans(),
    st.dates().map(pd.Timestamp),
    st.sampled_from(["", "NA", "1", "01", "2.0", "3,5", "3.5", "1/2/2021", "13.1.2021", "2021-01-05", " a", "A", "a"]),
    st.text(max_size=4),
)
# Small sets of values, so that doubled sessions and sound tables come up often.
columns = st.lists(st.one_of(cells, st.sampled_from(["1", "2"])), min_size=4, max_size=4)
frames = st.fixed_dictionaries(dict.fromkeys("ptsdxk", columns)).map(pd.DataFrame)
modes = st.sampled_from(["raise", "leave_out"])


def check(table):
    frame = table.frame
    assert len(frame) > 0
    assert next(iter(frame)) == "patient_id"
    assert frame["patient_id"].notna().all()
    assert (frame["session"] >= 1).all()
    assert frame["session"].dtype == "int64"
    assert not frame.duplicated(["patient_id", "session"]).any()


@settings(max_examples=50, deadline=None)
@given(frame=frames, on_faults=modes, by_date=st.booleans())
def test_any_frame_is_read_or_refused_on_purpose(frame, on_faults, by_date):
    asked = {**ASKED, "session": None} if by_date else ASKED
    try:
        table = read_sessions(frame, **asked, on_faults=on_faults)
    except AllianceStatsError:
        return
    check(table)


lines = st.lists(st.sampled_from([*'pstdxk,;\t|"\n1290.-ä\r ', "p,t,s,d,x,k\n", "\n1,2,1,,3,4", "NA"]), max_size=30)
contents = st.one_of(
    st.binary(max_size=120),
    lines.map(lambda parts: "".join(["p,t,s,d,x,k\n", *parts]).encode("utf-8")),
    lines.map(lambda parts: "".join(["p;t;s;d;x;k\n", *parts]).encode("utf-16")),
)


@settings(max_examples=80, deadline=None)
@given(content=contents, on_faults=modes)
def test_any_bytes_are_read_or_refused_on_purpose(tmp_path_factory, content, on_faults):
    path = tmp_path_factory.mktemp("bytes") / "file.csv"
    path.write_bytes(content)
    try:
        table = read_sessions(path, **ASKED, on_faults=on_faults)
    except AllianceStatsError:
        table = None
    with suppress(AllianceStatsError):
        guess_study(path)
    if table is not None:
        check(table)
