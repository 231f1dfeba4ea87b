"""tests/support/git_server.py serves what git clones, and nothing else."""
import gzip
import http.client
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
from git_server import CONNECTIONS_MAX, GitServer, make_repository  # noqa: E402

FILES = {"Dockerfile": "FROM scratch\n", "sub/folder/file.txt": "text\n"}


@pytest.fixture
def served(tmp_path):
    commit = make_repository(tmp_path / "org/parsers.git", FILES)
    with GitServer(tmp_path) as server:
        server.commit = commit
        yield server


def git(*arguments):
    # Neither prompts nor the configuration of whoever runs the test.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)


def request(server, method, path, body=None, headers=None, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, body, headers or {}, encode_chunked=chunked)
    response = connection.getresponse()
    return response.status, response.read()


def want(commit):
    """The body of an upload-pack request: git's pkt-line format."""
    line = f"want {commit} no-progress\n".encode()
    return b"%04x" % (len(line) + 4) + line + b"0000" + b"0009done\n"


def test_git_clones_a_repository(served, tmp_path):
    result = git("clone", "--quiet", f"{served.url}/org/parsers.git", str(tmp_path / "clone"))
    assert result.returncode == 0, result.stderr
    for name, text in FILES.items():
        assert (tmp_path / "clone" / name).read_text() == text


@pytest.mark.parametrize("version", [0, 1, 2])
def test_git_clones_shallow_in_every_version_of_the_protocol(served, tmp_path, version):
    url = f"{served.url}/org/parsers.git"
    result = git("-c", f"protocol.version={version}", "clone", "--quiet", "--depth=1", url, str(tmp_path / "clone"))
    assert result.returncode == 0, result.stderr


def test_more_at_once_than_it_serves_wait_for_their_turn(served):
    path = "/org/parsers.git/info/refs?service=git-upload-pack"
    with ThreadPoolExecutor(2 * CONNECTIONS_MAX) as pool:
        answers = list(pool.map(lambda _: request(served, "GET", path)[0], range(2 * CONNECTIONS_MAX)))
    assert answers == [200] * (2 * CONNECTIONS_MAX)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_be_zipped_and_chunked(served, zipped, chunked):
    body = want(served.commit)
    headers = {"Content-Type": "application/x-git-upload-pack-request"}
    if zipped:
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
        body = iter([body[:7], body[7:]])
    status, answer = request(served, "POST", "/org/parsers.git/git-upload-pack", body, headers, chunked)
    assert status == 200
    assert b"PACK" in answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/org/parsers.git/HEAD"),
        ("GET", "/org/parsers.git/info/refs"),
        ("GET", "/org/parsers.git/info/refs?service=git-receive-pack"),
        ("POST", "/org/parsers.git/git-receive-pack"),
        ("GET", "/org/../../other.git/info/refs?service=git-upload-pack"),
        ("GET", "/org/%2e%2e/org/parsers.git/info/refs?service=git-upload-pack"),
    ],
)
def test_all_but_reading_is_forbidden(served, method, path):
    assert request(served, method, path)[0] == 403


def test_a_push_fails(served, tmp_path):
    clone = str(tmp_path / "clone")
    git("clone", "--quiet", f"{served.url}/org/parsers.git", clone)
    assert git("-C", clone, "push", "origin", "HEAD:other").returncode != 0


@pytest.mark.parametrize("path", ["/other.git", "/org", "/etc"])
def test_what_is_not_there_is_not_found(served, path):
    assert request(served, "GET", f"{path}/info/refs?service=git-upload-pack")[0] == 404


def test_a_body_is_bounded(served):
    headers = {"Content-Type": "application/x-git-upload-pack-request"}
    try:
        status, _ = request(served, "POST", "/org/parsers.git/git-upload-pack", b"0" * (17 << 20), headers)
    except (BrokenPipeError, ConnectionResetError):  # it was answered before it was read to its end
        return
    assert status == 413


@pytest.mark.parametrize("length", ["-1", "x", "+5", "1_0"])
def test_a_wrong_length_is_refused(served, length):
    headers = {"Content-Length": length}
    assert request(served, "POST", "/org/parsers.git/git-upload-pack", None, headers)[0] == 400


def test_the_command_tells_its_port_and_ends_by_sigterm(tmp_path):
    make_repository(tmp_path / "parsers.git", FILES)
    port_file = tmp_path / "port"
    command = [sys.executable, SUPPORT / "git_server.py", "--root", tmp_path, "--print-port-file", port_file]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30
        while not port_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        url = f"http://127.0.0.1:{int(port_file.read_text())}/parsers.git"
        assert "refs/heads/main" in git("ls-remote", url).stdout
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0
