"""MOCK of the Usage API: transactions, counted by day, month, quarter or year.

The mock has the same transactions each day, from 2020 on. So a year's count is
the sum of its months', whatever is asked for.
"""

import itertools
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import Field

from proxy.mock.body import ANY_CASE, Body
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.organization import ORGANIZATION_ID, asked_account, asked_organization

__all__ = ["PRODUCT"]

_PREFIX: Final = "/usage"
_TRANSACTIONS: Final = "/transactions"
_EARLIEST: Final = date(2020, 1, 1)
_LIST_LIMIT: Final = 1000
_MOST_OFFSET: Final = 1_000_000_000
_CHILD: Final = ("o-s-1b2c3d4e5f6a7b8c9d0e", "a-spge-1b2c3d4e5f6a7b8c9d0e")
_MONTHS: Final = {"monthly": 1, "quarterly": 3, "yearly": 12}
_OWN_PARAMETERS: Final = frozenset(("offset", "signicat-accountid", "signicat-organizationid"))

Step = Annotated[Literal["daily", "monthly", "quarterly", "yearly"], ANY_CASE]


class Kind(NamedTuple):
    """Transactions of one kind, `daily` of them each day."""

    state: str
    usage_type: str
    unit: str
    is_invoiced: bool
    product: str
    daily: int


_BANKID: Final = Kind(
    state="completed",
    usage_type="mock:auth:nbid",
    unit="Authentications",
    is_invoiced=True,
    product="MOCK BankID - Authentications",
    daily=8,
)
_KINDS: Final = (
    _BANKID,
    _BANKID._replace(state="userAborted", is_invoiced=False, daily=2),
    _BANKID._replace(state="failed", is_invoiced=False, daily=1),
    Kind(
        state="completed",
        usage_type="mock:sign:pades",
        unit="Signatures",
        is_invoiced=True,
        product="MOCK Sign - Signatures",
        daily=3,
    ),
)


class Wanted(Body):
    """Which transactions are wanted, and how they are put together.

    The documentation and the official SDK spell two of the names differently.
    """

    from_date: date
    to_date: date | None = None
    include_external_reference: bool = False
    aggregate_by_date: Step | None = None
    aggregate_by_period: Step | None = None
    aggregate_by_level: Annotated[Literal["account", "organization"], ANY_CASE] = "organization"
    include_child_organisations: bool = False
    include_child_organizations: bool = False
    limit: Annotated[int, Field(ge=1)] = 100
    offset: Annotated[int, Field(ge=0, le=_MOST_OFFSET)] = 0


def _next_start(day: date, step: str) -> date:
    """Return the first day of the next period.

    >>> _next_start(date(2024, 12, 5), "quarterly")
    datetime.date(2025, 1, 1)
    """
    if step == "daily":
        return day + timedelta(days=1)
    length = _MONTHS[step]
    months = (day.month - 1) // length * length + length
    return date(day.year + months // 12, months % 12 + 1, 1)


def _periods(first: date, last: date, step: str) -> list[tuple[date, date]]:
    """Return first and last day of each period; the ends are cut off where the range ends."""
    periods = []
    while first <= last:
        following = _next_start(first, step)
        periods.append((first, min(following - timedelta(days=1), last)))
        first = following
    return periods


def _item(
    wanted: Wanted, period: tuple[date, date], owner: tuple[str, str], kind: Kind
) -> dict[str, Any]:
    """Return what was used of one kind, by one organisation or account, in one period."""
    first, last = period
    organization, account = owner
    item = {
        "count": ((last - first).days + 1) * kind.daily,
        "state": kind.state,
        "period": {"start": first.isoformat(), "end": last.isoformat()},
        "usageType": kind.usage_type,
        "unitOfMeasure": kind.unit,
        "invoiced": kind.is_invoiced,
        "productName": kind.product,
        "organizationId": organization,
    }
    if wanted.include_external_reference:
        item["externalReference"] = "mock-reference"
    if wanted.aggregate_by_level == "account":
        item["accountId"] = account
    return item


def _owners(call: Call, wanted: Wanted) -> list[tuple[str, str]]:
    """Return the organisations that are asked for, each with its account."""
    organization = asked_organization(call)
    if organization is None and asked_account(call) is None:
        raise invalid_param("signicat-organizationId", "or signicat-accountId must be given")
    owners = [(organization or ORGANIZATION_ID, call.mock.account_id)]
    if wanted.include_child_organisations or wanted.include_child_organizations:
        owners.append(_CHILD)
    return owners


def _transactions(call: Call, wanted: Wanted) -> Result:
    """Return one page of what was used; nothing is, before 2020 and after today."""
    owners = _owners(call, wanted)
    if wanted.to_date and wanted.to_date < wanted.from_date:
        raise invalid_param("toDate", "is before fromDate")
    today = call.now.date()
    first, last = max(wanted.from_date, _EARLIEST), min(wanted.to_date or today, today)
    step = wanted.aggregate_by_period or wanted.aggregate_by_date or "monthly"
    rows = list(itertools.product(_periods(first, last, step), owners, _KINDS))
    limit = min(wanted.limit, _LIST_LIMIT)
    end = wanted.offset + limit
    page: dict[str, Any] = {"data": [_item(wanted, *row) for row in rows[wanted.offset : end]]}
    if end < len(rows):
        page["next"] = _link(call, end)
    if wanted.offset:
        page["previous"] = _link(call, max(wanted.offset - limit, 0))
    return page


def _link(call: Call, offset: int) -> str:
    """Return the address of another page: the caller's parameters, but for its own."""
    pairs = [(n, text) for n, text in call.query.items() if n.lower() not in _OWN_PARAMETERS]
    query = urlencode([*pairs, ("offset", str(offset))], errors="replace")
    return f"{call.base_url}{_PREFIX}{_TRANSACTIONS}?{query}"


PRODUCT: Final = Product(
    name="Usage",
    prefix=_PREFIX,
    permission="Usage API",
    endpoints=(endpoint("GET", _TRANSACTIONS, _transactions, takes=Wanted),),
)
