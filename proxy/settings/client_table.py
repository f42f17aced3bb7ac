"""The tables of clients and routes in the TOML file, and what they are once complete."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr

from proxy.oauth import credential
from proxy.settings import values
from proxy.settings.caller_table import Table

__all__ = [
    "SECRET_FILES",
    "ClientAuth",
    "ClientId",
    "ClientSettings",
    "ClientTable",
    "KeyId",
    "Methods",
    "RouteSettings",
    "RouteTable",
    "Secret",
    "Url",
    "Word",
]

SECRET_FILES: Final = ("client_secret_file", "previous_secret_file", "client_key_file")
"""The settings of a client whose files nobody else may know."""
_PROOFS: Final = ("client_secret", "client_secret_file", "client_key_file", "client_cert_file")

Word = BeforeValidator(values.word)
ClientAuth = Annotated[credential.ClientAuth, Word]


def _checked_secret(value: SecretStr) -> SecretStr:
    return SecretStr(values.secret(value.get_secret_value()))


Url = Annotated[str, AfterValidator(values.url)]
ClientId = Annotated[str, AfterValidator(values.client_id)]
KeyId = Annotated[str, AfterValidator(values.key_id)]
Secret = Annotated[SecretStr, AfterValidator(_checked_secret)]
Methods = Annotated[tuple[str, ...], BeforeValidator(values.words(values.method))]


class ClientTable(Table):
    """One `[clients.NAME]` of the TOML file; what it leaves out comes from the flat settings."""

    client_id: ClientId | None = None
    client_secret: Secret | None = None
    client_secret_file: Path | None = None
    previous_secret_file: Path | None = None
    client_key_file: Path | None = None
    client_key_id: KeyId | None = None
    client_cert_file: Path | None = None
    client_auth: ClientAuth | None = None
    token_url: Url | None = None
    scope: str | None = None

    @property
    def has_own_proof(self) -> bool:
        """Whether it proves itself: then nothing that proves another client is its own."""
        return any(getattr(self, name) is not None for name in _PROOFS)


class RouteTable(Table):
    """One `[[routes]]` of the TOML file."""

    path: Annotated[str, AfterValidator(values.path_prefix)]
    client: str
    methods: Methods | None = None


class ClientSettings(Table):
    """One API client, complete."""

    name: str
    client_id: str
    client_secret: SecretStr | None
    client_secret_file: Path | None
    previous_secret_file: Path | None
    client_key_file: Path | None
    client_key_id: str | None
    client_cert_file: Path | None
    client_auth: ClientAuth
    token_url: str
    scope: str


class RouteSettings(Table):
    """Requests under `path` go out as `client`; `methods` None means all."""

    path: str
    client: str
    methods: tuple[str, ...] | None = None
