"""All that a run of the suite writes, searched for secrets at its end (G7).

What proxies have written and told comes here from `running_proxy` and
`proxy_process`, by `keep`; what the tests themselves, and whatever else they
start, write to standard output, standard error and logs, comes with pytest's
reports, from all workers; files come at the end of each. A secret in any of it
fails the whole run. So does a name that operators may come to rely on and that no list in
`docs/interface` has.
"""

import base64
import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import pytest

from proxy.http1.placeholder_response import PLACEHOLDER_TOKEN
from tests.support.recorded_interface import unrecorded_in

__all__ = ["CLIENT_SECRET", "SuiteOutput", "keep", "keep_files", "private_parts", "secrets_in"]

CLIENT_SECRET: Final = "s3cret+/=&% x"
_FOLDER: Final = "SUITE_OUTPUT"  # of the environment, which workers inherit
_BASIC: Final = f"dev-tester-1:{quote_plus(CLIENT_SECRET)}".encode()
_SPELLINGS: Final = {
    "client secret": CLIENT_SECRET,
    "quoted client secret": quote(CLIENT_SECRET, safe=""),
    "form-encoded client secret": quote_plus(CLIENT_SECRET),
    "client secret in JSON": json.dumps(CLIENT_SECRET)[1:-1],
    "Basic credentials": base64.b64encode(_BASIC).decode(),
}
_LOOKS: Final = {
    "token": re.compile(r"token-\d+-of-the-test"),
    "JWT": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}"),
}
_IDENTITY_NUMBER: Final = "31019000000"
_QUERY: Final = re.compile(rb"^[A-Z]+ [^ \r\n?]*\?([^ \r\n]{8,}) HTTP/1\.1\r$", re.MULTILINE)
_FRAMING: Final = ("Content-Length: ", "Transfer-Encodin")
_BODY: Final = re.compile(rb"\r\n\r\n([^\r\n]{16})")


def secrets_in(text: str) -> list[str]:
    """Return which kinds of secrets of the tests a text holds.

    The placeholder looks like a token, as it must, and is worth nothing (P1).
    """
    text = text.replace(PLACEHOLDER_TOKEN, "")
    found = [kind for kind, spelling in _SPELLINGS.items() if spelling in text]
    return found + [kind for kind, look in _LOOKS.items() if look.search(text)]


def private_parts(sent: bytes) -> list[str]:
    """Return the queries, and the beginnings of bodies, of requests as they were sent.

    Header lines that a broken head has left behind its end are no body: their names are no secret.
    """
    parts = [part.decode("latin-1") for part in _QUERY.findall(sent) + _BODY.findall(sent)]
    return [part for part in parts if not part.startswith(_FRAMING)]


def keep(text: str) -> None:
    """Remember what a proxy has written, for the end of the run."""
    folder = os.environ.get(_FOLDER)
    if folder is not None:
        name = os.environ.get("PYTEST_CURRENT_TEST", "?")
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": name, "text": text}) + "\n")


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def keep_files(folder: Path) -> None:
    """Remember the tokens that stand in files; secrets stand there because tests put them there."""
    for parent, _, names in os.walk(folder):  # which minds no folder that has just gone
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(FileNotFoundError):  # its process is still ending
                text = path.read_bytes().decode("latin-1") if _is_plain(path) else ""
                for token in _LOOKS["token"].findall(text):
                    keep(f"{path}: {token}")


class SuiteOutput:
    """The plugin of the process that gathers the reports; workers only `keep`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        os.environ[_FOLDER] = self._folder.name
        self.searched = 0
        self.leaks: set[str] = set()
        self.unrecorded: set[str] = set()

    def _search(self, test: str, text: str) -> None:
        self.searched += len(text)
        kinds = secrets_in(text) + ["identity number"] * (_IDENTITY_NUMBER in text)
        self.leaks |= {f"{kind} in the output of {test}" for kind in kinds}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Search what a test wrote itself; one that failed shows its values on purpose."""
        if not report.failed:
            for _, text in report.sections:
                self._search(report.nodeid, text)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search what the proxies wrote; a secret fails the run, and so does an unknown name."""
        for path in Path(self._folder.name).iterdir():
            with path.open(encoding="utf-8") as file:
                for kept in map(json.loads, file):
                    self._search(kept["test"], kept["text"])
                    self.unrecorded |= unrecorded_in(kept["text"])
        self._folder.cleanup()
        del os.environ[_FOLDER]
        if self.leaks or self.unrecorded:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was searched, and what was found."""
        line = f"{self.searched} characters that the suite wrote were searched for secrets"
        terminalreporter.write_line(line)
        for leak in sorted(self.leaks):
            terminalreporter.write_line(f"LEAK: {leak}", red=True)
        for name in sorted(self.unrecorded):
            terminalreporter.write_line(f"NOT RECORDED (make interface): {name}", red=True)
