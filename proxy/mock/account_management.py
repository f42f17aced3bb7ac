"""MOCK of Account Management: invoices, one for each month since 2023."""

from datetime import date, timedelta
from typing import Any, Final

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.organization import asked_organization
from proxy.mock.pdf import pdf_reply

__all__ = ["PRODUCT"]

_FIRST_YEAR: Final = 2023
_DUE: Final = timedelta(days=30)
_TOTAL: Final = 1250.0
_TAX: Final = 250.0


class Wanted(Body):
    """Between which days an invoice was made; the last one is today where none is named."""

    invoice_date_before: date | None = None
    invoice_date_after: date | None = None


def _organization(call: Call) -> str:
    organization = asked_organization(call)
    if organization is None:
        raise invalid_param("Signicat-OrganizationId", "must be given")
    return organization


def _months(today: date) -> list[tuple[date, date]]:
    """Return first and last day of each month that has an invoice: those that have ended."""
    months = []
    first = date(_FIRST_YEAR, 1, 1)
    while first < today.replace(day=1):
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        months.append((first, following - timedelta(days=1)))
        first = following
    return months


def _line(first: date, last: date) -> dict[str, Any]:
    return {
        "lineTotalDiscountAmount": 0.0,
        "lineTotalTaxAmount": _TAX,
        "currencyCode": "NOK",
        "salesPrice": 1.0,
        "salesUnitSymbol": "pcs",
        "lineTotalChargeAmount": 0.0,
        "invoicedQuantity": _TOTAL - _TAX,
        "lineAmount": _TOTAL - _TAX,
        "productName": "MOCK Authentications",
        "revRecContractStartDate": first.isoformat(),
        "revRecContractEndDate": last.isoformat(),
        "sigContractStart": date(first.year, 1, 1).isoformat(),
        "sigContractEnd": date(first.year, 12, 31).isoformat(),
        "itemNumber": "MOCK-1",
    }


def _invoice(organization: str, last: date, today: date) -> dict[str, Any]:
    """Return an invoice without its lines; text that there is not is empty, never null."""
    number = f"{last:%Y%m}"
    return {
        "organizationId": organization,
        "organizationName": "Example AS",
        "usageOrganizationId": organization,
        "usageOrganizationName": "Example AS",
        "invoiceNumber": f"MOCK-INV{number}",
        "invoiceDate": last.isoformat(),
        "invoiceAddressCountryRegionISOCode": "NO",
        "invoiceAddressZipCode": "0155",
        "totalTaxAmount": _TAX,
        "invoiceAddressStreetNumber": "",
        "invoiceAddressStreet": "Storgata 1",
        "totalChargeAmount": 0.0,
        "totalDiscountAmount": 0.0,
        "currencyCode": "NOK",
        "salesOrderNumber": f"MOCK-{number}",
        "invoiceAddressCity": "Oslo",
        "invoiceHeaderTaxAmount": 0.0,
        "invoiceAddressState": "",
        "invoiceAddressCountryRegionId": "NOR",
        "customersOrderReference": "",
        "totalInvoiceAmount": _TOTAL,
        "paymentId": f"0000{number}",
        "invoiceCustomerAccountNumber": "MOCK00001",
        "sigContractRef": "",
        "sigDocumentRef": "",
        "settled": today - last > _DUE,
    }


def _list(call: Call, wanted: Wanted) -> Result:
    organization = _organization(call)
    today = call.now.date()
    until, since = wanted.invoice_date_before or today, wanted.invoice_date_after or date.min
    return [
        _invoice(organization, last, today) for _, last in _months(today) if since <= last <= until
    ]


def _found(call: Call) -> dict[str, Any]:
    """Return the invoice that the path names, with its lines."""
    organization = _organization(call)
    today = call.now.date()
    for first, last in _months(today):
        invoice = _invoice(organization, last, today)
        if invoice["invoiceNumber"] == call.path["number"]:
            return {**invoice, "lines": [_line(first, last)]}
    raise not_found("invoice")


def _pdf(call: Call) -> Result:
    invoice = _found(call)
    total = f"{invoice['totalInvoiceAmount']} {invoice['currencyCode']}"
    return pdf_reply([f"Invoice {invoice['invoiceNumber']}", str(invoice["invoiceDate"]), total])


PRODUCT: Final = Product(
    name="Account Management",
    prefix="/account-management",
    permission="Account Management API",
    endpoints=(
        endpoint("GET", "/invoices", _list, takes=Wanted),
        endpoint("GET", "/invoices/{number}", _found),
        endpoint("GET", "/invoices/{number}/pdf", _pdf),
    ),
)
