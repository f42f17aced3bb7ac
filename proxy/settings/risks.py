"""What is worth a warning where the settings are allowed: mostly what they open up (G1 to G3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from proxy.net.inherited import NO_CLAIMS, Claims
from proxy.settings.credential_checks import secret_file_fault
from proxy.settings.model import Settings
from proxy.settings.names import setting_name

__all__ = ["Risk", "risks_of"]

_WHO_REACHES: Final = {
    "listen": "whoever reaches this address acts as your organisation",
    "admin_listen": "whoever reaches this address sees state and metrics and can have tokens "
    "renewed; probes and a Prometheus elsewhere need it",
}

_WHO_PROVES: Final = (
    "whoever has a certificate of an authority in SIGNICAT_PROXY_TLS_CLIENT_CA_FILE acts as your "
    "organisation"
)

_WHO_CONNECTS: Final = {
    "listen": "every user of this machine that reaches this socket acts as your organisation",
    "admin_listen": "every user of this machine that reaches this socket sees state and metrics "
    "and can have tokens renewed",
}
_NOT_OTHERS: Final = 0o770

_NO_LINKS: Final = "write enableServiceLinks: false into the pod's spec"


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk: the log event, the setting, and what it means; `address` where there is one.

    `fix` is what to do, None for setting it back.
    """

    event: str
    setting: str
    hint: str
    address: str | None = None
    fix: str | None = None


def _known_callers(settings: Settings, name: str, *, is_network: bool) -> str | None:
    """Return what a wide address of the traffic ports means where callers are known (I1)."""
    if name != "listen" or not settings.caller_tables:
        return None
    if is_network and settings.tls_files is None:
        return (
            "only the callers of [callers] get through, but without TLS whoever reads the network "
            "reads their keys and their data"
        )
    return "only the callers of [callers] get through; whoever reaches it can try"


def _listening_risks(settings: Settings, claims: Claims) -> Iterator[Risk]:
    """Yield what reaches further than this machine, or than a group on it (G1, I6)."""
    for name, address in (
        *(("listen", address) for address in claims.places(settings.listen)),
        *(("admin_listen", address) for address in claims.places((settings.admin_listen,))),
    ):
        if not address.is_local:
            is_proved = name == "listen" and settings.tls_client_ca_file is not None
            yield Risk(
                "listening_beyond_loopback",
                setting_name(name),
                _known_callers(settings, name, is_network=True)
                or (_WHO_PROVES if is_proved else _WHO_REACHES[name]),
                str(address),
            )
        if address.path is not None and address.socket_mode & ~_NOT_OTHERS:
            yield Risk(
                "socket_open_to_all",
                setting_name(name),
                _known_callers(settings, name, is_network=False) or _WHO_CONNECTS[name],
                str(address),
                fix="Unless it is meant, write a mode of 0770 or less, and a group.",
            )


def _reserve_risks(settings: Settings) -> Iterator[Risk]:
    """Yield each previous secret that cannot be used: it is none to go on with (T7)."""
    files = {
        settings.name_of(client, "previous_secret_file"): client.previous_secret_file
        for client in settings.clients
        if client.previous_secret_file is not None
    }
    for setting, path in files.items():
        fault = secret_file_fault(path, "it")
        if fault is not None:
            yield Risk(
                "previous_secret_unusable",
                setting,
                f"{path}: {fault}; a start in the middle of a rotation gets no token",
                fix=f"Put the secret of before into it, or leave {setting} out.",
            )


def risks_of(settings: Settings, claims: Claims = NO_CLAIMS) -> Iterator[Risk]:
    """Yield every risk that the settings take, with the sockets of systemd that they claim."""
    yield from _listening_risks(settings, claims)
    yield from _reserve_risks(settings)
    if "*" in settings.allowed_hosts:
        yield Risk(
            "host_check_off",
            setting_name("allowed_hosts"),
            "web pages can reach the proxy by DNS rebinding",
        )
    if "null" in settings.allowed_origins:
        yield Risk(
            "null_origin_allowed",
            setting_name("allowed_origins"),
            "any web page can send requests with the origin null: it needs a sandboxed frame",
        )
    if settings.unsafe_plain_http:
        yield Risk(
            "plain_http_allowed",
            setting_name("unsafe_plain_http"),
            "secrets and tokens may cross the network readable",
        )
    if settings.service_links:
        yield Risk(
            "service_links_ignored",
            settings.service_links[0],
            "variables that Kubernetes sets for a Service called signicat-proxy or the like are no "
            f"settings; {_NO_LINKS}",
            fix=f"{_NO_LINKS[0].upper()}{_NO_LINKS[1:]}.",
        )
