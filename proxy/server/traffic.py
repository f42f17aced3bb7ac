"""From settings to what callers connect to: the traffic ports, with TLS or without (I3)."""

import ssl
from functools import partial

from proxy.clock import Clock
from proxy.forward.caller import CallerConnection
from proxy.forward.context import Context
from proxy.forward.tls_caller import TlsCallerConnection
from proxy.net.listeners import TrafficPorts
from proxy.net.stream import StreamProtocol
from proxy.net.tls_server import ServerTls, TlsFiles, load_server_tls
from proxy.net.tls_stream import TlsStream
from proxy.server.file_watch import FileWatch, WatchedFiles
from proxy.settings.loader import Settings

__all__ = ["new_traffic_ports"]


class _IncomingTls:
    """Owns the TLS context for callers; handshakes that begin after a change get the new one (C4).

    `watch` looks at the files. Raises `UnusableFileError`.
    """

    _in_force: ssl.SSLContext

    def __init__(self, files: TlsFiles, clock: Clock, watch: FileWatch) -> None:
        self._counters = watch.counters
        load = partial(load_server_tls, files, clock.wall)
        watch.add(WatchedFiles(files.paths(), load, self._use))

    def _use(self, loaded: ServerTls) -> None:
        self._in_force = loaded.context
        for file, end in loaded.ends.items():
            self._counters.certificate_ends_at(file, end)

    def new_connection(self, context: Context) -> StreamProtocol:
        """Return what serves a caller that connects now."""
        return TlsStream(lambda: self._in_force, TlsCallerConnection(context), context.loop)


def new_traffic_ports(
    settings: Settings, context: Context, clock: Clock, watch: FileWatch
) -> TrafficPorts:
    """Return the ports of LISTEN, none of them open yet; raise `UnusableFileError`."""
    files = settings.tls_files
    plain = partial(CallerConnection, context)
    if files is None:
        return TrafficPorts(plain)
    return TrafficPorts(plain, partial(_IncomingTls(files, clock, watch).new_connection, context))
