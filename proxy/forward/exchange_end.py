"""How an exchange ends, whoever gives the response: in order, by a reply of our own, by a cut."""

from typing import Final

from proxy.errors import ProxyError
from proxy.forward.context import Context
from proxy.forward.interfaces import Caller
from proxy.forward.patience import FLOW_BYTES_PER_SECOND, FLOW_SECONDS, READER
from proxy.forward.phases import DONE, FAILED, LEFT, RELAYING
from proxy.forward.request_relay import RequestRelay
from proxy.http1 import failures
from proxy.telemetry.request_log import CLIENT_LEFT, CLIENT_STALLED, RequestRecord

__all__ = ["EndingExchange"]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class EndingExchange(RequestRelay):
    """One request and its response, as the caller's connection sees it.

    How the response is had is the subclass's: `begin`, `start` and `receive_end`.
    """

    __slots__ = ()

    def __init__(self, context: Context, caller: Caller, record: RequestRecord) -> None:
        super().__init__(context, caller, record)
        record.sender.begin()

    @property
    def is_relaying(self) -> bool:
        """Has a response begun, which must not look complete if it is cut (F7)."""
        return self._phase == RELAYING

    def begin(self, *, has_body_bytes: bool) -> None:
        """Start a request with a body; `has_body_bytes` says that some of it has come already."""
        raise NotImplementedError  # no abstract class: an interpreted base makes attributes slow

    def start(self) -> None:
        """Start a request of which all is there that has to be."""
        raise NotImplementedError

    def receive_end(self) -> None:
        """Learn that the caller has sent the whole body."""
        raise NotImplementedError

    def _continue(self) -> None:
        """Ask the caller for its body, if it waits for that (F6)."""
        if self._may_continue:
            self._may_continue = False
            self.caller.write(_CONTINUE)

    def fail(self, error: ProxyError) -> None:
        """End with a reply of our own, or by a cut where a response has begun."""
        if self._phase == DONE:
            return
        context, record = self._context, self.record
        record.note_error(error)
        if self._phase == RELAYING:
            self._cut(error.kind.code)
            return
        if record.is_replayed:
            context.counters.replay("failed")
        self._let_go()
        record.status = error.kind.status
        context.counters.error_reply(record.route.label, error.kind)
        keep_alive = self._may_stay()
        self.caller.reply(error, self.request, record.request_id, close=not keep_alive)
        self._finish(FAILED, keep_alive=keep_alive)

    def _cut(self, outcome: str) -> None:
        """End a response that has begun: it must not look complete (F7)."""
        self.record.outcome = outcome
        self._let_go()
        self.caller.cut()
        self._finish(FAILED, keep_alive=False)

    def caller_left(self) -> None:
        """Cancel everything: nobody waits for the response any more (F7)."""
        if self._phase == DONE:
            return
        self._let_go()
        self.record.outcome = CLIENT_LEFT
        self._finish(LEFT, keep_alive=False)

    def late(self, awaited: int) -> None:
        """End what was waited for in vain; called by the sweep."""
        if awaited == READER:
            self._cut(CLIENT_STALLED)
        else:
            self.fail(failures.body_late(FLOW_BYTES_PER_SECOND, FLOW_SECONDS))

    def _let_go(self) -> None:
        """Give back all that the exchange holds or waits for: here nothing."""

    def _finish(self, event: int, *, keep_alive: bool) -> None:
        self._pass(event)  # once only: nothing follows DONE
        self.record.sender.end()
        self._context.request_log.record(self.record)
        self.caller.finished(keep_alive=keep_alive)
