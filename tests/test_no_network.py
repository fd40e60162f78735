"""Nothing leaves the machine: the main job runs where every way out is closed, and asks for none."""

from __future__ import annotations

import subprocess
import sys

#: Closes the ways out of a fresh interpreter, before anything of ours is loaded, and writes down who tried.
CLOSED = """
import sys
tried = []
def refuse(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "urllib.Request",
                         "http.client", "ftplib", "smtplib", "webbrowser")):
        tried.append(event)
        raise OSError(f"no way out: {event}")
sys.addaudithook(refuse)
"""


def run(code, folder):
    script = f"{CLOSED}\n{code}\nprint('tried:', tried)"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=False)


def test_the_main_job_asks_for_no_way_out(tmp_path):
    code = "from alliance_stats.cli import main\nassert main(['report', '--demo', '--out', 'r', '--quiet']) == 0"
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "tried: []"
    assert (tmp_path / "r" / "report.html").stat().st_size > 100_000


def test_the_list_and_the_shipped_data_ask_for_no_way_out(tmp_path):
    code = """
import alliance_stats as als
als.datasets()
als.load_dataset("simulated_alliance").pseudonymize("k3y-of-16-bytes!")
"""
    done = run(code, tmp_path)
    assert done.stdout.strip() == "tried: []", done.stderr


def test_the_closed_door_is_closed(tmp_path):
    # a hook that sees nothing would pass on anything
    code = """
import socket, urllib.request
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
    lambda: socket.getaddrinfo("localhost", 9),
):
    try:
        attempt()
    except OSError as error:
        assert "no way out" in str(error), error
    else:
        raise AssertionError("it got out")
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "socket.getaddrinfo" in done.stdout
    assert "urllib.Request" in done.stdout
