"""Account Management as the official .NET SDK meets it (K)."""

import json
from typing import Any

import pytest

from tests.mock.bench import Api
from tests.mock.sdk_reading import Check, each, flag, members, misread, moment, number, text
from tests.mock.sdk_wire import ORGANIZATION, sdk_asks

INVOICES = "/account-management/invoices"
YEAR = f"{INVOICES}?invoiceDateBefore=2024-12-31&invoiceDateAfter=2024-01-01"


def filled(value: Any, place: str) -> Any:
    """Check a text that may be empty, and that the SDK's test does not expect to be null."""
    yield from text(value, place)
    if value is None:
        yield f"{place}: is null"


LISTED: dict[str, Check] = {
    **dict.fromkeys(
        (
            *("organizationId", "organizationName", "usageOrganizationId", "usageOrganizationName"),
            *("invoiceNumber", "invoiceAddressCountryRegionISOCode", "invoiceAddressZipCode"),
            *("invoiceAddressStreetNumber", "invoiceAddressStreet", "currencyCode"),
            *("salesOrderNumber", "invoiceAddressCity", "invoiceAddressState"),
            *("invoiceAddressCountryRegionId", "customersOrderReference", "paymentId"),
            *("invoiceCustomerAccountNumber", "sigContractRef", "sigDocumentRef"),
        ),
        filled,
    ),
    **dict.fromkeys(
        (
            *("totalTaxAmount", "totalChargeAmount", "totalDiscountAmount"),
            *("invoiceHeaderTaxAmount", "totalInvoiceAmount"),
        ),
        number,
    ),
    "invoiceDate": moment,
    "settled": flag,
}
LINE = members(
    {
        **dict.fromkeys(
            (
                *("lineTotalDiscountAmount", "lineTotalTaxAmount", "salesPrice"),
                *("lineTotalChargeAmount", "invoicedQuantity", "lineAmount"),
            ),
            number,
        ),
        **dict.fromkeys(("currencyCode", "salesUnitSymbol", "productName", "itemNumber"), filled),
        **dict.fromkeys(
            (
                *("revRecContractStartDate", "revRecContractEndDate"),
                *("sigContractStart", "sigContractEnd"),
            ),
            moment,
        ),
    }
)


async def read(api: Api, target: str) -> Any:
    """Ask as the SDK does; return what it deserializes."""
    message = await sdk_asks(api, "GET", target, organization=ORGANIZATION)
    assert (message.status, message.head.value("X-Mock-Unknown")) == (200, None)
    return json.loads(message.body)


async def test_a_year_of_invoices(api: Api) -> None:
    """One for each month, of the organisation that was asked for (K)."""
    invoices = await read(api, YEAR)
    assert not misread(invoices, each(members(LISTED)))
    assert len(invoices) == 12
    assert {invoice["organizationId"] for invoice in invoices} == {ORGANIZATION}


@pytest.mark.parametrize(
    ("query", "amount", "settled"),
    [
        ("invoiceDateBefore=2027-01-15", 48, 47),  # the mock's today is 2027-01-15
        ("", 48, 47),
        ("invoiceDateBefore=2023-01-31", 1, 1),
        ("invoiceDateBefore=2023-01-30", 0, 0),
        ("invoiceDateAfter=2026-12-31", 1, 0),
        ("invoiceDateAfter=2027-01-01", 0, 0),
    ],
)
async def test_days(api: Api, query: str, amount: int, settled: int) -> None:
    """Both days count; an invoice is settled after 30 days; a month that goes on has none."""
    invoices = await read(api, f"{INVOICES}?{query}")
    assert len(invoices) == amount
    assert sum(invoice["settled"] for invoice in invoices) == settled


async def test_one_invoice(api: Api) -> None:
    """It has lines, and is the same as in the list; its PDF is one (K)."""
    listed = (await read(api, YEAR))[0]
    path = f"{INVOICES}/{listed['invoiceNumber']}"
    invoice = await read(api, path)
    assert not misread(invoice, members({**LISTED, "lines": each(LINE)}))
    (line,) = invoice.pop("lines")
    assert invoice == listed
    assert line["lineAmount"] + line["lineTotalTaxAmount"] == invoice["totalInvoiceAmount"]
    message = await sdk_asks(api, "GET", f"{path}/pdf", organization=ORGANIZATION)
    assert message.head.value("Content-Type") == "application/pdf"
    assert message.body.startswith(b"%PDF-")
    assert listed["invoiceNumber"].encode() in message.body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{INVOICES}/SSE-1.INV00001", 404),
        (f"{INVOICES}/SSE-1.INV00001/pdf", 404),
        (f"{INVOICES}?invoiceDateBefore=yesterday", 400),
        ("/account-management/accounts", 404),
    ],
)
async def test_errors(api: Api, target: str, status: int) -> None:
    """What there is not is 404, a day that is none 400."""
    message = await sdk_asks(api, "GET", target, organization=ORGANIZATION)
    assert message.status == status
    assert json.loads(message.body)["traceId"]


async def test_whose_invoices_must_be_said(api: Api) -> None:
    """Without an organisation it is 400; without a token 401."""
    for path in (YEAR, f"{INVOICES}/MOCK-INV202401"):
        status, error = await api.call("GET", path)
        assert (status, error["invalidParams"][0]["name"]) == (400, "Signicat-OrganizationId")
    message = await sdk_asks(api, "GET", YEAR, organization=ORGANIZATION, is_signed_in=False)
    assert (message.status, json.loads(message.body)["code"]) == (401, "invalid_token")
