"""Whatever the source holds, reading gives a sound table or an error of ours.

``FUZZ_EXAMPLES=25000 python -m pytest tests/data/test_reading_never_crashes.py`` tries 100 000 sources.
"""

import io
import os
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats.data.guess_study import guess_study
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import AllianceStatsError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
GOLDEN = Path(__file__).parents[1] / "golden" / "haven"
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


@settings(max_examples=EXAMPLES, deadline=None)
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


@settings(max_examples=EXAMPLES, deadline=None)
@given(content=contents, on_faults=modes)
def test_any_bytes_are_read_or_refused_on_purpose(tmp_path_factory, content, on_faults):
    path = tmp_path_factory.getbasetemp() / "file.csv"
    path.write_bytes(content)
    try:
        table = read_sessions(path, **ASKED, on_faults=on_faults)
    except AllianceStatsError:
        table = None
    with suppress(AllianceStatsError):
        guess_study(path)
    if table is not None:
        check(table)


names = st.sampled_from(
    [
        *(
            "p",
            "t",
            "d",
            "x_t1",
            "x_t2",
            "x_t1_i1",
            "x_t2_i1",
            "k_s0",
            "k_s1",
            "redcap_event_name",
            "why___1",
            "s",
            "x",
        ),
        *("redcap_repeat_instance", "redcap_repeat_instrument", "k", ""),
    ]
)
laid_out = st.fixed_dictionaries(
    {
        "wide": st.sampled_from([None, "x_t{session}", ["x_t{session}_i{item}", "k_s{session}"], "{m}_s{session}"]),
        "occasions": st.sampled_from([None, None, ["0", "1"], {"a": 2, "1": 1}]),
        "restarts": st.sampled_from(["refuse", "continue"]),
        "session": st.sampled_from([None, "s"]),
        "date": st.sampled_from([None, "d"]),
        "scores": st.sampled_from([None, [], ["x"], ["x_i1"], ["k"]]),
        "keep": st.sampled_from([(), "k", "why"]),
        "therapist": st.sampled_from([None, "t"]),
    }
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(more=st.lists(names, min_size=2, max_size=7), data=st.data(), asked=laid_out, on_faults=modes)
def test_any_layout_is_read_or_refused_on_purpose(more, data, asked, on_faults):
    header = ["p", *more]
    frame = pd.DataFrame({at: data.draw(columns) for at in range(len(header))}).set_axis(header, axis=1)
    try:
        table = read_sessions(frame, patient="p", on_faults=on_faults, **asked)
    except AllianceStatsError:
        return
    check(table)
    assert "<script" not in table.codebook.to_html()


def _stored():
    """Sound files of every kind, to be damaged."""
    frame = pd.DataFrame({"p": ["a", "b"], "s": [1.0, 2.0], "x": [3.5, None], "t": ["T1", "T2"]})
    made = {path.name: path.read_bytes() for path in sorted(GOLDEN.iterdir()) if path.suffix not in (".R", "")}
    with suppress(ImportError):
        for kind in ("parquet", "feather"):
            buffer = io.BytesIO()
            getattr(frame, f"to_{kind}")(buffer)
            made[kind] = buffer.getvalue()
    with suppress(ImportError):
        buffer = io.BytesIO()
        frame.to_excel(buffer, index=False, engine="openpyxl")
        made["xlsx"] = buffer.getvalue()
    return made


STORED = _stored()
edits = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), max_size=6)


@settings(max_examples=EXAMPLES, deadline=None)
@given(kind=st.sampled_from(sorted(STORED)), edits=edits, cut=st.one_of(st.just(1.0), st.floats(0, 1)), on_faults=modes)
def test_any_damaged_file_is_read_or_refused_on_purpose(tmp_path_factory, kind, edits, cut, on_faults):
    pytest.importorskip("pyreadstat")
    content = bytearray(STORED[kind])
    for place, fresh in edits:
        at = int(place * len(content))
        content[at : at + len(fresh)] = fresh
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(content[: int(cut * len(content))]))
    asked = {"patient": "id", "session": "session", "scores": ["wai"]}
    if kind in ("parquet", "feather", "xlsx"):
        asked = {"patient": "p", "session": "s", "scores": ["x"], "therapist": "t"}
    try:
        table = read_sessions(path, **asked, on_faults=on_faults, sheet="other" if kind == "two.RData" else None)
    except AllianceStatsError:
        return
    check(table)
