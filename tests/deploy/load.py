"""Callers that ask until nobody listens; runs in a container, with the standard library alone."""

import http.client
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable

CALLERS = 8
TARGET = "/mock/stream?count=5&interval_ms=50"


def outcome_of(host: str, port: int, begun: Callable[[], object] = lambda: None) -> str:
    """Ask once on a connection of its own; return what came of it.

    `begun` is called once the answer has begun.
    """
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return "refused"
    try:
        connection.request("GET", TARGET)
        answer = connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        # The kernel had taken the connection and the proxy had not: no byte of an answer came.
        return "not taken"
    begun()
    try:
        answer.read()
    except (http.client.HTTPException, OSError):
        return "cut"
    finally:
        connection.close()
    return str(answer.status)


def say(line: str) -> None:
    """Write a line for the test that waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print `busy` once every caller reads its second answer; in the end, how often what came."""
    host, _, port = sys.argv[1].rpartition(":")
    outcomes: list[str] = []  # which threads may share
    everybody = threading.Barrier(CALLERS, action=lambda: say("busy"), timeout=60)

    def keep_asking() -> None:
        outcomes.append(outcome_of(host, int(port)))
        outcomes.append(outcome_of(host, int(port), everybody.wait))
        while (outcome := outcome_of(host, int(port))) != "refused":
            outcomes.append(outcome)

    callers = [threading.Thread(target=keep_asking) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    say(json.dumps(Counter(outcomes)))


if __name__ == "__main__":
    main()
