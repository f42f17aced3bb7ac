"""What LISTEN and ADMIN_LISTEN must be, together and with the sockets of systemd (C5, I6)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from proxy.net.addresses import ListenAddress
from proxy.net.inherited import Claims, Inherited
from proxy.net.unix_socket import group_id, may_give_to
from proxy.settings.errors import SettingError
from proxy.settings.model import Settings
from proxy.settings.names import setting_name

__all__ = ["listen_errors", "listening"]


def listening(settings: Settings) -> Mapping[str, Sequence[ListenAddress]]:
    """Return the entries of both settings, by their names in lower case."""
    return {"listen": settings.listen, "admin_listen": (settings.admin_listen,)}


def listen_errors(
    settings: Settings, failed: frozenset[str], inherited: Inherited | None
) -> Iterator[SettingError]:
    """Yield every error of what is listened on; fields in `failed` hold a default.

    Without `inherited`, the sockets that systemd will hand over are not known.
    """
    if not failed & {"listen", "admin_listen"}:
        yield from _clashes(settings)
        if inherited is not None:
            yield from _inherited_errors(settings, inherited)
    yield from _group_errors(settings, failed)


def _clashes(settings: Settings) -> Iterator[SettingError]:
    listen, admin = setting_name("listen"), setting_name("admin_listen")
    pairs = [
        *((listen, one, two) for one, two in itertools.combinations(settings.listen, 2)),
        *((f"{listen} and {admin}", one, settings.admin_listen) for one in settings.listen),
    ]
    for name, one, two in pairs:
        if one.port != 0 and one.overlaps(two):
            same = f"{one} stands twice"
            yield SettingError(name, same if one == two else f"{one} and {two} overlap")


def _inherited_errors(settings: Settings, inherited: Inherited) -> Iterator[SettingError]:
    """Find entries for which systemd has no socket, or one that nobody can be accepted on."""
    entries = listening(settings)
    claims = inherited.claims(itertools.chain(*entries.values()))
    named = [(name, entry) for name, of_name in entries.items() for entry in of_name]
    for name, entry in named:
        if entry.inherited is None:
            continue
        sockets = claims.of(entry)
        if not sockets:
            yield SettingError(setting_name(name), f"{entry}: {inherited.why_missing()}")
        for each in sockets:
            if each.fault is not None:
                yield SettingError(
                    setting_name(name), f"{entry}: the socket {each.name} {each.fault}"
                )
    yield from _shared_socket_errors(named, claims)


def _shared_socket_errors(
    named: Sequence[tuple[str, ListenAddress]], claims: Claims
) -> Iterator[SettingError]:
    """Find sockets of two entries at one address: it is left to chance which of them accepts."""
    for (_, one), (name, two) in itertools.combinations(named, 2):
        if one == two:  # which has been said
            continue
        places = {each.address for each in claims.of(one) if each.fault is None}
        for each in claims.of(two):
            if each.address in places:
                yield SettingError(
                    setting_name(name),
                    f"{two}: the socket {each.name} is at {each.address}, where {one} listens",
                )


def _group_errors(settings: Settings, failed: frozenset[str]) -> Iterator[SettingError]:
    """Find groups that a Unix socket cannot be given to (I6)."""
    for name, addresses in listening(settings).items():
        for group in (address.group for address in addresses):
            if group is None or name in failed:
                continue
            gid = group_id(group)
            if gid is None:
                yield SettingError(setting_name(name), f"there is no group {group} on this machine")
            elif not may_give_to(gid):
                yield SettingError(
                    setting_name(name),
                    f"this user may not give a socket to the group {group}; add the user to it",
                )
