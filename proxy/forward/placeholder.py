"""A token call of an application: its body is read and forgotten, nothing goes up (P1)."""

from typing import Final

from proxy.forward.exchange_end import EndingExchange
from proxy.forward.phases import COLLECT, COLLECTED, COLLECTING, REPLIED, WAITING
from proxy.http1 import failures
from proxy.http1.placeholder_response import placeholder_response

__all__ = ["MAX_TOKEN_CALL_BYTES", "PlaceholderExchange"]

MAX_TOKEN_CALL_BYTES: Final = 8 * 1024
"""How long the body of a token call may be: some hold a signed assertion, none holds more."""
_OK: Final = 200


class PlaceholderExchange(EndingExchange):
    """Owns one token call; it needs neither a token nor the upstream."""

    __slots__ = ()

    def begin(self, *, has_body_bytes: bool) -> None:
        """Ask for the body, which is counted and not kept; refuse one that is too long."""
        self.body.give_up()
        self._pass(COLLECT)
        if self.request.headers.length > MAX_TOKEN_CALL_BYTES:
            self.fail(failures.body_too_large(MAX_TOKEN_CALL_BYTES))
            return
        self._may_continue = self.request.expects_continue and not has_body_bytes
        self._continue()
        if not has_body_bytes:  # else they are read first: mostly they are all of it
            self._expect()

    def receive(self, data: bytes) -> None:
        """Count body bytes; refuse a body that turns out to be too long."""
        super().receive(data)
        if self.body.size > MAX_TOKEN_CALL_BYTES:
            self.fail(failures.body_too_large(MAX_TOKEN_CALL_BYTES))

    def receive_end(self) -> None:
        """Respond, now that nothing more comes."""
        self.body.is_ended = True
        if self._phase == COLLECTING:
            self._pass(COLLECTED)
            self.start()

    def start(self) -> None:
        """Respond, whatever was asked for."""
        if self._phase != WAITING:
            return
        self._context.counters.placeholder_token()
        self.record.status = _OK
        keep_alive = self._may_stay()
        self.caller.write(
            placeholder_response(self.request, self.record.request_id, close=not keep_alive)
        )
        self._finish(REPLIED, keep_alive=keep_alive)
