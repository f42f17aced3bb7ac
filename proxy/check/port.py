"""The check of a port: could the proxy listen there, or does it already (I6)."""

import asyncio

from proxy.admin.probe import is_signicat_proxy
from proxy.check.result import Result
from proxy.check.socket_access import socket_access
from proxy.net.binding import obstacles
from proxy.settings.loader import ListenAddress
from proxy.settings.names import setting_name

__all__ = ["port_result"]


async def port_result(setting: str, address: ListenAddress, timeout_seconds: float) -> Result:
    """Say whether the proxy could listen there, or does so already."""
    target = f"{setting} {address}"
    if address.inherited is not None:
        return Result("port", "skipped", target, "its .socket unit has the port")
    try:
        async with asyncio.timeout(timeout_seconds):  # the address may be a name
            found = await asyncio.to_thread(obstacles, setting, address)
    except TimeoutError:
        fix = f"Give an address in {setting_name(setting)} instead of a name, or check the DNS."
        return Result("port", "failed", target, "DNS does not answer", fix)
    for error in found:
        if error.is_taken and await asyncio.to_thread(is_signicat_proxy, error.place):
            continue
        fix = (
            f"Stop what listens there (ss -ltnp shows it), or choose another address in "
            f"{setting_name(setting)}."
            if error.is_taken
            else f"Correct {setting_name(setting)}, or what this user may do."
        )
        return Result("port", "failed", target, error.reason, fix)
    detail = "in use by a signicat-proxy that is running" if found else "free"
    if address.path is None:
        return Result("port", "ok", target, detail)
    return _socket_result(setting, address, detail)


def _socket_result(setting: str, address: ListenAddress, detail: str) -> Result:
    """Say who may connect to a Unix socket that can be listened on (I6)."""
    access = socket_access(address)
    detail = f"{detail}, {access.text}"
    if access.obstacle is None or not access.is_meant:
        return Result("port", "ok", f"{setting} {address}", detail)
    fix = (
        f"Give the folder to that group and let it through (chmod g+x {access.obstacle}), or "
        f"choose a path elsewhere in {setting_name(setting)}."
    )
    return Result("port", "warning", f"{setting} {address}", detail, fix)
