"""What the owner of a token learns of a 401 and of the one replay after it (T10).

The replay itself is `Exchange.start`, once more.
"""

from typing import Final

from proxy.http1.body import RequestBody
from proxy.oauth.cache import TokenCache
from proxy.oauth.token import Token
from proxy.telemetry.counters import Counters

__all__ = ["UNAUTHORIZED", "report_replay_response", "report_unauthorized"]

UNAUTHORIZED: Final = 401


def report_unauthorized(
    tokens: TokenCache, token: Token | None, body: RequestBody, counters: Counters
) -> bool:
    """Report the refused token; say whether the request can and should be sent once more."""
    if token is not None and tokens.report_refused(token) and body.can_be_replayed:
        return True
    counters.replay("not_possible")
    return False


def report_replay_response(
    tokens: TokenCache, token: Token | None, status: int, counters: Counters
) -> None:
    """Report how the upstream took the fresh token of a replay."""
    is_refused = status == UNAUTHORIZED
    if token is not None:
        tokens.report_replay(token, refused=is_refused)
    counters.replay("refused" if is_refused else "ok")
