"""All ports of the process: opened last, told of, closed in order (C1, C2)."""

import itertools
from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from proxy.net.addresses import ListenAddress
from proxy.net.inherited import Inherited, InheritedSocket
from proxy.net.listeners import AdminPort, TrafficPorts
from proxy.server.guard import placeholder_paths
from proxy.settings.model import Settings
from proxy.settings.names import setting_name
from proxy.settings.risks import risks_of

__all__ = ["Ports"]


class Ports:
    """The ports for callers, and the admin port.

    `inherited` are the sockets of systemd, shared out by LISTEN and ADMIN_LISTEN.
    """

    def __init__(
        self,
        settings: Settings,
        traffic: TrafficPorts,
        admin: AdminPort,
        inherited: Inherited,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._traffic = traffic
        self._admin = admin
        self._claims = inherited.claims((*settings.listen, settings.admin_listen))
        self._log = log
        self.admin_addresses: list[ListenAddress] = []

    @property
    def traffic_addresses(self) -> list[ListenAddress]:
        """Where callers are listened for, with the real ports."""
        return self._traffic.addresses

    async def open(self) -> None:
        """Listen on everything and say so; raise `CannotListenError`."""
        settings, claims = self._settings, self._claims
        self.admin_addresses = await self._admin.open(
            settings.admin_listen, claims.of(settings.admin_listen)
        )
        for entry in settings.listen:
            await self._traffic.open(entry, claims.of(entry))
        left_out = [*self._traffic.left_out, *self._admin.left_out]
        self._log.info(
            "listening",
            listen=[str(address) for address in self.traffic_addresses],
            admin=", ".join(map(str, self.admin_addresses)),
            upstream=settings.upstream_url,
            **({"left_out": left_out} if left_out else {}),
        )
        self._tell_of_placeholders()
        self._warn_of_risks()
        self._let_go_of_the_rest()

    def close_traffic(self) -> None:
        """Accept no more callers; their open connections stay."""
        self._traffic.close()

    async def close(self) -> None:
        """Accept nobody more, and end what is open on the admin port."""
        self._traffic.close()
        await self._admin.close()

    def _tell_of_placeholders(self) -> None:
        """Say where applications get placeholders, if they do (P1)."""
        if paths := placeholder_paths(self._settings):
            self._log.info("placeholder_tokens_on", paths=sorted(path.decode() for path in paths))

    def _warn_of_risks(self) -> None:
        """Name what the settings open up (G1, G2)."""
        for risk in risks_of(self._settings, self._claims):
            facts = {} if risk.address is None else {"address": risk.address}
            self._log.warning(risk.event, setting=risk.setting, **facts, hint=risk.hint)

    def _let_go_of_the_rest(self) -> None:
        """Close what no setting asks for, and say so: whoever connects there waits for ever.

        Where no setting speaks of systemd, its variables may be those of another program, and
        the sockets too: one line, and they stay.
        """
        unclaimed = self._claims.unclaimed
        if not self._claims.taken:
            if usable := [each for each in unclaimed if each.fault is None]:
                self._warn_of_unused(usable, "systemd")
            return
        for (name, _), same in itertools.groupby(unclaimed, lambda each: (each.name, each.address)):
            self._warn_of_unused(tuple(same), f"systemd:{name}")
        for each in unclaimed:
            each.close()

    def _warn_of_unused(self, sockets: Sequence[InheritedSocket], entry: str) -> None:
        addresses = [str(each.address) for each in sockets if each.fault is None]
        self._log.warning(
            "systemd_socket_unused",
            name=", ".join(dict.fromkeys(each.name for each in sockets)),
            **({"address": ", ".join(addresses)} if addresses else {}),
            hint=f"write {entry} into {setting_name('listen')}, or take it out of the .socket unit",
        )
