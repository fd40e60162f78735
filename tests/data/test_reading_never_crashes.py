"""Whatever the source holds, reading gives a sound table or an error of ours.

``FUZZ_EXAMPLES=25000 python -m pytest tests/data/test_reading_never_crashes.py`` tries 100 000 sources: frames,
layouts, bytes, and damaged files of every kind. Done on 24 November 2026 in ten runs of 20 000 (``--hypothesis-seed=1``
to 10, four minutes each): 200 000 sources, none of which raised anything but errors of ours, took longer than the limit
below, or made the process larger than 1.5 GB. Before that, damaged Feather files had broken the process down.
"""

import os
import resource
import time
from contextlib import suppress

import pandas as pd
import pytest
from forked_reading import SECONDS, read_forked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sound_files import ASKED, members, sound_files, with_member

from alliance_stats.data import read_statistical
from alliance_stats.data.guess_study import guess_study
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import AllianceStatsError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr(read_statistical, "_read", read_forked)


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


FILES = {}
#: Places as shares of the file's length, what is done there, and fresh bytes; runs of 0 and 255 are lengths gone wild.
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["over", "into", "out", "again"]),
        st.one_of(
            st.binary(max_size=4), st.sampled_from([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"<", b'"'])
        ),
    ),
    max_size=6,
)


def damaged(content, changes, cut):
    made = bytearray(content)
    for place, how, fresh in changes:
        at = int(place * len(made))
        if how == "over":
            made[at : at + len(fresh)] = fresh
        elif how == "into":
            made[at:at] = fresh
        elif how == "out":
            del made[at : at + 4 * len(fresh)]
        else:
            made[at:at] = made[at : at + 16 * len(fresh)]
    return bytes(made[: int(cut * len(made))])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    pytest.importorskip("pyreadstat")
    if not FILES:
        FILES.update(sound_files(tmp_path_factory.mktemp("sound")))
    return FILES


def test_the_files_that_are_damaged_are_sound_to_begin_with(files, tmp_path):
    path = tmp_path / "sound"
    for kind, (content, asked) in files.items():
        path.write_bytes(content)
        if kind != "vector.rds":  # an array, which reading refuses
            assert len(read_sessions(path, **asked, on_faults="leave_out")) >= 2, kind


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), changes=edits, cut=st.one_of(st.just(1.0), st.floats(0, 1)), on_faults=modes)
def test_any_damaged_file_is_read_or_refused_on_purpose(files, forked, tmp_path_factory, data, changes, cut, on_faults):
    kind = data.draw(st.sampled_from(sorted(files)))
    content, asked = files[kind]
    parts = members(content)
    if parts and data.draw(st.booleans()):
        content = with_member(content, data.draw(st.sampled_from(parts)), lambda inner: damaged(inner, changes, cut))
    else:
        content = damaged(content, changes, cut)
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    started = time.process_time()
    try:
        table = read_sessions(path, **asked, on_faults=on_faults)
    except AllianceStatsError:
        table = None
    with suppress(AllianceStatsError):
        guess_study(path)
    assert time.process_time() - started < SECONDS
    if table is not None:
        check(table)
        table.codebook.to_html()
        table.describe()


@pytest.mark.slow
def test_nothing_that_was_read_took_much_memory():
    """Runs last: with all damaged files behind it, this process never held more than a gigabyte and a half."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_500_000
