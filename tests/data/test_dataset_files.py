"""Registered data sets: found locally, in the cache or at their origin, always verified. No test leaves the machine."""

import hashlib
import http.server
import socket
import threading
from dataclasses import replace

import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data import dataset_files, registry
from alliance_stats.data.dataset_entry import DatasetEntry, DatasetFile
from alliance_stats.data.dataset_files import find_file, place_of
from alliance_stats.errors import DataError, MissingExtraError

CONTENT = b"study_id,r\n1,0.5\n2,0.25\n"
HASH = hashlib.sha256(CONTENT).hexdigest()
FILE = DatasetFile("regard/es.csv", HASH, "https://example.invalid/es.csv")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither local copies nor a cache, and no way out but to this machine."""
    monkeypatch.delenv("ALLIANCE_STATS_DATA", raising=False)
    monkeypatch.setattr(dataset_files, "cache_folder", lambda: tmp_path / "cache")
    lookup = socket.getaddrinfo

    def only_here(host, *rest, **more):
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(f"no way out to {host}")
        return lookup(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


@pytest.fixture
def server():
    """A web server on this machine that sends what it is told to."""
    asked, content = [], {"/es.csv": CONTENT}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            found = content.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    served.asked, served.content = asked, content
    served.file = replace(FILE, url=f"http://127.0.0.1:{served.server_port}/es.csv")
    yield served
    served.shutdown()
    served.server_close()


def entry(tmp_path, *files):
    return DatasetEntry(
        "regard", tmp_path, "T", False, 2, "MIT", "C", kind="effects", files=files or (FILE,), shipped=False,
        glossary={"study_id": "study", "r": "r"},
    )  # fmt: skip


def put_local(tmp_path, monkeypatch, name="regard/es.csv", content=CONTENT):
    path = tmp_path / "local" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("ALLIANCE_STATS_DATA", str(tmp_path / "local"))
    return path


def test_a_local_copy_is_taken_first(tmp_path, monkeypatch):
    path = put_local(tmp_path, monkeypatch)
    assert find_file(entry(tmp_path), fetch=True) == path
    assert place_of(entry(tmp_path)) == "local copy"


def test_any_registered_form_will_do_as_a_local_copy(tmp_path, monkeypatch):
    path = put_local(tmp_path, monkeypatch)
    original = DatasetFile("regard/es.rds", "0" * 64, "https://example.invalid/es.rds")
    assert find_file(entry(tmp_path, original, FILE), fetch=False) == path


def test_a_local_copy_that_is_another_file_is_refused_and_not_replaced(tmp_path, monkeypatch):
    path = put_local(tmp_path, monkeypatch, content=CONTENT + b"3,1\n")
    with pytest.raises(DataError, match=r"regard/es\.csv in the folder that ALLIANCE_STATS_DATA names is not the reg"):
        find_file(entry(tmp_path), fetch=True)
    assert path.read_bytes() == CONTENT + b"3,1\n"


def test_a_file_is_fetched_once_verified_and_cached(tmp_path, server):
    one = entry(tmp_path, server.file)
    assert place_of(one) == "origin"
    path = find_file(one, fetch=True)
    assert path == tmp_path / "cache" / "regard" / "es.csv"
    assert path.read_bytes() == CONTENT
    assert place_of(one) == "cache"
    assert find_file(one, fetch=True) == find_file(one, fetch=False) == path
    assert [where for where, _ in server.asked] == ["/es.csv"]


def test_asking_the_origin_tells_it_nothing_of_the_user(tmp_path, server, monkeypatch):
    monkeypatch.setenv("ALLIANCE_STATS_DATA", str(tmp_path / "clinic of Dr Zwicky"))
    find_file(entry(tmp_path, server.file), fetch=True)
    ((_, headers),) = server.asked
    assert set(headers) <= {"Host", "User-Agent", "Accept-Encoding", "Accept", "Connection"}
    assert "Zwicky" not in str(headers)


def test_what_is_fetched_and_is_another_file_is_thrown_away(tmp_path, server):
    server.content["/es.csv"] = b"<html>moved</html>"
    with pytest.raises(DataError, match=r"sent is not the registered file, and was thrown away.*ALLIANCE_STATS_DATA"):
        find_file(entry(tmp_path, server.file), fetch=True)
    assert not (tmp_path / "cache" / "regard" / "es.csv").exists()


def test_a_damaged_cache_is_fetched_anew(tmp_path, server):
    one = entry(tmp_path, server.file)
    find_file(one, fetch=True).write_bytes(b"damaged")
    with pytest.raises(DataError, match="fetch=False forbids to fetch it"):
        find_file(one, fetch=False)
    assert find_file(one, fetch=True).read_bytes() == CONTENT


def test_an_origin_that_has_it_no_more_says_both_ways_out(tmp_path, server):
    server.content.clear()
    with pytest.raises(DataError, match=r"could not be fetched from http.*HTTPError.*Go online.*Put regard/es\.csv"):
        find_file(entry(tmp_path, server.file), fetch=True)


def test_offline_and_absent_says_both_ways_out():
    with pytest.raises(DataError) as error:
        als.load_dataset("implement")
    said = str(error.value)
    assert "'implement' is not on this machine" in said
    assert "could not be fetched from https://raw.githubusercontent.com/PsychometricsMZ/dsem_tutorial/a3743f35" in said
    assert "Go online and call load_dataset() again" in said
    assert "Put implement/finalcompletedata.RDS (sha256 48f8f02a67c0…) into a folder" in said
    assert "environment variable ALLIANCE_STATS_DATA" in said


def test_without_an_address_only_the_local_copy_is_offered():
    with pytest.raises(DataError, match=r"'positive_regard' is not on this machine. Put positive_regard/") as error:
        als.load_dataset("positive_regard")
    assert "online" not in str(error.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, server, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(dataset_files, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(DataError, match="could not be fetched"):
        find_file(entry(tmp_path, server.file), fetch=True)


def test_without_pooch_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'alliance-stats\[data\]', or put a copy where"):
        find_file(entry(tmp_path), fetch=True)


def test_the_list_of_data_sets_never_asks_an_origin(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("went online"))
    listed = als.datasets().set_index("name")
    assert listed.loc["implement", "place"] == "origin"
    assert listed.loc["positive_regard", "place"] == "nowhere"
    assert listed.loc["simulated_sites", "place"] == "shipped"
    assert not listed.loc[["implement", "sgdata", "positive_regard"], "simulated"].any()


def test_a_frame_carries_its_facts(tmp_path, monkeypatch):
    put_local(tmp_path, monkeypatch)
    monkeypatch.setattr(registry, "dataset_entry", lambda name: entry(tmp_path))
    frame = als.load_dataset("regard")
    assert isinstance(frame, pd.DataFrame)
    assert frame["r"].tolist() == [0.5, 0.25]
    assert (frame.attrs["licence"], frame.attrs["citation"], frame.attrs["simulated"]) == ("MIT", "C", False)
    assert frame.attrs["glossary"] == {"study_id": "study", "r": "r"}


def test_the_cache_lies_where_the_system_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert dataset_files.cache_folder() == tmp_path / "alliance_stats"


@pytest.mark.parametrize(
    "line",
    [
        'path = "../x"',
        'path = "/etc/passwd"',
        'sha256 = "abc"',
        'url = "http://example.invalid/x"',
        'url = "file:///x"',
    ],
)
def test_an_entry_that_points_astray_is_refused(tmp_path, line):
    about = {"path": '"x.csv"', "sha256": f'"{HASH}"', "url": '"https://example.invalid/x"'}
    key, value = line.split(" = ")
    lines = [f"{name} = {text}" for name, text in {**about, key: value}.items()]
    (tmp_path / "SOURCE.toml").write_text(
        'title = "T"\nsimulated = false\nn_rows = 1\nlicence = "L"\ncitation = "C"\n[[files]]\n' + "\n".join(lines)
    )
    with pytest.raises(DataError, match="needs a path inside its folder, a sha256 of 64 digits"):
        registry.read_entry(tmp_path)


def test_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "SOURCE.toml").write_text(
        'title = "T"\nkind = "session"\nsimulated = false\nn_rows = 1\nlicence = "L"\ncitation = "C"\n'
        f'sha256 = "{HASH}"\n'
    )
    with pytest.raises(DataError, match="Did you mean 'sessions'"):
        registry.read_entry(tmp_path)
