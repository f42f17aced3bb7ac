"""`signicat-proxy health`: asks the admin port, quickly, for container health checks.

It runs every few seconds in a container, so it imports little: it reads only
where the admin port is, not all settings.
"""

import contextlib
import http.client
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.admin.probe_connection import Deadline, Destination
from proxy.net.addresses import ListenAddress, parse_listen_address

__all__ = ["NotTomlError", "admin_address", "is_signicat_proxy", "probe", "wait_until_good"]

_NAME: Final = "SIGNICAT_PROXY_ADMIN_LISTEN"
_CONFIG_FILE: Final = "SIGNICAT_PROXY_CONFIG_FILE"
_DEFAULT: Final = "localhost:8081"
_ADDRESS: Final = "127.0.0.1"  # probes answer to any address, to names in ALLOWED_HOSTS alone
_ENCODING: Final = "utf-8-sig"  # as the settings are read
_TIMEOUT_SECONDS: Final = 3.0
_SHORTEST_TIMEOUT_SECONDS: Final = 0.2
_ASK_EVERY_SECONDS: Final = 0.2
_MAX_BODY_BYTES: Final = 64 * 1024
_OK: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z0-9_(), -]{1,2000}")


class NotTomlError(Exception):
    """The file with the settings is no TOML; the text says why."""


def _from_dotenv(path: Path) -> str | None:
    if not path.is_file():
        return None
    for line in path.read_text(_ENCODING, "replace").splitlines():
        key, _, value = line.strip().removeprefix("export ").partition("=")
        if key.strip() == _NAME:
            return value.strip().strip("'\"")
    return None


def _from_toml(path: Path | str | None) -> str | None:
    if not path:
        return None
    import tomllib  # noqa: PLC0415 (a container is mostly set up by its environment)

    try:
        value = tomllib.loads(Path(path).read_bytes().decode(_ENCODING)).get("admin_listen")
    except ValueError as error:
        raise NotTomlError(str(error)) from error
    return value if isinstance(value, str) else None


def admin_address(
    flag: str | None, config_file: Path | None, environ: Mapping[str, str], directory: Path
) -> ListenAddress:
    """Return where the admin port is, by the precedence of the settings.

    Raises `ValueError` for an address that is none or does not tell, `NotTomlError`, `OSError`.
    """
    text = (
        flag
        or environ.get(_NAME)
        or _from_dotenv(directory / ".env")
        or _from_toml(config_file or environ.get(_CONFIG_FILE))
        or _DEFAULT
    )
    address = parse_listen_address(text.strip())  # as the settings are read
    if address.inherited is not None:
        raise ValueError(
            f"{address} does not tell where that is; write the address of the socket behind "
            "--admin-listen"
        )
    return address


def is_signicat_proxy(address: ListenAddress) -> bool:
    """Say whether a signicat-proxy listens there, be it for callers or for operators.

    Both refuse TRACE themselves and say who they are (F1); nothing goes to the upstream.
    """
    deadline = Deadline(_TIMEOUT_SECONDS)
    try:
        with contextlib.closing(Destination(address).connect(deadline)) as connection:
            connection.request("TRACE", "/", headers={"Host": "localhost", "Connection": "close"})
            headers = connection.getresponse().headers
    except (OSError, http.client.HTTPException):
        return False
    names = (headers.get("Proxy-Status", "").partition(";")[0], headers.get("Server", ""))
    return "signicat-proxy" in names


def probe(
    address: ListenAddress, *, ready: bool, timeout_seconds: float = _TIMEOUT_SECONDS
) -> tuple[bool, str]:
    """Return whether the proxy is live (or ready), and one line that says so, or why not.

    `timeout_seconds` are for all of it: the lookup of a name, and whatever the peer sends.
    """
    return _asked(Destination(address), address, ready=ready, timeout_seconds=timeout_seconds)


def _asked(
    destination: Destination, address: ListenAddress, *, ready: bool, timeout_seconds: float
) -> tuple[bool, str]:
    target = "/readyz" if ready else "/livez"
    deadline = Deadline(timeout_seconds)
    try:
        with contextlib.closing(destination.connect(deadline)) as connection:
            connection.request("GET", target, headers={"Host": _ADDRESS})
            response = connection.getresponse()
            is_good = response.status == _OK
            why_not = "" if is_good else _why_not(response.read(_MAX_BODY_BYTES))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return False, f"{address}{target}: {reason}"
    return is_good, f"{address}{target}: {response.status}{why_not}"


def wait_until_good(address: ListenAddress, *, ready: bool, seconds: float) -> tuple[bool, str]:
    """Ask as `probe` does until the proxy is live (or ready), for `seconds` at most.

    Returns the last response. Whatever it is, it may change: a proxy that starts refuses
    connections, has no socket yet, or a name that nobody knows yet. The last attempt has 0.2
    seconds, however little is left by then.
    """
    end = time.monotonic() + seconds
    destination = Destination(address)
    while True:
        left = end - time.monotonic()
        timeout_seconds = min(_TIMEOUT_SECONDS, max(left, _SHORTEST_TIMEOUT_SECONDS))
        is_good, line = _asked(destination, address, ready=ready, timeout_seconds=timeout_seconds)
        left = end - time.monotonic()
        if is_good:
            return True, line
        if left <= 0:
            return False, f"{line}; waited {seconds:g} s"
        time.sleep(min(_ASK_EVERY_SECONDS, left))


def _why_not(body: bytes) -> str:
    """Return what the admin port says of clients that have no token, empty for anything else.

    Somebody else may listen there: only plain words are repeated.
    """
    import json  # noqa: PLC0415 (for failures alone: most calls do without)

    try:
        facts = json.loads(body)
        if facts["draining"] is True:
            return " draining"
        said = [
            f"client {name} {client['state']} ({client['last_error'] or 'no token yet'})"
            for name, client in facts["clients"].items()
            if client["state"] == "not_ready"
        ]
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""
    text = ", ".join(said)
    return f" {text}" if _PLAIN.fullmatch(text) else ""
