"""`python -m proxy` is `signicat-proxy`; both begin here, with the signals.

A stop signal that comes while modules are still being imported must end the
process as well, so the handlers come before every other import: the first
process of a container has no default action for signals. The image starts
with these signals blocked, so that those sent before there is a handler wait
for it.
"""

import os
import signal
import sys
from typing import Final, NoReturn

__all__ = ["main"]

_SERVE_UNTIL_STOPPED: Final = (["run"], ["demo"], ["mock"])


def _stop_early(*_: object) -> NoReturn:
    # What was cut short must not look like what it was to bring: health, a token.
    os._exit(0 if sys.argv[1:2] in _SERVE_UNTIL_STOPPED else 1)


def main() -> int:
    """Run the command; return the exit code."""
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        signal.signal(number, _stop_early)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    from proxy.commands import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
