"""What the upstream gets of a request's body, and who is waited for meanwhile (F5, F11, G9)."""

from typing import Final

from proxy.forward.context import Context
from proxy.forward.interfaces import Caller
from proxy.forward.patience import BODY, RESPONSE, UPLOAD
from proxy.forward.phases import COLLECTING, RELAYING, SENDING, WAITING, next_phase
from proxy.forward.response_relay import ResponseRelay
from proxy.forward.upstream import UpstreamConnection
from proxy.net.stream import PEER_IS_SLOW
from proxy.telemetry.request_log import RequestRecord

__all__ = ["RequestRelay"]

_MAX_UNCOUNTED: Final = 64 * 1024
_BACKLOG: Final = 64 * 1024  # body bytes taken in while there is no connection to send them on


class RequestRelay(ResponseRelay):
    """The upper half of an exchange: body and back-pressure, each way.

    `_may_continue`: the caller waits for our word.
    """

    __slots__ = ("_may_continue", "_phase", "_upstream", "patience")

    def __init__(self, context: Context, caller: Caller, record: RequestRecord) -> None:
        super().__init__(context, caller, record)
        self._phase = WAITING
        self._upstream: UpstreamConnection | None = None
        self._may_continue = False
        self.patience = caller.patience

    def _pass(self, event: int) -> None:
        """Go to the next phase: the one writer of `_phase`."""
        self._phase = next_phase(self._phase, event)

    def receive(self, data: bytes) -> None:
        """Take body bytes from the caller, without framing."""
        body = self.body
        if self.body.is_given_up:
            body.size += len(data)
            return
        self._may_continue = False
        body.add(data)
        if self._upstream is not None:
            self._upstream.write(body.frame(data))
            body.sent()
        elif self._phase == WAITING and body.size > _BACKLOG:
            self.caller.pause_reading(PEER_IS_SLOW)

    def _expect(self) -> None:
        """Say what is waited for from now on: of all that is owed, what comes next."""
        caller, upstream, patience = self.caller, self._upstream, self.patience
        if caller.is_write_paused:
            return  # it has been waited for since it became so
        if upstream is not None and upstream.is_write_paused and not self.body.is_given_up:
            patience.expect_flow(UPLOAD, upstream.taken())
        elif self._phase >= RELAYING or self.body.is_ended:
            patience.expect(RESPONSE)
        elif self._phase != WAITING:
            patience.expect_flow(BODY, self.body.size)

    def await_body(self) -> None:
        """Wait for the rest of a body that is to come first, of which some has come (F12)."""
        if self._phase == COLLECTING:
            self._expect()

    @property
    def bytes_ahead(self) -> int:
        """How many bytes of the body count in the budget of the process (G11).

        What is kept of a request that is out is bounded by the connections, unless it is large.
        """
        kept = self.body.kept_bytes
        return 0 if kept <= _MAX_UNCOUNTED and self._phase >= SENDING else kept

    def taken_upstream(self) -> int:
        """Return how many bytes the upstream has taken on this connection (G12)."""
        return 0 if self._upstream is None else self._upstream.taken()

    def on_progress(self) -> None:
        """Note that the upstream has said something: its silence begins anew."""
        if self._phase == RELAYING or self.body.is_ended:
            self._expect()

    def _end_upload(self) -> None:
        """Send no more of a body that was refused; what still comes of it is thrown away (F11)."""
        self.body.give_up()
        self.caller.resume_reading(PEER_IS_SLOW)

    def on_upstream_paused(self) -> None:
        """Pass the upstream's back-pressure on (F5)."""
        if not self.body.is_given_up:
            self.caller.pause_reading(PEER_IS_SLOW)
            self._expect()

    def on_upstream_resumed(self) -> None:
        """Let the caller go on."""
        self._expect()
        self.caller.resume_reading(PEER_IS_SLOW)

    def on_caller_paused(self) -> None:
        """Pass the caller's back-pressure on to the upstream (F5)."""
        if self._upstream is not None:
            self._upstream.pause_reading(PEER_IS_SLOW)

    def on_caller_resumed(self) -> None:
        """Let the upstream go on."""
        self._expect()
        if self._upstream is not None:
            self._upstream.resume_reading(PEER_IS_SLOW)
