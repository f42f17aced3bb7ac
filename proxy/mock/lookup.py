"""MOCK of Data Verification: lookups of organisations and persons.

Two permissions: one for organisations, one for natural persons. Registration
authorities and geodata need a token alone.
"""

from typing import Final

from proxy.mock import lookup_geodata, lookup_organizations, lookup_persons, lookup_screening
from proxy.mock.endpoint import Product
from proxy.mock.lookup_replies import PREFIX

__all__ = ["PRODUCT"]

PRODUCT: Final = Product(
    name="Data Verification",
    prefix=PREFIX,
    permission="",
    endpoints=(
        *lookup_organizations.ENDPOINTS,
        *lookup_persons.ENDPOINTS,
        *lookup_screening.ENDPOINTS,
        *lookup_geodata.ENDPOINTS,
    ),
    codes={400: "1206", 401: "0001", 403: "0002"},
)
