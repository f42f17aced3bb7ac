"""MOCK of Enterprise Sign: documents, orders, and the tasks of orders."""

from typing import Final

from proxy.mock import enterprise_documents, enterprise_orders, enterprise_tasks
from proxy.mock.endpoint import Product
from proxy.mock.errors import ApiError, general_form

__all__ = ["PRODUCT"]


def _form(error: ApiError, code: str) -> dict[str, object]:
    """Return an error as Enterprise Sign has it: what is wrong in an order are `violations`."""
    form = {**general_form(error, code), "type": "about:blank"}
    if not error.invalid:
        return form
    violations = [{"propertyPath": p.name, "message": p.reason} for p in error.invalid]
    return {**form, "title": "Constraint Violation", "violations": violations}


PRODUCT: Final = Product(
    name="Enterprise Sign",
    prefix="/enterprise/sign",
    permission="Enterprise Signature API",
    endpoints=(
        *enterprise_documents.ENDPOINTS,
        *enterprise_orders.ENDPOINTS,
        *enterprise_tasks.ENDPOINTS,
    ),
    pages=enterprise_orders.PAGES,
    error_form=_form,
)
