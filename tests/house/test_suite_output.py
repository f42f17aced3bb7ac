"""The net under the whole suite holds: a secret that any test's proxy writes fails the run (G7)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source_tree import ROOT
from tests.support.suite_output import private_parts, secrets_in

CONFTEST = """
from tests.conftest import *
from tests.conftest import _files_are_searched
"""
START = """
import logging, os, subprocess, sys
from tests.support.suite_output import CLIENT_SECRET, keep

TOKEN = "token-%d-of-the-test" % os.getpid()

def test_it(tmp_path):
"""
HARMLESS = "    print('client_secret=[redacted]')\n    keep('token 8ab4f9c0')"
LEAKS = {
    "a proxy's output": "    keep('x ' + CLIENT_SECRET)",
    "a proxy's token": "    keep('Bearer ' + TOKEN)",
    "standard output": "    print(TOKEN)",
    "standard error": "    print(TOKEN, file=sys.stderr)",
    "a log": "    logging.getLogger('x').warning(TOKEN)",
    "a file": "    (tmp_path / 'core').write_text(TOKEN)",
    "a process": "    subprocess.run(['echo', 'id=310190' + '00000'], check=True)",
    "a file descriptor": "    os.write(2, TOKEN.encode())",
}


def run_suite(directory: Path, body: str, *options: str) -> tuple[int, str]:
    """Run a suite of one passing test under the net; return its exit code and its output."""
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_it.py").write_text(START + body)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(directory)),
            *("-p", "no:cacheprovider", *options, str(directory)),
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_fails_a_run_whose_tests_pass(tmp_path: Path, leak: str) -> None:
    """Wherever it is written; the summary names kind and test."""
    code, output = run_suite(tmp_path, leak)
    assert code == 1
    assert "LEAK: " in output
    assert "test_it" in output.partition("LEAK: ")[2]


def test_a_leak_in_a_worker_fails_the_run(tmp_path: Path) -> None:
    """With pytest-xdist too, of which a worker writes where nobody looks."""
    code, output = run_suite(tmp_path, LEAKS["a proxy's output"] + "; print('x')", "-n1")
    assert code == 1
    assert "LEAK: client secret" in output


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "in a worker"])
def test_a_name_that_is_not_recorded_fails_the_run(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """What a proxy logs or measures stands in docs/interface; the summary says what does not."""
    body = """    keep('{"timestamp": "", "level": "info", "event": "vanished"}')"""
    code, output = run_suite(tmp_path, body, *options)
    assert code == 1
    assert "NOT RECORDED (make interface): vanished in docs/interface/log-events.txt" in output


def test_a_run_without_leaks_passes(tmp_path: Path) -> None:
    """And says that it has searched."""
    code, output = run_suite(tmp_path, HARMLESS)
    assert code == 0
    assert "characters that the suite wrote were searched" in output


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("s3cret+/=&% x", ["client secret", "client secret in JSON"]),
        ("s3cret%2B%2F%3D%26%25%20x", ["quoted client secret"]),
        ("s3cret%2B%2F%3D%26%25+x", ["form-encoded client secret"]),
        (
            "Basic ZGV2LXRlc3Rlci0xOnMzY3JldCUyQiUyRiUzRCUyNiUyNSt4",
            ["Basic credentials"],
        ),
        ("a token-12-of-the-test.", ["token"]),
        ("eyJhbGciOiJub25lIn0.eyJleHAiOjE3fQ.", ["JWT"]),
        ("client_secret=[redacted] token=8ab4f9c0", []),
    ],
)
def test_secrets_are_found_however_they_are_spelled(text: str, kinds: list[str]) -> None:
    """As they stand, encoded for a form, a header or JSON."""
    assert secrets_in(text) == kinds


def test_private_parts_are_queries_and_bodies() -> None:
    """Neither paths nor headers, which may be told; on a connection each request has its own."""
    asked = b"GET /a?identityNumber=1 HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: visible\r\n\r\n"
    sent = b"POST /b HTTP/1.1\r\nContent-Length: 20\r\n\r\n{'number': 1234567890}"
    assert private_parts(asked) == ["identityNumber=1"]
    assert private_parts(sent) == ["{'number': 12345"]
    assert private_parts(b"POST / HTTP/1.1\r\n\r\nTransfer-Encoding: chunked\r\n") == []
    assert private_parts(asked + asked)[:2] == ["identityNumber=1"] * 2
