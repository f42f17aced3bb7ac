"""Certificates for servers of the tests, from authorities made for them."""

import datetime as dt
import ssl

import trustme

__all__ = ["context_for"]


def context_for(
    ca: trustme.CA,
    name: str,
    *,
    not_before: dt.datetime | None = None,
    not_after: dt.datetime | None = None,
) -> ssl.SSLContext:
    """Return the server's side of TLS with a certificate for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name, not_before=not_before, not_after=not_after).configure_cert(context)
    return context
