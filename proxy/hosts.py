"""Hosts as text: one spelling for each, so that two that are the same compare as such."""

from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["host_of", "one_spelling"]


def one_spelling(host: str) -> str:
    """Return a name in lower case without dots at its end, an IPv6 address in its short form.

    There are no brackets around it. That is what certificates have, and what TLS is told.
    """
    name = host.lower().rstrip(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def host_of(url: str) -> str:
    """Return the host of a URL in its one spelling; empty where there is none."""
    return one_spelling(urlsplit(url).hostname or "")
