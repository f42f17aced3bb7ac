"""The settings in force as people and programs read them, with secrets left out."""

from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from proxy.net.egress import parse_egress_proxy
from proxy.settings.caller_table import CallerTable
from proxy.settings.client_table import ClientSettings
from proxy.settings.loader import Loaded, setting_names

__all__ = ["settings_report", "settings_table"]


def _shown(name: str, value: object) -> object:
    if name == "egress_proxy" and isinstance(value, SecretStr):
        return parse_egress_proxy(value.get_secret_value()).url
    if isinstance(value, SecretStr):
        return "(set)"
    if name == "client_secret":
        return "(not set)"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _caller_text(table: CallerTable) -> str:
    """Return how a caller proves who it is and what it may do, as one line."""
    facts = {
        "key file": table.key_file,
        "keys by digest": len(table.key_sha256),
        "certificate": ",".join(entry.partition(":")[2] for entry in table.certificate),
        "Unix user": ",".join(map(str, table.unix_user)),
        "clients": ",".join(table.clients or ()),
        "at a time": table.max_in_flight,
    }
    return ", ".join(f"{name}: {value}" for name, value in facts.items() if value)


def _client_text(client: ClientSettings) -> str:
    """Return a client's id and where its secrets are, as one line."""
    if client.client_auth == "private_key_jwt":
        facts = {"key": client.client_key_file, "key id": client.client_key_id}
    elif client.client_auth == "tls_client_auth":
        facts = {"certificate": client.client_cert_file, "key": client.client_key_file}
    else:
        facts = {
            "secret": client.client_secret_file or "value",
            "previous secret": client.previous_secret_file,
        }
    told = (f"{name}: {value}" for name, value in facts.items() if value is not None)
    return ", ".join((client.client_id, *told))


def settings_report(loaded: Loaded) -> Mapping[str, object]:
    """Return settings, clients and routes as plain values; no secret among them."""
    settings = loaded.settings
    report: dict[str, object] = {
        name: {"value": _shown(name, getattr(settings, name)), "origin": loaded.origins[name]}
        for name in setting_names()
    }
    report["clients"] = {
        client.name: {name: _shown(name, value) for name, value in client if name != "name"}
        for client in settings.clients
    }
    report["callers"] = {
        name: {key: _shown(key, value) for key, value in table if key != "key_sha256"}
        | {"key_sha256": f"({len(table.key_sha256)} set)" if table.key_sha256 else "(not set)"}
        for name, table in settings.caller_tables.items()
    }
    report["routes"] = [
        {"path": route.path, "client": route.client, "methods": _shown("methods", route.methods)}
        for route in settings.routes
    ]
    return report


def settings_table(loaded: Loaded, more: Iterable[tuple[str, str, str]] = ()) -> str:
    """Return the same as aligned lines: name, value, origin; and `more` of them."""
    rows = []
    for name in setting_names():
        value = _shown(name, getattr(loaded.settings, name))
        text = "" if value is None else str(value)
        rows.append((name.upper(), text, loaded.origins[name]))
    rows += [(f"client {each.name}", _client_text(each), "") for each in loaded.settings.clients]
    for route in loaded.settings.routes:
        methods = ",".join(route.methods or ()) or "all methods"
        rows.append((f"route {route.path}", f"client {route.client}, {methods}", ""))
    for name, table in loaded.settings.caller_tables.items():
        rows.append((f"caller {name}", _caller_text(table), ""))
    rows += more
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}".rstrip()
        for name, value, origin in rows
    )
