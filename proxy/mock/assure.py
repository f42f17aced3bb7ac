"""MOCK of Assure: identity documents and selfies; dossiers, processes, how pictures are taken."""

from typing import Any, Final

from proxy.mock import assure_dossiers, assure_processes
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.state import Shelf

__all__ = ["PRODUCT"]

_PROVIDERS: Final = frozenset(("signicatvideoid", "signicatpictureid", "onfido"))
_DOCUMENT_TYPES: Final = (
    {"documentType": "PASSPORT", "country": "NOR", "description": "MOCK passport"},
    {"documentType": "NATIONAL_ID", "country": "NOR", "description": "MOCK identity card"},
)
_CONFIGURATION_PATH: Final = "/capture/configurations/{configuration}"

CONFIGURATIONS: Final[Shelf[dict[str, Any]]] = Shelf("configuration")


def _document_types(call: Call) -> Result:
    if call.path["provider"].lower() not in _PROVIDERS:
        raise not_found("provider")
    return _DOCUMENT_TYPES


def _list(call: Call) -> Result:
    held = call.mock.shelf(CONFIGURATIONS)
    return [{**configuration, "configurationId": name} for name, configuration in held.items()]


def _get(call: Call) -> Result:
    return call.find(CONFIGURATIONS, "configuration")


def _put(call: Call, wanted: dict[str, Any]) -> Result:
    """Keep a configuration under its name, whatever was there."""
    call.mock.shelf(CONFIGURATIONS)[call.path["configuration"]] = wanted
    return wanted


PRODUCT: Final = Product(
    name="Assure",
    prefix="/assure",
    permission="Assure API",
    endpoints=(
        *assure_dossiers.ENDPOINTS,
        *assure_processes.ENDPOINTS,
        endpoint("GET", "/capture/configurations", _list),
        endpoint("GET", _CONFIGURATION_PATH, _get),
        endpoint("POST", _CONFIGURATION_PATH, _put, takes=dict[str, Any], creates=True),
        endpoint("PUT", _CONFIGURATION_PATH, _put, takes=dict[str, Any]),
        endpoint("GET", "/{provider}/document-types", _document_types),
    ),
    pages=assure_processes.PAGES,
)
