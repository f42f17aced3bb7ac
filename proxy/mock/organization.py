"""Whom a request is about, where a caller may have several organisations and accounts."""

from typing import Final

from proxy.mock.endpoint import Call

__all__ = ["ORGANIZATION_ID", "asked_account", "asked_organization"]

ORGANIZATION_ID: Final = "o-s-0a1b2c3d4e5f6a7b8c9d"
"""The organisation of requests that name none."""


def _named(call: Call, name: str) -> str | None:
    """Return what a header says, or a parameter of the query, its name in any case."""
    given = (*call.headers.items(), *call.query.items())
    return next((value for known, value in given if known.lower() == name and value), None)


def asked_organization(call: Call) -> str | None:
    """Return the organisation that the request names, None for none."""
    return _named(call, "signicat-organizationid")


def asked_account(call: Call) -> str | None:
    """Return the account that the request names, None for none."""
    return _named(call, "signicat-accountid")
