"""`signicat-proxy mock`: flags, and the process around the mock."""

import argparse
import asyncio
import ipaddress
import json
import math
import os
import random
import signal
import time
from typing import Any, Final

from proxy.mock.faults import Fault, FaultError, Faults
from proxy.mock.log import say
from proxy.mock.products import PERMISSIONS
from proxy.mock.server import serve_mock
from proxy.mock.signing import new_signer
from proxy.mock.state import ACCOUNT_ID, MockClient, MockSignicat

__all__ = ["DEFAULT_CLIENT", "DEFAULT_SECRET", "add_arguments", "new_mock", "run"]

DEFAULT_CLIENT: Final = "sandbox-mock-client-1"
DEFAULT_SECRET: Final = "mock-secret-of-the-sandbox"  # noqa: S105 (opens nothing but this mock)
_MAX_PORT: Final = 65535
_MAX_LIFETIME_SECONDS: Final = 3600


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError("write host:port")
    return host.strip("[]"), int(port)


def _client(text: str) -> MockClient:
    """Read `id:secret`, all permissions, or `id:secret:permission,…`, those alone.

    What follows the second colon may be the rest of a secret: no error shows it.
    """
    client_id, _, rest = text.partition(":")
    secret, separator, names = rest.partition(":")
    if not client_id or not secret:
        raise argparse.ArgumentTypeError("write id:secret or id:secret:permission,…")
    if not separator:
        return MockClient(client_id, [secret])
    permissions = frozenset(name.strip() for name in names.split(",") if name.strip())
    if permissions - PERMISSIONS:
        known = ", ".join(sorted(PERMISSIONS))
        raise argparse.ArgumentTypeError(
            f"after the second colon come permissions, of: {known}; "
            "a secret with a colon can be set while the mock runs"
        )
    return MockClient(client_id, [secret], permissions)


class _AppendClient(argparse.Action):
    """Collects clients, each id once: the mock would never look at a second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add one client; raise `ArgumentError` if its id is there already."""
        del parser, option_string
        clients = [*(getattr(namespace, self.dest) or ()), values]
        if len({client.client_id for client in clients}) < len(clients):
            raise argparse.ArgumentError(self, f"'{values.client_id}' is there twice")
        setattr(namespace, self.dest, clients)


def _lifetime(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MAX_LIFETIME_SECONDS:
        raise argparse.ArgumentTypeError(f"write seconds, from 0 to {_MAX_LIFETIME_SECONDS}")
    return seconds


def _fault(text: str) -> Fault:
    try:
        return Fault.from_json(json.loads(text))
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except ValueError:
        raise argparse.ArgumentTypeError("a fault is a JSON object") from None


_FLAGS: Final[dict[str, dict[str, Any]]] = {
    "--listen": {
        "type": _address,
        "default": ("127.0.0.1", 9090),
        "metavar": "HOST:PORT",
        "help": "where to listen (default: 127.0.0.1:9090)",
    },
    "--client": {
        "type": _client,
        "action": _AppendClient,
        "metavar": "ID:SECRET[:PERMISSION,…]",
        "help": "a client, with all permissions or those named; may be repeated "
        f"(default: {DEFAULT_CLIENT}:{DEFAULT_SECRET})",
    },
    "--lifetime": {
        "type": _lifetime,
        "default": 600,
        "metavar": "SECONDS",
        "help": f"lifetime of tokens, at most {_MAX_LIFETIME_SECONDS} (default: 600)",
    },
    "--fault": {
        "type": _fault,
        "action": "append",
        "default": [],
        "metavar": "JSON",
        "help": 'a fault from the start, as {"kind":"status","status":429}; may be repeated',
    },
    "--seed": {"type": int, "help": "of the dice for faults with a probability"},
    "--public-url": {
        "default": "",
        "metavar": "URL",
        "help": "what URLs given out begin with (default: the Host of the request)",
    },
    "--account": {
        "default": ACCOUNT_ID,
        "metavar": "ID",
        "help": f"account of all clients, in tokens and sessions (default: {ACCOUNT_ID})",
    },
    "--created-status": {
        "type": int,
        "choices": (200, 201),
        "help": "status of every response that creates something (default: Signicat's of each)",
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the mock's flags."""
    for flag, facts in _FLAGS.items():
        parser.add_argument(flag, **facts)


def new_mock(
    clients: list[MockClient] | None = None,
    lifetime_seconds: float = 600,
    seed: int | None = None,
    faults: tuple[Fault, ...] = (),
) -> MockSignicat:
    """Return a mock on the machine's clocks, with a signing key if it can have one."""
    dice = random.Random(seed)  # noqa: S311 (decides on faults, not on secrets)
    return MockSignicat(
        clients=clients or [MockClient(DEFAULT_CLIENT, [DEFAULT_SECRET])],
        clock=time.monotonic,
        wall=time.time,
        lifetime_seconds=lifetime_seconds,
        faults=Faults(dice, faults),
        signer=new_signer(say),
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(mock: MockSignicat, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_mock(mock, host, port) as running:
        if not _is_loopback(host):
            say("listening beyond this machine; this is no Signicat, for development only")
        say(f"listening on {running.url}, client {mock.clients[0].client_id}")
        await stop.wait()


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; return the exit code."""
    mock = new_mock(args.client, args.lifetime, args.seed, tuple(args.fault))
    mock.public_url = args.public_url
    mock.created_status = args.created_status
    mock.account_id = args.account
    host, port = args.listen
    try:
        asyncio.run(_serve(mock, host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the name cannot be resolved"
        say(f"--listen: cannot listen on {host}:{port}: {reason}")
        return 1
    return 0
