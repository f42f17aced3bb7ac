"""The command `signicat-proxy`: what each sub-command does, and its exit code.

0 clean, 1 failed, 2 bad configuration or usage. Imports stand inside the
functions: each command is quick to start, and waits for no module it does not use.
`settings.errors`, which all of them may meet, imports next to nothing.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.settings.errors import ConfigurationError
from proxy.settings.names import CONFIG_FILE

if TYPE_CHECKING:
    from proxy.net.inherited import Inherited
    from proxy.settings.loader import Loaded

__all__ = ["main"]

_OK, _FAILED, _BAD_USAGE = 0, 1, 2
_DAY: Final = 86_400
_WAIT_SECONDS: Final = 30.0
_SECRETS: Final = frozenset(("client_secret", "egress_proxy"))
_WITH_SETTINGS: Final = frozenset(("run", "check", "token", "config"))
# Nothing of what is imported is garbage; to look for it takes a fifth of the start of `run`,
# which looks once it serves.
_QUICK: Final = frozenset(("run", "health"))
_CONFIG_HELP: Final = f"TOML file with settings (default: what {CONFIG_FILE} names)"
_COMMANDS: Final = {
    "run": "run the proxy",
    "demo": "mock Signicat and the proxy in one go; no account needed",
    "mock": "the mock Signicat alone",
    "check": "try what the proxy needs: one line each, with the fix",
    "token": "one token on stdout, for curl",
    "config": "the settings in force, secrets left out, and where each came from",
    "health": "ask the admin port; for container health checks",
}


def _say(line: str) -> None:
    print(f"signicat-proxy: {line}", file=sys.stderr)  # noqa: T201 (the command's voice)


def _add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Give every setting that is not a secret its flag (secrets never by flag)."""
    from proxy.settings.loader import Settings, setting_names
    from proxy.settings.names import PREFIX

    parser.add_argument("--config", type=Path, metavar="FILE", help=_CONFIG_HELP)
    group = parser.add_argument_group("settings", f"each also as {PREFIX}… in the environment")
    for name in setting_names():
        if name in _SECRETS:
            continue
        field = Settings.model_fields[name]
        default = "" if field.default in (None, "") else f" (default: {field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        group.add_argument(
            "--" + name.replace("_", "-"), dest=f"setting_{name}", metavar="VALUE", help=text
        )


def _new_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the command that was given gets its flags, to start quickly."""
    from proxy import __version__
    from proxy.build import build

    parser = argparse.ArgumentParser(
        prog="signicat-proxy",
        description="Local authenticating reverse proxy for the Signicat APIs.",
        epilog="Exit codes: 0 clean, 1 failed, 2 bad configuration or usage.",
        allow_abbrev=False,
    )
    version = f"signicat-proxy {__version__} ({build()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name != command:
            continue
        if name in _WITH_SETTINGS:
            _add_setting_flags(sub)
        _add_own_flags(name, sub)
    return parser


def _add_own_flags(name: str, parser: argparse.ArgumentParser) -> None:
    if name in ("check", "token", "config"):
        parser.add_argument("--json", action="store_true", help="for programs")
    if name == "check":
        parser.add_argument(
            "--no-call", action="store_true", help="send no request to the upstream"
        )
    if name == "token":
        parser.add_argument(
            "--client", metavar="NAME", help="which client, where there are several"
        )
    if name == "health":
        parser.add_argument("--ready", action="store_true", help="ready, not merely live")
        parser.add_argument(
            "--wait",
            type=_wait_seconds,
            nargs="?",
            const=_WAIT_SECONDS,
            metavar="SECONDS",
            help=f"ask again until it is so, for so long at most ({_WAIT_SECONDS:g} if left out)",
        )
        parser.add_argument("--admin-listen", metavar="ADDRESS", help="where the admin port is")
        parser.add_argument("--config", type=Path, metavar="FILE", help=_CONFIG_HELP)
    if name == "mock":
        from proxy import mock

        mock.add_arguments(parser)
    if name == "demo":
        from proxy.commands import demo

        demo.add_arguments(parser)


def _wait_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _DAY:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 to {_DAY}")
    return seconds


def _load(args: argparse.Namespace, inherited: "Inherited | None" = None) -> "Loaded":
    from proxy.settings.loader import load

    flags = {
        name.removeprefix("setting_"): value
        for name, value in vars(args).items()
        if name.startswith("setting_") and value is not None
    }
    return load(
        config_file=args.config,
        flags=flags,
        environ=os.environ,
        directory=Path.cwd(),
        inherited=inherited,
    )


def _run(args: argparse.Namespace) -> int:
    from proxy.net.inherited import Inherited

    # Before anything is opened, which could get the number of one that is not there.
    inherited = Inherited.taken_from(os.environ, os.getpid())

    from proxy.net.tls import system_trust_hidden

    with system_trust_hidden():
        from proxy.net.notify_socket import NotifySocket
        from proxy.server.process import run_proxy

    notify = NotifySocket.taken_from(os.environ, os.getpid())
    return run_proxy(_load(args, inherited), notify, inherited)


def _demo(args: argparse.Namespace) -> int:
    from proxy.commands import demo

    return demo.run(args)


def _mock(args: argparse.Namespace) -> int:
    from proxy import mock

    return mock.run(args)


def _check(args: argparse.Namespace) -> int:
    from proxy.check.run import run_check

    return run_check(lambda: _load(args), as_json=args.json, with_call=not args.no_call)


def _token(args: argparse.Namespace) -> int:
    from proxy.commands.token import print_token
    from proxy.server.process import harden

    harden()
    return print_token(_load(args).settings, client=args.client, as_json=args.json)


def _config(args: argparse.Namespace) -> int:
    import json

    from proxy.settings.report import settings_report, settings_table
    from proxy.tracing.report import trace_report, trace_rows

    loaded = _load(args)
    if args.json:
        report = {**settings_report(loaded), "traces": trace_report(os.environ)}
        print(json.dumps(report, indent=2))  # noqa: T201 (the command's result)
    else:
        print(settings_table(loaded, trace_rows(os.environ)))  # noqa: T201 (the command's result)
    return _OK


def _health(args: argparse.Namespace) -> int:
    from proxy.admin.probe import NotTomlError, admin_address, probe, wait_until_good
    from proxy.settings.names import setting_name

    named_by = CONFIG_FILE if args.config is None else "--config"
    try:
        address = admin_address(args.admin_listen, args.config, os.environ, Path.cwd())
    except OSError as error:
        _say(f"{named_by}: {error.filename} cannot be read ({error.strerror})")
        return _BAD_USAGE
    except NotTomlError as error:
        _say(f"{named_by}: is no TOML ({error})")
        return _BAD_USAGE
    except ValueError as error:
        _say(f"{setting_name('admin_listen')}: {error}")
        return _BAD_USAGE
    if args.wait is None:
        is_good, line = probe(address, ready=args.ready)
    else:
        is_good, line = wait_until_good(address, ready=args.ready, seconds=args.wait)
    print(line)  # noqa: T201 (the command's result)
    return _OK if is_good else _FAILED


_RUN: Final = {
    "run": _run,
    "demo": _demo,
    "mock": _mock,
    "check": _check,
    "token": _token,
    "config": _config,
    "health": _health,
}


def _is_for_the_operator(error: Exception) -> bool:
    """Say whether an error is one line for the operator, and no bug.

    Only a command that has failed comes here, so no other waits for these imports.
    """
    from proxy.http1.parser import MissingCParsersError
    from proxy.net.binding import CannotListenError

    return isinstance(error, CannotListenError | MissingCParsersError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command == "run":
        # Until there is a token there is nothing to renew, and the default would end us.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if command in _QUICK:
        gc.disable()
    try:
        args = _new_parser(command).parse_args(arguments)
        return _RUN[args.command](args)
    except KeyboardInterrupt:
        return _OK
    except BrokenPipeError:
        return _FAILED
    except ConfigurationError as error:
        for each in error.errors:
            _say(str(each))
        return _BAD_USAGE
    except Exception as error:
        if not _is_for_the_operator(error):
            raise
        _say(str(error))
        return _FAILED
    finally:
        gc.enable()
